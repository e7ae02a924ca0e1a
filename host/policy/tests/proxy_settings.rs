//! Which proxies are configured, as people and programs write it down.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fumehood_policy::{
    AFTER_FAILURES, AFTER_SUCCESS, Bypass, BypassError, EnvironmentError, FixedProxies,
    MAX_BYPASS_ENTRIES, PacSource, ProxyError, ProxySettings, Refetch, RequestUrl, Route,
    SourceError, Target, from_environment,
};
use proptest::prelude::*;

fn target(url: &str) -> Target {
    RequestUrl::parse(url).unwrap().target
}

/// Holds a list against URLs: those that need no proxy, and those that do.
fn check(bypass: Result<Bypass, BypassError>, covered: &[&str], others: &[&str]) {
    let bypass = bypass.unwrap();
    for url in covered {
        assert!(bypass.covers(&target(url)), "{url} needs no proxy");
    }
    for url in others {
        assert!(!bypass.covers(&target(url)), "{url} needs one");
    }
}

#[test]
fn chromiums_lists_mean_what_they_mean_there() {
    check(
        Bypass::parse("example.test, *.a.test; .b.test,c*.test:8080"),
        &[
            "http://example.test/",
            "https://EXAMPLE.test:99/",
            "http://x.a.test/",
            "http://x.y.a.test/",
            "http://x.b.test/",
            "http://cd.test:8080/",
        ],
        &[
            "http://www.example.test/",
            "http://a.test/",
            "http://b.test/",
            "http://cd.test/",
            "http://xa.test/",
        ],
    );
    check(
        Bypass::parse("https://x.*.y.test:99, <local>"),
        &["https://x.1.2.y.test:99/", "http://intranet/"],
        &[
            "http://x.1.y.test:99/",
            "https://x.1.y.test/",
            "http://intranet.test/",
        ],
    );
    check(
        Bypass::parse("192.0.2.0/24,2001:db8::/32,[2001:db9::1]:80, 198.51.100.7"),
        &[
            "http://192.0.2.9/",
            "http://[2001:db8:1::2]/",
            "http://[2001:db9::1]/",
            "http://198.51.100.7:9/",
        ],
        &["http://192.0.3.1/", "http://[2001:db9::1]:81/"],
    );
}

#[test]
fn loopback_needs_no_proxy_unless_it_is_said() {
    let local = [
        "http://localhost/",
        "http://x.localhost/",
        "http://127.9.9.9/",
        "http://[::1]/",
        "http://169.254.1.1/",
        "http://[fe80::1]/",
    ];
    check(Bypass::parse(""), &local, &["http://10.0.0.1/"]);
    check(Bypass::parse("<-loopback>"), &[], &local);
    // The last one that says something decides.
    check(
        Bypass::parse("<-loopback>, 127.0.0.1"),
        &["http://127.0.0.1/"],
        &["http://127.0.0.2/", "http://localhost/"],
    );
    check(
        Bypass::parse("127.0.0.1,<-loopback>"),
        &[],
        &["http://127.0.0.1/"],
    );
}

#[test]
fn no_proxy_means_a_host_and_what_is_under_it() {
    check(
        Bypass::parse_no_proxy("a.test, .b.test *.c.test\td.test:8080,10.0.0.0/8,[::2]:80"),
        &[
            "http://a.test/",
            "http://x.a.test/",
            "http://x.b.test/",
            "http://x.c.test/",
            "http://d.test:8080/",
            "http://10.1.1.1/",
            "http://[::2]/",
            "http://localhost/",
        ],
        &[
            "http://xa.test/",
            "http://b.test/",
            "http://c.test/",
            "http://d.test/",
            "http://11.1.1.1/",
        ],
    );
    check(Bypass::parse_no_proxy("*"), &["http://a.test/"], &[]);
    assert!(Bypass::parse_no_proxy("a.*.test").is_err());
}

#[test]
fn what_is_no_entry_is_refused() {
    for list in [
        "a b",
        "<x>",
        "a.test:0",
        "a.test:x",
        "10.0.0.0/33",
        "://a",
        "..",
        "a..b",
        "ä",
        "a/b",
        "[::1",
        ":80",
    ] {
        let refused = Bypass::parse(list);
        assert!(matches!(refused, Err(BypassError::Entry(_))), "{list}");
    }
    let many = "a,".repeat(MAX_BYPASS_ENTRIES + 1);
    assert_eq!(Bypass::parse(&many), Err(BypassError::TooMany));
}

fn environment(pairs: &[(&str, &str)]) -> Result<ProxySettings, EnvironmentError> {
    let variables: HashMap<_, _> = pairs.iter().copied().collect();
    from_environment(|name| variables.get(name).map(|it| (*it).to_owned()))
}

fn fixed(pairs: &[(&str, &str)]) -> FixedProxies {
    match environment(pairs).unwrap() {
        ProxySettings::Fixed(fixed) => fixed,
        other => panic!("{other:?}"),
    }
}

fn ways(fixed: &FixedProxies, url: &str) -> Vec<String> {
    let routes = fixed.routes(&target(url));
    routes.iter().map(Route::to_string).collect()
}

#[test]
fn the_environment_names_proxies_by_scheme() {
    assert_eq!(environment(&[]), Ok(ProxySettings::Direct));
    assert_eq!(environment(&[("no_proxy", "x")]), Ok(ProxySettings::Direct));
    let set = fixed(&[
        ("http_proxy", "http://u:p%40@p.test:3128/"),
        ("HTTPS_PROXY", "socks5h://s.test"),
        ("no_proxy", "a.test"),
        ("NO_PROXY", "b.test"),
    ]);
    assert_eq!(ways(&set, "http://b.test/"), ["PROXY p.test:3128"]);
    assert_eq!(ways(&set, "https://b.test/"), ["SOCKS5 s.test:1080"]);
    assert_eq!(ways(&set, "https://x.a.test/"), ["DIRECT"]);
    let user = set.credentials_for(&set.http[0]).unwrap();
    assert_eq!(
        (&user.username[..], &user.password[..]),
        (&b"u"[..], &b"p@"[..])
    );
    assert!(set.credentials_for(&set.https[0]).is_none());
}

#[test]
fn what_has_none_of_its_own_goes_by_all_proxy() {
    let set = fixed(&[("ALL_PROXY", "p.test:1"), ("https_proxy", "")]);
    assert_eq!(ways(&set, "https://b.test/"), ["PROXY p.test:1"]);
    // A client's field must not become a proxy.
    assert_eq!(
        environment(&[("HTTP_PROXY", "p.test:1")]),
        Ok(ProxySettings::Direct)
    );
}

#[test]
fn a_misspelt_variable_is_named() {
    assert_eq!(
        environment(&[("https_proxy", "p.test:x")]),
        Err(EnvironmentError::Proxy {
            name: "https_proxy",
            why: ProxyError::Port
        })
    );
    let told = environment(&[("http_proxy", "p.test"), ("NO_PROXY", "a/b")]).unwrap_err();
    assert!(told.to_string().contains("NO_PROXY"), "{told}");
}

#[test]
fn scripts_come_from_files_servers_and_urls_themselves() {
    let source = |text: &str| text.parse::<PacSource>();
    assert_eq!(source("a/b.pac"), Ok(PacSource::File("a/b.pac".into())));
    assert_eq!(source("file:///a%20b"), Ok(PacSource::File("/a b".into())));
    assert_eq!(
        source("FILE://localhost/a"),
        Ok(PacSource::File("/a".into()))
    );
    assert_eq!(source("file://other/a"), Err(SourceError::File));
    assert_eq!(
        source("data:application/x-ns-proxy-autoconfig;base64,eHk="),
        Ok(PacSource::Data(b"xy".to_vec()))
    );
    assert_eq!(source("data:,x%20y"), Ok(PacSource::Data(b"x y".to_vec())));
    assert_eq!(source("data:x"), Err(SourceError::Data));
    assert_eq!(source("data:;base64,!"), Err(SourceError::Data));
    assert_eq!(source("data:,%+1"), Err(SourceError::Data));
    assert!(matches!(source("HTTPS://a.test/x"), Ok(PacSource::Url(_))));
    assert!(matches!(source("http://"), Err(SourceError::Url(_))));
}

#[test]
fn a_script_is_fetched_again_later_and_later() {
    let start = Instant::now();
    let mut refetch = Refetch::new(start);
    assert!(refetch.is_due(start));
    for expected in [8, 32, 120, 14_400, 14_400] {
        refetch.failed(start);
        assert_eq!(refetch.due() - start, Duration::from_secs(expected));
    }
    refetch.succeeded(start);
    assert_eq!(refetch.due() - start, AFTER_SUCCESS);
    refetch.failed(start);
    assert_eq!(refetch.due() - start, AFTER_FAILURES[0]);
    refetch.changed(start);
    assert!(refetch.is_due(start));
}

proptest! {
    #[test]
    fn any_list_is_read_or_refused(list in "[a-z0-9.*:/<>\\-\\[\\], ä]{0,60}") {
        for bypass in [Bypass::parse(&list), Bypass::parse_no_proxy(&list)].into_iter().flatten() {
            let _either_way = bypass.covers(&target("http://a.test/"));
        }
    }

    #[test]
    fn stars_match_as_a_slow_matcher_says(pattern in "[ab*]{1,12}", name in "[ab]{1,12}") {
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern, text) {
                ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                ([one, rest @ ..], [other, more @ ..]) => one == other && slow(rest, more),
                (rest, more) => rest.is_empty() && more.is_empty(),
            }
        }
        let bypass = Bypass::parse(&pattern).unwrap();
        let covered = bypass.covers(&target(&format!("http://{name}/")));
        prop_assert_eq!(covered, slow(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn any_source_is_read_or_refused(text in "(data:|file:|http:)?[a-z0-9/%;,=+.]{0,40}") {
        let _ = text.parse::<PacSource>();
    }
}
