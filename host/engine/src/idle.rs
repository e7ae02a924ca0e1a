//! Connections that wait for another request to the same origin.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::TlsOptions;
use fumehood_policy::{Scheme, Target};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::registry::Registry;

/// Most idle connections to one origin; browsers keep as many.
const MAX_IDLE_PER_ORIGIN: usize = 6;

/// What two requests must agree on to share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    target: Target,
    tls: Option<TlsOptions>,
}

impl Key {
    pub(crate) fn new(target: &Target, tls: TlsOptions) -> Key {
        let tls = match target.scheme {
            Scheme::Http | Scheme::Served(_) => None,
            Scheme::Https => Some(tls),
        };
        Key {
            target: target.clone(),
            tls,
        }
    }
}

/// The connections, newest last in each list.
pub(crate) struct Idle {
    most: usize,
    keep: Duration,
    parked: Mutex<Parked>,
    /// A version became current.
    swapped: Notify,
}

#[derive(Default)]
struct Parked {
    count: usize,
    /// Connections made before this moment are not kept.
    since: Option<Instant>,
    by_key: HashMap<Key, Vec<(Instant, Connection)>>,
}

impl Idle {
    /// Keeps at most `most` connections for at most `keep` each.
    pub(crate) fn new(most: usize, keep: Duration) -> Idle {
        Idle {
            most,
            keep,
            parked: Mutex::default(),
            swapped: Notify::new(),
        }
    }

    /// Has the next sweep made now: a version became current.
    pub(crate) fn follow_swap(&self) {
        self.swapped.notify_one();
    }

    /// Waits for [`Idle::follow_swap`].
    pub(crate) async fn swapped(&self) {
        self.swapped.notified().await;
    }

    /// The newest connection for the key that is still alive.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let mut parked = self.lock();
        loop {
            let (since, mut connection) = parked.by_key.get_mut(key)?.pop()?;
            parked.count -= 1;
            if since.elapsed() < self.keep && connection.is_alive() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, unless there is no room.
    pub(crate) fn park(&self, key: Key, mut connection: Connection) -> bool {
        connection.rest();
        let mut parked = self.lock();
        if parked.since.is_some_and(|since| connection.since <= since) {
            return false;
        }
        if parked.count >= self.most {
            parked.drop_expired(self.keep);
        }
        if parked.count >= self.most {
            return false;
        }
        let list = parked.by_key.entry(key).or_default();
        if list.len() >= MAX_IDLE_PER_ORIGIN {
            return false;
        }
        list.push((Instant::now(), connection));
        parked.count += 1;
        true
    }

    /// Closes what has waited too long, and gives the rest the current codec:
    /// the peers do not notice. Thousands of instances take a while to make, so
    /// they are made one by one, and requests find all other connections here
    /// meanwhile.
    pub(crate) async fn sweep(&self, registry: &Registry) {
        for key in self.outdated(registry) {
            loop {
                let outdated = self.lock().take_outdated(&key);
                let Some((since, mut connection)) = outdated else {
                    break;
                };
                if connection.codec.refresh().is_ok() {
                    self.lock()
                        .put_back(self.most, key.clone(), since, connection);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Closes what has waited too long; says where codecs are not current.
    fn outdated(&self, registry: &Registry) -> Vec<Key> {
        let mut parked = self.lock();
        parked.drop_expired(self.keep);
        parked.keep_if(|_, connection| !connection.has_outlived_its_guest(registry));
        let lists = parked.by_key.iter();
        let outdated = lists.filter(|(_, list)| list.iter().any(is_outdated));
        outdated.map(|(key, _)| key.clone()).collect()
    }

    /// Closes the older half, at least one.
    pub(crate) fn shed(&self) {
        let mut parked = self.lock();
        let mut since: Vec<Instant> = parked
            .by_key
            .values()
            .flatten()
            .map(|(since, _)| *since)
            .collect();
        since.sort_unstable();
        let Some(&last) = since.get(since.len().saturating_sub(1) / 2) else {
            return;
        };
        parked.keep_if(|since, _| since > last);
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Closes all, and keeps none that was begun before now: what allowed it
    /// may not hold any more.
    pub(crate) fn retire(&self) {
        let mut parked = self.lock();
        parked.clear();
        parked.since = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another version's codec is current.
fn is_outdated((_, connection): &(Instant, Connection)) -> bool {
    !connection.codec.is_current()
}

impl Parked {
    fn take_outdated(&mut self, key: &Key) -> Option<(Instant, Connection)> {
        let list = self.by_key.get_mut(key)?;
        let found = list.remove(list.iter().position(is_outdated)?);
        self.count -= 1;
        Some(found)
    }

    /// Puts a connection where it was, if it may still be there.
    fn put_back(&mut self, most: usize, key: Key, since: Instant, connection: Connection) {
        let retired = self.since.is_some_and(|since| connection.since <= since);
        let list = self.by_key.entry(key).or_default();
        if retired || self.count >= most || list.len() >= MAX_IDLE_PER_ORIGIN {
            return;
        }
        let place = list.partition_point(|(other, _)| *other <= since);
        list.insert(place, (since, connection));
        self.count += 1;
    }

    fn clear(&mut self) {
        self.by_key.clear();
        self.count = 0;
    }

    fn drop_expired(&mut self, keep: Duration) {
        self.keep_if(|since, _| since.elapsed() < keep);
    }

    fn keep_if(&mut self, mut wanted: impl FnMut(Instant, &mut Connection) -> bool) {
        for list in self.by_key.values_mut() {
            list.retain_mut(|(since, connection)| wanted(*since, connection));
        }
        self.by_key.retain(|_, list| !list.is_empty());
        self.count = self.by_key.values().map(Vec::len).sum();
    }
}
