//! Decisions: the whole of what a policy may answer, hostile targets first.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::IpAddr;

use fumehood_policy::{
    Decision, Effect, HostPattern, MAX_RULES, PatternError, Policy, PrivateHost, RequestUrl, Rule,
    Scheme, Target, TooManyRules,
};
use proptest::prelude::*;
use support::verdict;

fn target(url: &str) -> Target {
    RequestUrl::parse(url).unwrap().target
}

fn private(hosts: &[&str]) -> Policy {
    let mut policy = Policy::default();
    for host in hosts {
        policy.allow_private(host.parse().unwrap()).unwrap();
    }
    policy
}

fn rule(effect: Effect, host: &str) -> Rule {
    Rule::new(effect, host.parse().unwrap())
}

fn on_target(policy: &Policy, url: &str) -> &'static str {
    verdict(&policy.check_target(&target(url)))
}

fn on_address(policy: &Policy, url: &str, address: &str) -> &'static str {
    verdict(&policy.check_address(&target(url), address.parse().unwrap()))
}

#[test]
fn the_default_lets_no_spelling_of_a_private_address_through() {
    for (url, expected) in [
        ("http://127.0.0.1/", "loopback-address"),
        ("http://127.1/", "loopback-address"),
        ("http://2130706433/", "loopback-address"),
        ("http://0x7f000001/", "loopback-address"),
        ("http://0177.0.0.01/", "loopback-address"),
        ("http://127.0.0.1./", "loopback-address"),
        ("http://①②⑦。⓪。⓪。①/", "loopback-address"),
        ("http://[::1]/", "loopback-address"),
        ("http://[::ffff:127.0.0.1]/", "loopback-address"),
        ("http://[::ffff:7f00:1]/", "loopback-address"),
        ("http://[::127.0.0.1]/", "loopback-address"),
        ("http://[64:ff9b::7f00:1]/", "loopback-address"),
        ("http://[2002:7f00:1::]/", "loopback-address"),
        ("http://0/", "forbidden-address"),
        ("http://0.0.0.0:8080/", "forbidden-address"),
        ("http://[::]/", "forbidden-address"),
        ("http://[::ffff:0:0]/", "forbidden-address"),
        ("http://255.255.255.255/", "forbidden-address"),
        ("http://224.0.0.1/", "forbidden-address"),
        ("http://[ff02::1]/", "forbidden-address"),
        ("http://10.0.0.1/", "local-address"),
        ("http://0xa9fea9fe/", "local-address"),
        ("http://169.254.169.254/latest/meta-data/", "local-address"),
        ("http://[::ffff:169.254.169.254]/", "local-address"),
        ("http://[fd00:ec2::254]/", "local-address"),
        ("http://100.100.100.200/", "local-address"),
        ("http://168.63.129.16/", "local-address"),
        ("http://[fe80::1]/", "local-address"),
        ("http://localhost/", "localhost"),
        ("http://LOCALHOST./", "localhost"),
        ("http://a.localhost:8080/", "localhost"),
        ("http://example.com:25/", "blocked-port"),
        ("http://example.com:0/", "blocked-port"),
        ("https://8.8.8.8:22/", "blocked-port"),
        ("http://127.0.0.1:6667/", "blocked-port"),
        ("http://example.com/", "allow"),
        ("https://example.com:8443/", "allow"),
        ("https://8.8.8.8/", "allow"),
        ("https://[2606:4700::1111]/", "allow"),
        ("https://[64:ff9b::808:808]/", "allow"),
    ] {
        assert_eq!(on_target(&Policy::default(), url), expected, "{url}");
    }
}

#[test]
fn every_address_of_a_name_is_judged() {
    let policy = Policy::default();
    for (address, expected) in [
        ("93.184.215.14", "allow"),
        ("2606:4700::1111", "allow"),
        ("127.0.0.1", "loopback-address"),
        ("::1", "loopback-address"),
        ("::ffff:127.0.0.1", "loopback-address"),
        ("192.168.1.1", "local-address"),
        ("0.0.0.0", "forbidden-address"),
    ] {
        assert_eq!(
            on_address(&policy, "http://example.com/", address),
            expected,
            "{address}"
        );
    }
}

#[test]
fn a_literal_is_dialled_as_itself_alone() {
    let policy = Policy::default();
    assert_eq!(on_address(&policy, "http://8.8.8.8/", "8.8.8.8"), "allow");
    assert_eq!(
        on_address(&policy, "http://8.8.8.8/", "8.8.4.4"),
        "another-address"
    );
    assert_eq!(
        on_address(&policy, "http://8.8.8.8/", "::ffff:8.8.8.8"),
        "another-address"
    );
}

#[test]
fn localhost_never_leaves_the_machine() {
    let policy = private(&["localhost", "*.localhost", "0.0.0.0/0"]);
    for url in ["http://localhost/", "http://a.b.localhost/"] {
        assert_eq!(on_target(&policy, url), "allow");
        assert_eq!(on_address(&policy, url, "127.0.0.1"), "allow");
        assert_eq!(on_address(&policy, url, "::1"), "allow");
        for address in ["8.8.8.8", "10.0.0.1", "0.0.0.0", "2606:4700::1111"] {
            assert_eq!(
                on_address(&policy, url, address),
                "localhost-elsewhere",
                "{address}"
            );
        }
    }
}

#[test]
fn a_private_host_opens_itself_and_nothing_else() {
    let policy = private(&[
        "127.0.0.1:8080",
        "10.0.0.0/8",
        "intranet.example",
        "*.corp.example",
    ]);
    for (url, address, expected) in [
        ("http://127.0.0.1:8080/", "127.0.0.1", "allow"),
        ("http://127.0.0.1:8081/", "127.0.0.1", "loopback-address"),
        ("http://127.0.0.2:8080/", "127.0.0.2", "loopback-address"),
        ("http://[::1]:8080/", "::1", "loopback-address"),
        (
            "http://[::ffff:127.0.0.1]:8080/",
            "::ffff:127.0.0.1",
            "loopback-address",
        ),
        ("http://localhost:8080/", "127.0.0.1", "allow"),
        ("http://localhost:8081/", "127.0.0.1", "loopback-address"),
        ("http://localhost:8080/", "::1", "loopback-address"),
        // Rebinding: a stranger's name at an address that was opened as a literal.
        ("http://evil.example:8080/", "127.0.0.1", "loopback-address"),
        ("http://10.1.2.3/", "10.1.2.3", "allow"),
        ("http://10.1.2.3:22/", "10.1.2.3", "blocked-port"),
        ("http://wiki.example/", "10.1.2.3", "allow"),
        ("http://wiki.example/", "192.168.0.1", "local-address"),
        ("http://wiki.example/", "::ffff:10.1.2.3", "local-address"),
        ("http://intranet.example/", "192.168.0.1", "allow"),
        ("http://intranet.example/", "127.0.0.1", "allow"),
        ("http://intranet.example/", "0.0.0.0", "forbidden-address"),
        ("http://intranet.example/", "224.0.0.1", "forbidden-address"),
        ("http://intranet.example/", "8.8.8.8", "allow"),
        ("http://a.intranet.example/", "192.168.0.1", "local-address"),
        ("http://a.b.corp.example/", "192.168.0.1", "allow"),
        ("http://corp.example/", "192.168.0.1", "local-address"),
        ("http://xcorp.example/", "192.168.0.1", "local-address"),
    ] {
        assert_eq!(
            on_address(&policy, url, address),
            expected,
            "{url} at {address}"
        );
    }
    assert_eq!(on_target(&policy, "http://localhost:8080/"), "allow");
    assert_eq!(on_target(&policy, "http://localhost:8081/"), "localhost");
    assert_eq!(
        on_target(&private(&["localhost:80"]), "http://localhost/"),
        "allow"
    );
    assert_eq!(
        on_target(&private(&["localhost:80"]), "http://127.0.0.1/"),
        "loopback-address"
    );
}

#[test]
fn deny_wins() {
    let mut policy = private(&["10.0.0.0/8"]);
    for it in ["evil.example", "*.ads.example", "8.8.8.0/24", "10.9.0.0/16"] {
        policy.add_rule(rule(Effect::Deny, it)).unwrap();
    }
    policy.add_rule(rule(Effect::Allow, "*")).unwrap();
    for (url, address, expected) in [
        ("http://evil.example/", "1.1.1.1", "denied-by-rule"),
        ("http://EVIL.example./", "1.1.1.1", "denied-by-rule"),
        ("http://x.evil.example/", "1.1.1.1", "allow"),
        ("http://a.b.ads.example/", "1.1.1.1", "denied-by-rule"),
        ("http://ads.example/", "1.1.1.1", "allow"),
        ("http://dns.example/", "8.8.8.8", "denied-by-rule"),
        ("http://dns.example/", "::ffff:8.8.8.8", "denied-by-rule"),
        ("http://dns.example/", "64:ff9b::8.8.8.8", "denied-by-rule"),
        ("http://dns.example/", "2002:808:808::1", "denied-by-rule"),
        ("http://dns.example/", "8.8.4.4", "allow"),
        ("http://10.9.1.1/", "10.9.1.1", "denied-by-rule"),
        ("http://10.8.1.1/", "10.8.1.1", "allow"),
        // An allow rule does not switch the address checks off.
        ("http://192.168.1.1/", "192.168.1.1", "local-address"),
    ] {
        assert_eq!(
            on_address(&policy, url, address),
            expected,
            "{url} at {address}"
        );
    }
    assert_eq!(on_target(&policy, "http://evil.example/"), "denied-by-rule");
    assert_eq!(on_target(&policy, "http://8.8.8.8/"), "denied-by-rule");
}

#[test]
fn a_rule_for_names_below_says_that_it_leaves_one_out() {
    let mut policy = Policy::deny_by_default();
    policy
        .add_rule(rule(Effect::Allow, "*.example.com"))
        .unwrap();
    assert_eq!(on_target(&policy, "http://www.example.com/"), "allow");
    let denied = |url: &str| match policy.check_target(&target(url)) {
        Decision::Deny(denial) => (denial.reason.name(), denial.to_string()),
        other => panic!("{url}: {other:?}"),
    };
    let (name, said) = denied("http://example.com/");
    assert_eq!(name, "not-allowed");
    assert!(
        said.contains("*.example.com leaves out example.com itself"),
        "{said}"
    );
    let (name, said) = denied("http://example.org/");
    assert_eq!(name, "not-allowed");
    assert!(!said.contains("leaves out"), "{said}");
}

#[test]
fn a_rule_matches_with_all_its_parts() {
    let mut policy = Policy::default();
    policy
        .add_rule(Rule {
            schemes: vec![Scheme::Http.into()],
            ports: 8000..=8999,
            ..rule(Effect::Deny, "*")
        })
        .unwrap();
    assert_eq!(
        on_target(&policy, "http://example.com:8000/"),
        "denied-by-rule"
    );
    assert_eq!(
        on_target(&policy, "http://example.com:8999/"),
        "denied-by-rule"
    );
    assert_eq!(on_target(&policy, "http://example.com:9000/"), "allow");
    assert_eq!(on_target(&policy, "https://example.com:8000/"), "allow");
}

#[test]
fn denying_by_default_leaves_what_is_named() {
    let mut policy = Policy::deny_by_default();
    assert_eq!(on_target(&policy, "https://example.com/"), "not-allowed");
    assert_eq!(on_target(&policy, "https://8.8.8.8/"), "not-allowed");
    policy.add_rule(rule(Effect::Allow, "example.com")).unwrap();
    policy
        .allow_private("10.0.0.1:80".parse().unwrap())
        .unwrap();
    assert_eq!(on_target(&policy, "https://example.com/"), "allow");
    assert_eq!(
        on_address(&policy, "https://example.com/", "1.1.1.1"),
        "allow"
    );
    assert_eq!(
        on_address(&policy, "https://example.com/", "10.0.0.2"),
        "local-address"
    );
    assert_eq!(on_target(&policy, "https://other.example/"), "not-allowed");
    assert_eq!(on_target(&policy, "http://10.0.0.1/"), "allow");
    // Its name says nothing yet: its addresses decide.
    assert_eq!(on_target(&policy, "http://other.example/"), "allow");
    assert_eq!(
        on_address(&policy, "http://other.example/", "10.0.0.1"),
        "allow"
    );
    assert_eq!(
        on_address(&policy, "http://other.example/", "1.1.1.1"),
        "not-allowed"
    );
    policy.add_rule(rule(Effect::Allow, "1.1.1.1")).unwrap();
    assert_eq!(on_target(&policy, "https://other.example/"), "allow");
    assert_eq!(
        on_address(&policy, "https://other.example/", "1.1.1.1"),
        "allow"
    );
    assert_eq!(
        on_address(&policy, "https://other.example/", "1.1.1.2"),
        "not-allowed"
    );
}

#[test]
fn a_denial_is_a_sentence_with_a_remedy() {
    let said = |policy: &Policy, url: &str, address: &str| match policy
        .check_address(&target(url), address.parse().unwrap())
    {
        Decision::Deny(denial) => denial.to_string(),
        other => panic!("{url} at {address}: {other:?}"),
    };
    let policy = Policy::default();
    assert_eq!(
        said(&policy, "http://10.0.0.5/", "10.0.0.5"),
        "10.0.0.5:80 is not dialled: it is a private address (10.0.0.0/8, RFC 1918); to allow it, \
         pass --allow-private 10.0.0.5:80, put \"10.0.0.5:80\" into policy.private-hosts of the \
         configuration, or call EngineBuilder::allow_private(\"10.0.0.5:80\")"
    );
    assert!(
        said(&policy, "https://evil.example/", "127.0.0.1")
            .starts_with("evil.example:443 is not dialled: its name resolves to 127.0.0.1, a loop")
    );
    assert!(said(&policy, "http://a.example/", "::").ends_with("; no setting allows it"));
    assert!(said(&policy, "http://a.example:25/", "1.1.1.1").contains("port 25"));
}

#[test]
fn the_remedy_works() {
    for (url, address) in [
        ("http://10.0.0.5/", "10.0.0.5"),
        ("http://[fd00::5]:8080/", "fd00::5"),
        ("http://[::ffff:10.0.0.5]:8080/", "::ffff:10.0.0.5"),
        ("http://localhost:8080/", "127.0.0.1"),
        ("https://intranet.example/", "127.0.0.1"),
    ] {
        let pattern = target(url).host_and_port();
        let policy = private(&[&pattern]);
        assert_eq!(on_target(&policy, url), "allow", "{pattern}");
        assert_eq!(on_address(&policy, url, address), "allow", "{pattern}");
    }
}

#[test]
fn patterns_are_read_as_people_write_them() {
    for (text, canonical) in [
        ("Example.COM.", "example.com"),
        ("*.Example.com", "*.example.com"),
        ("127.1:80", "127.0.0.1:80"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("[::1]:443", "[::1]:443"),
        ("fc00::/7", "fc00::/7"),
        ("[fc00::/7]:443", "[fc00::/7]:443"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8:80", "[10.0.0.0/8]:80"),
        ("10.0.0.1/32", "10.0.0.1"),
    ] {
        let parsed: PrivateHost = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(parsed.to_string(), canonical, "{text}");
        assert_eq!(canonical.parse(), Ok(parsed), "{text}");
    }
    assert_eq!("*".parse::<PrivateHost>(), Err(PatternError::Everything));
    assert_eq!("*:80".parse::<PrivateHost>(), Err(PatternError::Everything));
    assert_eq!("*".parse(), Ok(HostPattern::Any));
    for text in ["a.*", "*.*.a", "a*", "*.10.0.0.1", "**"] {
        assert_eq!(
            text.parse::<HostPattern>(),
            Err(PatternError::Star),
            "{text}"
        );
    }
    for text in ["a:0", "a:", "a:65536", "a:+1", "[::1]:x"] {
        assert_eq!(
            text.parse::<PrivateHost>(),
            Err(PatternError::Port),
            "{text}"
        );
    }
    for text in [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "a/8",
        "::/129",
        "10.0/8",
        "/8",
    ] {
        assert!(
            matches!(text.parse::<PrivateHost>(), Err(PatternError::Net(_))),
            "{text}"
        );
    }
    assert!(
        "10.0.0.1/8"
            .parse::<HostPattern>()
            .unwrap_err()
            .to_string()
            .contains("10.0.0.0/8")
    );
}

#[test]
fn rules_are_counted() {
    let mut policy = Policy::default();
    for _ in 0..MAX_RULES {
        policy.add_rule(rule(Effect::Deny, "*")).unwrap();
    }
    let refused = policy.add_rule(rule(Effect::Deny, "*"));
    assert_eq!(refused, Err(TooManyRules { most: MAX_RULES }));
}

#[test]
fn a_policy_crosses_processes_unchanged() {
    let mut policy = private(&["localhost:80", "10.0.0.0/8", "[::1]"]);
    policy
        .add_rule(rule(Effect::Deny, "*.example.com"))
        .unwrap();
    let bytes = postcard::to_stdvec(&policy).unwrap();
    assert_eq!(postcard::from_bytes::<Policy>(&bytes).unwrap(), policy);

    // A name that is not canonical does not get in this way either.
    let it = target("http://example.com/");
    let mut bytes = postcard::to_stdvec(&it).unwrap();
    let at = bytes.iter().position(|it| *it == b'e').unwrap();
    bytes[at] = b'E';
    assert!(postcard::from_bytes::<Target>(&bytes).is_err());
}

proptest! {
    #[test]
    fn no_address_that_is_not_public_passes_the_default(bits: u128, v4: u32) {
        let name = target("https://example.com/");
        for address in [IpAddr::from(bits.to_be_bytes()), IpAddr::from(v4.to_be_bytes())] {
            let public = fumehood_policy::space_of(address) == fumehood_policy::AddressSpace::Public;
            let allowed = matches!(Policy::default().check_address(&name, address), Decision::Allow(_));
            prop_assert_eq!(allowed, public);
        }
    }

    #[test]
    fn pattern_text_never_panics(text in "\\PC{0,20}|[*0-9a-f:./\\[\\]]{0,20}") {
        if let Ok(pattern) = text.parse::<PrivateHost>() {
            prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
        let _ = text.parse::<HostPattern>();
    }

    #[test]
    fn bytes_of_a_policy_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = postcard::from_bytes::<Policy>(&bytes);
        let _ = postcard::from_bytes::<Target>(&bytes);
    }
}
