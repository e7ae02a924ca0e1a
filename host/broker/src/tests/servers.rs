//! The engine's own resolver: which servers its sockets reach, and what its
//! answers are worth.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fumehood_control::{
    DialFailure, GrantId, MAX_CANDIDATES, MAX_RESOLVER_PLACES, Outside, ResolverGrant,
};
use fumehood_policy::{Policy, Transport};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::world::{Names, Network, Peer, allowing, are, endpoint, leave};
use crate::dial::{Connected, Dialler};
use crate::servers::{Servers, Source};

const ID: GrantId = GrantId(7);

fn grant(places: &[&str], dials: bool) -> ResolverGrant {
    let both = [Transport::Udp, Transport::Tcp];
    let places = places.iter().map(|it| endpoint(it));
    ResolverGrant {
        id: ID,
        places: places.flat_map(|at| both.map(|it| (at, it))).collect(),
        dials,
    }
}

fn servers(places: &[&str]) -> Servers {
    let mut servers = Servers::default();
    servers.replace(grant(places, false));
    servers
}

fn outside(address: SocketAddr, transport: Transport) -> Option<Result<(), DialFailure>> {
    let outside = Outside::Address(address, transport);
    Some(Err(DialFailure::Outside(outside)))
}

#[test]
fn exactly_the_servers_are_reached_whatever_the_policy_and_the_port() {
    let servers = servers(&["127.0.0.53:53", "[fd00::1]:53"]);
    for server in ["127.0.0.53:53", "[fd00::1]:53"] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let answer = servers.connect(ID, endpoint(server), transport);
            assert_eq!(answer, Some(Ok(())), "{server}");
        }
    }
    for elsewhere in ["127.0.0.53:54", "127.0.0.54:53", "8.8.8.8:53"] {
        let address = endpoint(elsewhere);
        let answer = servers.connect(ID, address, Transport::Udp);
        assert_eq!(answer, outside(address, Transport::Udp));
    }
    // Of another grant this says nothing.
    let answer = servers.connect(GrantId(8), endpoint("127.0.0.53:53"), Transport::Udp);
    assert_eq!(answer, None);
}

#[test]
fn one_leave_takes_the_place_of_another_and_can_be_taken_back() {
    let mut servers = servers(&["192.0.2.1:53"]);
    servers.replace(grant(&["192.0.2.2:53"], false));
    let (old, new) = (endpoint("192.0.2.1:53"), endpoint("192.0.2.2:53"));
    assert_eq!(
        servers.connect(ID, old, Transport::Udp),
        outside(old, Transport::Udp)
    );
    assert_eq!(servers.connect(ID, new, Transport::Udp), Some(Ok(())));
    servers.revoke(GrantId(8));
    assert_eq!(servers.connect(ID, new, Transport::Udp), Some(Ok(())));
    servers.revoke(ID);
    assert_eq!(servers.connect(ID, new, Transport::Udp), None);
}

#[test]
fn one_with_too_many_places_is_none_at_all() {
    let mut servers = servers(&["192.0.2.1:53"]);
    let mut many = grant(&["192.0.2.1:53"], true);
    many.places = vec![many.places[0]; MAX_RESOLVER_PLACES + 1];
    servers.replace(many);
    assert_eq!(
        servers.connect(ID, endpoint("192.0.2.1:53"), Transport::Udp),
        None
    );
    assert_eq!(servers.source(Some(Vec::new())), Source::System);
}

#[test]
fn what_the_engine_found_counts_only_where_the_embedder_said_so() {
    let found = Some(vec!["192.0.2.1".parse().unwrap()]);
    let mut servers = Servers::default();
    assert_eq!(servers.source(found.clone()), Source::System);
    servers.replace(grant(&["192.0.2.1:53"], false));
    assert_eq!(servers.source(found.clone()), Source::System);
    servers.replace(grant(&["192.0.2.1:53"], true));
    assert_eq!(servers.source(found.clone()), Source::Engine(found));
    assert_eq!(servers.source(None), Source::Engine(None));
}

fn world(peers: &[(&str, Peer)]) -> Dialler<Names, Network> {
    Dialler {
        resolver: Names::new(&[("a.example", &[are(&["93.184.215.14"])])]),
        connector: Network::new(peers),
        reports: mpsc::channel(1).0,
    }
}

async fn dialled(
    dialler: &Dialler<Names, Network>,
    policy: &Policy,
    url: &str,
    found: Option<&[&str]>,
) -> Result<Connected, DialFailure> {
    let addresses = |them: &[&str]| them.iter().map(|it| it.parse().unwrap()).collect();
    let source = Source::Engine(found.map(addresses));
    let deadline = Instant::now() + Duration::from_secs(30);
    dialler.dial(policy, &leave(url), source, deadline).await
}

#[tokio::test(start_paused = true)]
async fn every_address_that_the_engine_found_is_judged_before_it_is_dialled() {
    let dialler = world(&[("1.1.1.1:80", Peer::Accepts(0))]);
    let found = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "1.1.1.1"];
    let url = "http://a.example/";
    let connected = dialled(&dialler, &Policy::default(), url, Some(&found)).await;
    let connected = connected.unwrap();
    assert_eq!(connected.peer, endpoint("1.1.1.1:80"));
    assert_eq!(connected.refused.len(), 3);
    assert_eq!(dialler.connector.started().len(), 1);

    let private = &found[..3];
    let denied = dialled(&dialler, &Policy::default(), url, Some(private)).await;
    assert!(matches!(denied, Err(DialFailure::Denied(_))), "{denied:?}");
    assert_eq!(dialler.connector.started().len(), 1);
    assert!(
        dialler.resolver.asked().is_empty(),
        "the system is not asked"
    );
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_ask_its_resolver_dials_no_name() {
    let dialler = world(&[]);
    let failed = dialled(&dialler, &Policy::default(), "http://a.example/", None).await;
    assert!(matches!(failed, Err(DialFailure::Resolve(_))), "{failed:?}");
    let failed = dialled(&dialler, &Policy::default(), "http://a.example/", Some(&[])).await;
    assert!(matches!(failed, Err(DialFailure::Resolve(_))), "{failed:?}");
    assert!(dialler.resolver.asked().is_empty() && dialler.connector.started().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_engine_does_not_say_what_localhost_or_a_literal_is() {
    let dialler = world(&[
        ("127.0.0.1:80", Peer::Accepts(1)),
        ("1.1.1.1:80", Peer::Accepts(0)),
    ]);
    let policy = allowing(&["localhost", "127.0.0.1"]);
    for url in ["http://a.localhost/", "http://localhost/", "http://127.1/"] {
        let connected = dialled(&dialler, &policy, url, Some(&["1.1.1.1"])).await;
        assert_eq!(connected.unwrap().peer, endpoint("127.0.0.1:80"), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_addresses_are_considered_than_of_any_name() {
    let dialler = world(&[]);
    let found: Vec<IpAddr> = (0..=255)
        .map(|last| IpAddr::from([1, 1, 1, last]))
        .collect();
    let source = Source::Engine(Some(found));
    let deadline = Instant::now() + Duration::from_secs(30);
    let host = leave("http://a.example/").target.host;
    let candidates = dialler.look(&host, source, deadline).await.unwrap();
    assert_eq!(candidates.len(), MAX_CANDIDATES);
}
