//! Proxies as people write them.
#![allow(clippy::unwrap_used, reason = "tests")]

use fumehood_policy::{HostError, ProxyError, ProxyScheme, ProxyServer};
use proptest::prelude::*;

fn refused(text: &str) -> ProxyError {
    ProxyServer::parse(text).unwrap_err()
}

#[test]
fn what_programs_read_differently_is_refused() {
    for text in [
        "http://proxy:80/path",
        "http://proxy/?q",
        "proxy#x",
        "http://proxy//",
    ] {
        assert_eq!(refused(text), ProxyError::Path, "{text}");
    }
    for text in [
        "http://a@b@proxy",
        "http://a%0ab:c@proxy",
        "http://a%3ab:c@proxy",
    ] {
        assert_eq!(refused(text), ProxyError::UserInfo, "{text}");
    }
    for text in [
        "proxy:0",
        "proxy:65536",
        "proxy:",
        "proxy:+80",
        "proxy:8o",
        "[::1]:x",
        "a:b:c",
    ] {
        assert_eq!(refused(text), ProxyError::Port, "{text}");
    }
    for text in [
        "http://pro xy",
        "proxy\r\n",
        "http:\\\\proxy",
        "proxy\u{a0}",
    ] {
        assert!(matches!(refused(text), ProxyError::Character(_)), "{text}");
    }
    for text in ["", "http://", "http://user@", ":80"] {
        assert_eq!(refused(text), ProxyError::Host(HostError::Empty), "{text}");
    }
    for text in ["::1", "[::1", "[::1]x", "%6c", "1.2.3.4.5"] {
        assert!(ProxyServer::parse(text).is_err(), "{text}");
    }
    assert_eq!(refused("ftp://proxy"), ProxyError::Scheme("ftp".to_owned()));
    assert_eq!(refused(&"a".repeat(5000)), ProxyError::TooLong);
}

#[test]
fn schemes_have_their_ports() {
    for (text, canonical) in [
        ("proxy", "http://proxy:80"),
        ("PROXY:3128", "http://proxy:3128"),
        ("http://proxy/", "http://proxy:80"),
        ("HTTPS://proxy.", "https://proxy:443"),
        ("socks://proxy", "socks4://proxy:1080"),
        ("socks4a://[::1]:9", "socks4a://[::1]:9"),
        ("socks5://127.1", "socks5://127.0.0.1:1080"),
        (
            "socks5h://bücher.example:1",
            "socks5h://xn--bcher-kva.example:1",
        ),
    ] {
        assert_eq!(text.parse::<ProxyServer>().unwrap().to_string(), canonical);
    }
    assert!(ProxyScheme::Socks5.wants_address() && !ProxyScheme::Socks5h.wants_address());
}

#[test]
fn credentials_stand_apart_from_the_server() {
    let (server, user) = ProxyServer::parse("http://me:p%40ss:word@proxy:1").unwrap();
    let user = user.unwrap();
    assert_eq!(server.to_string(), "http://proxy:1");
    assert_eq!(
        (&user.username[..], &user.password[..]),
        (&b"me"[..], &b"p@ss:word"[..])
    );
    assert_eq!(
        "http://me:x@proxy".parse::<ProxyServer>(),
        Err(ProxyError::UserInfo)
    );
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_shown_reads_the_same(text in "(socks5h://)?\\PC{0,40}") {
        if let Ok((server, _)) = ProxyServer::parse(&text) {
            prop_assert_eq!(server.to_string().parse::<ProxyServer>(), Ok(server));
        }
    }
}
