//! Drivers' grants: names, addresses, uses, time; and over real channels.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fumehood_control::{DialFailure, GrantId, Outside, Place, SocketGrant};
use fumehood_policy::{Host, Policy, Reason, Scheme, ServedScheme, Terms, Transport};
use tokio::time::Instant;

use super::world::{allowing, endpoint};
use crate::sockets::{MAX_GRANTED_NAMES, MAX_SOCKET_GRANTS, SocketGrants, judge};

fn place(host: &str, port: u16, transport: Transport) -> Place {
    Place {
        host: host.parse().unwrap(),
        ports: port..=port,
        transport,
    }
}

pub(super) fn grant(id: u64, places: Vec<Place>, uses: u32) -> SocketGrant {
    SocketGrant {
        id: GrantId(id),
        scheme: Scheme::Served(ServedScheme::new("gopher", 70, Transport::Tcp).unwrap()),
        terms: Terms::default(),
        places,
        uses,
        lifetime_ms: 1000,
    }
}

fn tcp(host: &str) -> Vec<Place> {
    vec![place(host, 70, Transport::Tcp)]
}

fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Looks a name up as the broker does, with this answer.
fn look_up(
    grants: &mut SocketGrants,
    policy: &Policy,
    name: &str,
    answer: &[&str],
) -> Result<Vec<IpAddr>, DialFailure> {
    let leave = grants.lookup(policy, GrantId(1), &host(name), Instant::now())?;
    let candidates: Vec<IpAddr> = answer.iter().map(|it| ip(it)).collect();
    let passed = judge(policy, &leave.terms, &leave.targets, &candidates)?.passed;
    leave.known.learn(&host(name), &passed);
    Ok(passed)
}

fn connect(
    grants: &mut SocketGrants,
    policy: &Policy,
    address: &str,
    transport: Transport,
) -> Result<(), DialFailure> {
    let (address, now) = (endpoint(address), Instant::now());
    let leave = grants.connect(policy, GrantId(1), address, transport, now)?;
    leave.spend();
    Ok(())
}

fn outside(address: &str) -> Result<(), DialFailure> {
    let address: SocketAddr = endpoint(address);
    Err(DialFailure::Outside(Outside::Address(
        address,
        Transport::Tcp,
    )))
}

#[tokio::test(start_paused = true)]
async fn an_address_is_good_once_its_name_was_looked_up_and_only_as_granted() {
    let (mut grants, policy) = (SocketGrants::default(), Policy::default());
    grants.insert(grant(1, tcp("a.example"), 9), Instant::now());
    let good = "1.1.1.1:70";
    assert_eq!(
        connect(&mut grants, &policy, good, Transport::Tcp),
        outside(good)
    );
    let passed = look_up(&mut grants, &policy, "a.example", &["1.1.1.1", "10.0.0.1"]);
    assert_eq!(passed, Ok(vec![ip("1.1.1.1")]));
    assert_eq!(connect(&mut grants, &policy, good, Transport::Tcp), Ok(()));
    for other in [
        "1.1.1.1:71",
        "1.1.1.2:70",
        "10.0.0.1:70",
        "127.0.0.1:70",
        "[::ffff:1.1.1.1]:70",
    ] {
        assert_eq!(
            connect(&mut grants, &policy, other, Transport::Tcp),
            outside(other)
        );
    }
    assert!(connect(&mut grants, &policy, good, Transport::Udp).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_granted_is_not_asked_for() {
    let (mut grants, policy) = (SocketGrants::default(), Policy::default());
    grants.insert(grant(1, tcp("a.example"), 9), Instant::now());
    for name in [
        "b.example",
        "x.a.example",
        "example",
        "localhost",
        "1.1.1.1",
    ] {
        let refused = Err(DialFailure::Outside(Outside::Host(host(name))));
        assert_eq!(look_up(&mut grants, &policy, name, &[]), refused, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_is_asked_besides() {
    let mut grants = SocketGrants::default();
    let places = vec![
        place("a.example", 70, Transport::Tcp),
        place("10.0.0.0/8", 70, Transport::Tcp),
    ];
    grants.insert(grant(1, places, 9), Instant::now());
    let policy = Policy::default();
    let denied = look_up(
        &mut grants,
        &policy,
        "a.example",
        &["10.0.0.1", "127.0.0.1"],
    );
    assert!(
        matches!(&denied, Err(DialFailure::Denied(it)) if matches!(it.reason, Reason::Address { .. })),
        "{denied:?}"
    );
    let denied = connect(&mut grants, &policy, "10.0.0.1:70", Transport::Tcp);
    assert!(matches!(denied, Err(DialFailure::Denied(_))), "{denied:?}");
    // One that allows it, from one moment to the next.
    let policy = allowing(&["10.0.0.0/8"]);
    assert_eq!(
        connect(&mut grants, &policy, "10.0.0.1:70", Transport::Tcp),
        Ok(())
    );
    let blocked = vec![place("1.1.1.1", 25, Transport::Tcp)];
    grants.insert(grant(1, blocked, 9), Instant::now());
    let denied = connect(&mut grants, &policy, "1.1.1.1:25", Transport::Tcp);
    assert!(
        matches!(&denied, Err(DialFailure::Denied(it)) if it.reason == Reason::BlockedPort),
        "{denied:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn uses_are_sockets_that_came_about_and_attempts_are_bounded_too() {
    let (mut grants, policy) = (SocketGrants::default(), Policy::default());
    grants.insert(grant(1, tcp("1.1.1.1"), 1), Instant::now());
    let try_once = |grants: &mut SocketGrants| {
        grants.connect(
            &policy,
            GrantId(1),
            endpoint("1.1.1.1:70"),
            Transport::Tcp,
            Instant::now(),
        )
    };
    let under_way = try_once(&mut grants).unwrap();
    assert_eq!(try_once(&mut grants).err(), Some(DialFailure::NoGrant));
    // It failed: the use comes back.
    drop(under_way);
    let mut failed = 2;
    while let Ok(leave) = try_once(&mut grants) {
        drop(leave);
        failed += 1;
        assert!(failed < 100, "attempts without end");
    }
    grants.insert(grant(1, tcp("1.1.1.1"), 1), Instant::now());
    try_once(&mut grants).unwrap().spend();
    assert_eq!(try_once(&mut grants).err(), Some(DialFailure::NoGrant));
}

#[tokio::test(start_paused = true)]
async fn a_grant_ends_with_its_time_or_its_revocation() {
    let (mut grants, policy) = (SocketGrants::default(), Policy::default());
    grants.insert(grant(1, tcp("1.1.1.1"), 9), Instant::now());
    assert_eq!(
        connect(&mut grants, &policy, "1.1.1.1:70", Transport::Tcp),
        Ok(())
    );
    tokio::time::advance(Duration::from_millis(1000)).await;
    let ended = connect(&mut grants, &policy, "1.1.1.1:70", Transport::Tcp);
    assert_eq!(ended, Err(DialFailure::NoGrant));
    grants.insert(grant(1, tcp("1.1.1.1"), 9), Instant::now());
    grants.revoke(GrantId(1));
    let revoked = look_up(&mut grants, &policy, "1.1.1.1", &["1.1.1.1"]);
    assert_eq!(revoked, Err(DialFailure::NoGrant));
}

#[tokio::test(start_paused = true)]
async fn names_places_and_grants_are_bounded() {
    let (mut grants, policy) = (SocketGrants::default(), Policy::default());
    grants.insert(grant(1, tcp("*.example"), 9), Instant::now());
    for count in 0..MAX_GRANTED_NAMES {
        let name = format!("n{count}.example");
        assert!(look_up(&mut grants, &policy, &name, &["1.1.1.1"]).is_ok());
    }
    assert_eq!(
        look_up(&mut grants, &policy, "more.example", &["1.1.1.1"]),
        Err(DialFailure::Outside(Outside::Names))
    );
    // One that is known may be asked for again.
    assert!(look_up(&mut grants, &policy, "n0.example", &["1.1.1.1"]).is_ok());

    let many = vec![place("a.example", 70, Transport::Tcp); fumehood_control::MAX_PLACES + 1];
    let mut fresh = SocketGrants::default();
    fresh.insert(grant(1, many, 1), Instant::now());
    let too_wide = look_up(&mut fresh, &policy, "a.example", &["1.1.1.1"]);
    assert_eq!(too_wide, Err(DialFailure::NoGrant));
    grants.revoke(GrantId(1));
    for id in 1..=MAX_SOCKET_GRANTS as u64 {
        grants.insert(grant(id, tcp("1.1.1.1"), 1), Instant::now());
        tokio::time::advance(Duration::from_micros(1)).await;
    }
    // The one that ends first makes room.
    grants.insert(grant(u64::MAX, tcp("1.1.1.1"), 1), Instant::now());
    let gone = connect(&mut grants, &policy, "1.1.1.1:70", Transport::Tcp);
    assert_eq!(gone, Err(DialFailure::NoGrant));
}
