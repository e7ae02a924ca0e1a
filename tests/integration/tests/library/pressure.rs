//! Memory that runs short: idle connections go, no exchange is begun, and
//! those under way are none the worse.

use std::time::{Duration, Instant};

use fumehood::control::Cause;
use fumehood::{Engine, Limits};
use fumehood_tests::hostile::{Gate, Script, Server};
use tokio::task::JoinSet;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, fetch, resident};

pub(crate) const TESTS: [Test; 1] = [test(
    "pressure::idle_connections_make_way_and_exchanges_go_on",
    || Box::pin(budget()),
)];

/// Exchanges under way: enough that their guests outweigh everything else.
const UNDER_WAY: usize = 100;

/// Connections that wait; as many are kept to one origin.
const IDLE: usize = 6;

/// Pressure is looked at every two seconds; a crowded machine gets the rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// Half of the content, the rest when the gate opens.
fn halved(gate: &Gate) -> Script {
    Script::answer("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\n12345")
        .gate(gate)
        .send("67890")
}

/// Begins exchanges, all of which are in the middle of their content then.
async fn begin(engine: &Engine, server: &Server, gate: &Gate) -> JoinSet<Vec<u8>> {
    let mut under_way = JoinSet::new();
    for _ in 0..UNDER_WAY {
        let (engine, url) = (engine.clone(), server.url("/"));
        under_way.spawn(async move { fetch(&engine, &url).await.unwrap() });
    }
    let arrivals = gate.clone();
    tokio::task::spawn_blocking(move || arrivals.wait_for(UNDER_WAY))
        .await
        .unwrap();
    under_way
}

/// All at one origin.
fn crowd() -> Limits {
    Limits {
        max_per_origin: u32::try_from(UNDER_WAY).unwrap(),
        ..Limits::default()
    }
}

/// What the engine takes at rest, and with its exchanges under way.
async fn measure() -> (u64, u64) {
    let engine = builder().limits(crowd()).launch().await.unwrap();
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let rest = resident(&engine).await;
    let under_way = begin(&engine, &server, &gate).await;
    let busy = resident(&engine).await;
    gate.open();
    under_way.join_all().await;
    (rest, busy)
}

async fn budget() {
    let (rest, busy) = measure().await;
    assert!(
        busy > rest * 4 / 3,
        "{rest} bytes at rest, {busy} when busy"
    );
    // Above it when busy by more than a step of what is told; below it at rest.
    let memory_bytes = busy * 10 / 13;
    assert!(
        rest < memory_bytes,
        "{rest} of {memory_bytes} bytes at rest"
    );
    let limits = Limits {
        memory_bytes,
        ..crowd()
    };
    let engine = builder().limits(limits).launch().await.unwrap();

    let waiting = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let mut fetched = JoinSet::new();
    for _ in 0..IDLE {
        let (engine, url) = (engine.clone(), waiting.url("/"));
        fetched.spawn(async move { fetch(&engine, &url).await.unwrap() });
    }
    fetched.join_all().await;
    assert!(waiting.open_connections() > 0);

    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let under_way = begin(&engine, &server, &gate).await;
    waiting.wait_until_closed().await;
    let other = Server::start(vec![Script::answers(&[HELLO])]);
    let begun = Instant::now();
    loop {
        let refused = fetch(&engine, &other.url("/")).await;
        if refused.is_err_and(|error| error.cause() == Some(&Cause::Busy) && error.is_retryable()) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "no exchange is refused");
    }

    gate.open();
    for content in under_way.join_all().await {
        assert_eq!(content, b"1234567890");
    }
    // However much the pool keeps for the next, there is a next.
    assert_eq!(fetch(&engine, &other.url("/")).await.unwrap(), b"hello");
}
