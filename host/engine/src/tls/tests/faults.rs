//! A guest that a server has in its hand, in a handshake and behind it: what
//! becomes of the exchange, what is told of it, and that nobody gets in unproven.

use fumehood_control::{Aftermath, Cause, FaultReport, JourneyEvent};
use fumehood_policy::Scheme;

use super::server::{Authority, Origin, record};
use crate::tests::exchange::request;
use crate::tests::origin::payload;
use crate::tests::rig::{Done, LIMITS, Rig};

/// Versions of a module, by file and number; the last is current.
type Versions = &'static [(&'static str, u8)];

const GOOD_TLS: Versions = &[("tls", 20)];
const BAD_TLS: Versions = &[("tls-faulty", 21)];
const BOTH_TLS: Versions = &[("tls", 20), ("tls-faulty", 21)];
const GOOD_X509: Versions = &[("x509", 30)];
const BAD_X509: Versions = &[("x509-faulty", 31)];
const BOTH_X509: Versions = &[("x509", 30), ("x509-faulty", 31)];

/// Bytes of a response; the server changes its keys in the middle.
const LENGTH: usize = 300_000;

fn rig(authority: &Authority, tls: Versions, x509: Versions) -> Rig {
    let mut all = vec![("http1", "http1", 1)];
    all.extend(tls.iter().map(|&(file, number)| ("tls", file, number)));
    all.extend(x509.iter().map(|&(file, number)| ("x509", file, number)));
    Rig::with(LIMITS, &[authority.der()], &all)
}

pub(super) fn get(rig: &mut Rig, origin: &Origin) -> Done {
    let request = request(Scheme::Https, origin.address, &format!("/{LENGTH}"), true);
    let (started, sink) = rig.ask(&request);
    rig.finish(started, sink)
}

/// One exchange came whole, and the server saw its request once.
fn is_whole(done: &Done, origin: &Origin) {
    assert!(done.outcome.is_ok(), "{:?}", done.outcome);
    assert!(done.body == payload(LENGTH));
    let port = origin.address.port();
    let sent = format!("GET /{LENGTH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    assert_eq!(origin.requests(), [sent]);
}

fn retries(done: &Done) -> usize {
    let retried = |event: &&JourneyEvent| matches!(event, JourneyEvent::Retried);
    done.journey.iter().filter(retried).count()
}

/// So many reports, of this kind and with this end.
fn reports(rig: &mut Rig, count: usize, kind: &str, aftermath: Aftermath) -> FaultReport {
    let all: Vec<FaultReport> = (0..count).map(|_| rig.report()).collect();
    for report in &all {
        assert_eq!((report.kind.as_str(), report.aftermath), (kind, aftermath));
    }
    // There is no other.
    assert_eq!(all.last().unwrap().number, count as u64);
    let faults: u64 = rig.inventory().iter().map(|version| version.faults).sum();
    assert_eq!(faults, count as u64);
    all.into_iter().next().unwrap()
}

#[test]
fn a_handshake_that_ends_a_guest_is_made_again_with_the_same_version() {
    let authority = Authority::new();
    for (fault, kind) in [
        ("trap", "trap"),
        ("hang", "hang"),
        ("memory", "memory"),
        ("garbage", "trap"),
        ("end", "trap"),
        ("swapped", "trap"),
    ] {
        let mut rig = rig(&authority, BAD_TLS, GOOD_X509);
        let sound = authority.server(&["127.0.0.1"], super::server::TLS13);
        let each = vec![(vec![], authority.asking(fault)), (vec![], sound)];
        let origin = Origin::start(each);
        let done = get(&mut rig, &origin);
        is_whole(&done, &origin);
        assert_eq!((origin.connections(), retries(&done)), (2, 1), "{fault}");
        assert_eq!(done.made(), ["0.0.21", "0.0.30", "0.0.1"]);
        let report = reports(&mut rig, 1, kind, Aftermath::Retried);
        assert_eq!(report.header.name, "tls");
    }
}

#[test]
fn a_handshake_that_ends_every_instance_of_a_version_is_made_with_the_one_before() {
    let authority = Authority::new();
    let mut rig = rig(&authority, BOTH_TLS, GOOD_X509);
    let origin = Origin::start(vec![(vec![], authority.asking("trap"))]);
    let done = get(&mut rig, &origin);
    is_whole(&done, &origin);
    assert_eq!((origin.connections(), retries(&done)), (3, 2));
    assert_eq!(done.made(), ["0.0.20", "0.0.30", "0.0.1"]);
    reports(&mut rig, 2, "trap", Aftermath::Retried);
}

#[test]
fn a_handshake_that_ends_every_version_is_one_typed_error() {
    let authority = Authority::new();
    let both: Versions = &[("tls-faulty", 20), ("tls-faulty", 21)];
    for (fault, kind) in [
        ("trap", "trap"),
        ("hang", "hang"),
        ("memory", "memory"),
        ("garbage", "trap"),
        ("handles", "handles"),
        ("transfer", "transfer"),
    ] {
        let mut rig = rig(&authority, both, GOOD_X509);
        let origin = Origin::start(vec![(vec![], authority.asking(fault))]);
        let done = get(&mut rig, &origin);
        assert_eq!(done.guest_fault().0, kind);
        assert_eq!((origin.connections(), retries(&done)), (3, 2), "{fault}");
        assert!(origin.requests().is_empty() && done.body.is_empty());
        reports(&mut rig, 3, kind, Aftermath::Failed);
    }
}

#[test]
fn a_verifier_that_ends_is_started_again_and_asked_again() {
    let authority = Authority::new();
    let mut rig = rig(&authority, GOOD_TLS, BAD_X509);
    let plain = authority.server(&["127.0.0.1"], super::server::TLS13);
    let origin = Origin::start(vec![(vec![], plain)]);
    is_whole(&get(&mut rig, &origin), &origin);
    let origin = Origin::start(vec![(vec![], authority.named("once"))]);
    let done = get(&mut rig, &origin);
    is_whole(&done, &origin);
    // The peer noticed nothing.
    assert_eq!((origin.connections(), retries(&done)), (1, 0));
    let report = reports(&mut rig, 1, "trap", Aftermath::Resumed);
    assert_eq!(report.header.name, "x509");
}

#[test]
fn a_chain_that_ends_every_instance_of_a_verifier_is_judged_by_the_version_before() {
    let authority = Authority::new();
    for kind in ["trap", "hang", "memory"] {
        let mut rig = rig(&authority, GOOD_TLS, BOTH_X509);
        let origin = Origin::start(vec![(vec![], authority.named(kind))]);
        let done = get(&mut rig, &origin);
        is_whole(&done, &origin);
        assert_eq!(origin.connections(), 1);
        assert_eq!(done.made(), ["0.0.20", "0.0.30", "0.0.1"]);
        reports(&mut rig, 2, kind, Aftermath::Resumed);
    }
}

#[test]
fn a_chain_that_nobody_survives_is_not_believed() {
    let authority = Authority::new();
    for kind in ["trap", "memory"] {
        let both: Versions = &[("x509-faulty", 30), ("x509-faulty", 31)];
        let mut rig = rig(&authority, GOOD_TLS, both);
        let origin = Origin::start(vec![(vec![], authority.named(kind))]);
        let done = get(&mut rig, &origin);
        let (told, detail) = done.guest_fault();
        assert_eq!(told, kind);
        assert!(detail.contains("no other instance could judge"), "{detail}");
        assert!(origin.requests().is_empty());
        assert_eq!(origin.connections(), 1);
        reports(&mut rig, 4, kind, Aftermath::Failed);
    }
}

#[test]
fn a_key_that_is_not_the_leafs_opens_nothing() {
    let authority = Authority::new();
    for fault in ["other", "nokey"] {
        let mut rig = rig(&authority, GOOD_TLS, BAD_X509);
        let origin = Origin::start(vec![(vec![], authority.named(fault))]);
        let cause = get(&mut rig, &origin).outcome.unwrap_err().cause;
        assert!(matches!(cause, Cause::Tls(_)), "{fault}: {cause:?}");
        assert!(origin.requests().is_empty());
    }
}

/// The server's certificate is nobody's, and the guest does what it can to
/// have it connected all the same.
#[test]
fn a_guest_that_skips_the_verifier_gets_no_keys() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mut refused = 0;
    for serial in 1..=16 {
        let mut rig = rig(&ours, BAD_TLS, GOOD_X509);
        let origin = Origin::start(vec![(vec![], theirs.asking(&format!("skip:{serial}")))]);
        let done = get(&mut rig, &origin);
        let (_, detail) = done.guest_fault();
        refused += usize::from(detail.contains("the peer is not authenticated"));
        assert!(origin.requests().is_empty());
        assert!(
            done.journey
                .iter()
                .all(|event| !matches!(event, JourneyEvent::Tls(_)))
        );
    }
    // One of the numbers was the handshake's secret, and the keys were real.
    assert_eq!(refused, 1);
}

/// The server shows a certificate that is somebody else's and genuine. It is
/// believed; what is missing is its owner's signature.
#[test]
fn a_guest_that_has_anothers_certificate_judged_gets_no_keys() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let genuine = ours.leaf(&["127.0.0.1"]);
    let mut refused = 0;
    for serial in 1..=16 {
        let mut rig = rig(&ours, BAD_TLS, GOOD_X509);
        let ahead = record(&[b"vouch ", &genuine[..]].concat());
        let origin = Origin::start(vec![(ahead, theirs.asking(&format!("skip:{serial}")))]);
        let done = get(&mut rig, &origin);
        let (_, detail) = done.guest_fault();
        refused += usize::from(detail.contains("the peer is not authenticated"));
        assert!(origin.requests().is_empty());
        let judged = |version: fumehood_control::ModuleStatus| {
            version.header.name == "x509" && version.made > 0
        };
        assert!(
            rig.inventory().into_iter().any(judged),
            "the verifier was asked"
        );
    }
    assert_eq!(refused, 1);
}

#[test]
fn what_ends_a_guest_behind_the_handshake_is_shown_to_another() {
    let authority = Authority::new();
    for (fault, kind) in [
        ("trap", "trap"),
        ("hang", "hang"),
        ("memory", "memory"),
        ("garbage", "trap"),
        // Over a key update, when its keys were derived already.
        ("update", "trap"),
    ] {
        let mut rig = rig(&authority, BOTH_TLS, GOOD_X509);
        let origin = Origin::start(vec![(vec![], authority.ticketing(fault))]);
        let done = get(&mut rig, &origin);
        is_whole(&done, &origin);
        assert_eq!((origin.connections(), retries(&done)), (1, 0));
        assert_eq!(done.made(), ["0.0.21", "0.0.30", "0.0.1"]);
        assert_eq!(done.resumed(), ["0.0.20"], "{fault}");
        reports(&mut rig, 2, kind, Aftermath::Resumed);
    }
}

#[test]
fn without_a_guest_data_goes_on_and_new_keys_end_it() {
    let authority = Authority::new();
    let both: Versions = &[("tls-faulty", 20), ("tls-faulty", 21)];
    let mut rig = rig(&authority, both, GOOD_X509);
    let origin = Origin::start(vec![(vec![], authority.ticketing("trap"))]);
    let done = get(&mut rig, &origin);
    // All that came under the keys that the host has.
    assert_eq!(done.head.as_ref().unwrap().status, 200);
    assert!(done.body == payload(LENGTH)[..LENGTH / 2]);
    assert_eq!(done.guest_fault().0, "trap");
    reports(&mut rig, 3, "trap", Aftermath::WentOn);
}
