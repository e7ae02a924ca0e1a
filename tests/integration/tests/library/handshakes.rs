//! Guests of TLS in a server's hand, in the real processes: the request is
//! answered all the same, the server gets it once, and a report says what
//! became of it.

use std::sync::Arc;

use fumehood::crashes::{self, CrashReport};
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
use crate::support::{HELLO, builder, fetch};

pub(crate) const TESTS: [Test; 3] = [
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

/// An engine whose newest version of `module` is the faulty one.
async fn with_faulty(module: &str, ca: &TestCa, folder: &TempDir) -> Engine {
    let file = folder.join(format!("{module}@9.0.0.wasm"));
    std::fs::copy(component(&format!("{module}-faulty")), &file).unwrap();
    let engine = builder()
        .anchors(Anchors::Der(vec![ca.certificate().clone()]))
        .crash_reports(CrashReports::In(folder.join("crashes")))
        .module_cache(folder.join("cache"))
        .compiler(program("fumehood-compiler"))
        .launch()
        .await
        .unwrap();
    let loaded = engine.modules().load(&file, None).await.unwrap();
    engine.modules().swap(module, loaded.digest).await.unwrap();
    engine
}

/// Fetches once; gives the reports and the number of connections.
async fn answered(
    module: &str,
    names: &[&str],
    server: impl FnOnce(CryptoProvider) -> (CryptoProvider, fn(&mut ServerConfig)),
) -> (Vec<CrashReport>, usize) {
    let (ca, folder) = (TestCa::new(), TempDir::new().unwrap());
    let engine = with_faulty(module, &ca, &folder).await;
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

async fn retried() {
    let asking = |provider| {
        let provider = CryptoProvider {
            secure_random: &Asking,
            ..provider
        };
        (provider, (|_| {}) as fn(&mut ServerConfig))
    };
    let (reports, connections) = answered("tls", &["127.0.0.1"], asking).await;
    // The same version once more, then the one before.
    assert_eq!(aftermaths(&reports), ["retried", "retried"]);
    assert_eq!(connections, 3);
}

async fn resumed() {
    let ticketing = |provider| {
        let adjust = |config: &mut ServerConfig| config.ticketer = Arc::new(Asking);
        (provider, adjust as fn(&mut ServerConfig))
    };
    let (reports, connections) = answered("tls", &["127.0.0.1"], ticketing).await;
    assert_eq!(aftermaths(&reports), ["resumed", "resumed"]);
    assert_eq!(connections, 1);
}

async fn judged() {
    let as_it_is = |provider| (provider, (|_| {}) as fn(&mut ServerConfig));
    let named = format!("{TRAP}.test");
    let (reports, connections) = answered("x509", &["127.0.0.1", &named], as_it_is).await;
    assert_eq!(aftermaths(&reports), ["resumed", "resumed"]);
    assert_eq!(connections, 1);
}
