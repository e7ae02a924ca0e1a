//! The serve loop over real channels, without the sandbox.

use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use fumehood_control::{
    DialFailure, DialReply, DialRequest, FromBroker, Grant, GrantId, Place, ToBroker, fragments,
};
use fumehood_policy::{Policy, Terms, Transport};
use fumehood_sandbox::{AsyncChannel, Channel, ChannelError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::world::{Answer, Names, Network, Peer, allowing, are, target};
use crate::BrokerError;
use crate::connect::{Connect, Tcp};
use crate::link::MAX_DIALS;
use crate::resolve::{Resolve, System};
use crate::serve::Broker;

pub(super) type Engine = AsyncChannel<DialRequest, DialReply>;

/// A broker in a task, and the embedder's end of its channel.
pub(super) struct Served {
    pub(super) embedder: AsyncChannel<ToBroker, FromBroker>,
    broker: JoinHandle<Result<(), BrokerError>>,
}

impl Served {
    pub(super) fn new<R: Resolve, C: Connect>(policy: Policy, resolver: R, connector: C) -> Self {
        let (ours, theirs) = Channel::<ToBroker, FromBroker>::pair().unwrap();
        let broker = Broker::new(policy, resolver, connector);
        let theirs = theirs.into_async().unwrap();
        Served {
            embedder: ours.into_async().unwrap(),
            broker: tokio::spawn(broker.serve(theirs)),
        }
    }

    pub(super) async fn tell(&self, message: ToBroker) {
        self.embedder.send(&message, &[]).await.unwrap();
    }

    pub(super) async fn engine(&self) -> Engine {
        let (ours, theirs) = Channel::<DialRequest, DialReply>::pair().unwrap();
        self.embedder
            .send(&ToBroker::Engine, &[theirs.as_fd()])
            .await
            .unwrap();
        ours.into_async().unwrap()
    }

    async fn grant(&self, id: u64, url: &str, uses: u32) {
        let grant = Grant {
            id: GrantId(id),
            target: target(url),
            proxy: None,
            terms: Terms::default(),
            uses,
            lifetime_ms: 60_000,
        };
        self.tell(ToBroker::Grant(grant)).await;
    }
}

async fn ask(engine: &Engine, id: u64, grant: u64) {
    let request = DialRequest::Dial {
        id,
        grant: GrantId(grant),
        deadline_ms: 30_000,
        found: None,
    };
    engine.send(&request, &[]).await.unwrap();
}

pub(super) async fn answer(engine: &Engine) -> (DialReply, Vec<OwnedFd>) {
    engine.recv().await.unwrap()
}

/// The number and the failure of the next reply.
pub(super) async fn failure(engine: &Engine) -> (u64, DialFailure) {
    match answer(engine).await.0 {
        DialReply::Failed { id, failure } => (id, failure),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_granted_dial_brings_the_connection_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Served::new(allowing(&["127.0.0.1"]), System::new(), Tcp::new());
    let engine = served.engine().await;
    served.grant(7, &format!("http://{address}/"), 1).await;
    ask(&engine, 1, 7).await;
    let (reply, mut sockets) = answer(&engine).await;
    assert!(
        matches!(&reply, DialReply::Connected { id: 1, peer, resolve_us: 0, .. } if *peer == address),
        "{reply:?}"
    );
    let (server, peer) = listener.accept().await.unwrap();
    let ours: TcpStream = sockets.pop().unwrap().into();
    assert_eq!(ours.local_addr().unwrap(), peer);

    // The broker keeps no copy: when ours is closed, the peer sees the end.
    drop(ours);
    server.readable().await.unwrap();
    assert_eq!(server.try_read(&mut [0]).unwrap(), 0);

    ask(&engine, 2, 7).await;
    assert_eq!(
        failure(&engine).await,
        (2, DialFailure::NoGrant),
        "it is used up"
    );
}

/// Requests follow their grants from another thread, without a pause, so that
/// the engine's channel is found readable while the broker has not yet heard
/// of the embedder's.
#[test]
fn a_grant_sent_before_is_known_whatever_the_order_of_wakes() {
    const ROUNDS: u64 = 20_000;
    let (embedder, to_embedder) = Channel::<ToBroker, FromBroker>::pair().unwrap();
    let (engine, to_engine) = Channel::<DialRequest, DialReply>::pair().unwrap();
    let broker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let broker = Broker::new(Policy::default(), Names::default(), Network::new(&[]));
            broker.serve(to_embedder.into_async().unwrap()).await
        })
    });
    embedder
        .send(&ToBroker::Engine, &[to_engine.as_fd()])
        .unwrap();
    drop(to_engine);
    let unknown = std::thread::scope(|threads| {
        threads.spawn(|| {
            let target = target("http://127.0.0.1/");
            for id in 0..ROUNDS {
                let target = target.clone();
                let grant = Grant {
                    id: GrantId(id),
                    target,
                    proxy: None,
                    terms: Terms::default(),
                    uses: 1,
                    lifetime_ms: 60_000,
                };
                embedder.send(&ToBroker::Grant(grant), &[]).unwrap();
                let request = DialRequest::Dial {
                    id,
                    grant: GrantId(id),
                    deadline_ms: 30_000,
                    found: None,
                };
                engine.send(&request, &[]).unwrap();
            }
        });
        let no_grant = |reply: &DialReply| {
            matches!(
                reply,
                DialReply::Failed {
                    failure: DialFailure::NoGrant,
                    ..
                }
            )
        };
        (0..ROUNDS)
            .filter(|_| no_grant(&engine.recv().unwrap().0))
            .count()
    });
    assert_eq!(unknown, 0);
    drop(embedder);
    assert!(broker.join().unwrap().is_ok());
}

#[tokio::test]
async fn revoking_ends_what_is_under_way_and_what_would_come() {
    let served = Served::new(Policy::default(), Names::default(), Network::new(&[]));
    let engine = served.engine().await;
    served.grant(1, "http://1.1.1.1/", 9).await;
    ask(&engine, 1, 1).await;
    ask(&engine, 2, 99).await;
    assert_eq!(
        failure(&engine).await,
        (2, DialFailure::NoGrant),
        "so the first is under way"
    );
    served.tell(ToBroker::Revoke(GrantId(1))).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
    ask(&engine, 3, 1).await;
    assert_eq!(failure(&engine).await, (3, DialFailure::NoGrant));
}

#[tokio::test]
async fn a_cancelled_dial_is_closed_and_its_number_free() {
    let network = Network::new(&[]);
    let served = Served::new(Policy::default(), Names::default(), network.clone());
    let engine = served.engine().await;
    served.grant(1, "http://1.1.1.1/", 9).await;
    ask(&engine, 1, 1).await;
    ask(&engine, 2, 99).await;
    failure(&engine).await;
    assert_eq!(network.open(), 1);
    engine
        .send(&DialRequest::Cancel { id: 1 }, &[])
        .await
        .unwrap();
    engine
        .send(&DialRequest::Cancel { id: 77 }, &[])
        .await
        .unwrap();
    ask(&engine, 3, 99).await;
    assert_eq!(
        failure(&engine).await,
        (3, DialFailure::NoGrant),
        "and no reply to 1"
    );
    while network.open() > 0 {
        tokio::task::yield_now().await;
    }
    ask(&engine, 1, 99).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
}

#[tokio::test]
async fn dials_are_bounded_and_the_grant_is_not_spent_on_a_refusal() {
    let served = Served::new(Policy::default(), Names::default(), Network::new(&[]));
    let engine = served.engine().await;
    let many = MAX_DIALS as u64;
    served
        .grant(1, "http://1.1.1.1/", u32::try_from(many + 1).unwrap())
        .await;
    for id in 0..=many {
        ask(&engine, id, 1).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(failure(&engine).await, (many, DialFailure::Busy));
    engine
        .send(&DialRequest::Cancel { id: 0 }, &[])
        .await
        .unwrap();
    ask(&engine, 0, 1).await;
    served.tell(ToBroker::Revoke(GrantId(1))).await;
    for _ in 0..many {
        assert_eq!(failure(&engine).await.1, DialFailure::NoGrant);
    }
}

#[tokio::test]
async fn an_engine_that_ends_takes_its_dials_along_and_another_is_served() {
    let network = Network::new(&[("8.8.8.8:80", Peer::Accepts(0))]);
    let served = Served::new(Policy::default(), Names::default(), network.clone());
    served.grant(1, "http://1.1.1.1/", 9).await;
    served.grant(2, "http://8.8.8.8/", 9).await;
    let first = served.engine().await;
    ask(&first, 1, 1).await;
    ask(&first, 2, 99).await;
    failure(&first).await;
    drop(first);
    while network.open() > 0 {
        tokio::task::yield_now().await;
    }
    let second = served.engine().await;
    ask(&second, 1, 2).await;
    assert!(matches!(
        answer(&second).await.0,
        DialReply::Connected { id: 1, .. }
    ));

    let third = served.engine().await;
    assert!(
        matches!(second.recv().await, Err(ChannelError::Closed)),
        "replaced"
    );
    ask(&third, 1, 2).await;
    assert!(matches!(
        answer(&third).await.0,
        DialReply::Connected { id: 1, .. }
    ));
}

#[tokio::test]
async fn a_corrupt_engine_is_cut_off_and_the_broker_stays() {
    let served = Served::new(Policy::default(), Names::default(), Network::new(&[]));
    let engine = served.engine().await;
    rustix::net::send(
        engine.as_fd(),
        b"\xff\xff\xff",
        rustix::net::SendFlags::empty(),
    )
    .unwrap();
    assert!(matches!(engine.recv().await, Err(ChannelError::Closed)));

    let engine = served.engine().await;
    served.grant(1, "http://1.1.1.1/", 9).await;
    ask(&engine, 1, 1).await;
    ask(&engine, 1, 1).await;
    assert!(
        matches!(engine.recv().await, Err(ChannelError::Closed)),
        "a number used twice"
    );

    let engine = served.engine().await;
    ask(&engine, 1, 99).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
}

#[tokio::test]
async fn a_new_policy_holds_for_later_dials() {
    let served = Served::new(
        Policy::default(),
        Names::new(&[("intranet.example", &[are(&["10.0.0.1"])])]),
        Network::new(&[("10.0.0.1:80", Peer::Accepts(0))]),
    );
    let engine = served.engine().await;
    served.grant(1, "http://intranet.example/", 9).await;
    ask(&engine, 1, 1).await;
    assert!(matches!(failure(&engine).await.1, DialFailure::Denied(_)));

    // Long enough that it takes several packets.
    let mut policy = allowing(&["10.0.0.0/8"]);
    for number in 0..1000 {
        policy
            .allow_private(
                format!("a-rather-long-name-{number}.example")
                    .parse()
                    .unwrap(),
            )
            .unwrap();
    }
    let mut pieces = fragments(&policy).unwrap();
    let last = pieces.pop().unwrap();
    assert!(!pieces.is_empty());
    for bytes in pieces {
        served.tell(ToBroker::PolicyFragment { bytes }).await;
    }
    served.tell(ToBroker::Policy { bytes: last }).await;
    ask(&engine, 2, 1).await;
    assert!(matches!(
        answer(&engine).await.0,
        DialReply::Connected { id: 2, .. }
    ));
}

#[tokio::test]
async fn the_embedders_end_is_the_brokers() {
    let names = Names::new(&[("never.example", &[Answer::Never])]);
    let served = Served::new(Policy::default(), names, Network::new(&[]));
    let engine = served.engine().await;
    served.grant(1, "http://never.example/", 1).await;
    ask(&engine, 1, 1).await;
    drop(served.embedder);
    assert!(served.broker.await.unwrap().is_ok());
    assert!(matches!(engine.recv().await, Err(ChannelError::Closed)));
}

#[tokio::test]
async fn an_embedder_out_of_turn_is_not_served() {
    let served = Served::new(Policy::default(), Names::default(), Network::new(&[]));
    served.tell(ToBroker::Hello { version: 1 }).await;
    assert!(matches!(
        served.broker.await.unwrap(),
        Err(BrokerError::OutOfTurn)
    ));

    let served = Served::new(Policy::default(), Names::default(), Network::new(&[]));
    served
        .tell(ToBroker::Policy {
            bytes: vec![0xff; 9],
        })
        .await;
    assert!(matches!(
        served.broker.await.unwrap(),
        Err(BrokerError::Policy(_))
    ));
}

/// With nothing left to do, the paused clock runs to the end of the timeout.
#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_read_holds_up_itself_alone() {
    let served = Served::new(Policy::default(), Names::default(), Network::new(&[]));
    let deaf = served.engine().await;
    let mut stalled = false;
    for id in 0..100_000 {
        let request = tokio::time::timeout(Duration::from_secs(1), ask(&deaf, id, 99));
        stalled = request.await.is_err();
        if stalled {
            break;
        }
    }
    assert!(stalled, "its requests are read without end");
    let other = served.engine().await;
    ask(&other, 1, 99).await;
    assert_eq!(failure(&other).await, (1, DialFailure::NoGrant));
}

#[tokio::test]
async fn the_embedder_may_look_names_up_before_any_engine_is_there() {
    let names = Names::new(&[("a.example", &[are(&["1.1.1.1", "10.0.0.1"])])]);
    let served = Served::new(Policy::default(), names, Network::new(&[]));
    for (id, url, expected) in [
        (1, "http://a.example/", vec!["1.1.1.1", "10.0.0.1"]),
        (2, "http://9.9.9.9/", vec!["9.9.9.9"]),
    ] {
        let target = target(url);
        let look = ToBroker::Look {
            id,
            target,
            deadline_ms: 1000,
        };
        served.tell(look).await;
        let expected = expected.iter().map(|it| it.parse().unwrap()).collect();
        let addresses = Ok(expected);
        let (answer, _) = served.embedder.recv().await.unwrap();
        assert_eq!(answer, FromBroker::Looked { id, addresses });
    }
}

async fn connect(engine: &Engine, id: u64, address: std::net::SocketAddr, transport: Transport) {
    let request = DialRequest::Connect {
        id,
        grant: GrantId(7),
        address,
        transport,
        deadline_ms: 30_000,
    };
    engine.send(&request, &[]).await.unwrap();
}

/// A port of `127.0.0.1` for either transport, where nobody listens yet.
pub(super) fn both_sockets() -> (std::net::UdpSocket, TcpSocket) {
    loop {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        match tcp.bind(udp.local_addr().unwrap()) {
            Ok(()) => return (udp, tcp),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse),
        }
    }
}

fn places(port: u16) -> Vec<Place> {
    let of = |transport| Place {
        host: "localhost".parse().unwrap(),
        ports: port..=port,
        transport,
    };
    vec![of(Transport::Tcp), of(Transport::Udp)]
}

#[tokio::test]
async fn a_driver_looks_up_then_connects_over_either_transport() {
    let (udp, tcp) = both_sockets();
    let address = udp.local_addr().unwrap();
    let listener = tcp.listen(1).unwrap();
    let served = Served::new(allowing(&["localhost"]), System::new(), Tcp::new());
    let engine = served.engine().await;
    served
        .tell(ToBroker::SocketGrant(super::sockets::grant(
            7,
            places(address.port()),
            2,
        )))
        .await;

    connect(&engine, 1, address, Transport::Tcp).await;
    let (1, DialFailure::Outside(_)) = failure(&engine).await else {
        panic!("nothing was looked up yet")
    };
    let lookup = DialRequest::Lookup {
        id: 2,
        grant: GrantId(7),
        host: fumehood_policy::Host::parse("localhost").unwrap(),
        deadline_ms: 30_000,
        found: None,
    };
    engine.send(&lookup, &[]).await.unwrap();
    let DialReply::Addresses { id: 2, addresses } = answer(&engine).await.0 else {
        panic!("no addresses")
    };
    assert!(addresses.contains(&address.ip()), "{addresses:?}");

    connect(&engine, 3, address, Transport::Tcp).await;
    let (reply, sockets) = answer(&engine).await;
    assert!(
        matches!(reply, DialReply::Connected { id: 3, .. }),
        "{reply:?}"
    );
    assert_eq!(sockets.len(), 1);
    listener.accept().await.unwrap();

    connect(&engine, 4, address, Transport::Udp).await;
    let (reply, mut sockets) = answer(&engine).await;
    assert!(
        matches!(reply, DialReply::Connected { id: 4, .. }),
        "{reply:?}"
    );
    let ours = std::net::UdpSocket::from(sockets.pop().unwrap());
    assert_eq!(ours.peer_addr().unwrap(), address);
    ours.set_nonblocking(false).unwrap();
    ours.send(b"hello").unwrap();
    let mut buffer = [0; 16];
    let (count, from) = udp.recv_from(&mut buffer).unwrap();
    assert_eq!(
        (&buffer[..count], from),
        (&b"hello"[..], ours.local_addr().unwrap())
    );

    connect(&engine, 5, address, Transport::Udp).await;
    assert_eq!(failure(&engine).await, (5, DialFailure::NoGrant));
}

#[tokio::test]
async fn a_revoked_grant_ends_a_connect_under_way() {
    let network = Network::new(&[]);
    let served = Served::new(allowing(&["10.0.0.1"]), Names::default(), network.clone());
    let engine = served.engine().await;
    let place = Place {
        host: "10.0.0.1".parse().unwrap(),
        ports: 70..=70,
        transport: Transport::Tcp,
    };
    let grant = super::sockets::grant(7, vec![place], 1);
    served.tell(ToBroker::SocketGrant(grant)).await;
    connect(&engine, 1, "10.0.0.1:70".parse().unwrap(), Transport::Tcp).await;
    while network.open() == 0 {
        tokio::task::yield_now().await;
    }
    served.tell(ToBroker::Revoke(GrantId(7))).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
    assert_eq!(network.open(), 0);
}
