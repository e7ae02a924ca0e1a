//! BIND, which signs its zones itself, by every way there is to a server: UDP with TCP
//! behind it, TLS, and HTTPS.

use fumehood_tests::certs::TestCa;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::peers::Bind;
use fumehood_tests::temp::TempDir;

use crate::{at, data, found, steps};

/// A BIND, and how to ask it.
struct Asked {
    bind: Bind,
    _folder: TempDir,
    authority: std::path::PathBuf,
}

impl Asked {
    fn new() -> Asked {
        let (ca, folder) = (TestCa::new(), TempDir::new().unwrap());
        Asked {
            bind: Bind::start(&ca.issue()).unwrap(),
            authority: folder.write("ca.pem", ca.pem()).unwrap(),
            _folder: folder,
        }
    }

    /// Each way, and what its steps call it.
    fn ways(&self) -> [(String, &'static str); 3] {
        let tls = self.bind.tls_address().port();
        let https = self.bind.https_address().port();
        [
            (self.bind.address().to_string(), "over UDP"),
            (format!("tls://fumehood.test:{tls}#127.0.0.1"), "over TLS"),
            (
                format!("https://fumehood.test:{https}/dns-query#127.0.0.1"),
                "over HTTPS",
            ),
        ]
    }

    fn resolve(&self, way: &str, arguments: &[&str]) -> Fetch {
        at(way)
            .arg("--cacert")
            .arg(&self.authority)
            .env("FUMEHOOD_DNS_TRUST_ANCHORS", self.bind.anchor())
            .args(["--json", "--private-answers"])
            .args(arguments)
    }
}

/// Exit code, cause, and what DNSSEC makes of it.
fn told(finished: &Finished) -> (i32, String, String) {
    let report = finished.report();
    let word = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    (finished.code(), word("cause"), word("dnssec"))
}

#[test]
fn a_signed_zone_is_secure_by_every_way() {
    let asked = Asked::new();
    for (way, over) in asked.ways() {
        for zone in ["bind.test", "hashed.bind.test"] {
            let ask = |owner: &str, kind: &str| {
                let owner = format!("{owner}.{zone}");
                asked.resolve(&way, &["--dnssec", &owner, kind]).run()
            };
            for (owner, address) in [
                ("www", "192.0.2.10"),
                ("alias", "192.0.2.10"),
                ("a.b.wild", "192.0.2.11"),
                ("deep.er", "192.0.2.12"),
            ] {
                let report = found(&ask(owner, "a"));
                assert_eq!(data(&report), [address], "{way}: {report}");
                assert_eq!(report["dnssec"], "secure", "{way}: {report}");
                assert!(report.to_string().contains(over), "{report}");
            }
            let secure = |cause: &str| (6, cause.to_owned(), "secure".to_owned());
            for (owner, kind, cause) in [
                ("no", "a", "no-such-name"),
                ("x.y.no", "a", "no-such-name"),
                ("www", "mx", "no-such-record"),
                ("er", "a", "no-such-record"),
                ("a.wild", "mx", "no-such-record"),
            ] {
                let absent = told(&ask(owner, kind));
                assert_eq!(absent, secure(cause), "{way}: {owner}.{zone} {kind}");
            }
        }
    }
}

#[test]
fn what_udp_cannot_carry_comes_by_tcp_and_the_others_carry_it() {
    let asked = Asked::new();
    for (way, over) in asked.ways() {
        let finished = asked.resolve(&way, &["big.bind.test", "txt"]).run();
        let report = found(&finished);
        assert!(data(&report).concat().len() > 20 * 200, "{report}");
        let expected: &[&str] = match over {
            "over UDP" => &["sent", "received", "truncated", "sent", "received"],
            _ => &["sent", "received"],
        };
        assert_eq!(steps(&report), expected, "{way}");
        let finished = asked.resolve(&way, &["--dnssec", "big.hashed.bind.test", "txt"]);
        assert_eq!(found(&finished.run())["dnssec"], "secure", "{way}");
    }
}

/// The server's own log has it.
#[test]
fn both_families_of_a_name_ask_for_each_key_once() {
    let asked = Asked::new();
    let (way, _) = &asked.ways()[0];
    let finished = asked.resolve(way, &["--dnssec", "www.hashed.bind.test"]);
    let report = found(&finished.run());
    assert_eq!(data(&report), ["2001:db8::10", "192.0.2.10"]);
    assert_eq!(report["dnssec"], "secure");
    let mut questions = asked.bind.questions().unwrap();
    questions.sort();
    assert_eq!(
        questions,
        [
            "bind.test DNSKEY",
            "hashed.bind.test DNSKEY",
            "hashed.bind.test DS",
            "www.hashed.bind.test A",
            "www.hashed.bind.test AAAA",
        ]
    );
}

#[test]
fn who_does_not_believe_the_certificate_asks_nothing() {
    let asked = Asked::new();
    for (way, over) in asked.ways() {
        if over == "over UDP" {
            continue;
        }
        // The authority is not told.
        let finished = at(&way).args(["--json", "www.bind.test", "a"]).run();
        let (code, cause, _) = told(&finished);
        assert_eq!((code, &cause[..]), (6, "unreachable"), "{way}");
    }
    assert_eq!(asked.bind.questions().unwrap(), [""; 0]);
}
