//! `resolv.conf` and `hosts` as they are met, and as they are not.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::IpAddr;
use std::time::Duration;

use fumehood_policy::DnsName;
use fumehood_policy::resolver::{
    FileTooLong, MAX_HOST_ENTRIES, MAX_HOST_NAMES, MAX_HOST_TABLE_NAMES, MAX_HOSTS_BYTES,
    MAX_IGNORED, MAX_NAME_SERVERS, MAX_RESOLV_CONF_BYTES, MAX_SEARCH_DOMAINS, ResolvConf,
    WhyIgnored, parse_hosts, parse_resolv_conf,
};
use proptest::prelude::*;

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|it| it.parse().unwrap()).collect()
}

fn read(text: &str) -> ResolvConf {
    parse_resolv_conf(text).unwrap()
}

fn search(text: &str) -> Vec<String> {
    read(text).search.into_iter().map(String::from).collect()
}

#[test]
fn a_usual_file() {
    let conf = read(
        "# made by something\n; and else\n\
         nameserver 192.0.2.53\nnameserver\t2001:db8::53 # the other\n\
         search Example.com. sub.example.org\n\
         options ndots:3 timeout:2 attempts:4 rotate edns0 trust-ad\n",
    );
    assert_eq!(conf.servers, addresses(&["192.0.2.53", "2001:db8::53"]));
    assert_eq!((conf.ndots, conf.attempts), (3, 4));
    assert_eq!(conf.timeout, Duration::from_secs(2));
    assert!(conf.rotate && conf.trust_ad);
    assert_eq!(conf.ignored, []);
    let found: Vec<String> = conf.search.into_iter().map(String::from).collect();
    assert_eq!(found, ["example.com", "sub.example.org"]);
}

#[test]
fn an_empty_file_means_this_machine() {
    for text in ["", "\n\n", "# nothing\n", "options rotate\n"] {
        assert_eq!(read(text).servers, addresses(&["127.0.0.1"]), "{text:?}");
    }
}

#[test]
fn the_last_search_or_domain_counts() {
    assert_eq!(
        search("search a.example b.example\ndomain c.example d.example"),
        ["c.example"]
    );
    assert_eq!(
        search("domain a.example\nsearch b.example c.example"),
        ["b.example", "c.example"]
    );
    assert!(search("search a.example\nsearch .").is_empty());
    assert!(search("search a.example\nsearch").is_empty());
}

#[test]
fn numbers_are_held_within_their_bounds() {
    let conf = read("options ndots:99 timeout:0 attempts:0");
    assert_eq!((conf.ndots, conf.attempts), (15, 1));
    assert_eq!(conf.timeout, Duration::from_secs(1));
    let conf = read("options timeout:18446744073709551615 attempts:6");
    assert_eq!((conf.timeout, conf.attempts), (Duration::from_secs(30), 5));
}

#[test]
fn what_is_passed_over_is_told_with_its_line() {
    let text = "nameserver fe80::1%eth0\nnameserver 1.2.3\nnameserver\nsortlist 10.0.0.0\n\
                options use-vc ndots:x ndots\nsearch a..b ok.example 10.0.0.1\n";
    let conf = read(text);
    let found: Vec<_> = conf.ignored.iter().map(|it| (it.line, it.why)).collect();
    let expected = [
        (1, WhyIgnored::Zone),
        (2, WhyIgnored::Address),
        (3, WhyIgnored::Value),
        (4, WhyIgnored::Option),
        (5, WhyIgnored::Option),
        (5, WhyIgnored::Value),
        (5, WhyIgnored::Value),
        (6, WhyIgnored::Name),
        (6, WhyIgnored::Name),
    ];
    assert_eq!(found, expected);
    assert_eq!(conf.ignored[1].to_string(), "line 2: not an IP address");
    assert_eq!(conf.search.len(), 1);
    assert_eq!(conf.ndots, 1);
}

#[test]
fn there_are_bounds() {
    let conf = read(&"nameserver 192.0.2.1\n".repeat(MAX_NAME_SERVERS + 1));
    assert_eq!(conf.servers.len(), MAX_NAME_SERVERS);
    assert_eq!(conf.ignored.len(), 1);
    let conf = read(&format!(
        "search {}",
        "a.example ".repeat(MAX_SEARCH_DOMAINS + 1)
    ));
    assert_eq!(
        (conf.search.len(), conf.ignored.len()),
        (MAX_SEARCH_DOMAINS, 1)
    );
    assert_eq!(
        read(&"what\n".repeat(MAX_IGNORED + 1)).ignored.len(),
        MAX_IGNORED
    );
    let (bytes, most) = (MAX_RESOLV_CONF_BYTES + 1, MAX_RESOLV_CONF_BYTES);
    assert_eq!(
        parse_resolv_conf(&"#".repeat(bytes)),
        Err(FileTooLong { bytes, most })
    );

    let names = "a ".repeat(MAX_HOST_NAMES + 1);
    let (entries, ignored) = parse_hosts(&format!("192.0.2.1 {names}")).unwrap();
    assert_eq!((entries[0].names.len(), ignored.len()), (MAX_HOST_NAMES, 1));
    let many = "192.0.2.1 a\n".repeat(MAX_HOST_ENTRIES + 10);
    let (entries, ignored) = parse_hosts(&many).unwrap();
    assert_eq!((entries.len(), ignored.len()), (MAX_HOST_ENTRIES, 1));
    let wide = format!("192.0.2.1 {}\n", "a ".repeat(MAX_HOST_NAMES)).repeat(300);
    let (entries, ignored) = parse_hosts(&wide).unwrap();
    let names: usize = entries.iter().map(|it| it.names.len()).sum();
    assert_eq!((names, ignored.len()), (MAX_HOST_TABLE_NAMES, 1));
    assert!(parse_hosts(&"#".repeat(MAX_HOSTS_BYTES + 1)).is_err());
}

#[test]
fn a_usual_host_table() {
    let text = "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # here\n\n\
                #10.0.0.9 nobody\n10.0.0.1 Printer.Home. printer#near\n10.0.0.2\n\
                fe80::1%lo0 localhost\nnonsense name\n10.0.0.3 a..b ok";
    let (entries, ignored) = parse_hosts(text).unwrap();
    let shown: Vec<String> = entries
        .iter()
        .map(|it| {
            let names: Vec<&str> = it.names.iter().map(DnsName::as_str).collect();
            format!("{} {}", it.address, names.join(" "))
        })
        .collect();
    let expected = [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost",
        "10.0.0.1 printer.home printer",
        "10.0.0.3 ok",
    ];
    assert_eq!(shown, expected);
    let ignored: Vec<_> = ignored.iter().map(|it| (it.line, it.why)).collect();
    let expected = [
        (7, WhyIgnored::Zone),
        (8, WhyIgnored::Address),
        (9, WhyIgnored::Name),
    ];
    assert_eq!(ignored, expected);
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,300}", lines in proptest::collection::vec("(nameserver|search|options|domain|192\\.0\\.2\\.1)[ -~]{0,60}", 0..20)) {
        for text in [text, lines.join("\n")] {
            let conf = parse_resolv_conf(&text).unwrap();
            prop_assert!(!conf.servers.is_empty() && conf.servers.len() <= MAX_NAME_SERVERS);
            prop_assert!(conf.ndots <= 15 && (1..=5).contains(&conf.attempts));
            let (entries, _) = parse_hosts(&text).unwrap();
            prop_assert!(entries.iter().all(|it| !it.names.is_empty()));
        }
    }
}
