//! Datagrams: nothing that allows a connection allows them.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::IpAddr;

use fumehood_policy::{
    AddressSpace, Decision, Effect, Grounds, Mode, Policy, Reason, RequestUrl, Rule, SchemeName,
    ServedScheme, Spaces, Target, Terms, Transport, UrlError,
};
use proptest::prelude::*;
use support::verdict;

fn target(url: &str) -> Target {
    RequestUrl::parse_datagrams(url).unwrap().target
}

fn rule(effect: Effect, host: &str) -> Rule {
    Rule::new(effect, host.parse().unwrap())
}

fn udp(effect: Effect, host: &str) -> Rule {
    Rule {
        schemes: vec!["udp".parse().unwrap()],
        ..rule(effect, host)
    }
}

fn with(mut policy: Policy, rules: &[Rule]) -> Policy {
    for rule in rules {
        policy.add_rule(rule.clone()).unwrap();
    }
    policy
}

/// What is said of a target, and of an address that it has.
fn said(policy: &Policy, url: &str, address: &str) -> (&'static str, &'static str) {
    let (it, terms) = (target(url), Terms::default());
    let address: IpAddr = address.parse().unwrap();
    let name = verdict(&policy.decide(&it, &terms));
    (name, verdict(&policy.decide_address(&it, &terms, address)))
}

#[test]
fn nothing_that_does_not_name_them_allows_them() {
    let no = ("udp-not-allowed", "udp-not-allowed");
    let everything = rule(Effect::Allow, "*");
    let web = Rule {
        schemes: vec!["http".parse().unwrap(), "https".parse().unwrap()],
        ..rule(Effect::Allow, "a.example")
    };
    let range = rule(Effect::Allow, "1.0.0.0/8");
    for rules in [vec![], vec![everything.clone()], vec![web, range]] {
        for base in [Policy::default(), Policy::deny_by_default()] {
            let mut policy = with(base, &rules);
            assert_eq!(said(&policy, "udp://a.example:3478", "1.1.1.1"), no);
            assert_eq!(said(&policy, "udp://1.1.1.1:3478", "1.1.1.1"), no);
            policy.allow_private("a.example".parse().unwrap()).unwrap();
            policy.allow_private("10.0.0.0/8".parse().unwrap()).unwrap();
            policy.allow_private("localhost".parse().unwrap()).unwrap();
            assert_eq!(said(&policy, "udp://a.example:3478", "10.0.0.1"), no);
            assert_eq!(said(&policy, "udp://10.0.0.1:3478", "10.0.0.1"), no);
            assert_eq!(said(&policy, "udp://localhost:3478", "127.0.0.1"), no);
            // Not even where denials are only told of.
            policy.set_modes(Mode::Report, Mode::Report);
            assert_eq!(said(&policy, "udp://a.example:3478", "1.1.1.1"), no);
            assert_eq!(
                policy.decide_datagrams(&Terms::default()),
                Err(Reason::NoDatagrams)
            );
        }
    }
    // A yes to a question about everything is none to them.
    let policy = with(Policy::default(), &[rule(Effect::Ask, "*"), everything]);
    let confirmed = Terms {
        confirmed: true,
        ..Terms::default()
    };
    let decision = policy.decide(&target("udp://a.example:3478"), &confirmed);
    assert_eq!(verdict(&decision), "udp-not-allowed");
}

#[test]
fn a_rule_that_names_them_allows_them_and_no_connection() {
    let allow = Rule {
        ports: 3478..=3479,
        line: 7,
        ..udp(Effect::Allow, "*.example")
    };
    let policy = with(Policy::deny_by_default(), &[allow]);
    let yes = ("allow", "allow");
    assert_eq!(said(&policy, "udp://a.example:3478", "1.1.1.1"), yes);
    assert_eq!(
        policy.check_target(&target("udp://a.example:3478")),
        Decision::Allow(Grounds::Rule { line: 7 })
    );
    assert_eq!(policy.decide_datagrams(&Terms::default()), Ok(()));
    for (url, address) in [
        ("udp://a.example:3480", "1.1.1.1"),
        ("udp://a.test:3478", "1.1.1.1"),
        ("udp://1.1.1.1:3478", "1.1.1.1"),
    ] {
        let no = ("udp-not-allowed", "udp-not-allowed");
        assert_eq!(said(&policy, url, address), no, "{url}");
    }
    let web = RequestUrl::parse("http://a.example:3478/").unwrap().target;
    assert_eq!(verdict(&policy.check_target(&web)), "not-allowed");
}

#[test]
fn addresses_and_ports_are_checked_as_for_connections() {
    let all = with(Policy::default(), &[udp(Effect::Allow, "*")]);
    assert_eq!(
        said(&all, "udp://a.example:3478", "10.0.0.1"),
        ("allow", "local-address")
    );
    assert_eq!(
        said(&all, "udp://127.0.0.1:3478", "127.0.0.1"),
        ("loopback-address", "loopback-address")
    );
    assert_eq!(
        said(&all, "udp://localhost:3478", "127.0.0.1").0,
        "localhost"
    );
    for forbidden in ["0.0.0.0", "224.0.0.251", "255.255.255.255", "[ff02::fb]"] {
        let url = format!("udp://{forbidden}:5353");
        let decision = all.check_target(&target(&url));
        assert_eq!(verdict(&decision), "forbidden-address", "{url}");
    }
    for port in [53, 123, 161] {
        let url = format!("udp://a.example:{port}");
        assert_eq!(verdict(&all.check_target(&target(&url))), "blocked-port");
    }
    let mut open = all;
    open.allow_private("10.0.0.0/8".parse().unwrap()).unwrap();
    open.allow_private("localhost".parse().unwrap()).unwrap();
    let yes = ("allow", "allow");
    assert_eq!(said(&open, "udp://a.example:3478", "10.0.0.1"), yes);
    assert_eq!(said(&open, "udp://localhost:3478", "127.0.0.1"), yes);
    assert_eq!(
        said(&open, "udp://a.example:3478", "127.0.0.1").1,
        "loopback-address"
    );
}

#[test]
fn spaces_ranges_and_clients_narrow_such_a_rule() {
    let public = Rule {
        spaces: Spaces::of(&[AddressSpace::Public]),
        clients: vec!["call".parse().unwrap()],
        ..udp(Effect::Allow, "*")
    };
    let range = udp(Effect::Allow, "10.1.0.0/16");
    let mut policy = with(Policy::deny_by_default(), &[public, range]);
    policy.allow_private("10.0.0.0/8".parse().unwrap()).unwrap();
    let call = Terms {
        client: Some("call".parse().unwrap()),
        ..Terms::default()
    };
    let it = target("udp://a.example:3478");
    let on = |terms: &Terms, address: &str| {
        let address = address.parse().unwrap();
        verdict(&policy.decide_address(&it, terms, address))
    };
    assert_eq!(on(&call, "1.1.1.1"), "allow");
    assert_eq!(on(&Terms::default(), "1.1.1.1"), "udp-not-allowed");
    assert_eq!(on(&call, "10.0.0.1"), "udp-not-allowed");
    assert_eq!(on(&Terms::default(), "10.1.0.1"), "allow");
    assert_eq!(verdict(&policy.decide(&it, &Terms::default())), "allow");
    let only = Rule {
        clients: vec!["call".parse().unwrap()],
        ..udp(Effect::Allow, "*")
    };
    let policy = with(Policy::deny_by_default(), &[only]);
    assert_eq!(policy.decide_datagrams(&call), Ok(()));
    assert!(policy.decide_datagrams(&Terms::default()).is_err());
}

#[test]
fn what_denies_denies_them_too() {
    let allow = udp(Effect::Allow, "*");
    let tunnels = Rule {
        methods: vec!["CONNECT".parse().unwrap()],
        ..rule(Effect::Deny, "b.example")
    };
    let denies = [rule(Effect::Deny, "a.example"), tunnels];
    let policy = with(Policy::default(), &[&denies[..], &[allow]].concat());
    let on = |url: &str| verdict(&policy.check_target(&target(url)));
    assert_eq!(on("udp://a.example:3478"), "denied-by-rule");
    assert_eq!(on("udp://b.example:3478"), "denied-by-rule");
    assert_eq!(on("udp://c.example:3478"), "allow");
    // A rule for some methods is about requests.
    let some = Rule {
        methods: vec!["GET".parse().unwrap()],
        ..udp(Effect::Allow, "*")
    };
    let policy = with(Policy::deny_by_default(), &[some]);
    let it = target("udp://a.example:3478");
    assert_eq!(verdict(&policy.check_target(&it)), "udp-not-allowed");
}

#[test]
fn a_denial_says_what_to_do() {
    let decision = Policy::default().check_target(&target("udp://a.example:3478"));
    let Decision::Deny(denial) = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(
        denial.to_string(),
        "a.example:3478 is not dialled: no rule of the policy allows datagrams to it by the \
         scheme udp; to allow it, add a rule with schemes = [\"udp\"] for a.example:3478 to \
         policy.allow"
    );
}

#[test]
fn the_name_is_nobody_elses() {
    assert!(ServedScheme::new("udp", 1, Transport::Udp).is_err());
    assert_eq!("UDP".parse::<SchemeName>().unwrap().as_str(), "udp");
    assert!(matches!(
        RequestUrl::parse("udp://a.example:3478"),
        Err(UrlError::Scheme(_))
    ));
}

#[test]
fn where_they_go_is_read_as_every_host_is() {
    for (url, display) in [
        ("udp://A.Example.:3478", "udp://a.example:3478"),
        ("UDP://0x7f.1:80", "udp://127.0.0.1:80"),
        ("udp://[::1]:443", "udp://[::1]:443"),
    ] {
        assert_eq!(target(url).to_string(), display);
    }
    for (url, error) in [
        ("udp://a.example", UrlError::Port),
        ("udp:a.example:1", UrlError::NoHost),
        ("http://a.example:1", UrlError::Scheme("http".to_owned())),
        ("udp://a@b@c:1", UrlError::UserInfo),
        ("a.example", UrlError::Relative),
    ] {
        assert_eq!(RequestUrl::parse_datagrams(url), Err(error), "{url}");
    }
}

proptest! {
    /// Whatever rules there are that do not name them.
    #[test]
    fn only_their_own_rules_open_anything(
        rules in proptest::collection::vec((0..3_usize, 0..4_usize, any::<bool>()), 0..8),
        (by_default, port) in (any::<bool>(), 1024_u16..),
        host in prop_oneof![Just("a.example"), Just("1.1.1.1"), Just("localhost"), Just("10.0.0.1")],
    ) {
        let mut policy = if by_default { Policy::default() } else { Policy::deny_by_default() };
        for (effect, host, web) in rules {
            let effect = [Effect::Allow, Effect::Ask, Effect::Deny][effect];
            let host = ["*", "a.example", "0.0.0.0/0", "localhost"][host];
            let schemes = if web { vec!["https".parse().unwrap()] } else { vec![] };
            policy.add_rule(Rule { schemes, ..rule(effect, host) }).unwrap();
        }
        policy.allow_private("localhost".parse().unwrap()).unwrap();
        policy.allow_private("0.0.0.0/0".parse().unwrap()).unwrap();
        let it = target(&format!("udp://{host}:{port}"));
        let terms = Terms { confirmed: true, ..Terms::default() };
        prop_assert!(matches!(policy.decide(&it, &terms), Decision::Deny(_)));
        let address = "1.1.1.1".parse().unwrap();
        prop_assert!(matches!(policy.decide_address(&it, &terms, address), Decision::Deny(_)));
        prop_assert!(policy.decide_datagrams(&terms).is_err());
    }
}
