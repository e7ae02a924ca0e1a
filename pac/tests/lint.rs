//! Scripts with something wrong, and what is said of them.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_pac::{Severity, lint};

/// `rule line:column` of each finding.
fn found(script: &str) -> Vec<String> {
    lint(script.as_bytes())
        .iter()
        .map(|finding| match finding.position {
            Some((line, column)) => format!("{} {line}:{column}", finding.rule.name()),
            None => finding.rule.name().to_owned(),
        })
        .collect()
}

/// What is found in the body of the function, notes aside.
fn in_body(body: &str) -> Vec<&'static str> {
    let script = format!("function FindProxyForURL(url, host) {{ {body} }}");
    lint(script.as_bytes())
        .iter()
        .filter(|finding| finding.rule.severity() != Severity::Note)
        .map(|finding| finding.rule.name())
        .collect()
}

#[test]
fn a_good_script_has_nothing() {
    let script = "
        var table = { 'a.test': 'PROXY a:1' };
        const pick = (host) => table[host] || String(parseInt('1'));
        function FindProxyForURL(url, host) {
            if (isPlainHostName(host) || dnsDomainIs(host, '.a.test')) return 'DIRECT';
            if (shExpMatch(host, '*.b.test') || timeRange(9, 17)) return 'SOCKS5 s:1; DIRECT';
            return pick(host);
        }";
    assert_eq!(found(script), Vec::<String>::new());
}

#[test]
fn scripts_that_cannot_be_used() {
    assert_eq!(found(""), ["no-function"]);
    assert_eq!(found("function findProxyForURL() {}"), ["no-function"]);
    assert_eq!(
        found("function FindProxyForURL(url host) {}"),
        ["syntax 1:30"]
    );
    assert_eq!(found("function FindProxyForURL() {"), ["syntax"]);
    assert_eq!(found(&" ".repeat((1 << 20) + 1)), ["too-long"]);
    assert_eq!(
        found("FindProxyForURL = function(u, h) { return 'DIRECT' }"),
        Vec::<String>::new()
    );
}

#[test]
fn places_are_told() {
    let script = "function FindProxyForURL(url, host) {\n  return shexpmatch(host, '*');\n}";
    assert_eq!(found(script), ["unknown-function 2:10"]);
    let message = &lint(script.as_bytes())[0].message;
    assert!(message.contains("shExpMatch is written so"), "{message}");
}

#[test]
fn each_rule_finds_its_mistake_and_lets_its_like_pass() {
    for (bad, good, rule) in [
        ("missing(host)", "var f = 1; f(host)", "unknown-function"),
        (
            "isInNet(host, '10.0.0.0')",
            "isInNet(host, '10.0.0.0', '255.0.0.0')",
            "missing-argument",
        ),
        (
            "shExpMatch(host, '(a|b)')",
            "shExpMatch(host, 'a?b*')",
            "pattern",
        ),
        (
            "shExpMatch(url, 'https://a.test/x*')",
            "shExpMatch(url, 'https://a.test/*')",
            "private-path",
        ),
        (
            "dnsDomainIs(host, 'a.test')",
            "dnsDomainIs(host, '.a.test')",
            "domain-without-dot",
        ),
        ("timeRange(22, 6)", "timeRange(6, 22)", "never-true"),
        (
            "timeRange(22, 6, 'GMT')",
            "timeRange(22, 0, 6, 0)",
            "never-true",
        ),
        ("return 'PROXY a:b'", "return 'PROXY ' + host", "answer"),
        (
            "return 'QUIC a:443; DIRECT'",
            "return 'PROXY a:443; DIRECT'",
            "answer",
        ),
    ] {
        assert_eq!(in_body(bad), [rule], "{bad}");
        assert_eq!(in_body(good), Vec::<&str>::new(), "{good}");
    }
}

#[test]
fn prices_are_notes() {
    let notes = |body: &str| {
        let script = format!("function FindProxyForURL(url, host) {{ {body} }}");
        let found = lint(script.as_bytes());
        let names: Vec<_> = found.iter().map(|finding| finding.rule.name()).collect();
        names
    };
    assert_eq!(notes("return dnsResolve(host)"), ["resolves"]);
    assert_eq!(
        notes("isInNet('10.0.0.1', '10.0.0.0', '255.0.0.0')"),
        Vec::<&str>::new()
    );
    assert_eq!(notes("return 'SOCKS a:1'"), ["socks-version"]);
    assert_eq!(notes("return 'SOCKS4 a:1'"), Vec::<&str>::new());
}

#[test]
fn findings_are_bounded() {
    let calls = "nowhere();".repeat(1000);
    let script = format!("function FindProxyForURL() {{ {calls} }}");
    assert_eq!(lint(script.as_bytes()).len(), 200);
    let name = "x".repeat(5000);
    let script = format!("function FindProxyForURL() {{ {name}() }}");
    assert!(lint(script.as_bytes())[0].message.len() <= 1024);
}
