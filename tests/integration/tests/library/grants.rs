//! Grants: what they cover, how they end, and that asking is waited for.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;

use fumehood::admin::{self, Request};
use fumehood::control::{Cause, DialFailure};
use fumehood::policy::{AddressSpace, Effect, Lapse, Policy, RequestUrl, Rule, Spaces};
use fumehood::{Answer, Engine, Error, Grant, GrantTerms, Options};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;
use http_body::Frame;
use http_body_util::{BodyExt, Either, Empty};
use tokio::task::JoinSet;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, cause, content, engine, filled, get, own, with_probe};

pub(crate) const TESTS: [Test; 10] = [
    test("grants::a_grant_is_for_what_it_names", || Box::pin(names())),
    test("grants::a_revoked_grant_stops_in_mid_flow", || {
        Box::pin(mid_flow())
    }),
    test("grants::a_revoked_grant_stops_what_is_sent", || {
        Box::pin(mid_write())
    }),
    test("grants::the_admin_socket_revokes", || {
        Box::pin(over_the_socket())
    }),
    test("grants::a_grant_ends_with_its_time", || Box::pin(time())),
    test("grants::not_a_byte_more_than_the_budget", || {
        Box::pin(budget())
    }),
    test("grants::a_budget_is_of_what_is_sent_too", || {
        Box::pin(budget_of_what_is_sent())
    }),
    test(
        "grants::a_budget_ends_with_the_engine_that_counts_it",
        || Box::pin(budget_and_engine()),
    ),
    test("grants::an_answer_is_waited_for_and_remembered", || {
        Box::pin(asking())
    }),
    test("grants::silence_is_no", || Box::pin(silence())),
];

/// Tries, of which the median counts: the machine has other work.
const ROUNDS: usize = 5;

/// Series of them, of which the best counts: it may have much to do for a while.
const SERIES: usize = 3;

/// From the revocation to the end of the exchange, at most.
const REVOKED_WITHIN: Duration = Duration::from_millis(100);

fn terms(url: &str) -> GrantTerms {
    GrantTerms::once(&RequestUrl::parse(url).unwrap())
}

async fn send(
    engine: &Engine,
    url: &str,
    grant: &Grant,
) -> Result<http::Response<fumehood::Body>, Error> {
    let mut request = get(url);
    request.extensions_mut().insert(Options {
        grant: Some(grant.clone()),
        ..Options::default()
    });
    engine.client().send(request).await
}

/// The name of the denial.
fn reason<T: std::fmt::Debug>(outcome: Result<T, Error>) -> &'static str {
    match cause(outcome) {
        Cause::Dial(DialFailure::Denied(denial)) => denial.reason.name(),
        other => panic!("{other:?}"),
    }
}

async fn names() {
    let engine = builder()
        .allow_private("a.localhost".parse().unwrap())
        .unwrap();
    let engine = engine.launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO]); 3]);
    let url = server.url("/");
    let once = engine.grant(terms(&url)).unwrap();
    let other = format!("http://127.0.0.1:{}/", server.port() ^ 1);
    assert_eq!(
        reason(send(&engine, &other, &once).await),
        "grant-elsewhere"
    );
    let https = url.replace("http:", "https:");
    assert_eq!(
        reason(send(&engine, &https, &once).await),
        "grant-elsewhere"
    );
    let response = send(&engine, &url, &once).await.unwrap();
    assert_eq!(content(response).await.unwrap(), b"hello");
    assert_eq!(reason(send(&engine, &url, &once).await), "grant-used");
    let public = GrantTerms {
        spaces: Spaces::of(&[AddressSpace::Public]),
        ..terms(&url)
    };
    let public = engine.grant(public).unwrap();
    assert_eq!(reason(send(&engine, &url, &public).await), "outside-grant");
    // By pattern, and for some ports: names below one, and no other.
    let below = engine.grant(GrantTerms {
        ports: server.port()..=server.port(),
        uses: 9,
        ..GrantTerms::new("*.localhost".parse().unwrap())
    });
    let below = below.unwrap();
    let at = |host: &str, port: u16| format!("http://{host}:{port}/");
    for (host, port) in [
        ("localhost", server.port()),
        ("127.0.0.1", server.port()),
        ("a.localhost", server.port() ^ 1),
    ] {
        let refused = send(&engine, &at(host, port), &below).await;
        assert_eq!(reason(refused), "grant-elsewhere", "{host}:{port}");
    }
    let response = send(&engine, &at("a.localhost", server.port()), &below).await;
    assert_eq!(content(response.unwrap()).await.unwrap(), b"hello");
    // A grant is no way around the policy.
    let inside = engine.grant(terms("http://10.0.0.1/")).unwrap();
    assert_eq!(
        reason(send(&engine, "http://10.0.0.1/", &inside).await),
        "local-address"
    );
    assert_eq!(server.connections(), 2);
}

/// A server that sends and sends; the test counts what still comes.
fn endless() -> Server {
    Server::start(vec![filled(1 << 30)])
}

async fn flowing(engine: &Engine, server: &Server) -> (Grant, http::Response<fumehood::Body>) {
    let grant = engine.grant(terms(&server.url("/"))).unwrap();
    let mut response = send(engine, &server.url("/"), &grant).await.unwrap();
    for _ in 0..8 {
        response.body_mut().frame().await.unwrap().unwrap();
    }
    (grant, response)
}

/// Reads to the end; what ended it.
async fn ended(response: http::Response<fumehood::Body>) -> Cause {
    let mut body = response.into_body();
    loop {
        match body.frame().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return cause(Err::<(), _>(error)),
            None => panic!("it came to a good end"),
        }
    }
}

async fn mid_flow() {
    let engine = engine().await;
    let server = Server::start(vec![filled(1 << 30); SERIES * ROUNDS]);
    assert_in_time(async || {
        let (grant, response) = flowing(&engine, &server).await;
        let begun = Instant::now();
        grant.revoke();
        assert_eq!(ended(response).await, Cause::Lapsed(Lapse::Revoked));
        begun.elapsed()
    })
    .await;
    let grant = engine.grant(terms(&server.url("/"))).unwrap();
    grant.revoke();
    assert_eq!(
        reason(send(&engine, &server.url("/"), &grant).await),
        "grant-revoked"
    );
}

/// Tries until the median of a series is in time.
async fn assert_in_time(mut took: impl AsyncFnMut() -> Duration) {
    let mut all = Vec::new();
    for _ in 0..SERIES {
        let mut series = Vec::new();
        for _ in 0..ROUNDS {
            series.push(took().await);
        }
        series.sort_unstable();
        if series[ROUNDS / 2] < REVOKED_WITHIN {
            return;
        }
        all.push(series);
    }
    panic!("{all:?}");
}

/// What [`Endless`] and the driver's flood are made of, and no head has.
const FLOOD: u8 = 0xff;

/// Content without an end.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[FLOOD; 4096])))))
    }
}

/// A peer that reads all that comes, and tells when there was much.
struct Drain {
    port: u16,
    much: mpsc::Receiver<()>,
    ended: JoinHandle<Drained>,
}

/// What came of content.
struct Drained {
    bytes: usize,
    /// When the last of it came.
    last: Instant,
}

impl Drain {
    fn start() -> Drain {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, much) = mpsc::channel();
        let ended = std::thread::spawn(move || {
            let mut peer = listener.accept().unwrap().0;
            let (mut bytes, mut last) = (0, Instant::now());
            let mut buffer = vec![0; 65_536];
            // A reset is an end, too.
            while let Ok(count @ 1..) = peer.read(&mut buffer) {
                bytes += buffer[..count].iter().filter(|it| **it == FLOOD).count();
                last = Instant::now();
                if bytes > 1 << 20 {
                    // Who waited for it may have gone on.
                    let _known = tell.send(());
                }
            }
            Drained { bytes, last }
        });
        Drain { port, much, ended }
    }

    async fn has_much(&mut self) {
        let (_, nothing) = mpsc::channel();
        let much = std::mem::replace(&mut self.much, nothing);
        let waiting = tokio::task::spawn_blocking(move || much.recv());
        waiting.await.unwrap().unwrap();
    }

    async fn ended(self) -> Drained {
        let joining = tokio::task::spawn_blocking(|| self.ended.join());
        joining.await.unwrap().unwrap()
    }
}

/// Sends without an end, by the web or by a driver's socket, under a grant like this.
async fn flooding(
    engine: &Engine,
    scheme: &str,
    port: u16,
    change: impl FnOnce(GrantTerms) -> GrantTerms,
) -> (Grant, JoinSet<Result<(), Error>>) {
    let text = format!("{scheme}://127.0.0.1:{port}/flood");
    let url = engine.parse_url(&text).await.unwrap();
    let grant = engine.grant(change(GrantTerms::once(&url))).unwrap();
    let body = match scheme {
        "http" => Either::Left(Endless),
        _ => Either::Right(Empty::new()),
    };
    let method = if scheme == "http" { "POST" } else { "GET" };
    let options = Options {
        grant: Some(grant.clone()),
        ..Options::default()
    };
    let request = http::Request::builder().method(method).uri(text);
    let request = request.extension(options).body(body).unwrap();
    let (client, mut sending) = (engine.client(), JoinSet::new());
    sending.spawn(async move { client.send(request).await.map(drop) });
    (grant, sending)
}

/// What is sent stops as what is received does.
async fn mid_write() {
    let engine = builder().modules(with_probe()).launch().await.unwrap();
    for scheme in ["http", "probe"] {
        assert_in_time(async || {
            let mut drain = Drain::start();
            let (grant, mut sending) = flooding(&engine, scheme, drain.port, |it| it).await;
            drain.has_much().await;
            let begun = Instant::now();
            grant.revoke();
            let why = cause(sending.join_next().await.unwrap().unwrap());
            assert_eq!(why, Cause::Lapsed(Lapse::Revoked), "{scheme}");
            drain.ended().await.last.saturating_duration_since(begun)
        })
        .await;
    }
}

async fn over_the_socket() {
    let temp = TempDir::new().unwrap();
    let socket = temp.path().join("a.sock");
    let engine = builder().admin_socket(&socket).launch().await.unwrap();
    let server = endless();
    let (grant, response) = flowing(&engine, &server).await;
    let status = engine.status().await;
    assert_eq!(status.grants.len(), 1);
    assert_eq!(
        (status.grants[0].number, status.grants[0].uses_left),
        (grant.number(), 0)
    );
    let number = grant.number();
    admin::ask(&socket, &Request::Revoke { grant: number })
        .await
        .unwrap();
    assert_eq!(ended(response).await, Cause::Lapsed(Lapse::Revoked));
    drop(grant);
    let error = admin::ask(&socket, &Request::Revoke { grant: number }).await;
    assert!(error.unwrap_err().to_string().contains("nobody holds"));
}

async fn time() {
    let engine = engine().await;
    let server = Server::start(vec![Script::new().request().then_stall()]);
    let short = GrantTerms {
        lifetime: Duration::from_secs(2),
        uses: 2,
        ..terms(&server.url("/"))
    };
    let grant = engine.grant(short).unwrap();
    let ended = cause(send(&engine, &server.url("/"), &grant).await);
    assert!(
        matches!(&ended, Cause::Deadline { phase, .. } if phase == "total"),
        "{ended:?}"
    );
    assert_eq!(
        reason(send(&engine, &server.url("/"), &grant).await),
        "grant-expired"
    );
}

async fn budget() {
    let engine = engine().await;
    let server = Server::start(vec![filled(10_000), filled(10_000), filled(10_000)]);
    let budget = GrantTerms {
        uses: 3,
        bytes: 15_000,
        ..terms(&server.url("/"))
    };
    let grant = engine.grant(budget).unwrap();
    let whole = send(&engine, &server.url("/"), &grant).await.unwrap();
    assert_eq!(content(whole).await.unwrap().len(), 10_000);
    let mut body = send(&engine, &server.url("/"), &grant)
        .await
        .unwrap()
        .into_body();
    let mut came = 0;
    let why = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => came += frame.into_data().unwrap().len(),
            Err(error) => break cause(Err::<(), _>(error)),
        }
    };
    assert_eq!((came, why), (5_000, Cause::Lapsed(Lapse::Spent)));
}

/// What is sent counts too, and all that a driver's sockets move.
async fn budget_of_what_is_sent() {
    const BYTES: u64 = 300_000;
    let engine = builder().modules(with_probe()).launch().await.unwrap();
    for scheme in ["http", "probe"] {
        let drain = Drain::start();
        let within = |terms| GrantTerms {
            bytes: BYTES,
            ..terms
        };
        let (_grant, mut sending) = flooding(&engine, scheme, drain.port, within).await;
        let why = cause(sending.join_next().await.unwrap().unwrap());
        assert_eq!(why, Cause::Lapsed(Lapse::Spent), "{scheme}");
        let came = drain.ended().await.bytes as u64;
        assert!((1..=BYTES).contains(&came), "{scheme}: {came}");
    }
    // 65,536 bytes go and come back: neither more nor less is in it.
    for (bytes, all) in [(131_072, true), (131_071, false)] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let echo = std::thread::spawn(move || {
            let (mut peer, mut said) = (listener.accept().unwrap().0, Vec::new());
            peer.read_to_end(&mut said).unwrap();
            // Who has had enough closes before all was taken.
            let _cut = std::io::Write::write_all(&mut peer, &said);
        });
        let url = format!("probe://127.0.0.1:{port}/echo/1000");
        let parsed = engine.parse_url(&url).await.unwrap();
        let terms = GrantTerms {
            bytes,
            ..GrantTerms::once(&parsed)
        };
        let grant = engine.grant(terms).unwrap();
        let answered = send(&engine, &url, &grant).await;
        match all {
            true => assert_eq!(content(answered.unwrap()).await.unwrap(), b"the same"),
            false => assert_eq!(cause(answered), Cause::Lapsed(Lapse::Spent)),
        }
        echo.join().unwrap();
    }
    // What it makes up moves by no socket, and has the same bound.
    for (bytes, all) in [(100_000, true), (99_999, false)] {
        let url = "probe://127.0.0.1:7777/many/100000";
        let parsed = engine.parse_url(url).await.unwrap();
        let terms = GrantTerms {
            bytes,
            ..GrantTerms::once(&parsed)
        };
        let grant = engine.grant(terms).unwrap();
        let answered = content(send(&engine, url, &grant).await.unwrap()).await;
        match all {
            true => assert_eq!(answered.unwrap().len(), 100_000),
            false => assert_eq!(cause(answered), Cause::Lapsed(Lapse::Spent)),
        }
    }
}

async fn budget_and_engine() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO]); 3]);
    let counted = GrantTerms {
        uses: 9,
        bytes: 1000,
        ..terms(&server.url("/"))
    };
    let counted = engine.grant(counted).unwrap();
    let plain = GrantTerms {
        uses: 9,
        ..terms(&server.url("/"))
    };
    let plain = engine.grant(plain).unwrap();
    for grant in [&counted, &plain] {
        let response = send(&engine, &server.url("/"), grant).await.unwrap();
        assert_eq!(content(response).await.unwrap(), b"hello");
    }
    own("engine").kill().unwrap();
    // What was on its way is lost with the engine; its uses bound the tries.
    let response = loop {
        match send(&engine, &server.url("/"), &plain).await {
            Ok(response) => break response,
            Err(error) => assert_eq!(error.cause(), Some(&Cause::EngineDied)),
        }
    };
    assert_eq!(content(response).await.unwrap(), b"hello");
    assert_eq!(
        reason(send(&engine, &server.url("/"), &counted).await),
        "grant-revoked"
    );
}

/// Everything has to be asked about.
fn asks() -> Policy {
    let mut policy = Policy::default();
    policy.allow_private("127.0.0.1".parse().unwrap()).unwrap();
    let rule = Rule::new(Effect::Ask, "*".parse().unwrap());
    policy.add_rule(rule).unwrap();
    policy
}

async fn asking() {
    let times = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&times);
    let builder = builder()
        .policy(asks())
        .on_ask(Duration::from_secs(60), move |asked| {
            assert!(!asked.question.target.host.to_string().is_empty());
            assert_eq!(asked.method.unwrap().as_str(), "GET");
            let answer = match counted.fetch_add(1, Ordering::Relaxed) {
                0 => Answer::Deny,
                1 => Answer::AllowOnce,
                _ => Answer::AllowHost,
            };
            async move {
                tokio::task::yield_now().await;
                answer
            }
        });
    let engine = builder.launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO, HELLO]); 5]);
    let once = async || engine.client().send(get(&server.url("/"))).await;
    assert_eq!(reason(once().await), "not-confirmed");
    for asked in [2, 3, 3, 3] {
        assert_eq!(content(once().await.unwrap()).await.unwrap(), b"hello");
        assert_eq!(times.load(Ordering::Relaxed), asked);
    }
    // Another policy may ask another question.
    engine.set_policy(asks()).await.unwrap();
    assert_eq!(content(once().await.unwrap()).await.unwrap(), b"hello");
    assert_eq!(times.load(Ordering::Relaxed), 4);
}

async fn silence() {
    let builder = builder()
        .policy(asks())
        .on_ask(Duration::from_millis(20), |_| std::future::pending());
    let engine = builder.launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let outcome = engine.client().send(get(&server.url("/"))).await;
    assert_eq!(reason(outcome), "not-confirmed");
    assert_eq!(server.connections(), 0);
}
