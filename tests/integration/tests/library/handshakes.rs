//! Guests of TLS in a server's hand, in the real processes: the request is
//! answered all the same, the server gets it once, and a report says what
//! became of it.

use std::sync::Arc;

use fumehood::control::Digest;
use fumehood::crashes::{self, CrashReport};
use fumehood::replay::{ReplayError, Replayed, replay};
use fumehood::{Anchors, CrashReports, Engine};
use fumehood_tests::artifacts::{component, program};
use fumehood_tests::certs::TestCa;
use fumehood_tests::hostile::{Script, Server, server_config_with};
use fumehood_tests::temp::TempDir;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom};
use rustls::server::ProducesTickets;
use rustls::{ServerConfig, version};

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, fetch, until};

pub(crate) const TESTS: [Test; 5] = [
    test("handshakes::one_that_ends_the_guest_is_made_again", || {
        Box::pin(retried())
    }),
    test(
        "handshakes::a_ticket_that_ends_the_guest_is_no_matter",
        || Box::pin(resumed()),
    ),
    test("handshakes::a_chain_that_ends_its_judge_is_judged", || {
        Box::pin(judged())
    }),
    test("handshakes::a_swap_keeps_idle_connections", || {
        Box::pin(swapped())
    }),
    test("handshakes::what_was_recorded_ends_the_guest_again", || {
        Box::pin(replayed())
    }),
];

/// What the faulty guests look for; see `tests/programs`.
const TRAP: &str = "fumehood-fault-trap";

/// Length of the random of a hello.
const RANDOM: usize = 32;

/// Asks for a trap in every hello, or in every ticket.
#[derive(Debug)]
struct Asking;

impl SecureRandom for Asking {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        if bytes.len() != RANDOM {
            return default_provider().secure_random.fill(bytes);
        }
        bytes.fill(0);
        bytes[..TRAP.len()].copy_from_slice(TRAP.as_bytes());
        Ok(())
    }
}

impl ProducesTickets for Asking {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
        Some(TRAP.as_bytes().to_vec())
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// What is changed of a server.
type Adjust = fn(&mut ServerConfig);

/// An engine that has loaded the faulty version of `module`; and its digest.
async fn with_candidate(module: &str, ca: &TestCa, folder: &TempDir) -> (Engine, Digest) {
    let file = folder.join(format!("{module}@9.0.0.wasm"));
    std::fs::copy(component(&format!("{module}-faulty")), &file).unwrap();
    let engine = builder()
        .anchors(Anchors::Der(vec![ca.certificate().clone()]))
        .crash_reports(CrashReports::In(folder.join("crashes")))
        .module_cache(folder.join("cache"))
        .compiler(program("fumehood-compiler"))
        .record(true)
        .launch()
        .await
        .unwrap();
    let loaded = engine.modules().load(&file, None).await.unwrap();
    (engine, loaded.digest)
}

/// An engine whose newest version of `module` is the faulty one.
async fn with_faulty(module: &str, ca: &TestCa, folder: &TempDir) -> Engine {
    let (engine, digest) = with_candidate(module, ca, folder).await;
    engine.modules().swap(module, digest).await.unwrap();
    engine
}

/// Fetches once; gives the reports and the number of connections.
async fn answered(
    module: &str,
    names: &[&str],
    server: fn(CryptoProvider) -> (CryptoProvider, Adjust),
    folder: &TempDir,
) -> (Vec<CrashReport>, usize) {
    let ca = TestCa::new();
    let engine = with_faulty(module, &ca, folder).await;
    let (provider, adjust) = server(default_provider());
    let identity = ca.issue_for(names);
    let mut config = server_config_with(&identity, &[&version::TLS13], provider);
    adjust(&mut config);
    let server = Server::start_tls(Arc::new(config), vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    assert_eq!(server.requests().concat().len(), 1);
    engine.flush_reports().await;
    let reports = crashes::list(&folder.join("crashes")).unwrap();
    assert!(reports.iter().all(|report| report.module == module));
    assert!(reports.iter().all(|report| report.kind == "trap"));
    (reports, server.connections())
}

fn aftermaths(reports: &[CrashReport]) -> Vec<&str> {
    reports
        .iter()
        .map(|report| report.aftermath.as_str())
        .collect()
}

/// A server that asks in its hello.
fn asking(provider: CryptoProvider) -> (CryptoProvider, Adjust) {
    let provider = CryptoProvider {
        secure_random: &Asking,
        ..provider
    };
    (provider, |_| {})
}

/// One that asks in a ticket.
fn ticketing(provider: CryptoProvider) -> (CryptoProvider, Adjust) {
    (provider, |config| config.ticketer = Arc::new(Asking))
}

async fn retried() {
    let folder = TempDir::new().unwrap();
    let (reports, connections) = answered("tls", &["127.0.0.1"], asking, &folder).await;
    // The same version once more, then the one before.
    assert_eq!(aftermaths(&reports), ["retried", "retried"]);
    assert_eq!(connections, 3);
}

async fn resumed() {
    let folder = TempDir::new().unwrap();
    let (reports, connections) = answered("tls", &["127.0.0.1"], ticketing, &folder).await;
    assert_eq!(aftermaths(&reports), ["resumed", "resumed"]);
    assert_eq!(connections, 1);
}

async fn judged() {
    let folder = TempDir::new().unwrap();
    let as_it_is = |provider| (provider, (|_| {}) as Adjust);
    let named = format!("{TRAP}.test");
    let names = ["127.0.0.1", &named];
    let (reports, connections) = answered("x509", &names, as_it_is, &folder).await;
    assert_eq!(aftermaths(&reports), ["resumed", "resumed"]);
    assert_eq!(connections, 1);
}

/// The server sees one connection, whichever version is current; under TLS 1.3 the
/// guest behind it is of that version, under TLS 1.2 there is none.
async fn swapped() {
    for (version, guests) in [(&version::TLS13, 1), (&version::TLS12, 0)] {
        let folder = TempDir::new().unwrap();
        let ca = TestCa::new();
        let (engine, digest) = with_candidate("tls", &ca, &folder).await;
        let identity = ca.issue_for(&["127.0.0.1"]);
        let config = server_config_with(&identity, &[version], default_provider());
        let script = Script::answers(&[HELLO; 3]).then_stall();
        let server = Server::start_tls(Arc::new(config), vec![script]);
        let modules = engine.modules();
        // How many instances there are of the newer version, and of the older.
        let live = async || {
            let all = modules.inspect("tls").await.unwrap();
            let of = |newer: bool| {
                let mut found = all.iter().filter(|it| (it.version == "9.0.0") == newer);
                found.next().unwrap().in_use.unwrap().live
            };
            (of(true), of(false))
        };
        let idle = async || engine.status().await.activity.unwrap().pool.idle;
        // A connection that is just being moved is nobody's for a moment.
        let moved = async |to: (u64, u64)| {
            let there = async || live().await == to && idle().await == 1;
            until(&format!("{to:?} of the newer and the older"), there).await;
        };
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
        moved((0, guests)).await;
        modules.swap("tls", digest).await.unwrap();
        moved((guests, 0)).await;
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
        modules.rollback("tls").await.unwrap();
        moved((0, guests)).await;
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
        assert_eq!(server.requests().concat().len(), 3);
        assert_eq!((server.connections(), server.open_connections()), (1, 1));
    }
}

/// In a child that has no network and got no key; the server is gone.
async fn replayed() {
    let folder = TempDir::new().unwrap();
    let crashes = folder.join("crashes");
    let faulty = folder.join("tls@9.0.0.wasm");
    for server in [asking, ticketing] {
        let (reports, _) = answered("tls", &["127.0.0.1"], server, &folder).await;
        let mut ends = Vec::new();
        for report in &reports {
            let file = crashes.join(report.recording.as_ref().unwrap());
            let trail = crashes::read_trail(&file).unwrap();
            for _ in 0..2 {
                let again = replay(&trail, Some((&faulty, None))).await.unwrap();
                assert!(trail.is_reproduced_by(&again), "{again:?}");
                ends.push(again);
            }
            let sound = component("tls");
            let other = replay(&trail, Some((&sound, None))).await.unwrap();
            assert_eq!(other, Replayed::Survived);
        }
        // Every byte of an end is the same each time.
        assert!(!ends.is_empty());
        assert!(ends.chunks(2).all(|two| two[0] == two[1]));
        // Another version's recording does not fit, and is said not to.
        let file = crashes.join(reports[0].recording.as_ref().unwrap());
        let mut trail = crashes::read_trail(&file).unwrap();
        let random = trail
            .calls
            .iter()
            .position(|call| call.function == "keys/random");
        if let Some(random) = random {
            trail.calls.remove(random);
            let error = replay(&trail, Some((&faulty, None))).await.unwrap_err();
            assert!(matches!(&error, ReplayError::Diverged(_)), "{error}");
            let words = format!("at step {random} the guest asks for keys/random");
            assert!(error.to_string().contains(&words), "{error}");
        }
        std::fs::remove_dir_all(&crashes).unwrap();
    }
}
