//! A script's answer, parsed into the list of what to try.

use std::net::Ipv6Addr;

use fumehood_engine::fuzz::pac::PacInstance;
use fumehood_pac::bounds::{MAX_ANSWER_BYTES, MAX_NAME_BYTES, MAX_PROXIES};
use fumehood_pac::{Answer, Endpoint, Proxy};

use super::{Place, script};
use crate::glass::Shadow;

/// Longest entry that is told of, in bytes.
const MAX_TOLD_BYTES: usize = 128;

/// The answer keeps its bounds and means the same when it is printed and parsed again;
/// a script that gives it has it read alike behind glass, where there is any.
pub(super) fn run(pieces: &[&[u8]], place: Place, glass: Option<Shadow<PacInstance>>) {
    let Some(text) = pieces.first().and_then(|it| str::from_utf8(it).ok()) else {
        return;
    };
    // Others never come so far.
    if !text.is_ascii() || text.len() > MAX_ANSWER_BYTES {
        return;
    }
    // First, as all that is asked behind glass: a native crash finds it on record.
    if let Some(glass) = glass {
        let source = format!("function FindProxyForURL() {{ return {text:?} }}");
        script::run_through(source.as_bytes(), place, glass);
    }
    let answer = Answer::parse(text);
    check(&answer);
    let printed: Vec<String> = answer.proxies.iter().map(print).collect();
    let again = Answer::parse(&printed.join(";"));
    if !answer.proxies.is_empty() {
        assert_eq!(again.proxies, answer.proxies, "means something else");
    }
    assert_eq!(again.skipped, Vec::<String>::new());
}

/// What holds of every answer.
pub(super) fn check(answer: &Answer) {
    let Answer { proxies, skipped } = answer;
    assert!(proxies.len() <= MAX_PROXIES && skipped.len() <= MAX_PROXIES);
    assert!(!proxies.is_empty() || !skipped.is_empty(), "nothing at all");
    for (at, proxy) in proxies.iter().enumerate() {
        assert!(!proxies[..at].contains(proxy), "{proxy:?} twice");
        if let Some(Endpoint { host, port }) = endpoint(proxy) {
            assert!(*port > 0 && !host.is_empty() && host.len() <= MAX_NAME_BYTES);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            assert!(host.bytes().all(plain), "{host:?}");
            assert!(!host.bytes().any(|byte| byte.is_ascii_uppercase()));
        }
    }
    for entry in skipped {
        assert!(entry.len() <= MAX_TOLD_BYTES && !entry.is_empty());
        assert!(!entry.contains(char::is_control), "{entry:?}");
    }
}

fn endpoint(proxy: &Proxy) -> Option<&Endpoint> {
    match proxy {
        Proxy::Direct => None,
        Proxy::Http(it) | Proxy::Https(it) | Proxy::Socks4(it) | Proxy::Socks5(it) => Some(it),
    }
}

fn print(proxy: &Proxy) -> String {
    let kind = match proxy {
        Proxy::Direct => "DIRECT",
        Proxy::Http(_) => "PROXY",
        Proxy::Https(_) => "HTTPS",
        Proxy::Socks4(_) => "SOCKS",
        Proxy::Socks5(_) => "SOCKS5",
    };
    match endpoint(proxy) {
        None => kind.to_owned(),
        Some(Endpoint { host, port }) if host.parse::<Ipv6Addr>().is_ok() => {
            format!("{kind} [{host}]:{port}")
        }
        Some(Endpoint { host, port }) => format!("{kind} {host}:{port}"),
    }
}
