//! What scripts answer, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use fumehood_pac::{Answer, CallError, Endpoint, LoadError, Proxy, bounds};
use proptest::prelude::*;

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint {
        host: host.to_owned(),
        port,
    }
}

fn parse(text: &str) -> Vec<Proxy> {
    Answer::parse(text).proxies
}

#[test]
fn each_kind_is_understood() {
    use Proxy::{Direct, Http, Https, Socks4, Socks5};
    for (text, expected) in [
        ("DIRECT", Direct),
        ("direct", Direct),
        ("PROXY a.test:8080", Http(endpoint("a.test", 8080))),
        ("proxy A.Test", Http(endpoint("a.test", 80))),
        ("HTTP a:1", Http(endpoint("a", 1))),
        ("HTTPS a", Https(endpoint("a", 443))),
        ("SOCKS a", Socks4(endpoint("a", 1080))),
        ("SOCKS4 a:9", Socks4(endpoint("a", 9))),
        ("SOCKS5 a", Socks5(endpoint("a", 1080))),
        ("PROXY 192.0.2.1:3128", Http(endpoint("192.0.2.1", 3128))),
        (
            "PROXY [2001:DB8::1]:3128",
            Http(endpoint("2001:db8::1", 3128)),
        ),
        ("PROXY [::1]", Http(endpoint("::1", 80))),
        ("  PROXY \t a:65535 ", Http(endpoint("a", 65535))),
        ("PROXY a_b.test.:1", Http(endpoint("a_b.test", 1))),
    ] {
        assert_eq!(parse(text), [expected], "{text}");
    }
}

#[test]
fn order_is_kept_and_repetition_is_not() {
    let list = parse("PROXY a:1; SOCKS b:2;PROXY a:1 ;; DIRECT;");
    assert_eq!(
        list,
        [
            Proxy::Http(endpoint("a", 1)),
            Proxy::Socks4(endpoint("b", 2)),
            Proxy::Direct
        ]
    );
}

#[test]
fn what_is_none_is_left_out_and_told() {
    for text in [
        "PROXY",
        "QUIC a:443",
        "PROXY a:0",
        "PROXY a:65536",
        "PROXY a:",
        "PROXY a:+1",
        "PROXY :80",
        "PROXY a b",
        "PROXY a:1 b",
        "DIRECT a",
        "PROXY user@a:1",
        "PROXY http://a:1",
        "PROXY ::1",
        "PROXY [::1",
        "PROXY [::1]x",
        "PROXY [192.0.2.1]:1",
        "PROXY 1.2.3:1",
        "PROXY 0x7f.1:1",
        "PROXY 010.0.0.1:1",
        "PROXY a..b:1",
        "PROXY a/b",
        "nonsense",
    ] {
        let answer = Answer::parse(text);
        assert_eq!(answer.proxies, [], "{text}");
        assert_eq!(answer.skipped, [text], "{text}");
        let answer = Answer::parse(&format!("{text}; PROXY z:9"));
        assert_eq!(answer.proxies, [Proxy::Http(endpoint("z", 9))], "{text}");
    }
}

#[test]
fn blanks_alone_mean_direct() {
    for text in ["", " ", ";", " ; ;"] {
        assert_eq!(parse(text), [Proxy::Direct], "{text:?}");
    }
}

#[test]
fn a_long_list_is_cut() {
    let text: Vec<String> = (1..=100)
        .map(|port| format!("PROXY a:{port};X{port}"))
        .collect();
    let answer = Answer::parse(&text.join(";"));
    assert_eq!(answer.proxies.len(), bounds::MAX_PROXIES);
    assert_eq!(answer.skipped.len(), bounds::MAX_PROXIES);
}

proptest! {
    #[test]
    fn any_text_parses_within_bounds(text in "[ -~]{0,200}") {
        let answer = Answer::parse(&text);
        prop_assert!(answer.proxies.len() <= bounds::MAX_PROXIES);
        for proxy in &answer.proxies {
            let (Proxy::Http(e) | Proxy::Https(e) | Proxy::Socks4(e) | Proxy::Socks5(e)) = proxy
            else { continue };
            prop_assert!(e.port != 0);
            let safe = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
            prop_assert!(e.host.chars().all(safe));
        }
    }

    #[test]
    fn what_is_written_is_read_again(
        host in "[a-z]([a-z0-9-]{0,10}[a-z])?(\\.[a-z]{1,8}){0,3}",
        port in 1_u16..,
        kind in 0_usize..4,
    ) {
        let word = ["PROXY", "HTTPS", "SOCKS4", "SOCKS5"][kind];
        let make = [Proxy::Http, Proxy::Https, Proxy::Socks4, Proxy::Socks5][kind];
        let list = parse(&format!("{word} {host}:{port}; DIRECT"));
        prop_assert_eq!(list, vec![make(endpoint(&host, port)), Proxy::Direct]);
    }
}

/// What a call with this function body ends as.
fn answered(body: &str) -> Result<Vec<Proxy>, CallError> {
    let script = format!("function FindProxyForURL(url, host) {{ {body} }}");
    common::find(&mut common::evaluator(&script)).map(|found| found.proxies)
}

#[test]
fn answers_that_are_none_are_typed_errors() {
    assert_eq!(
        answered("return null"),
        Err(CallError::NotAString("object"))
    );
    assert_eq!(answered(""), Err(CallError::NotAString("undefined")));
    assert_eq!(answered("return 5"), Err(CallError::NotAString("number")));
    assert_eq!(
        answered("return {toString: function() { return 'DIRECT' }}"),
        Err(CallError::NotAString("object"))
    );
    assert_eq!(answered("return 'PROXY ä:1'"), Err(CallError::NotAscii));
    assert_eq!(answered("return '\\ud800'"), Err(CallError::NotAscii));
    assert_eq!(
        answered("return 'x'.repeat(16385)"),
        Err(CallError::AnswerTooLong)
    );
    assert_eq!(
        answered("return 'QUIC a:1'"),
        Err(CallError::NoProxy("QUIC a:1".to_owned()))
    );
    assert_eq!(answered("return ''"), Ok(vec![Proxy::Direct]));
}

#[test]
fn what_a_script_throws_is_told_with_its_place() {
    for (body, message) in [
        ("throw new Error('x')", "Error: x"),
        ("throw 'x'", "x"),
        ("throw 5", "5"),
        ("unknown()", "ReferenceError: unknown is not defined"),
        ("throw {get message() { while (true); }}", "Getter"),
        ("throw new Proxy({}, {get() { while (true); }})", ""),
    ] {
        let Err(CallError::Script(thrown)) = answered(body) else {
            panic!("{body}");
        };
        assert!(thrown.message.contains(message), "{body}: {thrown}");
    }
    let script = "function FindProxyForURL() {\n  return nothing;\n}";
    let Err(CallError::Script(thrown)) = common::find(&mut common::evaluator(script)) else {
        panic!("it answers");
    };
    assert!(thrown.position.is_some(), "{thrown}");
    assert_eq!(thrown.message, "ReferenceError: nothing is not defined");
}

#[test]
fn the_url_is_shown_as_browsers_do() {
    let mut evaluator = common::evaluator(
        "function FindProxyForURL(url, host) { alert(url + ' ' + host); return 'DIRECT'; }",
    );
    let mut seen = |scheme, host, port| {
        let target = fumehood_pac::Target {
            scheme,
            host,
            port,
            path: "/p?q",
        };
        let found = evaluator.find(&target, common::moment(0)).unwrap();
        found.alerts.first().unwrap().clone()
    };
    assert_eq!(seen("http", "a.test", None), "http://a.test/p?q a.test");
    assert_eq!(
        seen("https", "a.test", Some(8443)),
        "https://a.test:8443/ a.test"
    );
    assert_eq!(seen("http", "::1", None), "http://[::1]/p?q ::1");
}

#[test]
fn the_function_for_ipv6_comes_first() {
    let script = "function FindProxyForURL() { return 'PROXY old:1'; }
                  function FindProxyForURLEx() { return 'PROXY ex:1'; }";
    let found = common::find(&mut common::evaluator(script)).unwrap();
    assert_eq!(found.proxies, [Proxy::Http(endpoint("ex", 1))]);
}

#[test]
fn scripts_that_are_none_are_refused() {
    let mut evaluator = fumehood_pac::Evaluator::new(common::Names);
    let mut load = |script: &[u8]| evaluator.load(script, common::moment(0));
    assert_eq!(load(b""), Err(LoadError::NoFunction));
    assert_eq!(load(b"var FindProxyForURL = 5"), Err(LoadError::NoFunction));
    assert_eq!(load(&vec![b' '; (1 << 20) + 1]), Err(LoadError::TooLong));
    assert!(matches!(load(b"throw 1"), Err(LoadError::Script(_))));
    let Err(LoadError::Syntax(thrown)) = load(b"function FindProxyForURL(url host) {}") else {
        panic!("it loads");
    };
    assert!(thrown.position.is_some(), "{thrown}");
    // Latin-1, as old editors left it.
    assert_eq!(load(b"// \xe4\nfunction FindProxyForURL() {}"), Ok(()));
    assert_eq!(
        load("\u{feff}var FindProxyForURL = () => ''".as_bytes()),
        Ok(())
    );
}
