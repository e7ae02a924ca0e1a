//! Each deadline by its phase.

use std::time::{Duration, Instant};

use fumehood::control::Cause;
use fumehood_tests::hostile::{Gate, Script, Server, Step};

use crate::harness::{Test, test};
use crate::support::{HELLO, cause, content, engine, fetch, get_within};

pub(crate) const TESTS: [Test; 5] = [
    test("time::a_head_that_does_not_come", || Box::pin(head())),
    test("time::a_head_that_drips", || Box::pin(dripping_head())),
    test("time::content_that_stalls", || Box::pin(idle())),
    test("time::a_handshake_that_stalls", || Box::pin(handshake())),
    test("time::a_reader_may_take_its_time", || {
        Box::pin(slow_reader())
    }),
];

const SHORT: u32 = 200;

/// In milliseconds too; what is not to end by it moves on sooner.
const LONGER: u32 = 1000;

fn deadline(phase: &str) -> Cause {
    deadline_of(phase, SHORT)
}

fn deadline_of(phase: &str, milliseconds: u32) -> Cause {
    Cause::Deadline {
        phase: phase.to_owned(),
        milliseconds,
    }
}

async fn head() {
    let engine = engine().await;
    for script in [
        Script::new().request(),
        Script::answer("HTTP/1.1 200 OK\r\nx: y"),
    ] {
        let server = Server::start(vec![script.then_stall()]);
        let request = get_within(&server.url("/"), |it| it.head_ms = SHORT);
        assert_eq!(cause(engine.client().send(request).await), deadline("head"));
    }
}

async fn dripping_head() {
    let engine = engine().await;
    // Bytes alone do not put the deadline off; only a head ends the wait.
    let script = Script::answer("HTTP/1.1 200 OK\r\nx: ")
        .repeat("y", 1000)
        .then_stall();
    let server = Server::start(vec![script]);
    let begun = Instant::now();
    let request = get_within(&server.url("/"), |it| it.head_ms = SHORT);
    assert_eq!(cause(engine.client().send(request).await), deadline("head"));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Content that does not go on ends with the deadline.
async fn stalls(engine: &fumehood::Engine, answer: &str, milliseconds: u32) {
    let server = Server::start(vec![Script::answer(answer).then_stall()]);
    let request = get_within(&server.url("/"), |it| it.idle_ms = milliseconds);
    let response = engine.client().send(request).await.unwrap();
    let ended = deadline_of("idle", milliseconds);
    assert_eq!(cause(content(response).await), ended, "{answer}");
}

async fn idle() {
    let engine = engine().await;
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ] {
        stalls(&engine, answer, SHORT).await;
    }
    // The engine is none the worse for it.
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
}

async fn handshake() {
    let engine = engine().await;
    for script in [Script::new(), Script::new().step(Step::FirstBytes)] {
        let server = Server::start_raw_https(vec![script.then_stall()]);
        let request = get_within(&server.url("/"), |it| it.tls_ms = SHORT);
        assert_eq!(cause(engine.client().send(request).await), deadline("tls"));
    }
}

/// More than every buffer on the way holds.
const LARGE: usize = 32 << 20;

async fn slow_reader() {
    let engine = engine().await;
    let done = Gate::new();
    let script = crate::support::filled(LARGE).gate(&done);
    let server = Server::start(vec![script]);
    let request = get_within(&server.url("/"), |it| it.idle_ms = LONGER);
    let response = engine.client().send(request).await.unwrap();
    // The deadline passes for another meanwhile, twice: it is the peer's, not
    // the reader's.
    for _ in 0..2 {
        stalls(
            &engine,
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
            LONGER,
        )
        .await;
    }
    let content = content(response).await.unwrap();
    done.open();
    assert_eq!(content.len(), LARGE);
}
