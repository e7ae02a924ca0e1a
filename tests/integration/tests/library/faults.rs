//! Guests in an attacker's hands: whatever one does, its exchange ends with a
//! typed error, its neighbours finish byte for byte, and the engine goes on.

use std::time::{Duration, Instant};

use fumehood::Error;
use fumehood::control::Cause;
use fumehood_tests::hostile::{Gate, Script, Server};

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, engine, fetch, own, with_faulty_http1};

pub(crate) const TESTS: [Test; 5] = [
    test("faults::a_trap", || Box::pin(fault("trap", "trap"))),
    test("faults::a_hang", || Box::pin(fault("hang", "hang"))),
    test("faults::hunger_for_memory", || {
        Box::pin(fault("memory", "memory"))
    }),
    test("faults::lies", || Box::pin(lies())),
    test("faults::the_real_guest_knows_no_fault", || {
        Box::pin(no_fault())
    }),
];

/// Transfers under way while the guest is subverted.
const NEIGHBOURS: usize = 4;

/// Bytes of each neighbour's content; half of them come before.
const CONTENT: usize = 4 << 20;

/// A call into a guest may take half a second; a crowded machine gets the rest.
const TYPED_WITHIN: Duration = Duration::from_secs(5);

fn poison(fault: &str) -> Script {
    Script::answer(format!(
        "HTTP/1.1 200 OK\r\nx-fumehood-fault: {fault}\r\ncontent-length: 5\r\n\r\nhello"
    ))
}

fn held(gate: &Gate) -> Script {
    let block: Vec<u8> = (0..=255).collect();
    let times = CONTENT / 2 / block.len();
    Script::answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {CONTENT}\r\n\r\n"
    ))
    .repeat(block.clone(), times)
    .gate(gate)
    .repeat(block, times)
}

fn is_exact(content: &[u8]) -> bool {
    let counted = content.iter().zip((0..=255_u8).cycle());
    content.len() == CONTENT && counted.into_iter().all(|(found, wanted)| *found == wanted)
}

/// Runs a poisoned exchange among honest ones; gives how it ended.
async fn among_neighbours(fault: &str) -> Error {
    let engine = builder()
        .modules(with_faulty_http1())
        .launch()
        .await
        .unwrap();
    let before = own("engine").pid;
    let gate = Gate::new();
    let honest = Server::start(vec![held(&gate)]);
    let hostile = Server::start(vec![poison(fault)]);
    let mut neighbours = tokio::task::JoinSet::new();
    for _ in 0..NEIGHBOURS {
        let (engine, url) = (engine.clone(), honest.url("/"));
        neighbours.spawn(async move { fetch(&engine, &url).await });
    }
    // All of them are in the middle of their content when it happens.
    let arrivals = gate.clone();
    tokio::task::spawn_blocking(move || arrivals.wait_for(NEIGHBOURS))
        .await
        .unwrap();
    let begun = Instant::now();
    let error = fetch(&engine, &hostile.url("/")).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took < TYPED_WITHIN, "{fault} took {took:?}");
    gate.open();
    while let Some(neighbour) = neighbours.join_next().await {
        assert!(
            is_exact(&neighbour.unwrap().unwrap()),
            "{fault}: a neighbour was hurt"
        );
    }
    let after = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &after.url("/")).await.unwrap(), b"hello");
    assert_eq!(
        own("engine").pid,
        before,
        "{fault}: the engine is another one"
    );
    error
}

async fn fault(name: &'static str, kind: &'static str) {
    let error = among_neighbours(name).await;
    assert!(matches!(error, Error::Guest(_)), "{error:?}");
    let Some(Cause::Guest {
        module,
        kind: found,
        detail,
        ..
    }) = error.cause()
    else {
        panic!("{error:?}");
    };
    assert_eq!((&**module, &**found), ("http1", kind), "{error:?}");
    assert!(!detail.is_empty() && detail.len() <= 1024, "{error:?}");
    assert!(!detail.contains(char::is_control), "{error:?}");
}

async fn lies() {
    let error = among_neighbours("garbage").await;
    assert!(matches!(error, Error::Guest(_)), "{error:?}");
}

async fn no_fault() {
    let engine = engine().await;
    for fault in ["trap", "hang", "memory", "garbage"] {
        let server = Server::start(vec![poison(fault)]);
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    }
}
