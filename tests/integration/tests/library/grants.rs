//! Grants: what they cover, how they end, and that asking is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fumehood::admin::{self, Request};
use fumehood::control::{Cause, DialFailure};
use fumehood::policy::{AddressSpace, Effect, Lapse, Policy, RequestUrl, Rule, Spaces};
use fumehood::{Answer, Engine, Error, Grant, GrantTerms, Options};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;
use http_body_util::BodyExt;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, cause, content, engine, filled, get, own};

pub(crate) const TESTS: [Test; 8] = [
    test("grants::a_grant_is_for_what_it_names", || Box::pin(names())),
    test("grants::a_revoked_grant_stops_in_mid_flow", || {
        Box::pin(mid_flow())
    }),
    test("grants::the_admin_socket_revokes", || {
        Box::pin(over_the_socket())
    }),
    test("grants::a_grant_ends_with_its_time", || Box::pin(time())),
    test("grants::not_a_byte_more_than_the_budget", || {
        Box::pin(budget())
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

/// Tries, of which the best counts: the machine has other work.
const ROUNDS: usize = 5;

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
    let engine = engine().await;
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
    // A grant is no way around the policy.
    let inside = engine.grant(terms("http://10.0.0.1/")).unwrap();
    assert_eq!(
        reason(send(&engine, "http://10.0.0.1/", &inside).await),
        "local-address"
    );
    assert_eq!(server.connections(), 1);
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
    let server = Server::start(vec![filled(1 << 30); ROUNDS]);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let (grant, response) = flowing(&engine, &server).await;
        let begun = Instant::now();
        grant.revoke();
        assert_eq!(ended(response).await, Cause::Lapsed(Lapse::Revoked));
        best = best.min(begun.elapsed());
    }
    assert!(best < REVOKED_WITHIN, "{best:?}");
    let grant = engine.grant(terms(&server.url("/"))).unwrap();
    grant.revoke();
    assert_eq!(
        reason(send(&engine, &server.url("/"), &grant).await),
        "grant-revoked"
    );
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
        lifetime: Duration::from_millis(300),
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
