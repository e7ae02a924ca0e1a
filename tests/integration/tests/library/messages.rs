//! Requests and responses as `http` and `tower` have them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fumehood::control::{Cause, RetrySafety, Verification};
use fumehood::policy::RequestUrl;
use fumehood::{
    Anchors, CallerError, Engine, Error, Event, Journey, Options, Sink, Source, default_tls,
};
use fumehood_tests::certs::{Flaw, TestCa};
use fumehood_tests::hostile::{Canary, Script, Server, Step, server_config};
use http::{Method, Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use rustls::version::{TLS12, TLS13};

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, cause, content, engine, fetch, filled, get};

pub(crate) const TESTS: [Test; 15] = [
    test("messages::heads_are_typed", || Box::pin(heads())),
    test("messages::trailers_are_frames", || Box::pin(trailers())),
    test("messages::bodies_of_known_length", || {
        Box::pin(known_length())
    }),
    test("messages::bodies_that_stream", || Box::pin(streamed())),
    test("messages::bodies_that_fail", || Box::pin(failing_body())),
    test("messages::bodies_that_fail_late", || {
        Box::pin(failing_after_the_head())
    }),
    test("messages::bodies_whose_owner_dies", || {
        Box::pin(owner_dies())
    }),
    test("messages::bodies_that_are_abandoned", || {
        Box::pin(abandoned())
    }),
    test("messages::verdicts_come_with_the_end", || {
        Box::pin(verdicts())
    }),
    test("messages::policy_is_asked_first", || Box::pin(policy())),
    test("messages::what_cannot_be_sent", || Box::pin(unsendable())),
    test("messages::tls_by_request", || Box::pin(tls())),
    test("messages::a_hundred_at_once", || Box::pin(many())),
    test("messages::straight_into_a_descriptor", || {
        Box::pin(descriptor())
    }),
    test("messages::a_reader_that_left", || Box::pin(broken_pipe())),
];

async fn heads() {
    let engine = engine().await;
    let answer = "HTTP/1.0 404 Gone Fishing\r\nx-twice: a\r\nX-Twice: b\r\n\r\nsorry";
    let server = Server::start(vec![Script::answers(&[answer])]);
    let request = Request::builder()
        .method("PURGE")
        .uri(server.url("/a?b"))
        .header("x-own", "value")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = engine.client().send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.version(), Version::HTTP_10);
    let twice: Vec<_> = response.headers().get_all("x-twice").iter().collect();
    assert_eq!(twice, ["a", "b"]);
    let journey = response.extensions().get::<Journey>().unwrap();
    assert_eq!(journey.peer.unwrap().port(), server.port());
    assert_eq!(journey.instances.len(), 1);
    assert!(!journey.reused && journey.tls.is_none());
    assert_eq!(content(response).await.unwrap(), b"sorry");
    let request = server.only_request();
    assert_eq!((&*request.method, &*request.target), ("PURGE", "/a?b"));
    assert_eq!(request.field("x-own"), Some("value"));
}

async fn trailers() {
    let engine = engine().await;
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 17\r\n\r\n";
    let server = Server::start(vec![Script::answers(&[answer])]);
    let response = engine.client().send(get(&server.url("/"))).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "17");
    assert_eq!(collected.to_bytes(), "hello");
}

async fn known_length() {
    let engine = engine().await;
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_001).collect();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let request = Request::post(server.url("/"))
        .body(Full::<Bytes>::from(sent.clone()))
        .unwrap();
    let mut response = engine.client().send(request).await.unwrap();
    while response
        .body_mut()
        .frame()
        .await
        .is_some_and(|frame| frame.is_ok())
    {}
    assert_eq!(response.body().summary().unwrap().payload_sent, 1_000_001);
    let request = server.only_request();
    assert_eq!(request.field("content-length"), Some("1000001"));
    assert!(request.content == sent);
}

/// A body whose length nobody knows, and which may end with an error.
struct Pieces(VecDeque<Result<&'static str, &'static str>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let piece = self.0.pop_front();
        Poll::Ready(piece.map(|piece| piece.map(|text| Frame::data(text.into()))))
    }
}

async fn streamed() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let pieces = Pieces([Ok("a"), Ok(""), Ok("bc"), Ok("def")].into());
    let request = Request::post(server.url("/")).body(pieces).unwrap();
    let response = engine.client().send(request).await.unwrap();
    assert_eq!(content(response).await.unwrap(), b"hello");
    let request = server.only_request();
    assert_eq!(request.field("transfer-encoding"), Some("chunked"));
    assert_eq!(request.content, b"abcdef");
}

async fn failing_body() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let (fail, failed) = tokio::sync::oneshot::channel();
    let request = Request::post(server.url("/"))
        .body(Failing(failed))
        .unwrap();
    let client = engine.client();
    let sending = tokio::spawn(async move { client.send(request).await.map(drop) });
    server.wait_for_connection().await;
    fail.send(()).unwrap();
    let error = sending.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Caller(CallerError::Body(_))),
        "{error:?}"
    );
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    // What was sent was never made to look whole.
    server.wait_until_closed().await;
    assert_eq!(server.requests().concat().len(), 0);
}

/// A body of one piece, and then silence.
struct Endless(Option<&'static str>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(text) => Poll::Ready(Some(Ok(Frame::data(text.into())))),
            None => Poll::Pending,
        }
    }
}

async fn abandoned() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let request = Request::post(server.url("/"))
        .body(Endless(Some("a")))
        .unwrap();
    let client = engine.client();
    let sending = tokio::spawn(async move { client.send(request).await.map(drop) });
    server.wait_for_connection().await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    server.wait_until_closed().await;
    assert_eq!(
        server.requests().concat().len(),
        0,
        "a part was taken for the whole"
    );
}

/// What the engine sees of an embedder that dies in the middle of a body.
async fn owner_dies() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let (mut owner, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    owner.write_all(b"a").unwrap();
    let url: RequestUrl = server.url("/").parse().unwrap();
    let (head, ()) = Request::post("/").body(()).unwrap().into_parts();
    let source = Source::Socket(theirs.into(), None);
    let options = Options::default();
    let mut exchange = engine
        .exchange(&url, &head, source, Sink::Body, &options)
        .await
        .unwrap();
    server.wait_for_connection().await;
    drop(owner);
    let outcome = loop {
        if let Some(Event::Finished(outcome)) = exchange.next().await {
            break outcome;
        }
    };
    assert_eq!(cause(outcome.map(drop)), Cause::Source { errno: 0 });
    server.wait_until_closed().await;
    assert_eq!(
        server.requests().concat().len(),
        0,
        "a part was taken for the whole"
    );
}

async fn failing_after_the_head() {
    let engine = engine().await;
    // The server answers before it has read the content.
    let head = Script::new().step(Step::RequestHead);
    let head = head
        .send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
        .then_stall();
    let server = Server::start(vec![head]);
    let (fail, failed) = tokio::sync::oneshot::channel();
    let request = Request::post(server.url("/"))
        .body(Failing(failed))
        .unwrap();
    let response = engine.client().send(request).await.unwrap();
    fail.send(()).unwrap();
    let error = content(response).await.unwrap_err();
    assert!(
        matches!(error, Error::Caller(CallerError::Body(_))),
        "{error:?}"
    );
}

/// A body that fails when it is told to.
struct Failing(tokio::sync::oneshot::Receiver<()>);

impl http_body::Body for Failing {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let told = Pin::new(&mut self.0).poll(context);
        told.map(|_| Some(Err("the disk is gone")))
    }
}

async fn verdicts() {
    let engine = engine().await;
    let cut = Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
    let server = Server::start(vec![cut]);
    let mut response = engine.client().send(get(&server.url("/"))).await.unwrap();
    let mut received = Vec::new();
    let error = loop {
        match response.body_mut().frame().await.unwrap() {
            Ok(frame) => received.extend(frame.into_data().unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(received, b"hello");
    assert!(matches!(error, Error::Peer(_)), "{error:?}");
    assert_eq!(error.retry_safety(), RetrySafety::Answered);
    assert!(response.body_mut().frame().await.is_none());
    assert!(response.body().summary().is_none());
}

async fn policy() {
    let engine = Engine::builder()
        .anchors(Anchors::Nothing)
        .launch()
        .await
        .unwrap();
    let canary = Canary::start();
    for host in ["127.0.0.1", "[::1]", "localhost", "10.0.0.1", "0.0.0.0"] {
        let url = format!("http://{host}:{}/", canary.port());
        let error = fetch(&engine, &url).await.unwrap_err();
        assert!(matches!(error, Error::Policy(_)), "{host}: {error:?}");
        assert!(!error.is_retryable());
    }
    assert_eq!(canary.connections(), 0);
}

async fn unsendable() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let error = fetch(&engine, "/relative").await.unwrap_err();
    assert!(
        matches!(error, Error::Caller(CallerError::Url(_))),
        "{error:?}"
    );
    let connect = Request::connect("127.0.0.1:443")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let error = engine.client().send(connect).await.unwrap_err();
    assert!(matches!(error, Error::Caller(_)), "{error:?}");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "gzip"),
    ] {
        let mut request = get(&server.url("/"));
        request.headers_mut().insert(name, value.parse().unwrap());
        let error = engine.client().send(request).await.unwrap_err();
        assert!(matches!(error, Error::Caller(_)), "{name}: {error:?}");
    }
    let mut trace = Request::post(server.url("/"))
        .body(Full::<Bytes>::from("content"))
        .unwrap();
    *trace.method_mut() = Method::TRACE;
    let error = engine.client().send(trace).await.unwrap_err();
    assert!(matches!(error, Error::Caller(_)), "{error:?}");
    assert_eq!(server.requests().concat().len(), 0);
}

async fn tls() {
    let ca = TestCa::new();
    let anchors = Anchors::Der(vec![ca.certificate().clone()]);
    let engine = builder().anchors(anchors).launch().await.unwrap();
    let serve = |flaw: Option<Flaw>| {
        let identity = flaw.map_or_else(|| ca.issue(), |flaw| ca.issue_flawed(flaw));
        let config = server_config(&identity, &[&TLS13, &TLS12]);
        Server::start_tls(config, vec![Script::answers(&[HELLO, HELLO])])
    };
    let good = serve(None);
    let response = engine.client().send(get(&good.url("/"))).await.unwrap();
    let journey = response.extensions().get::<Journey>().unwrap().clone();
    assert!(journey.tls.unwrap().verified);
    assert_eq!(content(response).await.unwrap(), b"hello");

    let expired = serve(Some(Flaw::Expired));
    let refused = cause(fetch(&engine, &expired.url("/")).await);
    assert!(matches!(refused, Cause::Certificate { rejection, .. } if rejection == "expired"));
    let insecure = || {
        let mut tls = default_tls();
        tls.verification = Verification::None;
        let mut request = get(&expired.url("/"));
        request.extensions_mut().insert(Options {
            tls: Some(tls),
            ..Options::default()
        });
        request
    };
    let response = engine.client().send(insecure()).await.unwrap();
    assert_eq!(content(response).await.unwrap(), b"hello");
    // The connection that nobody verified is kept, but not for those who want it verified.
    let refused = cause(fetch(&engine, &expired.url("/")).await);
    assert!(matches!(refused, Cause::Certificate { .. }));
}

async fn many() {
    let engine = engine().await;
    let server = Server::start(vec![filled(300_000)]);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (engine, url) = (engine.clone(), server.url("/"));
        tasks.spawn(async move { fetch(&engine, &url).await });
    }
    while let Some(task) = tasks.join_next().await {
        assert!(task.unwrap().unwrap() == vec![b'x'; 300_000]);
    }
}

/// Runs an exchange into `sink` to its end.
async fn into(engine: &Engine, url: &str, sink: OwnedFd) -> Result<u64, Error> {
    let url = RequestUrl::parse(url).unwrap();
    let (head, ()) = Request::new(()).into_parts();
    let options = Options::default();
    let mut exchange = engine
        .exchange(&url, &head, Source::None, Sink::Fd(sink), &options)
        .await?;
    loop {
        match exchange.next().await {
            Some(Event::Finished(outcome)) => return outcome.map(|it| it.payload_received),
            Some(_) => {}
            None => panic!("the exchange ended without a word"),
        }
    }
}

async fn descriptor() {
    let engine = engine().await;
    let server = Server::start(vec![filled(300_000)]);
    let (mut reader, writer) = pipe().unwrap();
    let read = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all)
    });
    let received = into(&engine, &server.url("/"), writer.into())
        .await
        .unwrap();
    assert_eq!(received, 300_000);
    // The engine holds the writer no longer, or this would never end.
    assert!(read.join().unwrap().unwrap() == vec![b'x'; 300_000]);
}

async fn broken_pipe() {
    let engine = engine().await;
    let server = Server::start(vec![filled(300_000)]);
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let broken = cause(into(&engine, &server.url("/"), writer.into()).await);
    let errno = rustix::io::Errno::PIPE.raw_os_error();
    assert_eq!(broken, Cause::Sink { errno });
    // One caller's broken pipe is nobody else's.
    assert_eq!(
        fetch(&engine, &server.url("/")).await.unwrap().len(),
        300_000
    );
}
