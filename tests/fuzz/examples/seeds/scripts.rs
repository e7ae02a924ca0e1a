//! PAC: answers, calls of each built-in function, and scripts such as there are.

use fumehood_fuzz::pac::{FUNCTIONS, kind};
use fumehood_fuzz::pieces;

use crate::seed;

/// Monday, 2026-09-21 14:13:20 UTC, in seconds since the Unix epoch.
const NOW: u32 = 1_790_000_000;

/// The local clock: two hours ahead, in quarters of an hour.
const ZONE: u8 = 8;

const ANSWERS: [(&str, &str); 4] = [
    (
        "answer-of-all-kinds",
        "PROXY a.test:8080; HTTPS b.test; HTTP c.test:1; SOCKS d.test; SOCKS4 10.1.2.3:9; \
         SOCKS5 [2001:DB8::1]:1080; DIRECT",
    ),
    (
        "answer-of-none",
        "PROXY; PROXY a b; FTP a.test; PROXY a.test:0; DIRECT x; \u{7f}",
    ),
    ("answer-twice", "proxy A.test:080;PROXY a.test;\tDirect ;;"),
    ("answer-of-blanks", " ; ;"),
];

/// Name, then calls: a function and its arguments.
const CALLS: [(&str, &[&[&str]]); 6] = [
    (
        "calls-of-hosts",
        &[
            &["isPlainHostName", "www"],
            &["dnsDomainIs", "www.example.test", ".example.test"],
            &["localHostOrDomainIs", "www", "www.example.test"],
            &["dnsDomainLevels", "www.example.test"],
        ],
    ),
    (
        "calls-of-patterns",
        &[
            &["shExpMatch", "http://home/people/ari/", "*/ari/*"],
            &["shExpMatch", "aaab", "*a?b"],
            &["shExpMatch", "b.test", "(a|b).test"],
            &["shExpMatch", "a", "("],
        ],
    ),
    (
        "calls-of-names",
        &[
            &["isResolvable", "six.test"],
            &["dnsResolve", "FOUR.test."],
            &["dnsResolveEx", "both.test"],
            &["isResolvableEx", "nowhere.test"],
            &["myIpAddress", ""],
            &["myIpAddressEx", ""],
        ],
    ),
    (
        "calls-of-names-to-come",
        &[
            &["isResolvableEx", "six.test"],
            &["isInNet", "later.test", "10.1.0.0", "255.255"],
            &["dnsResolve", "Later.test."],
            &["isResolvable", "lost.test"],
        ],
    ),
    (
        "calls-of-addresses",
        &[
            &["isInNet", "four.test", "10.1.0.0", "255.255.0.0"],
            &["isInNet", "010.9.8.7", "10.1.2.3", "255.0.0.0"],
            &["isInNetEx", "2001:db8::6", "2001:db8::/32"],
            &["sortIpAddressList", "10.2.3.9; ::1 ;127.0.0.1;::9"],
            &["sortIpAddressList", "10.2.3.9;::1\u{a0}"],
            &["convert_addr", "192.0.2.1"],
        ],
    ),
    (
        "calls-of-times",
        &[
            &["weekdayRange", "SAT", "MON"],
            &["timeRange", "22", "30", "16", "15"],
            &["timeRange", "14", "GMT"],
            &["dateRange", "NOV", "SEP"],
            &["dateRange", "1", "JAN", "2026", "31", "DEC", "2027", "GMT"],
        ],
    ),
];

/// Name, then lines.
const SCRIPTS: [(&str, &[&str]); 6] = [
    (
        "script-of-rules",
        &[
            "function FindProxyForURL(url, host) {",
            "  if (isPlainHostName(host) || dnsDomainIs(host, '.local')) return 'DIRECT';",
            "  if (shExpMatch(url, 'http:*') && !isInNet(host, '10.0.0.0', '255.0.0.0'))",
            "    return 'PROXY a.test:8080; DIRECT';",
            "  else if (weekdayRange('MON', 'FRI') && timeRange(9, 17)) { return 'SOCKS5 b.test' }",
            "  return 'HTTPS c.test';",
            "}",
        ],
    ),
    (
        "script-of-tables",
        &[
            "const t = { x: 'PROXY a.test:1', 'plain': 'DIRECT' }; // what else?",
            "function f(h) { return t.x || \"SOCKS s.test\" }",
            "function FindProxyForURLEx(url, host) {",
            "  switch (url.substring(0, 5)) { case 'http:': return f(host); default: return null }",
            "}",
        ],
    ),
    (
        "script-that-throws",
        &[
            "var n = 0;",
            "function FindProxyForURL(url, host) {",
            "  try { if (n++ == 0) throw { 'message': 'a\\nb', toString: 5 } }",
            "  finally { alert('\\u0007' + url.length) }",
            "  return null.x;",
            "}",
        ],
    ),
    (
        "script-without-end",
        &[
            "function FindProxyForURL(url, host) {",
            "  if (host == 'plain') return FindProxyForURL(url, host);",
            "  return dnsResolve('later.test')",
            "}",
        ],
    ),
    (
        "script-with-faults",
        &[
            "function FindProxyForURL(url, host) {",
            "  if (shexpmatch(url, 'https://a/*') || dnsDomainIs(host)) return 'SOCKS x';",
            "  if (dateRange(32, 'JAN') || timeRange(25)) return 'PROXY a b';",
            "  return 5",
            "}",
        ],
    ),
    (
        "script-that-is-none",
        &["function FindProxyForURL(url host) {", "/* no end"],
    ),
];

pub(crate) fn write() {
    for (name, text) in ANSWERS {
        write_one(name, kind::ANSWER, vec![text.as_bytes().to_vec()]);
    }
    for (name, calls) in CALLS {
        write_one(name, kind::CALLS, calls.iter().map(|it| call(it)).collect());
    }
    for (name, lines) in SCRIPTS {
        let lines = lines.iter().map(|it| it.as_bytes().to_vec()).collect();
        write_one(name, kind::SCRIPT, lines);
    }
}

fn call(words: &[&str]) -> Vec<u8> {
    let at = FUNCTIONS.iter().position(|it| *it == words[0]).unwrap();
    let function = u8::try_from(at).unwrap();
    [&[function], words[1..].join("\0").as_bytes()].concat()
}

fn write_one(name: &str, kind: u8, rest: Vec<Vec<u8>>) {
    let options = [&[kind][..], &NOW.to_le_bytes(), &[ZONE]].concat();
    seed("pac", name, &pieces::join(&[vec![options], rest].concat()));
}
