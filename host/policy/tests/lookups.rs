//! Names that may be looked up: those that some connection may be had to.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::IpAddr;

use fumehood_policy::{
    ClientName, Decision, Effect, Host, Mode, Policy, Rule, Scheme, Target, Terms,
};
use proptest::prelude::*;
use support::verdict;

fn rule(effect: Effect, host: &str) -> Rule {
    Rule::new(effect, host.parse().unwrap())
}

fn on(effect: Effect, host: &str, ports: std::ops::RangeInclusive<u16>) -> Rule {
    Rule {
        ports,
        ..rule(effect, host)
    }
}

fn policy(rules: &[Rule], private: &[&str]) -> Policy {
    let mut policy = Policy::deny_by_default();
    for rule in rules {
        policy.add_rule(rule.clone()).unwrap();
    }
    for host in private {
        policy.allow_private(host.parse().unwrap()).unwrap();
    }
    policy
}

fn host(name: &str) -> Host {
    Host::parse(name).unwrap()
}

#[track_caller]
fn lookup(policy: &Policy, name: &str, expected: &str) {
    let decision = policy.decide_lookup(&host(name), None);
    assert_eq!(verdict(&decision), expected, "{name}");
}

#[track_caller]
fn found(policy: &Policy, name: &str, address: &str, expected: &str) {
    let address: IpAddr = address.parse().unwrap();
    let decision = policy.decide_found(&host(name), None, address);
    assert_eq!(verdict(&decision), expected, "{name} at {address}");
}

#[test]
fn a_name_is_looked_up_where_a_rule_allows_any_of_its_ports() {
    let allow = [
        rule(Effect::Allow, "example.com"),
        on(Effect::Allow, "*.example.net", 8443..=8443),
    ];
    let policy = policy(&allow, &["db.internal:5432"]);
    lookup(&policy, "example.com", "allow");
    lookup(&policy, "www.example.com", "not-allowed");
    lookup(&policy, "a.example.net", "allow");
    lookup(&policy, "example.net", "not-allowed");
    lookup(&policy, "db.internal", "allow");
    lookup(&policy, "secret.attacker.test", "not-allowed");
    lookup(&Policy::deny_by_default(), "example.com", "not-allowed");
    lookup(&Policy::default(), "example.com", "allow");
}

#[test]
fn what_is_denied_or_blocked_on_every_port_that_is_allowed_is_not() {
    let both = |deny| {
        let allow = on(Effect::Allow, "example.com", 8000..=8001);
        policy(&[allow, deny], &[])
    };
    let deny = |ports| on(Effect::Deny, "*", ports);
    lookup(&both(deny(8000..=8001)), "example.com", "not-allowed");
    lookup(&both(deny(8000..=8000)), "example.com", "allow");
    lookup(&both(deny(0..=65535)), "example.com", "denied-by-rule");
    // 6665 to 6669 are other services'.
    let blocked = on(Effect::Allow, "example.com", 6665..=6669);
    lookup(&policy(&[blocked], &[]), "example.com", "not-allowed");
    let reaches_beyond = on(Effect::Allow, "example.com", 6665..=6670);
    lookup(&policy(&[reaches_beyond], &[]), "example.com", "allow");
}

#[test]
fn a_rule_for_one_way_of_asking_is_enough() {
    for rule in [
        Rule {
            methods: vec!["POST".parse().unwrap()],
            schemes: vec!["http".parse().unwrap()],
            ..rule(Effect::Allow, "example.com")
        },
        Rule {
            schemes: vec!["https".parse().unwrap()],
            ..rule(Effect::Allow, "example.com")
        },
    ] {
        lookup(&policy(&[rule], &[]), "example.com", "allow");
    }
    // A scheme that no client of a proxy speaks is none.
    let gopher = Rule {
        schemes: vec!["gopher".parse().unwrap()],
        ..rule(Effect::Allow, "example.com")
    };
    lookup(&policy(&[gopher], &[]), "example.com", "not-allowed");
}

#[test]
fn a_rule_for_a_client_is_for_no_other() {
    let rule = Rule {
        clients: vec!["builder".parse().unwrap()],
        ..rule(Effect::Allow, "example.com")
    };
    let policy = policy(&[rule], &[]);
    lookup(&policy, "example.com", "not-allowed");
    for (client, expected) in [("builder", "allow"), ("other", "not-allowed")] {
        let client: ClientName = client.parse().unwrap();
        let decision = policy.decide_lookup(&host("example.com"), Some(&client));
        assert_eq!(verdict(&decision), expected, "{client}");
    }
}

#[test]
fn what_is_asked_about_or_only_reported_is_told_so() {
    let ask = policy(&[rule(Effect::Ask, "example.com")], &[]);
    lookup(&ask, "example.com", "ask");
    let mut reports = Policy::deny_by_default();
    reports.set_modes(Mode::Report, Mode::Enforce);
    lookup(&reports, "example.com", "report");
}

#[test]
fn addresses_are_known_that_may_be_connected_to() {
    let allow = policy(&[rule(Effect::Allow, "example.com")], &["db.internal:5432"]);
    found(&allow, "example.com", "93.184.215.14", "allow");
    found(&allow, "example.com", "10.0.0.1", "local-address");
    found(&allow, "example.com", "::ffff:10.0.0.1", "local-address");
    found(&allow, "example.com", "127.0.0.1", "loopback-address");
    found(&allow, "example.com", "0.0.0.0", "forbidden-address");
    found(&allow, "db.internal", "10.0.0.1", "allow");
    found(&allow, "db.internal", "93.184.215.14", "allow");
    found(&allow, "other.test", "93.184.215.14", "not-allowed");
}

#[test]
fn a_range_names_nobody() {
    let range = [rule(Effect::Allow, "93.184.0.0/16")];
    let ranges = policy(&range, &["10.0.0.0/8", "127.0.0.1:8080"]);
    lookup(&ranges, "example.com", "not-allowed");
    // What is named besides is known by addresses of either.
    let named = policy(&range, &["10.0.0.0/8", "example.com:8080"]);
    lookup(&named, "example.com", "allow");
    found(&named, "example.com", "93.184.215.14", "allow");
    found(&named, "example.com", "10.0.0.1", "allow");
}

/// What the search over ports is to find, tried port by port.
fn by_trying(policy: &Policy, host: &Host) -> bool {
    let ports = (0..=130).chain([443, u16::MAX]);
    ports
        .flat_map(|port| {
            [
                (Scheme::Https, "CONNECT", port),
                (Scheme::Http, "GET", port),
            ]
        })
        .any(|(scheme, method, port)| {
            let target = Target {
                scheme,
                host: host.clone(),
                port,
            };
            let terms = Terms {
                method: method.parse().ok(),
                ..Terms::default()
            };
            matches!(policy.decide(&target, &terms), Decision::Allow(_))
        })
}

proptest! {
    #[test]
    fn no_port_is_overlooked_and_none_made_up(
        rules in proptest::collection::vec(
            (any::<bool>(), 0_usize..4, 0_u16..130, 0_u16..130), 0..8),
        private in proptest::collection::vec(0_u16..130, 0..3),
    ) {
        let hosts = ["example.com", "*.com", "*", "other.test"];
        let mut all = Policy::deny_by_default();
        for (allows, at, one, other) in rules {
            let effect = if allows { Effect::Allow } else { Effect::Deny };
            let ports = one.min(other)..=one.max(other);
            all.add_rule(on(effect, hosts[at], ports)).unwrap();
        }
        for port in private.into_iter().filter(|it| *it != 0) {
            all.allow_private(format!("example.com:{port}").parse().unwrap()).unwrap();
        }
        let host = host("example.com");
        let allowed = matches!(all.decide_lookup(&host, None), Decision::Allow(_));
        prop_assert_eq!(allowed, by_trying(&all, &host));
    }
}
