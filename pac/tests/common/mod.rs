//! An evaluator with a resolver, a clock and a zone of the test's making.
#![allow(clippy::unwrap_used, dead_code, reason = "tests share it, each a part")]

use std::net::IpAddr;

use fumehood_pac::{
    CallError, Evaluator, Finding, Moment, Proxy, Resolve, Surroundings, Target, Transition,
    Unresolved, Zone,
};

/// Monday, 2026-09-21 14:13:20 UTC.
pub(crate) const NOW: i64 = 1_790_000_000_000;

/// Names that have addresses; `later.test` has them later.
pub(crate) struct Names;

impl Resolve for Names {
    fn resolve(&mut self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let texts: &[&str] = match name {
            "four.test" => &["192.0.2.4"],
            "six.test" => &["2001:db8::6"],
            "both.test" => &["2001:db8::1", "192.0.2.1", "192.0.2.2"],
            "later.test" => return Err(Unresolved::Later),
            name if name.starts_with("many") => &["192.0.2.9"],
            _ => return Err(Unresolved::NotFound),
        };
        Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
    }
}

pub(crate) fn moment(now: i64) -> Moment {
    Moment { now, seed: 7 }
}

/// With a script loaded, UTC, and the addresses of a machine with both families.
pub(crate) fn evaluator(script: &str) -> Evaluator {
    let mut evaluator = Evaluator::new(Names);
    let addresses = ["2001:db8::5", "10.1.2.3"].map(|text| text.parse().unwrap());
    evaluator.surround(Surroundings::new(addresses.to_vec(), Zone::default()));
    evaluator.load(script.as_bytes(), moment(NOW)).unwrap();
    evaluator
}

pub(crate) fn target() -> Target<'static> {
    Target {
        scheme: "http",
        host: "www.example.test",
        port: None,
        path: "/a/b?c=d",
    }
}

pub(crate) fn find(evaluator: &mut Evaluator) -> Result<Finding, CallError> {
    evaluator.find(&target(), moment(NOW))
}

/// What an expression is worth, as JavaScript's `JSON.stringify` writes it.
pub(crate) fn value(expression: &str) -> String {
    at(expression, NOW, &[])
}

/// The same at a time, in a zone.
pub(crate) fn at(expression: &str, now: i64, zone: &[(i64, i32)]) -> String {
    let script = format!(
        "function FindProxyForURL(url, host) {{ alert(JSON.stringify({expression})); return 'DIRECT'; }}"
    );
    let mut evaluator = evaluator(&script);
    let zone = zone
        .iter()
        .map(|&(from, offset)| Transition { from, offset })
        .collect();
    let addresses = ["2001:db8::5", "10.1.2.3"].map(|text| text.parse().unwrap());
    evaluator.surround(Surroundings::new(addresses.to_vec(), Zone::new(zone)));
    let found = evaluator.find(&target(), moment(now)).unwrap();
    assert_eq!(found.proxies, [Proxy::Direct]);
    found.alerts.first().unwrap().clone()
}

/// Holds each expression against what it is worth.
pub(crate) fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(value(expression), *expected, "{expression}");
    }
}

/// Whether each expression is true.
pub(crate) fn check_bool(cases: &[(&str, bool)]) {
    for (expression, expected) in cases {
        assert_eq!(value(expression), expected.to_string(), "{expression}");
    }
}
