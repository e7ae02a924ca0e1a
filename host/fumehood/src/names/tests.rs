//! What is a name, and what is a server.
#![allow(clippy::unwrap_used, reason = "a test")]

use super::*;

#[test]
fn names_are_made_canonical_and_what_is_none_is_refused() {
    for (given, taken) in [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com."),
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ("_http._tcp.example", "_http._tcp.example"),
        ("10.2.0.192.in-addr.arpa", "10.2.0.192.in-addr.arpa"),
        ("printer", "printer"),
        (".", "."),
    ] {
        assert_eq!(canonical(given).unwrap(), taken);
    }
    for bad in [
        "",
        "a..b",
        "192.0.2.1",
        "[::1]",
        "a b",
        "a%41",
        "..",
        "1.2.3",
    ] {
        let refused = canonical(bad);
        assert!(matches!(refused, Err(ResolveError::Name { .. })), "{bad:?}");
    }
    let long = format!("{}.example", "a".repeat(64));
    assert!(canonical(&long).is_err());
}

#[test]
fn a_server_is_an_address_and_perhaps_a_name_to_verify() {
    for (text, shown) in [
        ("9.9.9.9", "9.9.9.9:53"),
        ("127.0.0.1:5353", "127.0.0.1:5353"),
        ("2620:fe::fe", "[2620:fe::fe]:53"),
        ("[2620:fe::fe]", "[2620:fe::fe]:53"),
        ("[::1]:5353", "[::1]:5353"),
        ("tls://9.9.9.9", "tls://9.9.9.9:853#9.9.9.9"),
        ("tls://[2620:fe::fe]", "tls://[2620:fe::fe]:853#2620:fe::fe"),
        (
            "tls://dns.Quad9.net#9.9.9.9",
            "tls://dns.quad9.net:853#9.9.9.9",
        ),
        ("tls://a.example:8853#::1", "tls://a.example:8853#::1"),
        (
            "https://dns.Quad9.net/dns-query#9.9.9.9",
            "https://dns.quad9.net/dns-query#9.9.9.9",
        ),
        (
            "https://1.1.1.1:8443/dns-query",
            "https://1.1.1.1:8443/dns-query#1.1.1.1",
        ),
    ] {
        let server: DnsServer = text.parse().unwrap();
        assert_eq!(server.to_string(), shown);
        assert_eq!(shown.parse::<DnsServer>().unwrap(), server);
    }
    for (bad, why) in [
        ("", DnsServerError::Syntax),
        ("dns.quad9.net", DnsServerError::Syntax),
        ("tls://dns.quad9.net", DnsServerError::NoAddress),
        ("tls://dns.quad9.net#quad9", DnsServerError::Syntax),
        ("https://dns.quad9.net/dns-query", DnsServerError::NoAddress),
        ("https:///dns-query#9.9.9.9", DnsServerError::Syntax),
        ("tls://a.example:+8#::1", DnsServerError::Syntax),
        ("ftp://9.9.9.9", DnsServerError::Syntax),
        ("9.9.9.9:70000", DnsServerError::Syntax),
        ("9.9.9.9:0", DnsServerError::Nowhere),
        ("0.0.0.0", DnsServerError::Nowhere),
        ("[::]:53", DnsServerError::Nowhere),
    ] {
        assert_eq!(bad.parse::<DnsServer>(), Err(why), "{bad:?}");
    }
}

#[test]
fn only_hosts_that_the_policy_names_are_answered_privately() {
    let mut policy = Policy::default();
    for host in ["*.corp.example", "printer:631", "10.0.0.0/8"] {
        policy.allow_private(host.parse().unwrap()).unwrap();
    }
    for (name, private) in [
        ("wiki.corp.example", true),
        ("wiki.corp.example.", true),
        ("printer", true),
        ("corp.example", false),
        ("www.example", false),
        (".", false),
    ] {
        assert_eq!(is_private(&policy, name), private, "{name}");
    }
}
