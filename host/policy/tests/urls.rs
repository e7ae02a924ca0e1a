//! URLs: parsed once, printed the same, refused where parsers disagree.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_policy::{
    HostError, MAX_URL_BYTES, RequestUrl, Scheme, SchemeError, SchemeName, ServedScheme, Transport,
    UrlError,
};
use proptest::prelude::*;

#[test]
fn urls_have_one_form() {
    for (text, canonical) in [
        ("http://example.com", "http://example.com/"),
        ("  HTTPS://Example.COM./a?b#c ", "https://example.com/a?b"),
        ("http://example.com:80/", "http://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("https://example.com:00443", "https://example.com/"),
        ("http://example.com:/", "http://example.com/"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://example.com/a/../b/./c", "http://example.com/b/c"),
        (
            "http://example.com/%2e%2e/a b\"é",
            "http://example.com/a%20b%22%C3%A9",
        ),
        ("http://example.com/?a\\b", "http://example.com/?a\\b"),
        ("http://example.com//double", "http://example.com//double"),
        ("http://0x7f.1:8080/", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
        ("http://user:secret@example.com/", "http://example.com/"),
    ] {
        assert_eq!(
            RequestUrl::parse(text).unwrap().to_string(),
            canonical,
            "{text}"
        );
    }
}

#[test]
fn what_parsers_read_differently_is_refused() {
    use UrlError::{Backslash, Control, Host, NoHost, Port, Relative, UserInfo};
    for (text, why) in [
        ("", Relative),
        ("example.com", Relative),
        ("//example.com/", Relative),
        ("1http://a/", Relative),
        ("ftp://example.com/", UrlError::Scheme("ftp".into())),
        ("file:///etc/passwd", UrlError::Scheme("file".into())),
        ("javascript:alert(1)", UrlError::Scheme("javascript".into())),
        ("localhost:80", UrlError::Scheme("localhost".into())),
        ("http:example.com", NoHost),
        ("http:/example.com", NoHost),
        ("http:///example.com", NoHost),
        ("http://", NoHost),
        ("http://?q", NoHost),
        ("http://:80/", NoHost),
        ("http://user@/", NoHost),
        ("http://user@:80/", NoHost),
        ("http://good.example\\@evil.example/", Backslash),
        ("http:\\\\evil.example/", Backslash),
        ("http://good.example/\\evil.example", Backslash),
        ("http://a@good.example@evil.example/", UserInfo),
        ("http://a%0d@example.com/", UserInfo),
        ("http://a%3ab:c@example.com/", UserInfo),
        ("http://exa\nmple.com/", Control('\n')),
        ("http://example.com/a\r\nHost: evil", Control('\r')),
        ("ht\ttp://example.com/", Control('\t')),
        ("\u{0}http://example.com/", Control('\0')),
        ("http://example.com/\u{85}", Control('\u{85}')),
        ("http://example.com:65536/", Port),
        ("http://example.com:+80/", Port),
        ("http://example.com:80:80/", Port),
        ("http://example.com:8O/", Port),
        ("http://[fe80::1%25eth0]/", Host(HostError::Zone)),
        ("http://[::1/", Host(HostError::Ipv6)),
        ("http://exa%6dple.com/", Host(HostError::PercentEncoded)),
        (
            "http://127.0.0.1%2f@evil.example%00/",
            Host(HostError::PercentEncoded),
        ),
        ("http://a..b/", Host(HostError::EmptyLabel)),
        ("http://1.2.3.4.5/", Host(HostError::Ipv4)),
        ("http://a b/", Host(HostError::Character(' '))),
        ("http://a,b/", Host(HostError::Character(','))),
    ] {
        assert_eq!(RequestUrl::parse(text).unwrap_err(), why, "{text:?}");
    }
}

#[test]
fn lengths_are_bounded_before_and_after_encoding() {
    let start = "http://a/";
    let fits = format!("{start}{}", "x".repeat(MAX_URL_BYTES - start.len()));
    assert_eq!(
        RequestUrl::parse(&fits).unwrap().to_string().len(),
        MAX_URL_BYTES
    );
    assert_eq!(
        RequestUrl::parse(&format!("{fits}x")),
        Err(UrlError::TooLong)
    );
    let grows = format!("{start}{}", "\"".repeat(MAX_URL_BYTES / 2));
    assert_eq!(RequestUrl::parse(&grows), Err(UrlError::TooLong));
    let base = RequestUrl::parse(start).unwrap();
    assert_eq!(
        base.join(&"\"".repeat(MAX_URL_BYTES / 2)),
        Err(UrlError::TooLong)
    );
    let long_scheme = RequestUrl::parse(&format!("{}:x", "s".repeat(60_000))).unwrap_err();
    assert!(long_scheme.to_string().len() < 300);
}

#[test]
fn credentials_are_split_off_decoded_and_not_shown() {
    let url = RequestUrl::parse("http://us%40er:p%3A%zz%C3@example.com/").unwrap();
    let userinfo = url.userinfo.clone().unwrap();
    assert_eq!(userinfo.username, b"us@er");
    assert_eq!(userinfo.password, b"p:%zz\xc3");
    let shown = format!("{url:?} {url}");
    assert!(
        !shown.contains("us@") && !shown.contains("117, 115"),
        "{shown}"
    );
    assert!(
        !shown.contains("zz") && !shown.contains("122, 122"),
        "{shown}"
    );
    for without in [
        "http://example.com/",
        "http://@example.com/",
        "http://:@example.com/",
    ] {
        let url = RequestUrl::parse(without).unwrap();
        assert_eq!(url.userinfo, None, "{without}");
    }
}

#[test]
fn redirects_resolve_against_where_they_came_from() {
    let base = RequestUrl::parse("https://u:p@example.com:8443/a/b?c").unwrap();
    for (reference, canonical) in [
        ("", "https://example.com:8443/a/b?c"),
        ("d", "https://example.com:8443/a/d"),
        ("../../..", "https://example.com:8443/"),
        ("/x#fragment", "https://example.com:8443/x"),
        ("?q", "https://example.com:8443/a/b?q"),
        ("#f", "https://example.com:8443/a/b?c"),
        ("//other.example", "https://other.example/"),
        ("http://Other.example:80/p", "http://other.example/p"),
        ("/a:b", "https://example.com:8443/a:b"),
        ("./http://x", "https://example.com:8443/a/http://x"),
    ] {
        let url = base
            .join(reference)
            .unwrap_or_else(|why| panic!("{reference}: {why}"));
        assert_eq!(url.to_string(), canonical, "{reference}");
        assert_eq!(url.userinfo, None, "{reference}");
    }
    for (reference, why) in [
        ("///evil.example", UrlError::NoHost),
        ("https:evil.example", UrlError::NoHost),
        ("https:/evil.example", UrlError::NoHost),
        ("/\\evil.example", UrlError::Backslash),
        ("\\\\evil.example", UrlError::Backslash),
        ("//a@b@c", UrlError::UserInfo),
        ("/\n/evil.example", UrlError::Control('\n')),
        ("data:text/html,x", UrlError::Scheme("data".into())),
        ("file:///etc/passwd", UrlError::Scheme("file".into())),
    ] {
        assert_eq!(base.join(reference).unwrap_err(), why, "{reference}");
    }
    let with = base.join("http://a:b@c/").unwrap();
    assert_eq!(with.userinfo.unwrap().username, b"a");
}

proptest! {
    /// An origin as denials and logs have it is that origin again.
    #[test]
    fn a_target_prints_as_it_parses(
        scheme in "http|https|gopher",
        host in "\\PC{1,12}|[a-z0-9.\\-]{1,20}|[0-9a-fx.]{1,12}|\\[[0-9a-f:.]{2,20}\\]",
        port: u16,
    ) {
        let gopher = [ServedScheme::new("gopher", 70, Transport::Tcp).unwrap()];
        if let Ok(url) = RequestUrl::parse_served(&format!("{scheme}://{host}:{port}/"), &gopher) {
            let printed = url.target.to_string();
            let again = RequestUrl::parse_served(&printed, &gopher).unwrap().target;
            prop_assert_eq!(&again, &url.target);
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn a_scheme_prints_as_it_parses(text in "\\PC{0,20}|[a-zA-Z][a-zA-Z0-9+.\\-]{0,18}") {
        if let Ok(name) = text.parse::<SchemeName>() {
            prop_assert_eq!(name.to_string().parse(), Ok(name));
            prop_assert_eq!(name.to_string(), text.to_ascii_lowercase());
            let bytes = postcard::to_stdvec(&name).unwrap();
            prop_assert_eq!(postcard::from_bytes::<SchemeName>(&bytes), Ok(name));
        }
        if let Ok(served) = ServedScheme::new(&text, 70, Transport::Tcp) {
            prop_assert!(text.parse::<SchemeName>().unwrap().names(&Scheme::Served(served)));
        }
    }

    #[test]
    fn printing_and_parsing_again_changes_nothing(
        authority in "[a-zA-Z0-9.\\-]{1,20}(:[0-9]{0,5})?|\\[[0-9a-f:]{2,12}\\]|\\PC{1,8}",
        rest in "(/[\\PC\\\\]{0,30})?(\\?[\\PC\\\\]{0,20})?(#\\PC{0,5})?",
    ) {
        if let Ok(mut url) = RequestUrl::parse(&format!("http://{authority}{rest}")) {
            url.userinfo = None;
            prop_assert_eq!(RequestUrl::parse(&url.to_string()), Ok(url.clone()));
            prop_assert!(url.path_and_query.starts_with('/'));
            prop_assert!(url.path_and_query.bytes().all(|it| it.is_ascii_graphic() && it != b'#'));
        }
    }

    #[test]
    fn a_relative_reference_never_leaves_its_origin(reference in "[/.?#a-z:@\\\\ \\t%é]{0,20}") {
        let base = RequestUrl::parse("http://example.com:8080/a/b").unwrap();
        if let Ok(url) = base.join(&reference) {
            let names_a_host = reference.trim().starts_with("//") || reference.contains(':');
            prop_assert!(url.target == base.target || names_a_host, "{}", url);
            prop_assert_eq!(RequestUrl::parse(&url.to_string()).unwrap().target, url.target);
        }
    }

    #[test]
    fn text_never_panics(text in any::<String>(), tail in "\\PC{0,20}") {
        let _ = RequestUrl::parse(&text);
        let _ = RequestUrl::parse(&format!("http://{text}"));
        let base = RequestUrl::parse("http://example.com/").unwrap();
        let _ = base.join(&text).and_then(|it| it.join(&tail));
    }
}

#[test]
fn schemes_of_modules_are_read_by_the_rules_of_the_web() {
    let gopher = ServedScheme::new("gopher", 70, Transport::Tcp).unwrap();
    let parse = |text: &str| RequestUrl::parse_served(text, &[gopher]);
    for (text, shown, port) in [
        ("gopher://Example.COM", "gopher://example.com/", 70),
        (
            "GOPHER://example.com:70/1/a",
            "gopher://example.com/1/a",
            70,
        ),
        ("gopher://example.com:80/", "gopher://example.com:80/", 80),
        (
            "gopher://example.com:443/",
            "gopher://example.com:443/",
            443,
        ),
        // Decimal and octal addresses are addresses here too.
        ("gopher://2130706433/0x", "gopher://127.0.0.1/0x", 70),
        ("gopher://[::1]:7070/?q", "gopher://[::1]:7070/?q", 7070),
    ] {
        let url = parse(text).unwrap();
        assert_eq!(
            (url.to_string().as_str(), url.target.port),
            (shown, port),
            "{text}"
        );
        assert_eq!(parse(shown).unwrap(), url);
    }
    for text in [
        "gopher:example.com",
        "gopher://",
        "gopher://a b/",
        "gopher://e\\x/",
        "gemini://a/",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    let base = parse("gopher://example.com:80/1/a/b").unwrap();
    assert_eq!(
        base.join("c").unwrap().to_string(),
        "gopher://example.com:80/1/a/c"
    );
    assert_eq!(base.join("//other.example/c").unwrap().target.port, 70);
    assert!(base.join("gopher://other.example/").is_ok());
    assert!(base.join("gemini://other.example/").is_err());
    assert!(RequestUrl::parse("gopher://example.com/").is_err());
}

#[test]
fn a_module_cannot_take_a_name_that_has_a_meaning() {
    for name in [
        "http",
        "https",
        "wss",
        "file",
        "",
        "Gopher",
        "a b",
        "1a",
        "a:",
        "aaaaaaaaaaaaaaaaa",
    ] {
        assert!(
            ServedScheme::new(name, 70, Transport::Tcp).is_err(),
            "{name}"
        );
    }
    assert_eq!(
        ServedScheme::new("a", 0, Transport::Tcp),
        Err(SchemeError::Port)
    );
    let longest = ServedScheme::new("a+-.567890123456", 1, Transport::Udp).unwrap();
    assert_eq!(longest.name(), "a+-.567890123456");
    let bytes = postcard::to_stdvec(&longest).unwrap();
    assert_eq!(
        postcard::from_bytes::<ServedScheme>(&bytes).unwrap(),
        longest
    );
    let forged = postcard::to_stdvec(&("http", 70_u16, Transport::Tcp)).unwrap();
    assert!(postcard::from_bytes::<ServedScheme>(&forged).is_err());
}
