//! Turns: how many exchanges may have a connection to one place at once.
//!
//! Who comes first is served first, place by place: a full origin holds up
//! nobody who waits for another. A turn lasts as long as its exchange, which
//! has one connection at a time; what is idle is dropped where a new connection
//! would be one too many ([`crate::idle::Idle::leave_room`]). A client of a listener
//! has turns at proxies alone, each for as long as it has the connection.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_policy::ProxyServer;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::gauge::{Gauge, One};
use crate::key::Key;

/// All who wait, and who is served.
pub(crate) struct Turns {
    origins: Lanes<Key>,
    proxies: Lanes<ProxyServer>,
    /// Exchanges that have their turn.
    served: Gauge,
    waiting: Gauge,
}

/// Leave to have one connection, until it is dropped.
pub(crate) struct Turn {
    origin: Option<Place<Key>>,
    proxy: Option<Place<ProxyServer>>,
    _served: Option<One>,
}

impl Turns {
    /// With so many connections to one origin, and through one proxy.
    pub(crate) fn new(per_origin: u32, per_proxy: u32) -> Turns {
        Turns {
            origins: Lanes::new(per_origin),
            proxies: Lanes::new(per_proxy),
            served: Gauge::default(),
            waiting: Gauge::default(),
        }
    }

    /// Waits for an exchange's turn, for as long as it takes: those before it end, and
    /// the caller may have a deadline of its own.
    pub(crate) async fn wait(&self, key: &Key) -> Turn {
        let _waiting = self.waiting.one();
        let origin = self.origins.enter(key).await;
        let proxy = match key.proxy() {
            Some(server) => Some(self.proxies.enter(server).await),
            None => None,
        };
        Turn {
            origin: Some(origin),
            proxy,
            _served: Some(self.served.one()),
        }
    }

    /// The same of a listener's client, whose connections to origins are not counted.
    pub(crate) async fn wait_at_proxy(&self, server: &ProxyServer) -> Turn {
        let _waiting = self.waiting.one();
        Turn {
            origin: None,
            proxy: Some(self.proxies.enter(server).await),
            _served: None,
        }
    }

    /// Connections that there may be through one proxy.
    pub(crate) fn per_proxy(&self) -> usize {
        self.proxies.width()
    }

    /// How many exchanges have their turn, and how many of all wait for one.
    pub(crate) fn count(&self) -> (u64, u64) {
        (self.served.count(), self.waiting.count())
    }
}

impl Turn {
    /// Connections that may be idle at the origin beside those in use, where they are
    /// counted.
    pub(crate) fn idle_at_origin(&self) -> Option<usize> {
        Some(self.origin.as_ref()?.lane.available_permits())
    }

    /// The same at the proxy, where there is one.
    pub(crate) fn idle_at_proxy(&self) -> Option<usize> {
        Some(self.proxy.as_ref()?.lane.available_permits())
    }

    /// Somebody waits for what this is a turn at.
    pub(crate) fn is_wanted(&self) -> bool {
        self.origin.as_ref().is_some_and(Place::is_wanted)
            || self.proxy.as_ref().is_some_and(Place::is_wanted)
    }

    /// Waits until somebody waits for it at the proxy. Of all who hold a place there and
    /// wait so, one is told of each who comes.
    pub(crate) async fn wanted_at_proxy(&self) {
        match &self.proxy {
            Some(place) => place.wanted().await,
            None => std::future::pending().await,
        }
    }

    /// It is one at this proxy.
    pub(crate) fn is_at(&self, server: &ProxyServer) -> bool {
        self.proxy
            .as_ref()
            .is_some_and(|place| place.key == *server)
    }
}

/// A lane for each place, as long as somebody is in it.
struct Lanes<K> {
    width: usize,
    by_key: ByKey<K>,
}

type ByKey<K> = Arc<Mutex<HashMap<K, Lane>>>;

struct Lane {
    places: Arc<Semaphore>,
    /// Told when somebody comes and finds no place.
    wanted: Arc<Notify>,
    /// All in it, waiting or served.
    inside: usize,
}

/// Somebody in a lane, waiting or served.
struct Place<K: Eq + Hash> {
    key: K,
    /// Of the lane.
    width: usize,
    lane: Arc<Semaphore>,
    wanted: Arc<Notify>,
    permit: Option<OwnedSemaphorePermit>,
    by_key: ByKey<K>,
}

impl<K: Eq + Hash + Clone> Lanes<K> {
    fn new(width: u32) -> Lanes<K> {
        Lanes {
            width: usize::try_from(width.max(1)).unwrap_or(usize::MAX),
            by_key: Arc::default(),
        }
    }

    fn width(&self) -> usize {
        self.width.min(Semaphore::MAX_PERMITS)
    }

    async fn enter(&self, key: &K) -> Place<K> {
        let width = self.width();
        let (lane, wanted) = {
            let mut lanes = lock(&self.by_key);
            let lane = lanes.entry(key.clone()).or_insert_with(|| Lane {
                places: Arc::new(Semaphore::new(width)),
                wanted: Arc::default(),
                inside: 0,
            });
            lane.inside += 1;
            if lane.inside > width {
                lane.wanted.notify_one();
            }
            (Arc::clone(&lane.places), Arc::clone(&lane.wanted))
        };
        let mut place = Place {
            key: key.clone(),
            width,
            lane,
            wanted,
            permit: None,
            by_key: Arc::clone(&self.by_key),
        };
        // It is never closed.
        place.permit = Arc::clone(&place.lane).acquire_owned().await.ok();
        place
    }
}

impl<K: Eq + Hash> Place<K> {
    /// More are in its lane than are served.
    fn is_wanted(&self) -> bool {
        let lanes = lock(&self.by_key);
        let inside = lanes.get(&self.key).map_or(0, |lane| lane.inside);
        inside > self.width
    }

    async fn wanted(&self) {
        loop {
            self.wanted.notified().await;
            // Who came may have gone again.
            if self.is_wanted() {
                return;
            }
        }
    }
}

/// Whoever leaves last takes the lane away. Who gives a place up while others still wait
/// has another holder told: of several who came while none listened, one was.
impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut lanes = lock(&self.by_key);
        // Under the lock, so that nobody who is gone is counted as waiting.
        let had_place = self.permit.take().is_some();
        let Some(lane) = lanes.get_mut(&self.key) else {
            return;
        };
        lane.inside -= 1;
        if lane.inside == 0 {
            lanes.remove(&self.key);
        } else if had_place && lane.inside > self.width {
            lane.wanted.notify_one();
        }
    }
}

fn lock<K>(lanes: &ByKey<K>) -> MutexGuard<'_, HashMap<K, Lane>> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use fumehood_control::{ClientWay, Hop, HopAsk, TlsOptions};
    use fumehood_policy::RequestUrl;

    use super::*;
    use crate::key::Whose;

    /// What somebody waits for, if it is their turn now.
    fn served<T>(waiting: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut cx = Context::from_waker(Waker::noop());
        match waiting.poll(&mut cx) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn first_come_first_served_and_nobody_waits_for_another_place() {
        let lanes = Lanes::new(2);
        let first = lanes.enter(&"a").await;
        let second = lanes.enter(&"a").await;
        let mut third = Box::pin(lanes.enter(&"a"));
        let mut fourth = Box::pin(lanes.enter(&"a"));
        assert!(served(third.as_mut()).is_none() && served(fourth.as_mut()).is_none());
        let elsewhere = lanes.enter(&"b").await;
        assert_eq!(elsewhere.lane.available_permits(), 1);
        drop(first);
        assert!(served(fourth.as_mut()).is_none(), "the third came before");
        let third = served(third.as_mut());
        assert!(third.is_some());
        drop(second);
        assert!(served(fourth.as_mut()).is_some());
    }

    /// To this place, straight or through a proxy.
    fn key(place: &str, proxy: Option<&str>) -> Key {
        let target = RequestUrl::parse(place).expect("a URL").target;
        let hop = proxy.map(|proxy| Hop {
            server: proxy.parse().expect("a proxy"),
            ask: HopAsk::Connect { fields: Vec::new() },
            tls: TlsOptions::default(),
            partition: 0,
            tokens: None,
        });
        let way = ClientWay {
            via: hop.into_iter().collect(),
            ..ClientWay::straight()
        };
        Key::of_client(Whose::Embedder, &target, &way)
    }

    #[tokio::test]
    async fn who_is_served_and_who_waits_is_counted() {
        let turns = Turns::new(1, 1);
        let (a, b) = (key("http://a.test", None), key("http://b.test", None));
        assert_eq!(turns.count(), (0, 0));
        let first = turns.wait(&a).await;
        let mut second = Box::pin(turns.wait(&a));
        let mut third = Box::pin(turns.wait(&a));
        assert!(served(second.as_mut()).is_none() && served(third.as_mut()).is_none());
        let elsewhere = turns.wait(&b).await;
        assert_eq!(turns.count(), (2, 2));
        drop((first, elsewhere));
        let second = served(second.as_mut());
        assert_eq!((second.is_some(), turns.count()), (true, (1, 1)));
        drop((second, third));
        assert_eq!(turns.count(), (0, 0));
    }

    #[tokio::test]
    async fn exchanges_and_clients_have_turns_at_one_proxy_in_one_row() {
        let turns = Turns::new(6, 2);
        let through = key("http://a.test", Some("http://p.test"));
        let proxy = through.proxy().expect("a proxy");
        let (exchange, client) = (turns.wait(&through).await, turns.wait_at_proxy(proxy).await);
        assert!(!exchange.is_wanted() && !client.is_wanted());
        assert_eq!(
            (client.idle_at_origin(), client.idle_at_proxy()),
            (None, Some(0))
        );
        assert_eq!((turns.count(), turns.per_proxy()), ((1, 0), 2));
        let mut next = Box::pin(turns.wait_at_proxy(proxy));
        let mut last = Box::pin(turns.wait(&through));
        assert!(served(next.as_mut()).is_none() && served(last.as_mut()).is_none());
        // An exchange that waits at the proxy is not served yet.
        assert_eq!(turns.count(), (1, 2));
        assert!(exchange.is_wanted() && client.is_wanted());
        drop(exchange);
        assert!(served(last.as_mut()).is_none(), "the client came before");
        let next = served(next.as_mut());
        assert!(next.is_some());
        drop(client);
        assert!(served(last.as_mut()).is_some());
    }

    /// Who holds a place and does nothing with it hears of who comes for one.
    #[tokio::test]
    async fn one_holder_is_told_of_each_who_comes() {
        let turns = Turns::new(6, 2);
        let through = key("http://a.test", Some("http://p.test"));
        let proxy = through.proxy().expect("a proxy");
        let (one, other) = (turns.wait_at_proxy(proxy).await, turns.wait(&through).await);
        assert!(one.is_at(proxy) && other.is_at(proxy));
        let (mut first, mut second) = (
            Box::pin(one.wanted_at_proxy()),
            Box::pin(other.wanted_at_proxy()),
        );
        assert!(served(first.as_mut()).is_none() && served(second.as_mut()).is_none());
        let mut next = Box::pin(turns.wait_at_proxy(proxy));
        assert!(served(next.as_mut()).is_none());
        let told = [
            served(first.as_mut()).is_some(),
            served(second.as_mut()).is_some(),
        ];
        assert_eq!(told, [true, false]);
        // Who comes while nobody listens is told of later, and who has gone is not.
        drop((first, second));
        let mut last = Box::pin(turns.wait_at_proxy(proxy));
        assert!(served(last.as_mut()).is_none());
        let mut heard = Box::pin(other.wanted_at_proxy());
        assert!(served(heard.as_mut()).is_some());
        let mut gone = Box::pin(turns.wait_at_proxy(proxy));
        assert!(served(gone.as_mut()).is_none());
        drop((next, last, gone));
        let mut heard = Box::pin(other.wanted_at_proxy());
        assert!(served(heard.as_mut()).is_none());

        let straight = turns.wait(&key("http://a.test", None)).await;
        assert!(!straight.is_at(proxy));
        assert!(served(Box::pin(straight.wanted_at_proxy()).as_mut()).is_none());
    }

    /// Of those who came while nobody listened one is told of at once, the next when that
    /// one has its place.
    #[tokio::test]
    async fn nobody_who_came_while_none_listened_is_left_unheard() {
        let turns = Turns::new(6, 2);
        let through = key("http://a.test", Some("http://p.test"));
        let proxy = through.proxy().expect("a proxy");
        let (one, other) = (turns.wait_at_proxy(proxy).await, turns.wait(&through).await);
        let mut next = Box::pin(turns.wait_at_proxy(proxy));
        let mut last = Box::pin(turns.wait_at_proxy(proxy));
        assert!(served(next.as_mut()).is_none() && served(last.as_mut()).is_none());
        assert!(served(Box::pin(one.wanted_at_proxy()).as_mut()).is_some());
        drop(one);
        let next = served(next.as_mut());
        assert!(next.is_some());
        assert!(served(Box::pin(other.wanted_at_proxy()).as_mut()).is_some());
        drop(other);
        let last = served(last.as_mut());
        assert!(last.is_some());
        drop(next);
        let last = last.expect("a place");
        assert!(served(Box::pin(last.wanted_at_proxy()).as_mut()).is_none());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let lanes = Lanes::new(1);
        let first = lanes.enter(&"a").await;
        let mut second = Box::pin(lanes.enter(&"a"));
        assert!(served(second.as_mut()).is_none());
        drop(first);
        drop(second);
        assert!(lock(&lanes.by_key).is_empty());
        let again = lanes.enter(&"a").await;
        assert_eq!(again.lane.available_permits(), 0);
    }
}
