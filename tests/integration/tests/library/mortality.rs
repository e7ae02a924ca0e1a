//! Processes die. Exchanges under way end with a typed error, and the next
//! request has new processes.

use std::time::Duration;

use bytes::Bytes;
use fumehood::control::{Cause, RetrySafety};
use fumehood::{Engine, Error, Journey, Retry, Status};
use fumehood_tests::hostile::{Canary, Gate, Script, Server};
use fumehood_tests::processes::wait_for;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty, Full};

use crate::harness::{Test, test};
use crate::support::{
    HELLO, builder, content, engine, fetch, get, own, own_all, until, with_faulty_http1,
};

pub(crate) const TESTS: [Test; 13] = [
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
    test("mortality::what_is_safe_is_sent_again", || {
        Box::pin(sent_again())
    }),
    test("mortality::what_is_not_safe_is_not_sent_again", || {
        Box::pin(not_sent_again())
    }),
    test("mortality::a_second_death_is_the_caller_s", || {
        Box::pin(second_death())
    }),
    test("mortality::a_new_engine_has_the_same_modules", || {
        Box::pin(modules_replayed())
    }),
    test("mortality::engines_that_keep_dying_rest", || {
        Box::pin(rested("engine"))
    }),
    test("mortality::brokers_that_keep_dying_rest", || {
        Box::pin(rested("broker"))
    }),
    test(
        "mortality::a_launch_goes_on_where_whoever_asked_gives_up",
        || Box::pin(given_up()),
    ),
    test("mortality::engines_do_not_share_a_fate", || {
        Box::pin(two_engines())
    }),
];

/// Long enough for a process to be reaped, whatever else the machine does.
const SOON: Duration = Duration::from_secs(30);

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
        let post = Request::post(url).body(Empty::<Bytes>::new()).unwrap();
        async move { engine.client().send(post).await.map(drop) }
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
    for _ in 0..SOON.as_millis() {
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

/// Kills a process and asks at once, whether or not this side has found out.
async fn fetched_after_death(engine: &Engine, role: &str, url: &str) -> Result<Vec<u8>, Error> {
    own(role).kill().unwrap();
    assert!(wait_for(SOON, || own_all(role).is_empty().then_some(())).is_some());
    match fetch(engine, url).await {
        // The dying took it along.
        Err(error) if error.cause() == Some(&Cause::EngineDied) => fetch(engine, url).await,
        other => other,
    }
}

/// Most deaths until a rest is seen that lasts: the ninth is followed by one of 6.4 s.
const MOST_DEATHS: u32 = 9;

/// Has processes of a role die until a rest is seen: how soon a crowded machine asks
/// is not known.
pub(crate) async fn until_resting(engine: &Engine, role: &str, url: &str) -> (Error, Status) {
    for _ in 0..MOST_DEATHS {
        let fetched = fetched_after_death(engine, role, url).await;
        let status = engine.status().await;
        match fetched {
            Ok(content) => assert_eq!(content, b"hello"),
            Err(error) if status.rest.is_some() => return (error, status),
            // It was over before it could be asked about.
            Err(error) => assert!(error.rest().is_some(), "{error:?}"),
        }
        after_rest(engine, url).await;
    }
    panic!("no rest after {MOST_DEATHS} deaths");
}

/// Fetches as soon as no rest is kept any more.
pub(crate) async fn after_rest(engine: &Engine, url: &str) {
    let mut fetched = fetch(engine, url).await;
    if let Some(rest) = fetched.as_ref().err().and_then(Error::rest) {
        tokio::time::sleep(rest.left()).await;
        fetched = fetch(engine, url).await;
    }
    assert_eq!(fetched.unwrap(), b"hello");
}

/// From the third death in a row on there is a rest, which doubles.
async fn rested(role: &'static str) {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let url = server.url("/");
    for _ in 0..2 {
        let fetched = fetched_after_death(&engine, role, &url).await;
        assert_eq!(fetched.unwrap(), b"hello", "two deaths are free");
    }
    let (error, status) = until_resting(&engine, role, &url).await;
    let (rest, later) = (error.rest().unwrap(), status.rest.unwrap());
    assert!(
        rest.deaths >= 3 && (1..=30_000).contains(&rest.left_ms),
        "{rest:?}"
    );
    assert!(
        later.left_ms <= rest.left_ms && later.deaths == rest.deaths,
        "{later:?}"
    );
    assert_eq!(rest.why, format!("the {role} ended: signal: 9 (SIGKILL)"));
    assert!(
        matches!(error, Error::Engine(_)) && error.is_retryable(),
        "{error:?}"
    );
    assert_eq!(error.retry_safety(), RetrySafety::NotSent);
    let told = error.to_string();
    assert!(
        told.contains(&format!("{} in a row", rest.deaths)),
        "{told}"
    );
    assert!(
        told.contains("s: ") && told.contains("`fumehood crashes list`"),
        "{told}"
    );
    let process = match role {
        "engine" => status.engine,
        _ => status.broker,
    };
    assert!(!process.alive, "nobody was launched for those who asked");
    after_rest(&engine, &url).await;
    assert_eq!(engine.status().await.rest, None);
}

/// What is launched is told all that it has to be told: a listener's clients wait for
/// that, and not for whoever asked first.
async fn given_up() {
    let engine = engine().await;
    own("engine").kill().unwrap();
    until("the engine is known to be gone", async || {
        !engine.status().await.engine.alive
    })
    .await;
    let modules = engine.modules();
    let given_up = tokio::time::timeout(Duration::ZERO, modules.list()).await;
    assert!(given_up.is_err(), "a launch takes longer");
    until("it is launched all the same", async || {
        engine.launch_report().await.restarts == 1
    })
    .await;
}

/// A connection that takes a request and is silent, then one that answers.
fn silent_then(answer: Script) -> Server {
    Server::start(vec![Script::new().request().then_stall(), answer])
}

/// Sends a request and kills the engine once the server has it.
async fn killed_under(
    engine: &Engine,
    server: &Server,
    request: Request<Full<Bytes>>,
) -> Result<http::Response<fumehood::Body>, Error> {
    let sent = tokio::spawn({
        let engine = engine.clone();
        async move { engine.client().send(request).await }
    });
    until_requested(server, 1).await;
    own("engine").kill().unwrap();
    sent.await.unwrap()
}

/// Waits until the server has had so many requests.
async fn until_requested(server: &Server, count: usize) {
    while server.requests().concat().len() < count {
        tokio::task::yield_now().await;
    }
}

/// Lets go of an engine and waits until its process has ended.
async fn end(engine: Engine) {
    drop(engine);
    // Tasks of this thread look after it.
    while !own_all("engine").is_empty() {
        tokio::task::yield_now().await;
    }
}

fn request(method: &Method, url: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(url);
    request.body(Full::from(body)).unwrap()
}

async fn sent_again() {
    for (method, body) in [
        (Method::GET, &b""[..]),
        (Method::PUT, b"content"),
        (Method::DELETE, b""),
    ] {
        let engine = engine().await;
        let server = silent_then(Script::answers(&[HELLO]));
        let asked = request(&method, &server.url("/a"), body);
        let response = killed_under(&engine, &server, asked).await.unwrap();
        let journey = response.extensions().get::<Journey>().unwrap();
        assert_eq!(journey.engines_lost, 1, "{method}");
        assert_eq!(content(response).await.unwrap(), b"hello");
        let requests = server.requests().concat();
        assert_eq!(requests.len(), 2, "{method}");
        assert_eq!(requests[0], requests[1], "{method}");
        assert_eq!(requests[0].content, body, "{method}");
        assert_eq!(engine.launch_report().await.restarts, 1);
        end(engine).await;
    }
}

async fn not_sent_again() {
    let never = builder().retry(Retry::Never).launch().await.unwrap();
    let server = silent_then(Script::answers(&[HELLO]));
    let asked = request(&Method::GET, &server.url("/"), b"");
    let error = killed_under(&never, &server, asked).await.unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::EngineDied));
    assert_eq!(server.connections(), 1);
    end(never).await;

    for (method, body) in [
        (Method::POST, vec![b'x'; 5]),
        // Too long to be kept.
        (Method::PUT, vec![b'x'; 1 << 20]),
    ] {
        let engine = engine().await;
        let server = silent_then(Script::answers(&[HELLO]));
        let asked = Request::builder().method(&method).uri(server.url("/"));
        let asked = asked.body(Full::from(body)).unwrap();
        let error = killed_under(&engine, &server, asked).await.unwrap_err();
        assert_eq!(error.cause(), Some(&Cause::EngineDied), "{method}");
        assert_eq!(error.retry_safety(), RetrySafety::MaybeProcessed);
        assert_eq!(server.connections(), 1, "{method}");
        end(engine).await;
    }
}

async fn second_death() {
    let engine = engine().await;
    let server = Server::start(vec![Script::new().request().then_stall()]);
    let sent = tokio::spawn({
        let (engine, url) = (engine.clone(), server.url("/"));
        async move { engine.client().send(get(&url)).await }
    });
    for deaths in 1..=2 {
        until_requested(&server, deaths).await;
        own("engine").kill().unwrap();
    }
    let error = sent.await.unwrap().unwrap_err();
    assert_eq!(error.cause(), Some(&Cause::EngineDied));
    assert_eq!(server.connections(), 2);
}

async fn modules_replayed() {
    let mut modules = with_faulty_http1();
    let sound = fumehood::Module::embedded_defaults();
    let sound = sound.into_iter().find(|it| it.name == "http1").unwrap();
    modules.push(sound);
    let engine = builder().modules(modules).launch().await.unwrap();
    let modules = engine.modules();
    let faulty = fumehood::Module::embedded_faulty_http1().digest;
    modules.swap("http1", faulty).await.unwrap();
    let states = async || -> Vec<(String, Option<String>)> {
        let all = modules.inspect("http1").await.unwrap();
        all.into_iter().map(|it| (it.digest, it.state)).collect()
    };
    let before = states().await;
    own("engine").kill().unwrap();
    // The question itself is asked again.
    assert_eq!(states().await, before);
    assert_eq!(engine.launch_report().await.restarts, 1);
    let back = modules.rollback("http1").await.unwrap();
    assert_eq!(back.from, faulty);
}
