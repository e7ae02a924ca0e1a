//! One dial: what is checked is what is dialled, and nothing else is.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fumehood_control::{Attempt, DialFailure, MAX_CANDIDATES};
use fumehood_policy::{AddressSpace, Mode, Policy, Spaces};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::world::{Answer, Names, Network, Peer, allowing, are, endpoint, leave};
use crate::connect::{Connect as _, Tcp};
use crate::dial::{Connected, Dialler};
use crate::servers::Source;

type Outcome = Result<Connected, DialFailure>;

async fn dialled(dialler: &Dialler<Names, Network>, policy: &Policy, url: &str) -> Outcome {
    dialler
        .dial(
            policy,
            &leave(url),
            Source::System,
            Instant::now() + Duration::from_secs(30),
        )
        .await
}

fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Err(DialFailure::Denied(denial)) => denial.reason.name(),
        other => panic!("not denied: {other:?}"),
    }
}

fn world(names: &[(&str, &[Answer])], peers: &[(&str, Peer)]) -> Dialler<Names, Network> {
    Dialler {
        resolver: Names::new(names),
        connector: Network::new(peers),
        reports: mpsc::channel(1).0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_target_is_not_even_resolved() {
    let dialler = world(&[], &[]);
    for (url, why) in [
        ("http://example.com:25/", "blocked-port"),
        ("http://localhost/", "localhost"),
        ("http://0x7f.1/", "loopback-address"),
        ("http://[::ffff:169.254.169.254]/", "local-address"),
    ] {
        assert_eq!(
            reason(dialled(&dialler, &Policy::default(), url).await),
            why,
            "{url}"
        );
    }
    assert!(dialler.resolver.asked().is_empty());
    assert!(dialler.connector.started().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_of_private_addresses_alone_is_denied() {
    let answers = [are(&["10.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"])];
    let dialler = world(&[("evil.example", &answers)], &[]);
    let outcome = dialled(&dialler, &Policy::default(), "http://evil.example/").await;
    assert_eq!(reason(outcome), "local-address");
    assert!(dialler.connector.started().is_empty(), "no packet leaves");
}

#[tokio::test(start_paused = true)]
async fn of_mixed_addresses_only_those_that_pass_are_dialled() {
    let answers = [are(&[
        "127.0.0.1",
        "1.1.1.1",
        "::1",
        "1.1.1.1",
        "192.168.0.1",
    ])];
    let dialler = world(
        &[("mixed.example", &answers)],
        &[("1.1.1.1:443", Peer::Fails(5, Errno::CONNREFUSED))],
    );
    let outcome = dialled(&dialler, &Policy::default(), "https://mixed.example/").await;
    let failed = Attempt {
        address: endpoint("1.1.1.1:443"),
        errno: Some(Errno::CONNREFUSED.raw_os_error()),
    };
    assert_eq!(outcome.unwrap_err(), DialFailure::Connect(vec![failed]));
    assert_eq!(dialler.connector.started(), [(0, "1.1.1.1:443".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_tells_how_it_came_about() {
    let answers = [Answer::Late(
        40,
        vec!["10.0.0.1".parse().unwrap(), "1.1.1.1".parse().unwrap()],
    )];
    let dialler = world(
        &[("mixed.example", &answers)],
        &[("1.1.1.1:80", Peer::Accepts(7))],
    );
    let it = dialled(&dialler, &Policy::default(), "http://mixed.example/")
        .await
        .unwrap();
    assert_eq!(it.peer, endpoint("1.1.1.1:80"));
    assert_eq!(it.refused, [endpoint("10.0.0.1:80")]);
    assert!(it.attempts.is_empty());
    assert_eq!(it.resolving, Duration::from_millis(40));
    assert_eq!(it.connecting, Duration::from_millis(7));
}

#[tokio::test(start_paused = true)]
async fn rebinding_finds_each_dial_resolved_and_checked_anew() {
    let answers = [are(&["1.1.1.1"]), are(&["127.0.0.1"]), are(&["8.8.8.8"])];
    let peers = [
        ("1.1.1.1:80", Peer::Accepts(0)),
        ("8.8.8.8:80", Peer::Accepts(0)),
    ];
    let dialler = world(&[("rebind.example", &answers)], &peers);
    // Not even an opened loopback literal helps it.
    let policy = allowing(&["127.0.0.1"]);
    let url = "http://rebind.example/";
    assert_eq!(
        dialled(&dialler, &policy, url).await.unwrap().peer,
        endpoint("1.1.1.1:80")
    );
    assert_eq!(
        reason(dialled(&dialler, &policy, url).await),
        "loopback-address"
    );
    assert_eq!(
        dialled(&dialler, &policy, url).await.unwrap().peer,
        endpoint("8.8.8.8:80")
    );
    assert_eq!(dialler.resolver.asked().len(), 3);
    let started = dialler.connector.started();
    assert!(
        started
            .iter()
            .all(|(_, address)| !address.starts_with("127.")),
        "{started:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn localhost_and_literals_never_reach_the_resolver() {
    let peers = [
        ("127.0.0.1:80", Peer::Accepts(0)),
        ("1.1.1.1:80", Peer::Accepts(0)),
    ];
    let dialler = world(&[], &peers);
    let policy = allowing(&["localhost", "*.localhost"]);
    for url in ["http://localhost/", "http://a.b.localhost/"] {
        // ::1 is a black hole here, so its turn passes after the delay.
        let it = dialled(&dialler, &policy, url).await.unwrap();
        assert_eq!(it.peer, endpoint("127.0.0.1:80"), "{url}");
        assert_eq!(
            it.attempts,
            [Attempt {
                address: endpoint("[::1]:80"),
                errno: None
            }]
        );
    }
    let it = dialled(&dialler, &policy, "http://1.1.1.1/").await.unwrap();
    assert_eq!(it.resolving, Duration::ZERO);
    assert!(dialler.resolver.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_while_resolving_and_while_connecting() {
    let names: [(&str, &[Answer]); 2] = [
        ("never.example", &[Answer::Never]),
        (
            "late.example",
            &[Answer::Late(
                20_000,
                vec![IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1))],
            )],
        ),
    ];
    let dialler = world(&names, &[("1.1.1.1:80", Peer::Accepts(20_000))]);
    for (url, resolving) in [
        ("http://never.example/", true),
        ("http://late.example/", false),
    ] {
        let begun = Instant::now();
        let outcome = dialled(&dialler, &Policy::default(), url).await;
        assert_eq!(
            outcome.unwrap_err(),
            DialFailure::Timeout { resolving },
            "{url}"
        );
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }
    assert_eq!(dialler.connector.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_resolver_says_is_passed_on() {
    let names: [(&str, &[Answer]); 2] = [
        ("no.example", &[Answer::Error("Name or service not known")]),
        ("empty.example", &[are(&[])]),
    ];
    let dialler = world(&names, &[]);
    for (url, said) in [
        ("http://no.example/", "Name or"),
        ("http://empty.example/", "no address"),
    ] {
        match dialled(&dialler, &Policy::default(), url).await {
            Err(DialFailure::Resolve(why)) => assert!(why.contains(said), "{why}"),
            other => panic!("{url}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn candidates_are_bounded() {
    let many: Vec<IpAddr> = (0..1000)
        .map(|it: u32| Ipv4Addr::from_bits(0x0101_0000 + it).into())
        .collect();
    let dialler = world(&[("many.example", &[Answer::Addresses(many)])], &[]);
    let outcome = dialled(&dialler, &Policy::default(), "http://many.example/").await;
    assert_eq!(
        outcome.unwrap_err(),
        DialFailure::Timeout { resolving: false }
    );
    assert!(dialler.connector.started().len() <= MAX_CANDIDATES);
}

#[tokio::test]
async fn a_refused_address_sees_no_packet() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let resolver = Names::new(&[("evil.example", &[are(&["127.0.0.1", "::ffff:127.0.0.1"])])]);
    let dialler = Dialler {
        resolver,
        connector: Tcp::new(),
        reports: mpsc::channel(1).0,
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    for url in [
        "evil.example",
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "127.1",
    ] {
        let target = leave(&format!("http://{url}:{port}/"));
        let outcome = dialler
            .dial(&Policy::default(), &target, Source::System, deadline)
            .await;
        assert!(
            matches!(outcome, Err(DialFailure::Denied(_))),
            "{url}: {outcome:?}"
        );
    }
    // The first connection that the canary sees is the one allowed now.
    let target = leave(&format!("http://127.0.0.1:{port}/"));
    let it = dialler
        .dial(&allowing(&["127.0.0.1"]), &target, Source::System, deadline)
        .await
        .unwrap();
    let (_, peer) = canary.accept().await.unwrap();
    let ours: std::net::TcpStream = it.socket.into();
    assert_eq!(ours.local_addr().unwrap(), peer);
}

#[tokio::test]
async fn tcp_hands_over_a_connection_as_the_engine_wants_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = Tcp::new();
    let socket: std::net::TcpStream = tcp.connect(address).await.unwrap().into();
    assert!(socket.nodelay().unwrap());
    assert_eq!(socket.peer_addr().unwrap(), address);
    let would_block = std::io::Read::read(&mut &socket, &mut [0]).unwrap_err();
    assert_eq!(would_block.kind(), std::io::ErrorKind::WouldBlock);

    // Its port stays taken.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = nobody.local_addr().unwrap();
    assert_eq!(tcp.connect(address).await.unwrap_err(), Errno::CONNREFUSED);
}

#[tokio::test(start_paused = true)]
async fn what_is_only_reported_is_dialled_and_told_of_once() {
    let addresses = are(&["10.0.0.1"]);
    let mut dialler = world(
        &[("b.example", &[addresses])],
        &[("10.0.0.1:80", Peer::Accepts(1))],
    );
    let (told, mut reports) = mpsc::channel(9);
    dialler.reports = told;
    let mut policy = Policy::default();
    policy.set_modes(Mode::Enforce, Mode::Report);
    let it = dialled(&dialler, &policy, "http://b.example/")
        .await
        .unwrap();
    assert_eq!(it.peer, endpoint("10.0.0.1:80"));
    assert_eq!(reports.try_recv().unwrap().reason.name(), "local-address");
    assert!(reports.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_leaves_a_space_out_reaches_nothing_there() {
    let names: [(&str, &[Answer]); 1] = [("b.example", &[are(&["10.0.0.1"])])];
    let dialler = world(&names, &[("10.0.0.1:80", Peer::Accepts(1))]);
    let mut public = leave("http://b.example/");
    public.terms.spaces = Spaces::of(&[AddressSpace::Public]);
    let deadline = Instant::now() + Duration::from_secs(30);
    let policy = allowing(&["10.0.0.0/8"]);
    let outcome = dialler
        .dial(&policy, &public, Source::System, deadline)
        .await;
    assert_eq!(reason(outcome), "outside-grant");
    assert!(dialler.connector.started().is_empty());
}
