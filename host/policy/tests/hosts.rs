//! Hosts: one form for each, and refusal of what programs read differently.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_policy::{DnsName, Host, HostError, MAX_NAME_BYTES};
use proptest::prelude::*;

fn name_of_bytes(bytes: usize) -> String {
    let mut name = "a".repeat(bytes);
    for at in (60..bytes - 1).step_by(60) {
        name.replace_range(at..=at, ".");
    }
    name
}

#[test]
fn every_spelling_has_one_form() {
    for (text, canonical) in [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("example.com.", "example.com"),
        ("localhost.", "localhost"),
        ("my_host.example", "my_host.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher.example。", "xn--bcher-kva.example"),
        ("ex\u{ad}ample.com", "example.com"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0X7F.0x0.0X0.0x1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("0177.0.0.0x1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("１２７.０.０.１", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("①②⑦.0.0.1", "127.0.0.1"),
        ("2852039166", "169.254.169.254"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[::FFFF:127.0.0.1]", "[::ffff:127.0.0.1]"),
        ("[::ffff:7f00:1]", "[::ffff:127.0.0.1]"),
        ("[2001:DB8::00a]", "[2001:db8::a]"),
    ] {
        let host = Host::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(host.to_string(), canonical, "{text}");
    }
}

#[test]
fn what_programs_read_differently_is_refused() {
    for (text, why) in [
        ("", HostError::Empty),
        (".", HostError::Empty),
        ("\u{ad}", HostError::Empty),
        ("a..b", HostError::EmptyLabel),
        (".a", HostError::EmptyLabel),
        ("a..", HostError::EmptyLabel),
        ("a\0.b", HostError::Character('\0')),
        ("a\tb", HostError::Character('\t')),
        ("a b", HostError::Character(' ')),
        ("a\u{a0}b", HostError::Character('\u{a0}')),
        ("a\u{85}b", HostError::Character('\u{85}')),
        ("exam%70le.com", HostError::PercentEncoded),
        ("127.0.0.1%00.example", HostError::PercentEncoded),
        ("[fe80::1%25eth0]", HostError::Zone),
        ("[fe80::1%eth0]", HostError::Zone),
        ("a,b", HostError::Character(',')),
        ("a;b", HostError::Character(';')),
        ("a=b", HostError::Character('=')),
        ("a*b", HostError::Character('*')),
        ("$(id).example", HostError::Character('$')),
        ("a/b", HostError::Character('/')),
        ("a?b", HostError::Character('?')),
        ("a#b", HostError::Character('#')),
        ("a@b", HostError::Character('@')),
        ("a:b", HostError::Character(':')),
        ("a\\b", HostError::Character('\\')),
        ("a<b", HostError::Character('<')),
        ("a^b", HostError::Character('^')),
        ("a|b", HostError::Character('|')),
        ("::1", HostError::Character(':')),
        ("1.2.3.4.5", HostError::Ipv4),
        ("256.0.0.1", HostError::Ipv4),
        ("1.2.3.0x1ff", HostError::Ipv4),
        ("4294967296", HostError::Ipv4),
        ("foo.0x4", HostError::Ipv4),
        ("foo.1", HostError::Ipv4),
        ("1..2", HostError::Ipv4),
        ("0x7f.0.0.1..", HostError::EmptyLabel),
        ("[::1", HostError::Ipv6),
        ("[]", HostError::Ipv6),
        ("[127.0.0.1]", HostError::Ipv6),
        ("[::1::]", HostError::Ipv6),
        ("[::127.0.0.256]", HostError::Ipv6),
        ("xn--a.example", HostError::Idna),
        ("xn--.example", HostError::Idna),
        ("a\u{200b}.\u{fffd}", HostError::Idna),
    ] {
        assert_eq!(Host::parse(text), Err(why), "{text:?}");
    }
}

#[test]
fn lengths_are_those_of_dns() {
    let label = "a".repeat(63);
    assert!(Host::parse(&label).is_ok());
    assert_eq!(
        Host::parse(&format!("{label}a")),
        Err(HostError::LabelTooLong)
    );

    let longest = name_of_bytes(MAX_NAME_BYTES);
    assert!(Host::parse(&longest).is_ok());
    assert!(
        Host::parse(&format!("{longest}.")).is_ok(),
        "the dot does not count"
    );
    assert_eq!(
        Host::parse(&name_of_bytes(MAX_NAME_BYTES + 1)),
        Err(HostError::TooLong)
    );
    assert_eq!(Host::parse(&"é".repeat(1_000_000)), Err(HostError::TooLong));
}

#[test]
fn localhost_is_known_by_its_labels() {
    for (text, is) in [
        ("localhost", true),
        ("LOCALHOST.", true),
        ("a.b.localhost", true),
        ("ｌocalhost", true),
        ("notlocalhost", false),
        ("localhost.example", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(Host::parse(text).unwrap().is_localhost(), is, "{text}");
    }
}

#[test]
fn a_name_from_another_process_is_canonical_or_refused() {
    assert!(DnsName::try_from("example.com".to_owned()).is_ok());
    for text in [
        "Example.com",
        "example.com.",
        "127.0.0.1",
        "0x7f.1",
        "[::1]",
        "bücher.example",
    ] {
        assert_eq!(
            DnsName::try_from(text.to_owned()),
            Err(HostError::NotCanonical),
            "{text}"
        );
    }
    assert!(DnsName::try_from("a..b".to_owned()).is_err());
}

proptest! {
    #[test]
    fn printing_and_parsing_again_changes_nothing(text in "\\PC{1,40}|[a-zA-Z0-9._\\-xX]{1,40}|[0-9a-fx.]{1,20}|\\[[0-9a-f:.]{2,30}\\]") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn a_name_is_never_what_a_resolver_takes_for_an_address(text in "[0-9a-fxX.]{1,24}") {
        if let Ok(Host::Name(name)) = Host::parse(&text) {
            let last = name.as_str().rsplit('.').next().unwrap();
            let hex = last.strip_prefix("0x").is_some_and(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
            prop_assert!(!hex && !last.bytes().all(|it| it.is_ascii_digit()), "{}", name);
        }
    }

    #[test]
    fn bytes_never_panic(text in any::<String>()) {
        let _ = Host::parse(&text);
    }
}
