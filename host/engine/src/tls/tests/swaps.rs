//! Another version of the `tls` guest becomes current under connections that stand.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use fumehood_control::{Aftermath, JourneyEvent, ModuleState, ToEmbedder, ToEngine};
use fumehood_policy::Scheme;
use rustls::CipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;

use super::server::{Authority, FlushAll as _, Origin, Stream, TLS12, TLS13, serve};
use crate::registry::{Limits, fixtures};
use crate::tests::exchange::request;
use crate::tests::origin::payload;
use crate::tests::rig::{Done, LIMITS, Rig};

/// Bytes of a response; under TLS 1.3 the server changes its keys in the middle.
const LENGTH: usize = 100_000;

fn rig(authority: &Authority, limits: Limits) -> Rig {
    let all = [
        ("http1", "http1", 1),
        ("tls", "tls", 20),
        ("x509", "x509", 30),
    ];
    Rig::with(limits, &[authority.der()], &all)
}

fn offer(rig: &mut Rig, file: &str, number: u8) {
    let code = fumehood_sandbox::sealed("tls", &[&fixtures::native(file)]).unwrap();
    let answer = rig.offer("tls", &code, number);
    assert!(
        matches!(answer, ToEmbedder::ModuleLoaded { .. }),
        "{answer:?}"
    );
}

fn roll_back(rig: &mut Rig) {
    rig.tell(&ToEngine::Rollback {
        name: "tls".to_owned(),
    });
    let answer = rig.wait_for_swap();
    assert!(matches!(answer, ToEmbedder::Swapped { .. }), "{answer:?}");
}

/// Asks for a response, over an idle connection if there is one.
fn get(rig: &mut Rig, origin: &Origin) -> Done {
    let path = format!("/{LENGTH}");
    let (started, sink) = rig.ask(&request(Scheme::Https, origin.address, &path, false));
    let done = rig.finish(started, sink);
    assert!(done.outcome.is_ok(), "{:?}", done.outcome);
    assert!(done.body == payload(LENGTH));
    done
}

fn is_reused(done: &Done) -> bool {
    matches!(done.journey[0], JourneyEvent::Reused { .. })
}

#[test]
fn an_idle_connection_moves_to_the_new_version_on_its_socket() {
    // TLS 1.2 has nothing left to do behind its handshake, and no guest.
    for (versions, guests) in [(TLS13, 1), (TLS12, 0)] {
        let authority = Authority::new();
        let sound = authority.server(&["127.0.0.1"], versions);
        let origin = Origin::start(vec![(vec![], sound)]);
        let mut rig = rig(&authority, LIMITS);
        assert!(get(&mut rig, &origin).outcome.unwrap().connection_kept);
        rig.wait_for_idle(1, 20, guests);
        offer(&mut rig, "tls", 21);
        rig.swap_of("tls", 21);
        rig.wait_for_idle(1, 21, guests);
        let done = get(&mut rig, &origin);
        assert!(is_reused(&done) && done.made().is_empty() && done.resumed().is_empty());
        assert_eq!(rig.version(20).live, 0);
        roll_back(&mut rig);
        rig.wait_for_idle(1, 20, guests);
        assert!(is_reused(&get(&mut rig, &origin)));
        assert_eq!(rig.version(21).live, 0);
        assert_eq!((origin.connections(), origin.requests().len()), (1, 3));
    }
}

#[test]
fn a_request_that_is_there_before_the_sweep_moves_it_by_itself() {
    let authority = Authority::new();
    let sound = authority.server(&["127.0.0.1"], TLS13);
    let origin = Origin::start(vec![(vec![], sound)]);
    let mut rig = rig(&authority, LIMITS);
    get(&mut rig, &origin);
    offer(&mut rig, "tls", 21);
    // Nobody is told, so nothing is swept.
    rig.hub.registry.swap("tls", fixtures::digest(21)).unwrap();
    let done = get(&mut rig, &origin);
    assert!(is_reused(&done));
    assert_eq!((done.made(), done.resumed()), (vec!["0.0.21"], vec![]));
    assert_eq!(rig.version(20).live, 0);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn what_comes_then_is_shown_to_the_new_version() {
    let authority = Authority::new();
    let sound = authority.server(&["127.0.0.1"], TLS13);
    let origin = Origin::start(vec![(vec![], sound)]);
    let mut rig = rig(&authority, LIMITS);
    get(&mut rig, &origin);
    // Where it has adopted a connection, it traps at every key update.
    offer(&mut rig, "tls-faulty", 21);
    rig.swap_of("tls", 21);
    rig.wait_for_idle(1, 21, 1);
    let done = get(&mut rig, &origin);
    assert!(is_reused(&done));
    assert_eq!(done.resumed(), ["0.0.20"]);
    for _ in 0..2 {
        let report = rig.report();
        assert_eq!(report.header.version, "0.0.21");
        assert_eq!(report.aftermath, Aftermath::Resumed);
    }
    assert_eq!(origin.connections(), 1);
}

/// A server that agrees on this suite and no other.
fn of_suite(authority: &Authority, suite: CipherSuite) -> rustls::ServerConfig {
    let mut provider: CryptoProvider = default_provider();
    provider.cipher_suites.retain(|it| it.suite() == suite);
    authority.server_with(&["127.0.0.1"], TLS13, provider)
}

#[test]
fn where_the_new_version_cannot_go_on_the_connection_ends_and_no_request_does() {
    for (suite, faults) in [
        // It says so, which is no fault.
        (CipherSuite::TLS13_AES_128_GCM_SHA256, 0),
        (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, 1),
    ] {
        for swept in [true, false] {
            let authority = Authority::new();
            let origin = Origin::start(vec![(vec![], of_suite(&authority, suite))]);
            let mut rig = rig(&authority, LIMITS);
            get(&mut rig, &origin);
            offer(&mut rig, "tls-faulty", 21);
            if swept {
                rig.swap_of("tls", 21);
                rig.wait_for_idle(0, 21, 0);
            } else {
                rig.hub.registry.swap("tls", fixtures::digest(21)).unwrap();
            }
            let done = get(&mut rig, &origin);
            assert_eq!(done.made(), ["0.0.21", "0.0.30", "0.0.1"]);
            assert!(!is_reused(&done));
            assert_eq!(origin.connections(), 2, "{suite:?}");
            // The report comes behind the fault, which a sweep may count late.
            if faults > 0 {
                let report = rig.report();
                assert_eq!(
                    (&*report.kind, report.aftermath),
                    ("trap", Aftermath::Failed)
                );
            }
            assert_eq!(rig.version(21).faults, faults, "{suite:?}");
            assert_eq!(rig.version(21).state, ModuleState::Current);
        }
    }
}

/// Reads a request's head.
fn head(stream: &mut Stream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
}

/// The deadline of a drain ends nothing: the version is a candidate again, and what
/// is under way with it goes on with it. Its connection is moved when it is idle.
#[test]
fn an_exchange_under_way_outlives_the_drain_and_its_connection_moves_then() {
    let authority = Authority::new();
    let (open, gate) = mpsc::channel::<()>();
    let server = serve(authority.server(&["127.0.0.1"], TLS13), move |stream| {
        head(stream);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha";
        stream.write_all(answer).unwrap();
        stream.flush_all();
        gate.recv().unwrap();
        stream.conn.refresh_traffic_keys().unwrap();
        stream.write_all(b"lf").unwrap();
        stream.flush_all();
        head(stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        stream.flush_all();
    });
    let limits = Limits {
        drain: Duration::from_millis(50),
        ..LIMITS
    };
    let mut rig = rig(&authority, limits);
    let asked = request(Scheme::Https, server.address, "/", false);
    let (started, sink) = rig.ask(&asked);
    rig.wait_for_head(started);
    offer(&mut rig, "tls", 21);
    rig.swap_of("tls", 21);
    rig.wait_until(20, ModuleState::Candidate);
    assert_eq!((rig.version(20).live, rig.version(21).live), (1, 0));
    open.send(()).unwrap();
    let done = rig.finish(started, sink);
    assert!(done.outcome.unwrap().connection_kept && done.body == b"half");
    let (started, sink) = rig.ask(&asked);
    let done = rig.finish(started, sink);
    assert!(is_reused(&done) && done.outcome.is_ok());
    assert_eq!(done.made(), ["0.0.21"]);
    assert_eq!(rig.version(20).live, 0);
    server.join();
}
