//! Engines and requests as all the tests want them.

use std::time::Duration;

use bytes::Bytes;
use fumehood::control::{Cause, Deadlines};
use fumehood::{Anchors, Body, Engine, EngineBuilder, Error, Module, Options, default_deadlines};
use fumehood_tests::artifacts::native_code;
use fumehood_tests::hostile::Script;
use fumehood_tests::processes::{self, Process};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};

pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// An engine that may reach loopback and trusts nobody.
pub(crate) fn builder() -> EngineBuilder {
    Engine::builder()
        .anchors(Anchors::Nothing)
        .allow_private("127.0.0.1".parse().unwrap())
        .unwrap()
}

pub(crate) async fn engine() -> Engine {
    builder().launch().await.unwrap()
}

/// The built-in guests, but for an `http1` that does as responses say.
pub(crate) fn with_faulty_http1() -> Vec<Module> {
    let mut modules = Module::embedded_defaults();
    modules.retain(|module| module.name != "http1");
    modules.push(Module::embedded_faulty_http1());
    modules
}

/// The built-in guests, but for a resolver that does as names say.
pub(crate) fn with_faulty_dns() -> Vec<Module> {
    let mut modules = Module::embedded_defaults();
    modules.retain(|module| module.name != "dns");
    modules.push(Module {
        name: "dns".into(),
        version: "1.0.0".into(),
        digest: [9; 32],
        code: std::fs::read(native_code("dns-faulty")).unwrap().into(),
    });
    modules
}

/// The built-in guests, and a driver that does as its URL says.
pub(crate) fn with_probe() -> Vec<Module> {
    let mut modules = Module::embedded_defaults();
    modules.push(Module {
        name: "probe".into(),
        version: "1.0.0".into(),
        digest: [7; 32],
        code: std::fs::read(native_code("driver-probe")).unwrap().into(),
    });
    modules
}

pub(crate) fn get(url: &str) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).unwrap()
}

/// A request with these deadlines.
pub(crate) fn get_within(url: &str, set: impl FnOnce(&mut Deadlines)) -> Request<Empty<Bytes>> {
    let mut deadlines = default_deadlines();
    set(&mut deadlines);
    let mut request = get(url);
    request.extensions_mut().insert(Options {
        deadlines: Some(deadlines),
        ..Options::default()
    });
    request
}

/// How long something may take to come about that takes milliseconds; a crowded machine
/// gets the rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until it holds; `what` is for who reads that it did not.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, asking).await;
    assert!(held.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// Fetches all of it.
pub(crate) async fn fetch(engine: &Engine, url: &str) -> Result<Vec<u8>, Error> {
    content(engine.client().send(get(url)).await?).await
}

pub(crate) async fn content(response: Response<Body>) -> Result<Vec<u8>, Error> {
    Ok(response.into_body().collect().await?.to_bytes().to_vec())
}

/// What the engine said was the cause.
pub(crate) fn cause<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Cause {
    let error = outcome.unwrap_err();
    let cause = error.cause().cloned();
    cause.unwrap_or_else(|| panic!("no exchange failed: {error:?}"))
}

/// This program's own engine or broker.
pub(crate) fn own(role: &str) -> Process {
    let mut found = own_all(role);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

pub(crate) fn own_all(role: &str) -> Vec<Process> {
    let own = i32::try_from(std::process::id()).unwrap();
    let mut children = processes::children_of(own);
    children.retain(|child| child.plays(role));
    children
}

/// Memory of the engine, in bytes.
pub(crate) async fn resident(engine: &Engine) -> u64 {
    let pid = engine.launch_report().await.engine.pid;
    let counts = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    let pages: u64 = counts.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

/// A response with so many bytes of content, all `x`.
pub(crate) fn filled(bytes: usize) -> Script {
    Script::answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n"
    ))
    .repeat("x", bytes)
}
