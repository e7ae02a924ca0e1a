//! A real driver against a broker of the tests, which answers as it is told.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use fumehood_control::{Cause, DialFailure, DialReply, DialRequest, Exchange, GrantId, Outside};
use fumehood_policy::{Host, Scheme, ServedScheme, Target, Transport};
use fumehood_sandbox::Channel;

use super::access::Access;
use super::module::Failure;
use crate::dialer::Dialer;
use crate::dns::Names;
use crate::instance::Ticker;
use crate::registry::{Limits, Registry, fixtures};
use crate::tls::Anchors;

const GRANT: GrantId = GrantId(9);

/// What the broker says to a request.
type Answer = fn(&DialRequest) -> Result<OwnedFd, DialFailure>;

/// A driver, and what it asked the broker for.
struct Rig {
    registry: Registry,
    dialer: Arc<Dialer>,
    asked: Arc<Mutex<Vec<DialRequest>>>,
    _ticker: Ticker,
}

impl Rig {
    async fn new(answer: Answer) -> Rig {
        let registry = Registry::new(Limits::for_one(), Anchors::default()).unwrap();
        fixtures::load(&registry, "probe", "driver-probe", 1).unwrap();
        let ticker = Ticker::start(registry.engine().clone()).unwrap();
        let introduced = registry.drivers.introduce("probe", fixtures::digest(1));
        assert_eq!(introduced.await.unwrap().len(), 2);
        let asked = Arc::new(Mutex::default());
        let channel = broker(answer, Arc::clone(&asked));
        let dialer = Dialer::new(channel.into_async().unwrap());
        let routing = Arc::clone(&dialer);
        tokio::spawn(async move { routing.route_replies(|_, _| {}).await });
        Rig {
            registry,
            dialer,
            asked,
            _ticker: ticker,
        }
    }

    /// Does what a path says; what the driver tells, or how it failed, and
    /// what the host knows of that.
    async fn perform(&self, path: &str) -> (Result<String, Failure>, Option<Cause>) {
        let scheme = ServedScheme::new("probe", 7777, Transport::Tcp).unwrap();
        let version = self.registry.drivers.serving(&scheme).unwrap();
        let (dialer, names) = (Arc::clone(&self.dialer), Names::new());
        let access = Access::new(dialer, names, GRANT, Duration::from_secs(30));
        let mut driver = version.module.instantiate(access).await.unwrap();
        let told = match driver.fetch(&exchange(scheme, path)).await.unwrap() {
            Ok(_) => driver.read_body(65536).await.unwrap(),
            Err(failure) => Err(failure),
        };
        let told = told.map(|bytes| String::from_utf8(bytes).unwrap());
        (told, driver.log().trouble())
    }

    fn asked(&self) -> Vec<DialRequest> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn broker(answer: Answer, asked: Arc<Mutex<Vec<DialRequest>>>) -> Channel<DialRequest, DialReply> {
    let (engine, broker) = Channel::<DialRequest, DialReply>::pair().unwrap();
    std::thread::spawn(move || {
        while let Ok((request, _)) = broker.recv() {
            asked.lock().unwrap().push(request.clone());
            let (id, lookup) = match &request {
                DialRequest::Lookup { id, .. } => (*id, true),
                DialRequest::Connect { id, .. } | DialRequest::Dial { id, .. } => (*id, false),
                DialRequest::Cancel { .. }
                | DialRequest::DialFor { .. }
                | DialRequest::LookupFor { .. }
                | DialRequest::Associate { .. } => continue,
            };
            let sent = match answer(&request) {
                Ok(_) if lookup => {
                    let addresses = vec![Ipv4Addr::new(192, 0, 2, 1).into()];
                    broker.send(&DialReply::Addresses { id, addresses }, &[])
                }
                Ok(socket) => {
                    let reply = DialReply::Connected {
                        id,
                        peer: "192.0.2.1:70".parse().unwrap(),
                        refused: Vec::new(),
                        attempts: Vec::new(),
                        resolve_us: 0,
                        connect_us: 1,
                    };
                    broker.send(&reply, &[socket.as_fd()])
                }
                Err(failure) => broker.send(&DialReply::Failed { id, failure }, &[]),
            };
            sent.unwrap();
        }
    });
    engine
}

fn exchange(scheme: ServedScheme, path: &str) -> Exchange {
    let target = Target {
        scheme: Scheme::Served(scheme),
        host: Host::parse("a.example").unwrap(),
        port: 70,
    };
    Exchange::get(target, GRANT, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_driver_asks_for_goes_out_under_its_grant() {
    let rig = Rig::new(|_| Err(DialFailure::NoGrant)).await;
    let (told, _) = rig.perform("/connect/192.0.2.7:71").await;
    assert_eq!(told.unwrap(), "access-denied");
    let remote: SocketAddr = "192.0.2.7:71".parse().unwrap();
    assert!(matches!(
        rig.asked()[..],
        [DialRequest::Connect { grant: GRANT, address, transport: Transport::Tcp, .. }]
            if address == remote
    ));
    let (told, _) = rig.perform("/lookup/b.example").await;
    assert_eq!(told.unwrap(), "access-denied");
    assert!(
        matches!(&rig.asked()[..], [DialRequest::Lookup { grant: GRANT, host, .. }]
            if *host == Host::parse("b.example").unwrap())
    );
    // What cannot be a host or a remote address is not even asked for.
    for path in [
        "/lookup/a%b",
        "/connect/0.0.0.0:1",
        "/connect/1.1.1.1:0",
        "/listen",
    ] {
        let (told, _) = rig.perform(path).await;
        assert!(told.is_ok(), "{path}");
        assert!(rig.asked().is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brokers_reasons_have_wasis_names_and_stay_the_hosts_to_tell() {
    let failures: [(Answer, &str, DialFailure); 5] = [
        (
            |_| Err(DialFailure::Outside(Outside::Names)),
            "access-denied",
            DialFailure::Outside(Outside::Names),
        ),
        (
            |_| Err(DialFailure::Timeout { resolving: false }),
            "timeout",
            DialFailure::Timeout { resolving: false },
        ),
        (
            |_| Err(DialFailure::Busy),
            "new-socket-limit",
            DialFailure::Busy,
        ),
        (
            |_| Err(DialFailure::Resolve("no".into())),
            "name-unresolvable",
            DialFailure::Resolve("no".into()),
        ),
        (
            |_| Err(DialFailure::Connect(Vec::new())),
            "unknown",
            DialFailure::Connect(Vec::new()),
        ),
    ];
    for (answer, name, failure) in failures {
        let rig = Rig::new(answer).await;
        let (told, trouble) = rig.perform("/connect/192.0.2.7:70").await;
        assert_eq!(told.unwrap(), name);
        assert_eq!(trouble, Some(Cause::Dial(failure.clone())));
        // A driver that gives up says `network`, and no more.
        let (told, trouble) = rig.perform("/late").await;
        assert!(matches!(told, Err(Failure::Network)));
        assert_eq!(trouble, Some(Cause::Dial(failure)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connected_descriptor_is_the_drivers_stream() {
    let rig = Rig::new(|request| {
        if matches!(request, DialRequest::Lookup { .. }) {
            return Ok(
                rustix::fs::memfd_create("unused", rustix::fs::MemfdFlags::CLOEXEC).unwrap(),
            );
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let heard = std::io::copy(&mut peer.try_clone().unwrap(), &mut peer);
            assert_eq!(heard.unwrap(), 65536);
        });
        Ok(ours.into())
    })
    .await;
    let (told, trouble) = rig.perform("/echo/777").await;
    assert_eq!((told.unwrap().as_str(), trouble), ("the same", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_is_asked_what_it_serves_reaches_nothing() {
    let rig = Rig::new(|_| Err(DialFailure::Busy)).await;
    let version = rig
        .registry
        .drivers
        .serving(&ServedScheme::new("probe-udp", 1, Transport::Udp).unwrap());
    assert!(version.is_ok(), "it is found by its scheme's name");
    assert!(rig.asked().is_empty());
    let other = ServedScheme::new("gemini", 1965, Transport::Tcp).unwrap();
    assert!(matches!(
        rig.registry.drivers.serving(&other),
        Err(Cause::BadRequest(_))
    ));
    // Another driver cannot take its schemes, and a codec is no driver.
    fixtures::load(&rig.registry, "thief", "driver-probe", 2).unwrap();
    let why = rig
        .registry
        .drivers
        .introduce("thief", fixtures::digest(2))
        .await
        .unwrap_err();
    assert!(why.contains("probe serves probe already"), "{why}");
    let why = fixtures::load(&rig.registry, "codec", "socks", 3).unwrap_err();
    assert!(why.contains("fumehood:driver/client"), "{why}");
}

/// However many take their time, the engine is ready after that of one.
#[tokio::test]
async fn drivers_are_asked_what_they_serve_at_the_same_time() {
    let registry = Registry::new(Limits::for_one(), Anchors::default()).unwrap();
    let _ticker = Ticker::start(registry.engine().clone()).unwrap();
    for (name, number) in [("probe", 1), ("thief", 2)] {
        fixtures::load(&registry, name, "driver-probe", number).unwrap();
    }
    // Each waits for a stack; who comes then is behind both.
    let stacks = &registry.drivers.stacks;
    let all = u32::try_from(stacks.available_permits()).unwrap();
    let mut taken = stacks.acquire_many(all).await.unwrap();
    let mut asking = std::pin::pin!(registry.drivers.introduce_all());
    let mut behind = std::pin::pin!(stacks.acquire());
    assert!(is_pending(asking.as_mut()).await && is_pending(behind.as_mut()).await);
    drop(taken.split(2));
    assert!(is_pending(behind.as_mut()).await, "one waits for the other");
    drop(taken);
    let told = asking.await;
    let names: Vec<&str> = told.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["probe"], "whose schemes nobody else may serve");
}

/// Looks once, and then has the tasks look that this has begun.
async fn is_pending<F: Future>(mut waiting: std::pin::Pin<&mut F>) -> bool {
    let look = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
    let is_pending = look.await;
    tokio::task::yield_now().await;
    is_pending
}
