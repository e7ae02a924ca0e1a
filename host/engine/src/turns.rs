//! Turns: how many exchanges may have a connection to one place at once.
//!
//! Who comes first is served first, place by place: a full origin holds up
//! nobody who waits for another. A turn lasts as long as its exchange, which
//! has one connection at a time; what is idle is dropped where a new connection
//! would be one too many ([`crate::idle::Idle::leave_room`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_policy::ProxyServer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::idle::Key;

/// All who wait, and who is served.
pub(crate) struct Turns {
    origins: Lanes<Key>,
    proxies: Lanes<ProxyServer>,
}

/// Leave to have one connection, until it is dropped.
pub(crate) struct Turn {
    origin: Place<Key>,
    proxy: Option<Place<ProxyServer>>,
}

impl Turns {
    /// With so many connections to one origin, and through one proxy.
    pub(crate) fn new(per_origin: u32, per_proxy: u32) -> Turns {
        Turns {
            origins: Lanes::new(per_origin),
            proxies: Lanes::new(per_proxy),
        }
    }

    /// Waits for a turn; for as long as it takes, since the caller has a deadline.
    pub(crate) async fn wait(&self, key: &Key) -> Turn {
        let origin = self.origins.enter(key).await;
        let proxy = match key.proxy() {
            Some(server) => Some(self.proxies.enter(server).await),
            None => None,
        };
        Turn { origin, proxy }
    }

    /// How many have their turn, and how many wait for it.
    pub(crate) fn count(&self) -> (usize, usize) {
        let (at_origins, before_origins) = self.origins.count();
        let (_, before_proxies) = self.proxies.count();
        // Who waits at a proxy has come past the origin, or is on its way there now.
        let served = at_origins.saturating_sub(before_proxies);
        (served, before_origins + before_proxies)
    }
}

impl Turn {
    /// Connections that may be idle at the origin beside those in use.
    pub(crate) fn idle_at_origin(&self) -> usize {
        self.origin.lane.available_permits()
    }

    /// The same at the proxy, where there is one.
    pub(crate) fn idle_at_proxy(&self) -> Option<usize> {
        Some(self.proxy.as_ref()?.lane.available_permits())
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
    /// All in it, waiting or served.
    inside: usize,
}

/// Somebody in a lane, waiting or served.
struct Place<K: Eq + Hash> {
    key: K,
    lane: Arc<Semaphore>,
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

    /// How many are served, and how many wait.
    fn count(&self) -> (usize, usize) {
        let lanes = lock(&self.by_key);
        lanes.values().fold((0, 0), |(served, waiting), lane| {
            let here = self.width() - lane.places.available_permits();
            (served + here, waiting + lane.inside.saturating_sub(here))
        })
    }

    fn width(&self) -> usize {
        self.width.min(Semaphore::MAX_PERMITS)
    }

    async fn enter(&self, key: &K) -> Place<K> {
        let width = self.width();
        let lane = {
            let mut lanes = lock(&self.by_key);
            let lane = lanes.entry(key.clone()).or_insert_with(|| Lane {
                places: Arc::new(Semaphore::new(width)),
                inside: 0,
            });
            lane.inside += 1;
            Arc::clone(&lane.places)
        };
        let mut place = Place {
            key: key.clone(),
            lane,
            permit: None,
            by_key: Arc::clone(&self.by_key),
        };
        // It is never closed.
        place.permit = Arc::clone(&place.lane).acquire_owned().await.ok();
        place
    }
}

/// Whoever leaves last takes the lane away.
impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut lanes = lock(&self.by_key);
        // Under the lock, so that nobody who is gone is counted as waiting.
        self.permit = None;
        let Some(lane) = lanes.get_mut(&self.key) else {
            return;
        };
        lane.inside -= 1;
        if lane.inside == 0 {
            lanes.remove(&self.key);
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

    use super::*;

    /// The place of somebody who waits, if it is their turn now.
    fn served<K: Eq + Hash>(waiting: Pin<&mut impl Future<Output = Place<K>>>) -> Option<Place<K>> {
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

    #[tokio::test]
    async fn who_is_served_and_who_waits_is_counted() {
        let lanes = Lanes::new(1);
        assert_eq!(lanes.count(), (0, 0));
        let first = lanes.enter(&"a").await;
        let mut second = Box::pin(lanes.enter(&"a"));
        let mut third = Box::pin(lanes.enter(&"a"));
        assert!(served(second.as_mut()).is_none() && served(third.as_mut()).is_none());
        let elsewhere = lanes.enter(&"b").await;
        assert_eq!(lanes.count(), (2, 2));
        drop(first);
        // The second has its turn, and has not noticed yet.
        assert_eq!(lanes.count(), (2, 1));
        drop((second, elsewhere));
        assert_eq!(lanes.count(), (1, 0));
        drop(third);
        assert_eq!(lanes.count(), (0, 0));
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
