//! Processes die. Exchanges under way end with a typed error, and the next
//! request has new processes.

use std::time::Duration;

use fumehood::Error;
use fumehood::control::{Cause, RetrySafety};
use fumehood_tests::hostile::{Canary, Gate, Script, Server};
use fumehood_tests::processes::wait_for;
use http_body_util::BodyExt;

use crate::harness::{Test, test};
use crate::support::{HELLO, content, engine, fetch, get, own, own_all};

pub(crate) const TESTS: [Test; 6] = [
    test("mortality::a_killed_engine_is_replaced", || {
        Box::pin(engine_killed())
    }),
    test("mortality::an_idle_engine_killed_is_replaced", || {
        Box::pin(idle_engine_killed())
    }),
    test("mortality::a_killed_broker_is_replaced", || {
        Box::pin(broker_killed())
    }),
    test("mortality::the_policy_outlives_its_broker", || {
        Box::pin(policy_outlives())
    }),
    test("mortality::processes_end_with_the_last_engine", || {
        Box::pin(dropped())
    }),
    test("mortality::engines_do_not_share_a_fate", || {
        Box::pin(two_engines())
    }),
];

/// Long enough for a process to be reaped, whatever else the machine does.
const SOON: Duration = Duration::from_secs(5);

fn halved(gate: &Gate) -> Script {
    Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        .gate(gate)
        .send("67890")
}

async fn engine_killed() {
    let engine = engine().await;
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate), Script::answers(&[HELLO])]);
    let unanswered = Server::start(vec![Script::new().request().then_stall()]);
    let waiting = tokio::spawn({
        let (engine, url) = (engine.clone(), unanswered.url("/"));
        async move { engine.client().send(get(&url)).await.map(drop) }
    });
    let mut response = engine.client().send(get(&server.url("/"))).await.unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "12345");
    let requested = || unanswered.requests().concat().len();
    while requested() == 0 {
        tokio::task::yield_now().await;
    }

    let killed = own("engine");
    killed.kill().unwrap();
    let error = content(response).await.unwrap_err();
    assert!(matches!(error, Error::Engine(_)), "{error:?}");
    assert_eq!(error.cause(), Some(&Cause::EngineDied));
    assert_eq!(error.retry_safety(), RetrySafety::Answered);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::EngineDied));
    assert_eq!(error.retry_safety(), RetrySafety::MaybeProcessed);
    gate.open();

    let broker = own("broker");
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    assert_ne!(own("engine").pid, killed.pid);
    assert_eq!(
        own("broker").pid,
        broker.pid,
        "the broker had no reason to go"
    );
}

async fn idle_engine_killed() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let killed = own("engine");
    killed.kill().unwrap();
    let gone = wait_for(SOON, || own_all("engine").is_empty().then_some(()));
    assert!(gone.is_some());
    // It has threads, and its channel stands until the last has ended: the
    // request gets through, or the dying engine took it along and says so.
    if let Err(error) = fetch(&engine, &server.url("/")).await {
        assert_eq!(error.cause(), Some(&Cause::EngineDied), "{error:?}");
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    }
    assert_ne!(own("engine").pid, killed.pid);
}

async fn broker_killed() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    let killed = own("broker");
    killed.kill().unwrap();
    let gone = wait_for(SOON, || own_all("broker").is_empty().then_some(()));
    assert!(gone.is_some());
    // The runtime has not looked yet, and still the request gets through.
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    assert_ne!(own("broker").pid, killed.pid);
}

async fn policy_outlives() {
    let engine = engine().await;
    let canary = Canary::start();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    own("broker").kill().unwrap();
    assert!(wait_for(SOON, || own_all("broker").is_empty().then_some(())).is_some());
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    let denied = format!("http://[::1]:{}/", canary.port());
    let error = fetch(&engine, &denied).await.unwrap_err();
    assert!(matches!(error, Error::Policy(_)), "{error:?}");
    assert_eq!(canary.connections(), 0);
}

async fn dropped() {
    let engine = engine().await;
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let response = engine.client().send(get(&server.url("/"))).await.unwrap();
    drop(engine);
    // An exchange under way keeps what it needs.
    gate.open();
    assert_eq!(content(response).await.unwrap(), b"1234567890");
    let gone = || own_all("engine").is_empty() && own_all("broker").is_empty();
    for _ in 0..1000 {
        if gone() {
            return;
        }
        // The tasks that look after the processes are on this thread.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("left: {:?} {:?}", own_all("engine"), own_all("broker"));
}

async fn two_engines() {
    let (first, second) = (engine().await, engine().await);
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let [one, other] = &own_all("engine")[..] else {
        panic!("{:?}", own_all("engine"));
    };
    assert_ne!(one.pid, other.pid);
    assert_eq!(fetch(&first, &server.url("/")).await.unwrap(), b"hello");
    drop(first);
    assert_eq!(fetch(&second, &server.url("/")).await.unwrap(), b"hello");
}
