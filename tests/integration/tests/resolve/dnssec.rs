//! DNSSEC, against an nsd with a signed root of its own, and an unbound before it.

use fumehood_tests::certs::TestCa;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::peers::{Nsd, Unbound};
use fumehood_tests::temp::TempDir;
use serde_json::Value;

use crate::{at, data, found, steps};

/// `--dnssec` at a server, from a root's key.
fn validating(server: impl ToString, anchor: &str) -> Fetch {
    at(server).env("FUMEHOOD_DNS_TRUST_ANCHORS", anchor).args([
        "--dnssec",
        "--json",
        "--private-answers",
    ])
}

fn ask(nsd: &Nsd, arguments: &[&str]) -> Finished {
    validating(nsd.address(), nsd.anchor())
        .args(arguments)
        .run()
}

/// Exit code, cause, and what DNSSEC makes of it.
fn told(finished: &Finished) -> (u8, Value, Value) {
    let report = finished.report();
    let code = u8::try_from(finished.code()).unwrap();
    (code, report["cause"].clone(), report["dnssec"].clone())
}

#[test]
fn each_algorithm_and_each_denial_is_validated() {
    let nsd = Nsd::start().unwrap();
    for zone in ["signed", "hashed", "loose"] {
        for (owner, address) in [
            ("www", "192.0.2.10"),
            ("alias", "192.0.2.10"),
            ("deep.er", "192.0.2.12"),
        ] {
            let report = found(&ask(&nsd, &[&format!("{owner}.{zone}.test"), "a"]));
            assert_eq!(data(&report), [address], "{report}");
            assert_eq!(report["dnssec"], "secure", "{report}");
        }
    }
    // What opt-out leaves open is not secure, and no reason to doubt.
    for (zone, security) in [
        ("signed", "secure"),
        ("hashed", "secure"),
        ("loose", "insecure"),
    ] {
        let report = found(&ask(&nsd, &[&format!("a.b.wild.{zone}.test"), "a"]));
        assert_eq!(data(&report), ["192.0.2.11"], "{report}");
        assert_eq!(report["dnssec"], security, "{report}");
        let absent = ask(&nsd, &[&format!("no.{zone}.test"), "a"]);
        assert_eq!(told(&absent), (6, "no-such-name".into(), security.into()));
        let absent = ask(&nsd, &[&format!("www.{zone}.test"), "mx"]);
        assert_eq!(told(&absent), (6, "no-such-record".into(), "secure".into()));
    }
    let both = found(&ask(&nsd, &["www.signed.test"]));
    assert_eq!(data(&both), ["2001:db8::10", "192.0.2.10"]);
    assert_eq!(both["dnssec"], "secure");
}

#[test]
fn what_is_not_signed_is_told_from_what_has_been_tampered_with() {
    let nsd = Nsd::start().unwrap();
    let open = found(&ask(&nsd, &["www.open.test", "a"]));
    assert_eq!(
        (data(&open), &open["dnssec"]),
        (vec!["192.0.2.10".into()], &"insecure".into())
    );
    let costly = ask(&nsd, &["no.costly.test", "a"]);
    assert_eq!(told(&costly), (6, "no-such-name".into(), "insecure".into()));
    for (owner, why) in [
        ("www.expired.test", "has expired"),
        ("www.replaced.test", "none of the keys of replaced.test"),
        ("www.stripped.test", "none of the keys of stripped.test"),
    ] {
        let finished = ask(&nsd, &[owner, "a"]);
        assert_eq!(
            told(&finished),
            (6, "bogus".into(), "bogus".into()),
            "{owner}"
        );
        let report = finished.report();
        let message = report["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
        assert!(steps(&report).iter().any(|it| it == "bogus"), "{report}");
    }
    // Who does not validate sees nothing of it.
    let blind = at(nsd.address()).args(["--json", "--private-answers", "www.expired.test", "a"]);
    let report = found(&blind.run());
    assert_eq!(
        (data(&report), &report["dnssec"]),
        (vec!["192.0.2.10".into()], &Value::Null)
    );
}

#[test]
fn another_root_s_key_makes_all_of_it_bogus() {
    let nsd = Nsd::start().unwrap();
    // The real root's, which is built in.
    let server = at(nsd.address());
    let finished = server
        .args(["--dnssec", "--json", "www.signed.test", "a"])
        .run();
    assert_eq!(told(&finished), (6, "bogus".into(), "bogus".into()));
    let message = finished.report()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("none of the keys of . is"), "{message}");
}

#[test]
fn it_holds_behind_a_forwarder_and_over_tls() {
    let (ca, folder) = (TestCa::new(), TempDir::new().unwrap());
    let file = folder.write("ca.pem", ca.pem()).unwrap();
    let nsd = Nsd::start_tls(&ca.issue()).unwrap();
    let unbound = Unbound::start_before(nsd.address()).unwrap();
    let tls = format!("tls://127.0.0.1:{}", nsd.tls_address().port());
    for server in [unbound.address().to_string(), tls] {
        let ask = |name: &str| {
            let it = validating(&server, nsd.anchor()).arg("--cacert").arg(&file);
            it.args([name, "a"]).run()
        };
        for (name, security) in [
            ("www.signed.test", "secure"),
            ("alias.hashed.test", "secure"),
            ("x.wild.signed.test", "secure"),
            ("www.open.test", "insecure"),
        ] {
            let report = found(&ask(name));
            assert_eq!(report["dnssec"], security, "{server}: {report}");
        }
        let absent = ask("no.hashed.test");
        assert_eq!(told(&absent), (6, "no-such-name".into(), "secure".into()));
        let bogus = ask("www.expired.test");
        assert_eq!(told(&bogus), (6, "bogus".into(), "bogus".into()));
    }
}

#[test]
fn keys_and_delegations_are_told_as_zone_files_have_them() {
    let nsd = Nsd::start().unwrap();
    let keys = found(&ask(&nsd, &["signed.test", "dnskey"]));
    assert_eq!(keys["dnssec"], "secure");
    assert!(data(&keys)[0].starts_with("257 3 14 "), "{keys}");
    let delegation = found(&ask(&nsd, &["signed.test", "ds"]));
    assert_eq!(delegation["dnssec"], "secure");
    let words = data(&delegation)[0].clone();
    assert_eq!(words.split(' ').count(), 4, "{words}");
}

#[test]
fn a_configuration_that_would_validate_nothing_is_refused() {
    let refused = at("127.0.0.1").env("FUMEHOOD_DNS_DNSSEC", "true");
    let finished = refused.args(["--json", "www.test"]).run();
    assert_eq!(finished.code(), 115);
    let message = finished.report()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("dns.mode"), "{message}");
}
