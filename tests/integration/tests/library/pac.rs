//! Scripts by the library: typed answers, calls side by side, engines that die.

use fumehood::control::ScriptActivity;
use fumehood::pac::{MAX_PAC_SCRIPTS, Pac, PacCall, PacError, PacFailure, PacNames, PacOptions};
use fumehood::policy::{ProxyScheme, ProxyServer, ProxySettings, RequestUrl, Route};
use fumehood::{Engine, ProxyChooser};
use fumehood_tests::hostile::{Script, Server};

use crate::harness::{Test, test};
use crate::support::{engine, own};

pub(crate) const TESTS: [Test; 5] = [
    test("pac::answers_are_typed", || Box::pin(typed())),
    test("pac::a_killed_engine_is_given_the_script_again", || {
        Box::pin(killed())
    }),
    test("pac::a_hang_ends_alone_and_others_go_on", || {
        Box::pin(hang())
    }),
    test(
        "pac::a_script_that_is_not_had_gives_way_to_the_fallback",
        || Box::pin(chosen()),
    ),
    test("pac::scripts_are_bounded_and_given_back", || {
        Box::pin(bounded())
    }),
];

const SCRIPT: &str = "var calls = 0;
function FindProxyForURL(url, host) {
    calls++;
    if (host === 'regex.test') /(a+)+$/.test('a'.repeat(60) + 'b');
    if (host === 'count.test') return 'PROXY count.test:' + calls;
    return 'HTTPS p.test; SOCKS [::1]:9; DIRECT';
}";

/// A script that knows no names.
async fn load(engine: &Engine, script: &str) -> Result<Pac, PacError> {
    let options = PacOptions {
        names: PacNames::Listed(Vec::new()),
        ..PacOptions::default()
    };
    engine.pac(script, options).await
}

fn proxy(scheme: ProxyScheme, host: &str, port: u16) -> Route {
    let host = fumehood::policy::Host::parse(host).unwrap();
    Route::Proxy(ProxyServer { scheme, host, port })
}

async fn typed() {
    let engine = engine().await;
    let pac = load(&engine, SCRIPT).await.unwrap();
    let routes = pac.find_proxy("https://www.test/").await.unwrap();
    let expected = [
        proxy(ProxyScheme::Https, "p.test", 443),
        proxy(ProxyScheme::Socks4, "[::1]", 9),
        Route::Direct,
    ];
    assert_eq!(routes, expected);
    assert!(matches!(
        pac.find_proxy("no url").await,
        Err(PacError::Url(_))
    ));
    assert!(matches!(
        load(&engine, "(").await,
        Err(PacError::Script(PacFailure::Syntax(_)))
    ));
    let scripts = engine.status().await.activity.unwrap().scripts;
    let ScriptActivity { calls_us, .. } = scripts;
    let wanted = ScriptActivity {
        held: 1,
        loaded: 1,
        not_loaded: 1,
        calls: 1,
        calls_us,
        ..ScriptActivity::default()
    };
    assert_eq!(scripts, wanted);
    assert!(calls_us > 0);
}

async fn killed() {
    let engine = engine().await;
    let pac = load(&engine, SCRIPT).await.unwrap();
    let count = || pac.find_proxy("http://count.test/");
    assert_eq!(
        count().await.unwrap(),
        [proxy(ProxyScheme::Http, "count.test", 1)]
    );
    assert_eq!(
        count().await.unwrap(),
        [proxy(ProxyScheme::Http, "count.test", 2)]
    );
    own("engine").kill().unwrap();
    // Its globals went with the engine.
    assert_eq!(
        count().await.unwrap(),
        [proxy(ProxyScheme::Http, "count.test", 1)]
    );
}

async fn hang() {
    let engine = engine().await;
    let (bad, good) = (
        load(&engine, SCRIPT).await.unwrap(),
        load(&engine, SCRIPT).await.unwrap(),
    );
    let hanging = tokio::spawn({
        let bad = bad.clone();
        async move { bad.find_proxy("http://regex.test/").await }
    });
    // The other's thread is free meanwhile.
    for _ in 0..100 {
        good.find_proxy("http://www.test/").await.unwrap();
    }
    let ended = hanging.await.unwrap();
    let Err(PacError::Script(PacFailure::Guest { kind, .. })) = ended else {
        panic!("{ended:?}");
    };
    let scripts = engine.status().await.activity.unwrap().scripts;
    assert_eq!((scripts.calls, scripts.failed_calls), (100, 1));
    assert_eq!(kind, "hang");
    let found = bad.find("http://count.test/", &PacCall::default()).await;
    let routes = found.unwrap().outcome.unwrap().routes;
    assert_eq!(routes, [proxy(ProxyScheme::Http, "count.test", 1)]);
    let modules = engine.modules().inspect("pac").await.unwrap();
    assert_eq!(modules[0].state.as_deref(), Some("current"));
}

async fn chosen() {
    let body = "function FindProxyForURL() { return 'PROXY a.test:1; PROXY b.test:2'; }";
    let script = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(vec![Script::answers(&[missing, &script])]);
    let engine = engine().await;
    let fallback = vec![proxy(ProxyScheme::Socks5, "fallback.test", 3)];
    let settings = ProxySettings::Pac {
        source: server.url("/p.pac").parse().unwrap(),
        fallback: fallback.clone(),
    };
    let chooser = ProxyChooser::new(&engine, settings.clone()).await.unwrap();
    let url = |text: &str| RequestUrl::parse(text).unwrap();
    let (www, own) = (url("http://www.test/"), url("http://localhost/"));
    assert_eq!(chooser.routes(&www).await.unwrap(), fallback);
    // It is not asked for again so soon.
    assert_eq!(chooser.routes(&www).await.unwrap(), fallback);
    chooser.replace(settings).await.unwrap();
    let [a, b] =
        [("a.test", 1), ("b.test", 2)].map(|(it, port)| proxy(ProxyScheme::Http, it, port));
    assert_eq!(chooser.routes(&www).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(chooser.routes(&own).await.unwrap(), [Route::Direct]);
    chooser.failed(&a);
    assert_eq!(chooser.routes(&www).await.unwrap(), [b.clone(), a.clone()]);
    chooser.worked(&a);
    assert_eq!(chooser.routes(&www).await.unwrap(), [a, b]);
}

async fn bounded() {
    let engine = engine().await;
    let mut held = Vec::new();
    for _ in 0..MAX_PAC_SCRIPTS {
        held.push(load(&engine, SCRIPT).await.unwrap());
    }
    assert!(matches!(
        load(&engine, SCRIPT).await,
        Err(PacError::Script(PacFailure::Busy))
    ));
    held.pop();
    held.push(load(&engine, SCRIPT).await.unwrap());
    let long = " ".repeat(fumehood::pac::MAX_PAC_SCRIPT_BYTES + 1);
    assert!(matches!(
        load(&engine, &long).await,
        Err(PacError::Script(PacFailure::TooLong))
    ));
}
