//! How many connections there are to one place, and who waits for whom.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood::control::PoolActivity;
use fumehood::policy::ProxyServer;
use fumehood::{Limits, Proxies, ProxyAddress, ProxyOptions, UpstreamProxy};
use fumehood_tests::hostile::{Gate, Script, Server};
use tokio::task::JoinSet;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, fetch};

pub(crate) const TESTS: [Test; 6] = [
    test("pool::an_origin_has_six_and_holds_up_nobody_else", || {
        Box::pin(one_origin())
    }),
    test(
        "pool::a_proxy_has_as_many_as_it_may_for_all_origins",
        || Box::pin(one_proxy()),
    ),
    test("pool::an_engine_has_as_many_as_it_may", || Box::pin(all())),
    test("pool::it_is_as_large_as_it_says", || Box::pin(defaults())),
    test("pool::an_idle_connection_is_ended_in_time", || {
        Box::pin(idle())
    }),
    test("pool::so_is_one_that_a_proxys_clients_share", || {
        Box::pin(idle_of_clients())
    }),
];

/// A crowded machine gets the rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests that ask at once.
const CROWD: usize = 20;

/// Keeps the first request of each connection waiting, and answers many.
fn held(gate: &Gate) -> Server {
    let first = Script::new().request().gate(gate).send(HELLO);
    let script = (0..CROWD).fold(first, |script, _| script.request().send(HELLO));
    Server::start(vec![script])
}

/// Asks for all these at once; to be joined.
fn crowd(engine: &fumehood::Engine, urls: impl Iterator<Item = String>) -> JoinSet<Vec<u8>> {
    let mut crowd = JoinSet::new();
    for url in urls {
        let engine = engine.clone();
        crowd.spawn(async move { fetch(&engine, &url).await.unwrap() });
    }
    crowd
}

/// How the pool fares, once it is as it should be.
async fn pool(engine: &fumehood::Engine, is_so: impl Fn(&PoolActivity) -> bool) {
    let begun = Instant::now();
    loop {
        let activity = engine.status().await.activity.unwrap();
        if is_so(&activity.pool) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{activity:?}");
        tokio::task::yield_now().await;
    }
}

async fn wait_for(gate: &Gate, count: usize) {
    let gate = gate.clone();
    let waiting = tokio::task::spawn_blocking(move || gate.wait_for(count));
    waiting.await.unwrap();
}

async fn one_origin() {
    let engine = builder().launch().await.unwrap();
    let gate = Gate::new();
    let (busy, other) = (held(&gate), Server::start(vec![Script::answer(HELLO)]));
    let crowd = crowd(&engine, (0..CROWD).map(|at| busy.url(&format!("/{at}"))));
    wait_for(&gate, 6).await;
    assert_eq!(fetch(&engine, &other.url("/")).await.unwrap(), b"hello");
    assert_eq!(busy.connections(), 6);
    pool(&engine, |it| {
        (it.in_use, it.waiting, it.idle, it.made) == (6, 14, 1, 7)
    })
    .await;
    gate.open();
    assert_eq!(crowd.join_all().await, vec![b"hello".to_vec(); CROWD]);
    assert_eq!(busy.connections(), 6, "who waited took over a connection");
    let waiting = (CROWD - 6) as u64;
    pool(&engine, |it| {
        (it.in_use, it.waiting, it.idle) == (0, 0, 7) && (it.made, it.reused) == (7, waiting)
    })
    .await;
}

async fn one_proxy() {
    let gate = Gate::new();
    let server = held(&gate);
    let proxy: ProxyServer = format!("http://127.0.0.1:{}", server.port())
        .parse()
        .unwrap();
    let limits = Limits {
        max_per_proxy: 3,
        ..Limits::default()
    };
    let engine = builder()
        .limits(limits)
        .proxies(Proxies::through(UpstreamProxy::named(proxy)));
    let engine = engine.launch().await.unwrap();
    // Each to an origin of its own.
    let crowd = crowd(
        &engine,
        (0..8).map(|at| format!("http://origin-{at}.test/")),
    );
    wait_for(&gate, 3).await;
    let past = Server::start(vec![Script::answer(HELLO)]);
    let mut request = crate::support::get(&past.url("/"));
    request.extensions_mut().insert(fumehood::Options {
        proxies: Some(Arc::new(Proxies::default())),
        ..fumehood::Options::default()
    });
    assert!(engine.client().send(request).await.is_ok());
    assert_eq!(server.connections(), 3);
    pool(&engine, |it| (it.in_use, it.waiting) == (3, 5)).await;
    gate.open();
    assert_eq!(crowd.join_all().await.len(), 8);
    assert_eq!(server.connections(), 8);
}

async fn all() {
    let gate = Gate::new();
    let servers: Vec<Server> = (0..4).map(|_| held(&gate)).collect();
    let limits = Limits {
        max_connections: 2,
        ..Limits::default()
    };
    let engine = builder().limits(limits).launch().await.unwrap();
    let crowd = crowd(&engine, servers.iter().map(|server| server.url("/")));
    wait_for(&gate, 2).await;
    let connections = || servers.iter().map(Server::connections).sum::<usize>();
    assert_eq!(connections(), 2);
    pool(&engine, |it| {
        (it.places, it.places_taken, it.waiting_for_place) == (2, 2, 2)
    })
    .await;
    gate.open();
    assert_eq!(crowd.join_all().await.len(), 4);
    assert_eq!(connections(), 4);
}

async fn defaults() {
    let it = Limits::default();
    let (a_host, a_proxy, all) = (it.max_per_origin, it.max_per_proxy, it.max_connections);
    assert_eq!((a_host, a_proxy, all), (6, 32, 512));
    let idle = (it.max_idle_connections, it.idle_connection_ms);
    assert_eq!(idle, (32, 90_000));
}

/// Answers one request, and says when the client has ended the connection: by FIN.
fn once() -> (String, std::thread::JoinHandle<Instant>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        socket.write_all(HELLO.as_bytes()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap(), 0, "nothing but its end");
        Instant::now()
    });
    (url, serving)
}

/// What [`forgetful`] says.
const KEPT_FOR: Duration = Duration::from_millis(300);

/// An engine that keeps idle connections for so long.
async fn forgetful() -> fumehood::Engine {
    let limits = Limits {
        idle_connection_ms: 300,
        ..Limits::default()
    };
    builder().limits(limits).launch().await.unwrap()
}

/// When the server has seen the end of its connection: it was kept, and no longer.
async fn ended(serving: std::thread::JoinHandle<Instant>, begun: Instant) {
    let ended = tokio::task::spawn_blocking(|| serving.join().unwrap());
    let kept = ended.await.unwrap() - begun;
    assert!(kept >= KEPT_FOR, "{kept:?}");
}

async fn idle() {
    let engine = forgetful().await;
    let (url, serving) = once();
    let begun = Instant::now();
    assert_eq!(fetch(&engine, &url).await.unwrap(), b"hello");
    ended(serving, begun).await;
}

async fn idle_of_clients() {
    let engine = forgetful().await;
    let anywhere = ProxyAddress::Bind((Ipv4Addr::LOCALHOST, 0).into());
    let proxy = engine.proxy(ProxyOptions::new(anywhere)).await.unwrap();
    let mut client = TcpStream::connect(proxy.address().unwrap()).unwrap();
    let (url, serving) = once();
    let begun = Instant::now();
    let ask = format!("GET {url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = tokio::task::spawn_blocking(move || {
        client.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(answer.await.unwrap().ends_with("\r\n\r\nhello"));
    ended(serving, begun).await;
}
