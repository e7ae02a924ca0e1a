//! The pool of idle connections, with real ones.

use std::future::poll_fn;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{ClientWay, GrantId, ListenerId};
use fumehood_policy::RequestUrl;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::GOOD;
use super::rig::LIMITS;
use crate::connection::Connection;
use crate::idle::Idle;
use crate::key::{Key, Whose};
use crate::registry::{Registry, fixtures};
use crate::resume::SteadyCodec;
use crate::tls::Anchors;
use crate::transport::Transport;

const CLIENTS: Whose = Whose::Clients(ListenerId(1), GrantId(1));

/// Longer than any test.
const KEEP: Duration = Duration::from_secs(3600);

/// Where connections lead, and what they need.
struct Place {
    runtime: Runtime,
    registry: Arc<Registry>,
    listener: TcpListener,
}

impl Place {
    fn new() -> Place {
        let registry = Registry::new(LIMITS, Anchors::default()).unwrap();
        fixtures::put(&registry, "http1", GOOD, 1).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Place {
            runtime: runtime.unwrap(),
            registry: Arc::new(registry),
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
        }
    }

    /// A connection, and its other end.
    fn connect(&self) -> (Connection, TcpStream) {
        let to = self.listener.local_addr().unwrap();
        let socket = TcpStream::connect(to).unwrap();
        socket.set_nonblocking(true).unwrap();
        // The peer's address tells one from another.
        let peer = socket.local_addr().unwrap();
        let _inside = self.runtime.enter();
        let connection = Connection {
            transport: Transport::from(tokio::net::TcpStream::from_std(socket).unwrap()),
            codec: SteadyCodec::new(&self.registry).unwrap(),
            peer,
            since: Instant::now(),
            room: None,
        };
        (connection, self.listener.accept().unwrap().0)
    }

    /// Parks so many, each of which stays open. Their other ends, and which is which.
    fn park(&self, idle: &Idle, key: &Key, count: usize) -> Vec<(TcpStream, u16)> {
        let all = (0..count).map(|_| {
            let (connection, other) = self.connect();
            let which = connection.peer.port();
            assert!(idle.park(key.clone(), connection));
            (other, which)
        });
        all.collect()
    }

    /// Takes all there are for a key: which they are.
    fn take(&self, idle: &Idle, key: &Key) -> Vec<u16> {
        let _inside = self.runtime.enter();
        std::iter::from_fn(|| idle.take(key))
            .map(|it| it.peer.port())
            .collect()
    }

    /// Waits until something has come over it, be it the end.
    fn hear(&self, connection: &mut Connection) {
        let heard = self.runtime.block_on(poll_fn(|cx| {
            connection.transport.poll_bytes(cx).map_ok(drop)
        }));
        heard.unwrap();
    }
}

fn key(whose: Whose, url: &str) -> Key {
    let target = RequestUrl::parse(url).unwrap().target;
    Key::of_client(whose, &target, &ClientWay::straight())
}

#[test]
fn it_is_given_to_its_equal_alone_and_the_newest_first() {
    let (place, idle) = (Place::new(), Idle::new(16, 16, KEEP));
    let own = key(CLIENTS, "http://a.test");
    let kept = place.park(&idle, &own, 3);
    for other in [
        key(Whose::Clients(ListenerId(1), GrantId(2)), "http://a.test"),
        key(Whose::Clients(ListenerId(2), GrantId(1)), "http://a.test"),
        key(Whose::Embedder, "http://a.test"),
        key(CLIENTS, "http://b.test"),
        key(CLIENTS, "http://a.test:8080"),
    ] {
        assert!(place.take(&idle, &other).is_empty(), "{other:?}");
    }
    let newest_first: Vec<u16> = kept.iter().rev().map(|(_, which)| *which).collect();
    assert_eq!(place.take(&idle, &own), newest_first);
    assert_eq!(idle.count(), 0);
}

#[test]
fn what_has_waited_longest_makes_room() {
    let (place, idle) = (Place::new(), Idle::new(5, 3, KEEP));
    let (one, other) = (key(CLIENTS, "http://a.test"), key(CLIENTS, "http://b.test"));
    let which = |kept: &[(TcpStream, u16)]| -> Vec<u16> {
        kept.iter().rev().map(|(_, which)| *which).collect()
    };
    // Four of one place, of which there may be three,
    let ones = place.park(&idle, &one, 4);
    assert_eq!(idle.count(), 3);
    // and three of another, so that there are six where there may be five.
    let others = place.park(&idle, &other, 3);
    assert_eq!(idle.count(), 5);
    assert_eq!(place.take(&idle, &other), which(&others));
    assert_eq!(place.take(&idle, &one), which(&ones[2..]));

    let (none, alike) = (Idle::new(0, 3, KEEP), Idle::new(3, 0, KEEP));
    for idle in [none, alike] {
        assert!(!idle.park(one.clone(), place.connect().0));
        assert_eq!(idle.count(), 0);
    }
}

#[test]
fn what_has_something_unread_or_has_ended_is_not_given_out() {
    let (place, idle) = (Place::new(), Idle::new(16, 16, KEEP));
    let own = key(CLIENTS, "http://a.test");
    let (mut spoken, mut other) = place.connect();
    other.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
    place.hear(&mut spoken);
    let (mut ended, gone) = place.connect();
    drop(gone);
    place.hear(&mut ended);
    let (good, _open) = place.connect();
    let expected = good.peer.port();
    for connection in [good, spoken, ended] {
        assert!(idle.park(own.clone(), connection));
    }
    assert_eq!(place.take(&idle, &own), [expected]);
}

#[test]
fn what_was_kept_too_long_is_not_given_out() {
    let (place, idle) = (Place::new(), Idle::new(16, 16, Duration::ZERO));
    let own = key(CLIENTS, "http://a.test");
    let _open = place.park(&idle, &own, 2);
    assert!(place.take(&idle, &own).is_empty());
}

#[test]
fn those_of_a_listener_go_with_it_and_what_was_allowed_before_is_not_kept() {
    let (place, idle) = (Place::new(), Idle::new(16, 16, KEEP));
    let of = |listener, grant| Whose::Clients(ListenerId(listener), GrantId(grant));
    let (ann, bob) = (
        key(of(1, 1), "http://a.test"),
        key(of(1, 2), "http://a.test"),
    );
    let (elsewhere, own) = (
        key(of(2, 3), "http://a.test"),
        key(Whose::Embedder, "http://a.test"),
    );
    let open: Vec<_> = [&ann, &bob, &elsewhere, &own]
        .into_iter()
        .flat_map(|key| place.park(&idle, key, 1))
        .collect();
    idle.close_of(ListenerId(1));
    assert_eq!(idle.count(), 2);
    assert!(place.take(&idle, &ann).is_empty() && place.take(&idle, &bob).is_empty());

    let (begun_before, _other) = place.connect();
    idle.retire();
    assert_eq!(idle.count(), 0);
    assert!(!idle.park(ann.clone(), begun_before));
    let after = place.park(&idle, &ann, 1);
    assert_eq!(place.take(&idle, &ann), [after[0].1]);
    drop(open);
}

#[test]
fn what_is_not_fit_stays_for_others() {
    let (place, idle) = (Place::new(), Idle::new(16, 16, KEEP));
    let own = key(CLIENTS, "http://a.test");
    let kept = place.park(&idle, &own, 3);
    let _inside = place.runtime.enter();
    let is = |which: u16| move |it: &Connection| it.peer.port() == which;
    assert!(idle.take_if(&own, |_| false).is_none());
    assert_eq!(idle.count(), 3);
    let oldest = idle.take_if(&own, is(kept[0].1)).unwrap();
    assert_eq!((oldest.peer.port(), idle.count()), (kept[0].1, 2));
    assert_eq!(place.take(&idle, &own), [kept[2].1, kept[1].1]);
}

/// What decides whether it is kept is asked when nothing can come in between.
#[test]
fn what_may_not_be_kept_is_not() {
    let (place, idle) = (Place::new(), Idle::new(16, 16, KEEP));
    let own = key(CLIENTS, "http://a.test");
    let (connection, _open) = place.connect();
    assert!(!idle.park_if(own.clone(), connection, || false));
    assert_eq!(idle.count(), 0);
}

/// The sweep has one in its hands while the others are closed.
#[test]
fn what_closes_others_closes_the_one_that_is_being_moved() {
    let place = Place::new();
    let own = key(CLIENTS, "http://a.test");
    let of_others = key(Whose::Embedder, "http://b.test");
    type Close = fn(&Idle);
    let closings: [(Close, usize); 5] = [
        (|_| {}, 1),
        (|idle| idle.close_of(ListenerId(2)), 1),
        (|idle| idle.close_of(ListenerId(1)), 0),
        (Idle::clear, 0),
        (Idle::retire, 0),
    ];
    for (at, (close, left)) in closings.into_iter().enumerate() {
        let idle = Idle::new(16, 16, KEEP);
        let _open = place.park(&idle, &own, 1);
        let version = 2 + u8::try_from(at).unwrap();
        fixtures::put(&place.registry, "http1", GOOD, version).unwrap();
        assert!(idle.lift_outdated(&of_others).is_none());
        let (since, mut connection) = idle.lift_outdated(&own).unwrap();
        connection.refresh().unwrap();
        assert_eq!(idle.count(), 0);
        close(&idle);
        idle.put_back(since, connection);
        assert_eq!(idle.count(), left, "{at}");
    }
}

/// It is not one too many when it comes back.
#[test]
fn the_one_that_is_being_moved_keeps_to_the_bound() {
    let (place, idle) = (Place::new(), Idle::new(16, 1, KEEP));
    let own = key(CLIENTS, "http://a.test");
    let _open = place.park(&idle, &own, 1);
    fixtures::put(&place.registry, "http1", GOOD, 2).unwrap();
    let (since, mut connection) = idle.lift_outdated(&own).unwrap();
    connection.refresh().unwrap();
    let _other = place.park(&idle, &own, 1);
    idle.put_back(since, connection);
    assert_eq!(idle.count(), 1);
}
