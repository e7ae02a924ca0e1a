//! Sockets for datagrams of listeners' clients: whose they are, and where they go.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use fumehood_control::{
    DialFailure, DialReply, DialRequest, FirstHop, FromBroker, GrantId, ListenerId, ProxyLeave,
    StandingGrant, ToBroker,
};
use fumehood_policy::{
    ClientName, Decision, Effect, Naming, Policy, Reason, Rule, Scheme, Target, Terms,
};

use super::serving::{Engine, Served, answer, both_sockets, failure};
use super::world::{Names, Network, allowing};
use crate::connect::Tcp;
use crate::resolve::System;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const LISTENER: ListenerId = ListenerId(3);

/// After which a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The default with loopback, and datagrams for this client.
fn policy(client: Option<&str>) -> Policy {
    let mut policy = allowing(&["127.0.0.1"]);
    policy
        .add_rule(Rule {
            schemes: vec!["udp".parse().unwrap()],
            clients: client.map(|it| it.parse().unwrap()).into_iter().collect(),
            ..Rule::new(Effect::Allow, "*".parse().unwrap())
        })
        .unwrap();
    policy
}

/// A broker that listens, with leave 7 for everybody and leave 8 for `call`.
async fn listening(policy: Policy) -> (Served, Engine) {
    let served = Served::new(policy, System::new(), Tcp::new());
    for (id, client) in [(7, None), (8, Some("call"))] {
        let client: Option<ClientName> = client.map(|it| it.parse().unwrap());
        let id = GrantId(id);
        let grant = StandingGrant { id, client };
        served.tell(ToBroker::StandingGrant(grant)).await;
    }
    let listener = LISTENER;
    let address = SocketAddr::new(LOOPBACK, 0);
    served.tell(ToBroker::Listen { listener, address }).await;
    let told = served.embedder.recv().await.unwrap().0;
    assert!(matches!(told, FromBroker::Listens { .. }));
    let engine = served.engine().await;
    let passed = answer(&engine).await.0;
    assert!(matches!(passed, DialReply::Listener { .. }));
    (served, engine)
}

async fn associate(
    engine: &Engine,
    id: u64,
    (grant, listener): (u64, ListenerId),
    at: IpAddr,
    client: SocketAddr,
) {
    let request = DialRequest::Associate {
        id,
        grant: GrantId(grant),
        listener,
        at,
        client,
        deadline_ms: 30_000,
    };
    engine.send(&request, &[]).await.unwrap();
}

async fn receiving(engine: &Engine) -> SocketAddr {
    match answer(engine).await.0 {
        DialReply::Receiving { id: 1, at } => at,
        other => panic!("{other:?}"),
    }
}

/// The socket, and to whom it is connected.
async fn connected(engine: &Engine) -> (UdpSocket, SocketAddr) {
    match answer(engine).await {
        (DialReply::Connected { id: 1, peer, .. }, mut sockets) => {
            let socket = UdpSocket::from(sockets.pop().unwrap());
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            (socket, peer)
        }
        other => panic!("{other:?}"),
    }
}

fn any_port(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 0)
}

fn socket(address: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind(any_port(address)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn heard(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 64];
    let count = socket.recv(&mut bytes).unwrap();
    bytes[..count].to_vec()
}

#[tokio::test]
async fn the_next_broker_takes_a_listening_socket_over() {
    let ask = ToBroker::Listen {
        listener: LISTENER,
        address: any_port(LOOPBACK),
    };
    let first = Served::new(policy(None), System::new(), Tcp::new());
    first.tell(ask).await;
    let (told, mut sockets) = first.embedder.recv().await.unwrap();
    let FromBroker::Listens { listener, address } = told else {
        panic!("{told:?}");
    };
    let kept = sockets.pop().unwrap();
    drop(first);
    let mut waits = TcpStream::connect(address).unwrap();
    waits.write_all(b"hello").unwrap();
    let next = Served::new(policy(None), System::new(), Tcp::new());
    let grant = StandingGrant {
        id: GrantId(7),
        client: None,
    };
    next.tell(ToBroker::StandingGrant(grant)).await;
    let given = ToBroker::Listener {
        listener,
        made_here: true,
    };
    next.embedder.send(&given, &[kept.as_fd()]).await.unwrap();
    let told = next.embedder.recv().await.unwrap().0;
    let bound = Ok(Some(address));
    assert_eq!(told, FromBroker::Listening { listener, bound });
    // Its engine has the connection that waited, and datagrams beside it.
    let engine = next.engine().await;
    let (_, mut sockets) = answer(&engine).await;
    let passed = TcpListener::from(sockets.pop().unwrap());
    let (mut accepted, peer) = passed.accept().unwrap();
    accepted.set_nonblocking(false).unwrap();
    let mut bytes = [0; 5];
    accepted.read_exact(&mut bytes).unwrap();
    assert_eq!((&bytes, peer), (b"hello", waits.local_addr().unwrap()));
    associate(&engine, 1, (7, listener), LOOPBACK, any_port(LOOPBACK)).await;
    assert_eq!(receiving(&engine).await.ip(), LOOPBACK);
}

#[tokio::test]
async fn a_clients_first_datagram_says_which_port_is_its() {
    let (_served, engine) = listening(policy(None)).await;
    associate(&engine, 1, (7, LISTENER), LOOPBACK, any_port(LOOPBACK)).await;
    let at = receiving(&engine).await;
    assert_eq!(at.ip(), LOOPBACK);
    // One from another host is not heard, and the first stays to be read.
    let (stranger, client) = (socket(OTHER), socket(LOOPBACK));
    stranger.send_to(b"mine", at).unwrap();
    client.send_to(b"first", at).unwrap();
    let (ours, peer) = connected(&engine).await;
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(ours.peer_addr().unwrap(), peer);
    stranger.send_to(b"mine", at).unwrap();
    socket(LOOPBACK).send_to(b"another port's", at).unwrap();
    client.send_to(b"second", at).unwrap();
    assert_eq!(heard(&ours), b"first");
    assert_eq!(heard(&ours), b"second");
    ours.send(b"back").unwrap();
    assert_eq!(heard(&client), b"back");
}

#[tokio::test]
async fn a_client_that_names_its_port_is_held_to_it() {
    let (_served, engine) = listening(policy(None)).await;
    let client = socket(LOOPBACK);
    let peer = client.local_addr().unwrap();
    associate(&engine, 1, (7, LISTENER), LOOPBACK, peer).await;
    let at = receiving(&engine).await;
    socket(LOOPBACK).send_to(b"another port's", at).unwrap();
    client.send_to(b"mine", at).unwrap();
    let (ours, connected_to) = connected(&engine).await;
    assert_eq!(connected_to, peer);
    assert_eq!(heard(&ours), b"mine");
}

/// An engine in wrong hands names whom it likes as its client.
#[tokio::test]
async fn whoever_has_sent_nothing_is_sent_nothing() {
    let (served, engine) = listening(policy(None)).await;
    let canary = socket(LOOPBACK);
    let named = canary.local_addr().unwrap();
    associate(&engine, 1, (7, LISTENER), LOOPBACK, named).await;
    let at = receiving(&engine).await;
    socket(LOOPBACK).send_to(b"another port's", at).unwrap();
    // There is no answer but that it was given up.
    served.tell(ToBroker::Revoke(GrantId(7))).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
}

#[tokio::test]
async fn there_is_none_beside_what_is_not_a_listener_of_the_brokers_own() {
    let (served, engine) = listening(policy(None)).await;
    let given = TcpListener::bind(any_port(LOOPBACK)).unwrap();
    let given = OwnedFd::from(given);
    let listener = ListenerId(4);
    let message = ToBroker::Listener {
        listener,
        made_here: false,
    };
    served
        .embedder
        .send(&message, &[given.as_fd()])
        .await
        .unwrap();
    assert!(matches!(
        answer(&engine).await.0,
        DialReply::Listener { .. }
    ));
    let client = any_port(LOOPBACK);
    for (leave, at) in [
        ((7, listener), LOOPBACK),
        ((7, ListenerId(99)), LOOPBACK),
        ((7, LISTENER), OTHER),
        ((7, LISTENER), IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        ((99, LISTENER), LOOPBACK),
    ] {
        associate(&engine, 1, leave, at, client).await;
        assert_eq!(
            failure(&engine).await,
            (1, DialFailure::NoGrant),
            "{leave:?} {at}"
        );
    }
    served.tell(ToBroker::CloseListener(LISTENER)).await;
    associate(&engine, 1, (7, LISTENER), LOOPBACK, client).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
}

#[tokio::test]
async fn there_is_none_where_the_policy_allows_no_datagrams() {
    let (_served, engine) = listening(policy(Some("call"))).await;
    associate(&engine, 1, (7, LISTENER), LOOPBACK, any_port(LOOPBACK)).await;
    let (1, DialFailure::Denied(denial)) = failure(&engine).await else {
        panic!("another failure")
    };
    assert_eq!(denial.reason, Reason::NoDatagrams);
    associate(&engine, 1, (8, LISTENER), LOOPBACK, any_port(LOOPBACK)).await;
    receiving(&engine).await;
}

#[tokio::test]
async fn one_that_is_taken_back_is_given_up() {
    let (served, engine) = listening(policy(None)).await;
    associate(&engine, 1, (7, LISTENER), LOOPBACK, any_port(LOOPBACK)).await;
    let at = receiving(&engine).await;
    served.tell(ToBroker::Revoke(GrantId(7))).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
    // Its port is free again.
    UdpSocket::bind(at).unwrap();
}

async fn dial(engine: &Engine, target: Target, proxy: Option<FirstHop>) {
    let request = DialRequest::DialFor {
        id: 1,
        grant: GrantId(7),
        target,
        method: None,
        found: None,
        deadline_ms: 30_000,
        proxy,
    };
    engine.send(&request, &[]).await.unwrap();
}

#[tokio::test]
async fn a_target_is_dialled_as_what_it_was_judged_as() {
    let (_served, engine) = listening(policy(None)).await;
    let (there, _nobody) = both_sockets();
    there.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = there.local_addr().unwrap();
    dial(&engine, Target::datagrams(address), None).await;
    let (ours, peer) = connected(&engine).await;
    assert_eq!((peer, ours.peer_addr().unwrap()), (address, address));
    ours.send(b"hello").unwrap();
    assert_eq!(heard(&there), b"hello");
    // The same place by a scheme of the web is a connection, and nobody listens.
    let web = Target {
        scheme: Scheme::Http,
        ..Target::datagrams(address)
    };
    dial(&engine, web, None).await;
    assert!(matches!(failure(&engine).await.1, DialFailure::Connect(_)));
}

#[tokio::test]
async fn leave_for_connections_is_none_for_datagrams() {
    let (_served, engine) = listening(allowing(&["127.0.0.1"])).await;
    let canary = socket(LOOPBACK);
    let target = Target::datagrams(canary.local_addr().unwrap());
    dial(&engine, target, None).await;
    let (1, DialFailure::Denied(denial)) = failure(&engine).await else {
        panic!("another failure")
    };
    assert_eq!(denial.reason, Reason::NoDatagrams);
}

#[tokio::test]
async fn datagrams_are_led_to_no_proxy() {
    let mut policy = policy(None);
    policy.allow_private("10.0.0.0/8".parse().unwrap()).unwrap();
    let target = Target::datagrams("10.0.0.1:3478".parse().unwrap());
    let allowed = policy.decide(&target, &Terms::default());
    assert!(matches!(allowed, Decision::Allow(_)));
    let network = Network::new(&[]);
    let served = Served::new(policy, Names::default(), network.clone());
    let grant = StandingGrant {
        id: GrantId(7),
        client: None,
    };
    served.tell(ToBroker::StandingGrant(grant)).await;
    let server: fumehood_policy::ProxyServer = "http://10.0.0.9:3128".parse().unwrap();
    let leave = ProxyLeave {
        named: vec![server.clone()],
        ..ProxyLeave::default()
    };
    served.tell(ToBroker::Proxies(leave)).await;
    let engine = served.engine().await;
    let first = FirstHop {
        server,
        naming: Naming::User,
        unseen: false,
    };
    dial(&engine, target, Some(first)).await;
    assert_eq!(failure(&engine).await, (1, DialFailure::NoGrant));
    assert_eq!(network.started(), []);
}
