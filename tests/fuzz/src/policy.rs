//! URLs, hosts and patterns: what was parsed, printed and parsed again is the
//! same, and a decision is about exactly that.
//!
//! An input is text: a URL, and on lines of their own a reference and a pattern.

use std::net::IpAddr;
use std::str::FromStr;

use fumehood_policy::{
    Decision, Effect, Host, HostPattern, IpNet, MAX_URL_BYTES, Policy, PrivateHost, Reason,
    RequestUrl, Rule, Target,
};

/// Parses everything as everything.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let (first, second, third) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    host(first);
    patterns(third);
    let Ok(url) = RequestUrl::parse(first) else {
        return;
    };
    same_again(&url);
    if let Ok(joined) = url.join(second) {
        same_again(&joined);
        // Credentials are those of the reference alone.
        assert!(joined.userinfo.is_none() || second.contains('@'));
    }
    decisions(&url.target, third);
}

/// Parse, print, parse: the same target and path. Credentials are not printed.
fn same_again(url: &RequestUrl) {
    let printed = url.to_string();
    assert!(
        printed.len() <= 2 * MAX_URL_BYTES,
        "{} bytes",
        printed.len()
    );
    assert!(
        printed.bytes().all(|it| it.is_ascii_graphic()),
        "{printed:?}"
    );
    assert!(url.path_and_query.starts_with('/'), "{printed:?}");
    match RequestUrl::parse(&printed) {
        Ok(again) => {
            assert_eq!(again.target, url.target, "{printed}");
            assert_eq!(again.path_and_query, url.path_and_query, "{printed}");
            assert_eq!(again.to_string(), printed);
        }
        Err(why) => panic!("{printed:?} is printed and refused: {why}"),
    }
    host(&url.target.host.to_string());
    let bytes = postcard::to_stdvec(&url.target).expect("a target is plain data");
    assert_eq!(postcard::from_bytes(&bytes), Ok(url.target.clone()));
}

fn host(text: &str) {
    let Ok(host) = Host::parse(text) else {
        return;
    };
    let printed = host.to_string();
    assert_eq!(
        Host::parse(&printed).as_ref(),
        Ok(&host),
        "{text:?} → {printed:?}"
    );
    // A name that a resolver would read as an address would be dialled as one.
    if let Host::Name(name) = &host {
        assert!(
            name.as_str().parse::<IpAddr>().is_err(),
            "{name} is an address"
        );
    }
}

/// A pattern means the same when it is read back.
fn patterns(text: &str) {
    printed_again::<HostPattern>(text);
    printed_again::<PrivateHost>(text);
    printed_again::<IpNet>(text);
}

fn printed_again<T: FromStr + ToString + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(pattern) = text.parse::<T>() {
        let printed = pattern.to_string();
        match printed.parse::<T>() {
            Ok(again) => assert_eq!(again, pattern, "{text:?} → {printed:?}"),
            Err(_) => panic!("{text:?} is printed as {printed:?} and then refused"),
        }
    }
}

/// What a policy says of a target.
fn decisions(target: &Target, pattern: &str) {
    let mut policy = Policy::default();
    let before = policy.check_target(target);
    if let Some(address) = target.host.address() {
        // A literal is dialled as itself or not at all.
        assert_eq!(before, policy.check_address(target, address));
        let other = IpAddr::from([192, 0, 2, 77]);
        let judged = policy.check_address(target, other);
        let refused = matches!(&judged, Decision::Deny(denial)
            if !matches!(before, Decision::Allow(_)) || denial.reason == Reason::AnotherAddress(other));
        assert!(
            refused || other == address,
            "{target} as {other}: {judged:?}"
        );
    }
    let Ok(host) = pattern.parse::<HostPattern>() else {
        return;
    };
    let rule = Rule::new(Effect::Deny, host);
    let matches = rule.host.matches(&target.host);
    policy.add_rule(rule).expect("the first rule");
    let after = policy.check_target(target);
    if matches {
        assert!(matches!(after, Decision::Deny(_)), "{target} past its rule");
    }
    if matches!(before, Decision::Deny(_)) {
        assert!(
            matches!(after, Decision::Deny(_)),
            "a denial allows {target}"
        );
    }
    if let Decision::Deny(denial) = after {
        assert!(!denial.to_string().contains('\n'));
    }
}
