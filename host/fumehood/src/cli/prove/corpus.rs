//! The cases: every way around a policy that we know of, as data.
//!
//! `{port}` stands for the port that a try is watched on, `{wrapped}` for the
//! same plus 65536, `{origin}` for the host that may be reached, `{proxy}` for
//! the proxy's own host and port.

/// One way around, under all its routes.
#[derive(Debug)]
pub(super) struct Case {
    /// As `--only` and JSON have it; never changes.
    pub(super) name: &'static str,
    /// For people.
    pub(super) about: &'static str,
    pub(super) what: What,
}

/// What is sent where.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A host that must be reached, or the silence of all others means nothing.
    Control(&'static str),
    /// A host that must not: in a URL, where a redirect leads, in a proxy
    /// request of absolute form, in CONNECT.
    Host(&'static str),
    /// The same, asked for twice: it may be reached while it is the origin.
    Twice(&'static str),
    /// Host and port as they stand in a URL, and in CONNECT.
    Authority(&'static str),
    /// A whole URL, or a reference that a redirect has.
    Url(&'static str),
    /// What a redirect has, byte for byte.
    Location(&'static [u8]),
    /// Messages to a proxy on one connection, each after the response to the
    /// one before; an empty one waits for another response. Beside arriving, it
    /// is through where the origin was sent a
    /// head with all of these in it, in lower case.
    Messages(&'static [&'static str], &'static [&'static str]),
    /// A host asked for again and again while the policy is read anew.
    Reload(&'static str),
}

use What::{Authority, Control, Host, Location, Messages, Reload, Twice, Url};

const fn case(name: &'static str, about: &'static str, what: What) -> Case {
    Case { name, about, what }
}

/// All of them.
#[rustfmt::skip]
pub(super) const CORPUS: &[Case] = &[
    case("control-address", "the origin, by address: allowed",        Control("{origin}")),
    case("control-name",    "the origin, by name: allowed",           Control("origin.prove.test")),

    case("loopback",        "plain loopback",                         Host("127.0.0.1")),
    case("loopback-other",  "another address of 127.0.0.0/8",         Host("127.99.0.3")),
    case("loopback-v6",     "IPv6 loopback",                          Host("[::1]")),
    case("private",         "a private address",                      Host("10.0.0.1")),
    case("private-172",     "a private address",                      Host("172.16.5.4")),
    case("private-192",     "a private address",                      Host("192.168.1.1")),
    case("metadata",        "a cloud's metadata service",             Host("169.254.169.254")),
    case("shared",          "a carrier's shared address",             Host("100.64.0.1")),
    case("unspecified",     "0.0.0.0, which Linux takes for loopback", Host("0.0.0.0")),
    case("unspecified-v6",  "::, the same",                           Host("[::]")),
    case("unique-local",    "a unique local address",                 Host("[fd00:ec2::254]")),
    case("site-local",      "a site-local address",                   Host("[fec0::1]")),

    case("decimal",         "IPv4 as one decimal number",             Host("2130706433")),
    case("octal",           "IPv4 in octal",                          Host("0177.0.0.1")),
    case("octal-number",    "IPv4 as one octal number",               Host("017700000001")),
    case("hexadecimal",     "IPv4 in hexadecimal",                    Host("0x7f.0.0.1")),
    case("hex-number",      "IPv4 as one hexadecimal number",         Host("0x7f000001")),
    case("hex-long",        "the same with zeros before it",          Host("0x000000007f000001")),
    case("short",           "IPv4 of two parts",                      Host("127.1")),
    case("short-three",     "IPv4 of three parts",                    Host("127.0.1")),
    case("mixed",           "each part in another base",              Host("0x7f.0.0.01")),
    case("zero",            "0 for 0.0.0.0",                          Host("0")),
    case("wrapped",         "a number over 32 bits",                  Host("6425673729")),
    case("metadata-number", "the metadata service as a number",       Host("2852039166")),

    case("mapped",          "IPv4-mapped IPv6",                       Host("[::ffff:127.0.0.1]")),
    case("mapped-hex",      "the same in hexadecimal",                Host("[::ffff:7f00:1]")),
    case("mapped-private",  "a private address, mapped",              Host("[::ffff:10.0.0.1]")),
    case("compatible",      "IPv4-compatible IPv6",                   Host("[::127.0.0.1]")),
    case("translated",      "IPv4-translated IPv6",                   Host("[::ffff:0:127.0.0.1]")),
    case("nat64",           "NAT64",                                  Host("[64:ff9b::127.0.0.1]")),
    case("nat64-local",     "a local NAT64 prefix",                   Host("[64:ff9b:1::7f00:1]")),
    case("6to4",            "6to4",                                   Host("[2002:7f00:1::1]")),
    case("teredo",          "Teredo",                                 Host("[2001:0:7f00:1::80ff:fffe]")),
    case("v6-long",         "IPv6 written out",                       Host("[0000:0000:0000:0000:0000:0000:0000:0001]")),
    case("zone",            "a zone id",                              Host("[fe80::1%25lo]")),
    case("zone-bare",       "a zone id, not encoded",                 Host("[fe80::1%lo]")),
    case("zone-loopback",   "loopback with a zone id",                Host("[::1%25lo]")),
    case("bracketed-v4",    "IPv4 in brackets",                       Host("[127.0.0.1]")),
    case("bracketed-name",  "a name in brackets",                     Host("[localhost]")),
    case("unbracketed",     "IPv6 without brackets",                  Authority("::1:{port}")),

    case("localhost",       "localhost",                              Host("localhost")),
    case("localhost-case",  "in mixed case",                          Host("LocalHost")),
    case("localhost-dot",   "with a trailing dot",                    Host("localhost.")),
    case("localhost-under", "a name under localhost",                 Host("x.localhost")),
    case("address-dot",     "an address with a trailing dot",         Host("127.0.0.1.")),
    case("denied-name",     "a name that a rule denies",              Host("forbidden.prove.test")),
    case("denied-case",     "in mixed case",                          Host("Forbidden.PROVE.test")),
    case("denied-dot",      "with a trailing dot",                    Host("forbidden.prove.test.")),
    case("denied-percent",  "percent-encoded",                        Host("f%6frbidden.prove.test")),
    case("denied-full-width", "in full-width letters",                Host("\u{ff46}orbidden.prove.test")),
    case("denied-dots",     "with ideographic full stops",            Host("forbidden\u{3002}prove\u{3002}test")),
    case("denied-circled",  "in circled letters",                     Host("\u{24d5}\u{24de}rbidden.prove.test")),
    case("denied-soft",     "with a soft hyphen",                     Host("for\u{ad}bidden.prove.test")),
    case("denied-joiner",   "with a zero-width joiner",               Host("for\u{200d}bidden.prove.test")),
    case("denied-kelvin",   "with a long s, which folds to s",        Host("forbidden.prove.te\u{17f}t")),
    case("full-width-dots", "an address with full-width dots",        Host("127\u{ff0e}0\u{ff0e}0\u{ff0e}1")),
    case("ideographic-dots", "an address with ideographic stops",     Host("127\u{3002}0\u{3002}0\u{3002}1")),
    case("full-width",      "an address in full-width digits",        Host("\u{ff11}\u{ff12}\u{ff17}.0.0.1")),
    case("circled",         "an address in circled digits",           Host("\u{2460}\u{2461}\u{2466}.0.0.1")),
    case("percent-address", "an address, percent-encoded",            Host("%31%32%37.0.0.1")),
    case("percent-nul",     "an encoded NUL",                         Host("127.0.0.1%00.origin.prove.test")),
    case("percent-at",      "an encoded @",                           Host("origin.prove.test%40127.0.0.1")),

    case("nul",             "a NUL behind the address",               Location(b"http://127.0.0.1\0.origin.prove.test:{port}/")),
    case("nul-before",      "a NUL before it",                        Location(b"http://origin.prove.test\0@127.0.0.1:{port}/")),
    case("latin-1",         "a byte that is no UTF-8",                Location(b"http://127.0.0.1\xff:{port}/")),
    case("tab",             "a tab in the host",                      Location(b"http://127.0\t.0.1:{port}/")),
    case("space",           "a space behind the host",                Url("http://127.0.0.1 :{port}/")),
    case("userinfo",        "the origin as a user",                   Url("http://{origin}@127.0.0.1:{port}/")),
    case("userinfo-port",   "the origin with a port as a user",       Url("http://{origin}:80@127.0.0.1:{port}/")),
    case("userinfo-two",    "two of @",                               Url("http://a@{origin}@127.0.0.1:{port}/")),
    case("userinfo-hash",   "a fragment that looks like a user",      Url("http://127.0.0.1:{port}#@{origin}/")),
    case("userinfo-query",  "a query that looks like a user",         Url("http://127.0.0.1:{port}?@{origin}/")),
    case("backslash-at",    "a backslash before @",                   Url("http://127.0.0.1:{port}\\@{origin}/")),
    case("backslash-host",  "a backslash behind the origin",          Url("http://{origin}\\@127.0.0.1:{port}/")),
    case("backslashes",     "backslashes for slashes",                Url("http:\\\\127.0.0.1:{port}\\")),
    case("one-slash",       "one slash",                              Url("http:/127.0.0.1:{port}/")),
    case("three-slashes",   "three slashes",                          Url("http:///127.0.0.1:{port}/")),
    case("no-slashes",      "no slashes",                             Url("http:127.0.0.1:{port}/")),
    case("scheme-relative", "a reference without a scheme",           Url("//127.0.0.1:{port}/")),
    case("slash-backslash", "the same with a backslash",              Url("/\\127.0.0.1:{port}/")),
    case("scheme-case",     "a scheme in capitals",                   Url("HTTP://127.0.0.1:{port}/")),
    case("scheme-ftp",      "another scheme",                         Url("ftp://127.0.0.1:{port}/")),
    case("scheme-gopher",   "another scheme that carries any bytes",  Url("gopher://127.0.0.1:{port}/_GET%20/")),
    case("scheme-ws",       "another scheme that begins with HTTP",   Url("ws://127.0.0.1:{port}/")),
    case("line-feed",       "a line feed in the URL",                 Url("http://127.0.0.1:{port}/\nx")),

    case("port-zeros",      "a port with zeros before it",            Authority("127.0.0.1:00{port}")),
    case("port-plus",       "a port with a sign",                     Authority("127.0.0.1:+{port}")),
    case("port-wrapped",    "a port over 16 bits",                    Authority("127.0.0.1:{wrapped}")),
    case("port-two",        "two ports",                              Authority("{origin}:80:{port}")),
    case("port-text",       "a port with text behind it",             Authority("127.0.0.1:{port}x")),
    case("port-space",      "a port behind a space",                  Authority("127.0.0.1: {port}")),
    case("port-at",         "a host behind the port",                 Authority("{origin}:{port}@127.0.0.1:{port}")),

    case("resolves-loopback", "a name for loopback",                  Host("loopback.prove.test")),
    case("resolves-private", "a name for a private address",          Host("private.prove.test")),
    case("resolves-metadata", "a name for the metadata service",      Host("metadata.prove.test")),
    case("resolves-unspecified", "a name for 0.0.0.0",                Host("unspecified.prove.test")),
    case("resolves-mapped", "a name for a mapped address",            Host("mapped.prove.test")),
    case("resolves-nat64",  "a name for loopback behind NAT64",       Host("nat64.prove.test")),
    case("resolves-local6", "a name for a unique local address",      Host("local6.prove.test")),
    case("two-answers",     "a name for the origin and loopback",     Twice("both.prove.test")),
    case("two-turned",      "the same in the other order",            Twice("htob.prove.test")),
    case("two-families",    "the origin by IPv4, loopback by IPv6",   Twice("sixth.prove.test")),
    case("cname-loopback",  "CNAME to a name for loopback",           Host("alias.prove.test")),
    case("cname-localhost", "CNAME to localhost",                     Host("alias-localhost.prove.test")),
    case("cname-metadata",  "CNAME to the metadata service",          Host("alias-metadata.prove.test")),
    case("rebinding",       "the origin at first, then loopback; TTL 0", Twice("p{port}.rebind.prove.test")),

    case("host-mismatch",   "absolute form to the origin, Host of another", Messages(
        &["GET http://{origin}:{port}/ HTTP/1.1\r\nHost: forbidden.prove.test\r\n\r\n"],
        &["host: forbidden.prove.test"])),
    case("host-private",    "absolute form to loopback, Host of the origin", Messages(
        &["GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\n\r\n"], &[])),
    case("host-twice",      "two of Host", Messages(
        &["GET http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\nHost: forbidden.prove.test\r\n\r\n"],
        &["host: forbidden.prove.test"])),
    case("origin-form",     "origin form, Host of loopback", Messages(
        &["GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"], &[])),
    case("connect-host",    "CONNECT to loopback, Host of the origin", Messages(
        &["CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: {origin}:{port}\r\n\r\n"], &[])),
    case("connect-mismatch", "CONNECT to the origin, Host of loopback", Messages(
        &["CONNECT {origin}:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"], &[])),
    case("connect-absolute", "CONNECT with a URL", Messages(
        &["CONNECT http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n"], &[])),
    case("connect-relayed", "CONNECT to the proxy itself, and on from there", Messages(
        &["CONNECT {proxy} HTTP/1.1\r\nHost: {proxy}\r\n\r\n",
          "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"], &[])),
    case("get-relayed",     "a request to the proxy itself, for loopback", Messages(
        &["GET http://{proxy}/http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"], &[])),
    case("second-get",      "loopback on a connection that got the origin", Messages(
        &["GET http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\n\r\n",
          "GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"], &[])),
    case("second-connect",  "CONNECT on a connection that got the origin", Messages(
        &["GET http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\n\r\n",
          "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"], &[])),
    case("pipelined",       "loopback in one packet with the origin", Messages(
        &["GET http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\n\r\n\
           GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", ""], &[])),
    case("http-1.0",        "HTTP/1.0, without Host", Messages(
        &["GET http://127.0.0.1:{port}/ HTTP/1.0\r\n\r\n"], &[])),
    case("http-0.9",        "HTTP/0.9", Messages(
        &["GET http://127.0.0.1:{port}/\r\n\r\n"], &[])),
    case("bare-line-feed",  "lines that end in LF alone", Messages(
        &["GET http://{origin}:{port}/ HTTP/1.1\nHost: {origin}:{port}\n\nGET http://127.0.0.1:{port}/ HTTP/1.1\nHost: x\n\n", ""], &[])),
    case("target-nul",      "a NUL in the request line", Messages(
        &["GET http://127.0.0.1\0.origin.prove.test:{port}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n"], &[])),
    case("target-tab",      "a tab for a space", Messages(
        &["GET\thttp://127.0.0.1:{port}/\tHTTP/1.1\r\nHost: {origin}\r\n\r\n"], &[])),
    case("cl-te",           "Content-Length and Transfer-Encoding", Messages(
        &["POST http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\nContent-Length: 68\r\nTransfer-Encoding: chunked\r\n\r\n\
           0\r\n\r\nGET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", ""],
        &["content-length:", "transfer-encoding:"])),
    case("te-te",           "a Transfer-Encoding that some don't know", Messages(
        &["POST http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\nContent-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n\
           0\r\n\r\nGET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", ""],
        &["content-length:", "transfer-encoding:"])),
    case("te-space",        "a space before the colon", Messages(
        &["POST http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\nContent-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n\
           0\r\n\r\nGET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", ""],
        &["content-length:", "transfer-encoding"])),
    case("cl-cl",           "two of Content-Length that differ", Messages(
        &["POST http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\nContent-Length: 0\r\nContent-Length: 63\r\n\r\n\
           GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", ""],
        &["content-length: 0", "content-length: 63"])),
    case("folded",          "a folded field that hides another", Messages(
        &["POST http://{origin}:{port}/ HTTP/1.1\r\nHost: {origin}:{port}\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"],
        &["\r\n transfer-encoding:", "content-length:"])),

    case("reload",          "loopback, while the policy is read again", Reload("127.0.0.1")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        for (index, case) in CORPUS.iter().enumerate() {
            let plain =
                |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-.".contains(&it);
            assert!(case.name.bytes().all(plain), "{}", case.name);
            assert!(
                CORPUS[..index].iter().all(|it| it.name != case.name),
                "{}",
                case.name
            );
        }
    }
}
