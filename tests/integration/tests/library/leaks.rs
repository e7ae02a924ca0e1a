//! Whatever happens to an exchange, nothing of it stays.

use std::fs;
use std::time::Duration;

use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::processes::{Process, own_descriptors};

use crate::harness::{Test, test};
use crate::support::{HELLO, engine, fetch, get, own};

pub(crate) const TESTS: [Test; 2] = [
    test(
        "leaks::no_descriptor_stays_open",
        || Box::pin(descriptors()),
    ),
    test("leaks::a_dropped_response_is_cancelled", || {
        Box::pin(cancelled())
    }),
];

/// Exchanges of each kind. A leak of one descriptor in each would double the
/// table of any of the processes more than once.
const ROUNDS: usize = 60;

/// Descriptors of another process: those open, for who may look, or else the
/// size of its table.
fn descriptors_of(process: &Process) -> u64 {
    match fs::read_dir(format!("/proc/{}/fd", process.pid)) {
        Ok(entries) => entries.count() as u64,
        Err(_) => process.descriptor_table().unwrap(),
    }
}

async fn descriptors() {
    let engine = engine().await;
    // The last script of each is played again and again.
    let servers = [
        Server::start(vec![Script::answer(HELLO)]),
        Server::start(vec![Script::answer("garbage\r\n\r\n")]),
        Server::start(vec![Script::answer(
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        )]),
        Server::start(vec![Script::new().request().then_reset()]),
        Server::start_raw_https(vec![Script::answer("not TLS\r\n\r\n")]),
    ];
    let denied = "http://10.0.0.1/";
    let round = async || {
        for server in &servers {
            // How each of these ends is told elsewhere.
            let _ended = fetch(&engine, &server.url("/")).await;
        }
        let _denied = fetch(&engine, denied).await;
        let _dropped = engine.client().send(get(&servers[0].url("/"))).await;
    };
    for _ in 0..3 {
        round().await;
    }
    let count = || {
        let others = [
            descriptors_of(&own("engine")),
            descriptors_of(&own("broker")),
        ];
        (own_descriptors(), others)
    };
    let before = count();
    for _ in 0..ROUNDS {
        round().await;
    }
    // What is still being closed is closed soon; a leak is there for ever.
    let grown = || {
        let (ours, [engine, broker]) = count();
        (ours.saturating_sub(before.0) as u64)
            .max(engine.saturating_sub(before.1[0]))
            .max(broker.saturating_sub(before.1[1]))
    };
    let settled = until(|| grown() < ROUNDS as u64 / 4).await;
    assert!(settled, "{before:?} to {:?}", count());
}

/// Longest that anybody takes to close what is over.
const SOON: Duration = Duration::from_secs(10);

/// Whether it comes to hold.
async fn until(holds: impl Fn() -> bool) -> bool {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.is_ok()
}

async fn cancelled() {
    let engine = engine().await;
    let stalled = Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").then_stall();
    let server = Server::start(vec![stalled]);
    let response = engine.client().send(get(&server.url("/"))).await.unwrap();
    assert_eq!(server.open_connections(), 1);
    drop(response);
    server.wait_until_closed().await;
}
