//! What a policy says of proxies, and of targets that a proxy resolves.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use fumehood_policy::{
    AddressSpace, Decision, Effect, HostPattern, Naming, Policy, ProxyServer, Reason, RequestUrl,
    Rule, Spaces, Target, Terms,
};

fn proxy(text: &str) -> ProxyServer {
    text.parse().unwrap()
}

fn target(url: &str) -> Target {
    RequestUrl::parse(url).unwrap().target
}

fn denied(decision: Decision) -> Option<Reason> {
    match decision {
        Decision::Deny(denial) => Some(denial.reason),
        Decision::Allow(_) => None,
        other => panic!("{other:?}"),
    }
}

fn named(policy: &Policy, text: &str, address: &str) -> Option<Reason> {
    let (proxy, terms) = (proxy(text), Terms::default());
    let address: IpAddr = address.parse().unwrap();
    denied(policy.decide_proxy(&proxy, Naming::User, &terms))
        .or_else(|| denied(policy.decide_proxy_address(&proxy, Naming::User, &terms, address)))
}

#[test]
fn a_proxy_that_the_user_named_may_be_on_this_machine_and_no_target_may() {
    let policy = Policy::default();
    for (text, address) in [
        ("http://127.0.0.1:3128", "127.0.0.1"),
        ("http://localhost:3128", "127.0.0.1"),
        ("socks5://proxy.corp.example", "10.0.0.8"),
        ("https://[fd00::1]:3128", "fd00::1"),
    ] {
        assert_eq!(named(&policy, text, address), None, "{text}");
    }
    let loopback = target("http://127.0.0.1:3128/");
    assert!(denied(policy.check_target(&loopback)).is_some());
}

#[test]
fn nobody_can_name_an_address_that_is_never_dialled_or_a_port_of_another_service() {
    let policy = Policy::default();
    for (text, address) in [
        ("http://0.0.0.0:3128", "0.0.0.0"),
        ("socks5://proxy.example", "0.0.0.0"),
        ("http://proxy.example:25", "203.0.114.1"),
        ("http://localhost:3128", "203.0.114.1"),
    ] {
        assert!(named(&policy, text, address).is_some(), "{text} {address}");
    }
}

#[test]
fn a_proxy_that_a_script_named_is_judged_as_any_target() {
    let (policy, terms) = (Policy::default(), Terms::default());
    let script = |text: &str| denied(policy.decide_proxy(&proxy(text), Naming::Script, &terms));
    assert!(script("http://127.0.0.1:3128").is_some());
    assert!(script("http://10.0.0.1:3128").is_some());
    assert_eq!(script("http://proxy.example:3128"), None);
    let (resolved, address) = (proxy("http://proxy.example:3128"), [10, 0, 0, 1].into());
    let decision = policy.decide_proxy_address(&resolved, Naming::Script, &terms, address);
    assert!(denied(decision).is_some());
}

#[test]
fn a_rule_that_denies_holds_for_a_proxy_too() {
    for pattern in ["proxy.example", "10.0.0.0/8"] {
        let mut policy = Policy::default();
        let host: HostPattern = pattern.parse().unwrap();
        policy.add_rule(Rule::new(Effect::Deny, host)).unwrap();
        assert!(named(&policy, "http://proxy.example:3128", "10.0.0.8").is_some());
    }
}

#[test]
fn a_name_that_nobody_here_resolves_needs_leave_by_name() {
    let terms = Terms::default();
    let policy = Policy::default();
    let unseen = |policy: &Policy, url: &str| denied(policy.decide_unseen(&target(url), &terms));
    assert_eq!(unseen(&policy, "https://a.example/"), None);
    assert!(unseen(&policy, "https://10.0.0.1/").is_some());
    assert!(unseen(&policy, "https://localhost/").is_some());
    assert_eq!(
        unseen(&policy, "http://a.example:25/"),
        Some(Reason::BlockedPort)
    );

    let mut by_range = Policy::deny_by_default();
    let host: HostPattern = "203.0.114.0/24".parse().unwrap();
    by_range.add_rule(Rule::new(Effect::Allow, host)).unwrap();
    assert_eq!(
        unseen(&by_range, "https://a.example/"),
        Some(Reason::Unseen)
    );
    assert_eq!(unseen(&by_range, "https://203.0.114.9/"), None);
    let host: HostPattern = "a.example".parse().unwrap();
    by_range.add_rule(Rule::new(Effect::Allow, host)).unwrap();
    assert_eq!(unseen(&by_range, "https://a.example/"), None);
}

#[test]
fn a_grant_that_leaves_spaces_out_cannot_be_held_to_them_unseen() {
    let terms = Terms {
        spaces: Spaces::of(&[AddressSpace::Public]),
        ..Terms::default()
    };
    let policy = Policy::default();
    let unseen = |url: &str| denied(policy.decide_unseen(&target(url), &terms));
    assert_eq!(unseen("https://a.example/"), Some(Reason::Unseen));
    assert_eq!(unseen("https://203.0.114.9/"), None);
}
