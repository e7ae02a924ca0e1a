//! Rules: every part of one, the modes, and that the index finds what a plain
//! search would.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::IpAddr;

use fumehood_policy::{
    AddressSpace, ClientName, Decision, Effect, Grounds, Host, HostPattern, MAX_RULES, Method,
    Mode, Policy, Reason, RequestUrl, Rule, Scheme, Spaces, Target, Terms,
};
use proptest::prelude::*;
use support::verdict;

fn target(url: &str) -> Target {
    RequestUrl::parse(url).unwrap().target
}

fn rule(effect: Effect, host: &str) -> Rule {
    Rule::new(effect, host.parse().unwrap())
}

fn with(policy: Policy, rules: &[Rule]) -> Policy {
    let mut policy = policy;
    for rule in rules {
        policy.add_rule(rule.clone()).unwrap();
    }
    policy
}

fn terms(method: &str, client: Option<&str>) -> Terms {
    Terms {
        method: Some(method.parse().unwrap()),
        client: client.map(|it| it.parse().unwrap()),
        ..Terms::default()
    }
}

#[test]
fn a_rule_for_methods_is_for_those_in_any_case() {
    let deny = Rule {
        methods: vec!["post".parse().unwrap(), "PUT".parse().unwrap()],
        ..rule(Effect::Deny, "*.example.com")
    };
    let policy = with(Policy::default(), &[deny]);
    let it = target("https://www.example.com/");
    for (method, expected) in [
        ("POST", "denied-by-rule"),
        ("pOsT", "denied-by-rule"),
        ("PUT", "denied-by-rule"),
        ("GET", "allow"),
        ("POSTS", "allow"),
    ] {
        let decision = policy.decide(&it, &terms(method, None));
        assert_eq!(verdict(&decision), expected, "{method}");
    }
    // Who does not say how must not come through.
    let unknown = policy.decide(&it, &Terms::default());
    assert_eq!(verdict(&unknown), "denied-by-rule");
}

#[test]
fn a_rule_that_allows_a_method_allows_no_unknown_one() {
    let allow = Rule {
        methods: vec!["GET".parse().unwrap()],
        ..rule(Effect::Allow, "example.com")
    };
    let policy = with(Policy::deny_by_default(), &[allow]);
    let it = target("https://example.com/");
    let on = |terms: &Terms| verdict(&policy.decide(&it, terms));
    assert_eq!(on(&terms("GET", None)), "allow");
    assert_eq!(on(&terms("HEAD", None)), "not-allowed");
    assert_eq!(on(&Terms::default()), "not-allowed");
}

#[test]
fn a_rule_for_clients_is_for_those_alone() {
    let rules = [
        Rule {
            clients: vec!["builder".parse().unwrap()],
            ..rule(Effect::Allow, "crates.example")
        },
        Rule {
            clients: vec!["guest".parse().unwrap()],
            ..rule(Effect::Deny, "*")
        },
        rule(Effect::Allow, "open.example"),
    ];
    let policy = with(Policy::deny_by_default(), &rules);
    let on = |url: &str, client: Option<&str>| {
        verdict(&policy.decide(&target(url), &terms("GET", client)))
    };
    assert_eq!(on("https://crates.example/", Some("builder")), "allow");
    assert_eq!(on("https://crates.example/", Some("other")), "not-allowed");
    assert_eq!(on("https://crates.example/", None), "not-allowed");
    assert_eq!(on("https://open.example/", Some("guest")), "denied-by-rule");
    assert_eq!(on("https://open.example/", None), "allow");
}

#[test]
fn spaces_narrow_a_rule_and_open_nothing() {
    let local = Spaces::of(&[AddressSpace::Local]);
    let deny = Rule {
        spaces: local,
        ..rule(Effect::Deny, "*.example")
    };
    let mut policy = with(Policy::default(), &[deny]);
    policy.allow_private("10.0.0.0/8".parse().unwrap()).unwrap();
    let on = |policy: &Policy, url: &str, address: &str| {
        verdict(&policy.check_address(&target(url), address.parse().unwrap()))
    };
    // Which space it is in is not known before it is resolved.
    assert_eq!(
        verdict(&policy.check_target(&target("http://a.example/"))),
        "allow"
    );
    assert_eq!(
        on(&policy, "http://a.example/", "10.0.0.1"),
        "denied-by-rule"
    );
    assert_eq!(on(&policy, "http://a.example/", "1.1.1.1"), "allow");
    assert_eq!(on(&policy, "http://b.test/", "10.0.0.1"), "allow");

    let allow = Rule {
        spaces: local,
        ..rule(Effect::Allow, "*")
    };
    let policy = with(Policy::deny_by_default(), &[allow]);
    assert_eq!(
        on(&policy, "http://a.example/", "10.0.0.1"),
        "local-address"
    );
    assert_eq!(on(&policy, "http://a.example/", "1.1.1.1"), "not-allowed");
    assert_eq!(
        verdict(&policy.check_target(&target("http://a.example/"))),
        "allow"
    );
}

#[test]
fn a_grant_s_spaces_hold_before_the_policy_s_leave() {
    let mut policy = Policy::default();
    policy.allow_private("10.0.0.0/8".parse().unwrap()).unwrap();
    let public = Terms {
        spaces: Spaces::of(&[AddressSpace::Public]),
        ..Terms::default()
    };
    let on = |address: &str| {
        let address = address.parse().unwrap();
        verdict(&policy.decide_address(&target("http://a.example/"), &public, address))
    };
    assert_eq!(on("10.0.0.1"), "outside-grant");
    assert_eq!(on("1.1.1.1"), "allow");
    assert_eq!(on("224.0.0.1"), "forbidden-address");
}

#[test]
fn what_is_to_be_asked_about_waits_for_a_yes() {
    let rules = [
        rule(Effect::Ask, "*.example"),
        rule(Effect::Deny, "evil.example"),
        rule(Effect::Allow, "*"),
    ];
    let yes = Terms {
        confirmed: true,
        ..Terms::default()
    };
    for default in [Policy::default(), Policy::deny_by_default()] {
        let policy = with(default, &rules);
        let on = |url: &str, terms: &Terms| verdict(&policy.decide(&target(url), terms));
        assert_eq!(on("https://a.example/", &Terms::default()), "ask");
        assert_eq!(on("https://a.example/", &yes), "allow");
        // Deny wins, and what is not asked about is as it was.
        assert_eq!(on("https://evil.example/", &yes), "denied-by-rule");
        assert_eq!(on("https://b.test/", &Terms::default()), "allow");
        // A yes is no leave for private addresses.
        let it = target("https://a.example/");
        let at = |terms: &Terms, address: &str| {
            verdict(&policy.decide_address(&it, terms, address.parse().unwrap()))
        };
        assert_eq!(at(&yes, "10.0.0.1"), "local-address");
        assert_eq!(at(&yes, "1.1.1.1"), "allow");
        assert_eq!(at(&Terms::default(), "1.1.1.1"), "not-confirmed");
    }
}

#[test]
fn report_mode_tells_of_rules_and_never_of_addresses_unless_named() {
    let deny = rule(Effect::Deny, "ads.example");
    let mut policy = with(Policy::deny_by_default(), &[deny]);
    let on = |policy: &Policy, url: &str, address: &str| {
        verdict(&policy.check_address(&target(url), address.parse().unwrap()))
    };
    policy.set_modes(Mode::Report, Mode::Enforce);
    assert_eq!(on(&policy, "http://ads.example/", "1.1.1.1"), "report");
    assert_eq!(on(&policy, "http://b.example/", "1.1.1.1"), "report");
    for (url, address, expected) in [
        // What a rule would deny as well is denied for its address.
        ("http://ads.example/", "10.0.0.1", "local-address"),
        ("http://b.example/", "127.0.0.1", "loopback-address"),
        ("http://b.example/", "0.0.0.0", "forbidden-address"),
        ("http://b.example:25/", "1.1.1.1", "blocked-port"),
        ("http://8.8.8.8/", "8.8.4.4", "another-address"),
        ("http://localhost/", "10.0.0.1", "localhost-elsewhere"),
    ] {
        assert_eq!(on(&policy, url, address), expected, "{url} {address}");
    }
    assert_eq!(
        verdict(&policy.check_target(&target("http://localhost/"))),
        "localhost"
    );
    policy.set_modes(Mode::Enforce, Mode::Report);
    let mut open = Policy::default();
    open.set_modes(Mode::Enforce, Mode::Report);
    assert_eq!(
        on(&policy, "http://ads.example/", "10.0.0.1"),
        "denied-by-rule"
    );
    assert_eq!(on(&open, "http://b.example/", "10.0.0.1"), "report");
    assert_eq!(
        on(&open, "http://b.example/", "224.0.0.1"),
        "forbidden-address"
    );
    assert_eq!(
        verdict(&open.check_target(&target("http://localhost/"))),
        "report"
    );
}

#[test]
fn the_place_of_a_rule_is_told() {
    let deny = Rule {
        line: 12,
        ..rule(Effect::Deny, "ads.example")
    };
    let allow = Rule {
        line: 7,
        ..rule(Effect::Allow, "*")
    };
    let mut policy = with(Policy::deny_by_default(), &[deny, allow]);
    policy.set_file("config.toml");
    let Decision::Deny(denial) = policy.check_target(&target("http://ads.example/")) else {
        panic!("it is denied");
    };
    assert!(
        matches!(&denial.reason, Reason::Rule(rule) if rule.place.as_deref() == Some("config.toml:12"))
    );
    let said = denial.to_string();
    assert!(
        said.contains("denies ads.example (config.toml:12); to allow it, change"),
        "{said}"
    );
    let allowed = policy.check_target(&target("http://b.example/"));
    assert_eq!(allowed, Decision::Allow(Grounds::Rule { line: 7 }));
}

#[test]
fn a_policy_with_all_there_is_crosses_processes_unchanged() {
    let mut policy = Policy::deny_by_default();
    for (at, host) in ["*", "a.example", "*.b.example", "10.0.0.0/8", "fc00::/7"]
        .iter()
        .enumerate()
    {
        let effect = [Effect::Allow, Effect::Deny, Effect::Ask][at % 3];
        let whole = Rule {
            schemes: vec![Scheme::Https.into()],
            ports: 443..=444,
            methods: vec!["GET".parse().unwrap()],
            clients: vec!["c".parse().unwrap()],
            spaces: Spaces::of(&[AddressSpace::Loopback]),
            line: 3,
            ..rule(effect, host)
        };
        policy.add_rule(whole).unwrap();
    }
    policy.allow_private("[::1]:80".parse().unwrap()).unwrap();
    policy.set_modes(Mode::Report, Mode::Report);
    policy.set_file("/etc/x");
    let bytes = postcard::to_stdvec(&policy).unwrap();
    assert_eq!(postcard::from_bytes::<Policy>(&bytes).unwrap(), policy);
}

#[test]
fn connections_are_shared_unless_requests_differ_in_where_they_may_go() {
    let by_method = |host: &str| Rule {
        methods: vec!["POST".parse().unwrap()],
        ..rule(Effect::Deny, host)
    };
    let share = |rule: Rule| !with(Policy::default(), &[rule]).judges_connections_by_request();
    assert!(share(by_method("a.example")));
    assert!(share(rule(Effect::Deny, "8.8.8.0/24")));
    assert!(!share(by_method("8.8.8.0/24")));
    assert!(!share(Rule {
        clients: vec!["c".parse().unwrap()],
        spaces: Spaces::of(&[AddressSpace::Local]),
        ..rule(Effect::Deny, "*")
    }));
}

#[test]
fn methods_and_clients_have_a_form() {
    for text in ["", "GET ", "G\0T", "GÉT", &"A".repeat(33)] {
        assert!(text.parse::<Method>().is_err(), "{text:?}");
    }
    for text in ["", "Builder", "a b", "é", &"a".repeat(65)] {
        assert!(text.parse::<ClientName>().is_err(), "{text:?}");
    }
    assert!(Spaces::ALL.is_all() && !Spaces::of(&[AddressSpace::Local]).is_all());
    assert_eq!(Spaces::ALL.to_string(), "public, local, loopback");
}

/// Hosts that share parents and ranges, so that rules meet.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "(a\\.|b\\.){0,3}(a|b)\\.test",
        "10\\.[0-3]\\.[0-3]\\.[0-3]",
        "\\[fd00::[0-3]\\]",
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        host(),
        host().prop_filter_map("names alone", |it| it
            .ends_with("test")
            .then(|| format!("*.{it}"))),
        (0_u8..=32).prop_map(|prefix| {
            let bits = 0x0a01_0203 & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(bits))
        }),
        (0_u8..=8).prop_map(|prefix| if prefix == 8 {
            "fd00::/8".into()
        } else {
            "::/0".into()
        }),
    ]
}

proptest! {
    /// The index finds exactly what going through all rules finds.
    #[test]
    fn the_index_is_a_plain_search_only_faster(
        patterns in proptest::collection::vec((pattern(), 0_u16..4, 0_u16..3), 0..40),
        host in host(), port in 8000_u16..8004,
    ) {
        let mut policy = Policy::default();
        for (text, from, length) in &patterns {
            let ports = 8000 + from..=8000 + from + length;
            let it = Rule { ports, ..rule(Effect::Deny, text) };
            policy.add_rule(it).unwrap();
        }
        let it = target(&format!("http://{host}:{port}/"));
        let found = verdict(&policy.check_target(&it)) == "denied-by-rule";
        let plain = policy.rules().iter().any(|rule| {
            rule.ports.contains(&port) && rule.host.matches(&it.host)
        });
        prop_assert_eq!(found, plain);
        // And of a name's address.
        let name = target(&format!("http://elsewhere.test:{port}/"));
        let address: IpAddr = "10.1.2.3".parse().unwrap();
        let found = verdict(&policy.check_address(&name, address)) == "denied-by-rule";
        let plain = policy.rules().iter().any(|rule| {
            let about = rule.host.matches(&name.host) || rule.host.matches_address(address);
            rule.ports.contains(&port) && about
        });
        prop_assert_eq!(found, plain);
    }

    /// What is decided on is what DNS or the kernel is given: a rule for those
    /// very bytes holds for every way of writing the host.
    #[test]
    fn rules_see_the_bytes_that_dns_sees(
        text in "\\PC{1,30}|[a-zA-Z0-9._\\-]{1,40}|[0-9a-fxX.]{1,20}|\\[[0-9a-f:.]{2,30}\\]",
    ) {
        let Ok(host) = Host::parse(&text) else { return Ok(()) };
        let seen = match &host {
            Host::Name(name) => name.as_str().to_owned(),
            Host::V4(it) => it.to_string(),
            Host::V6(it) => format!("[{it}]"),
        };
        prop_assert!(seen.bytes().all(|it| it.is_ascii_graphic() && !it.is_ascii_uppercase()));
        let policy = with(Policy::default(), &[rule(Effect::Deny, &seen)]);
        let mut spellings = vec![seen.clone(), seen.to_uppercase(), text.clone()];
        if !seen.starts_with('[') {
            spellings.push(format!("{seen}."));
        }
        for spelling in spellings {
            let it = Target { scheme: Scheme::Http, host: Host::parse(&spelling).unwrap(), port: 80 };
            prop_assert_eq!(verdict(&policy.check_target(&it)), "denied-by-rule", "{}", spelling);
            let by_url = RequestUrl::parse(&format!("http://{spelling}/"));
            if let Ok(url) = by_url {
                prop_assert_eq!(&url.target, &it);
            }
        }
        // The pattern written as the host was is the same pattern.
        if let Ok(pattern) = text.parse::<HostPattern>() {
            prop_assert!(pattern == HostPattern::Any || pattern.matches(&host));
        }
    }

    #[test]
    fn methods_and_clients_print_as_they_parse(text in "\\PC{0,40}|[A-Za-z!#$%&'*+.^_`|~-]{1,34}|[a-z0-9._-]{1,70}") {
        if let Ok(method) = text.parse::<Method>() {
            prop_assert_eq!(method.to_string().parse(), Ok(method));
        }
        if let Ok(client) = text.parse::<ClientName>() {
            prop_assert_eq!(client.to_string(), text);
        }
    }

    #[test]
    fn patterns_print_as_they_parse(text in "\\PC{0,20}|(\\*\\.)?[a-z0-9.\\-]{0,20}|[0-9a-f:./\\[\\]]{0,20}") {
        if let Ok(pattern) = text.parse::<HostPattern>() {
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
    }
}

#[test]
fn the_bound_on_rules_is_one_that_crosses_processes() {
    let mut policy = Policy::default();
    for at in 0..MAX_RULES {
        policy
            .add_rule(rule(Effect::Deny, &format!("*.h{at}.example.com")))
            .unwrap();
    }
    assert!(policy.add_rule(rule(Effect::Deny, "a")).is_err());
    let hosts = ["https://x.h9999.example.com/", "https://h9999.example.com/"];
    let on = |url: &str| verdict(&policy.check_target(&target(url)));
    assert_eq!(hosts.map(on), ["denied-by-rule", "allow"]);
}
