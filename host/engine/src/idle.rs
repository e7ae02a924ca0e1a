//! Connections that wait for another request that they fit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::{ListenerId, PoolActivity};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::key::Key;
use crate::turns::Turn;

/// The connections, newest last in each list.
pub(crate) struct Idle {
    most: usize,
    most_alike: usize,
    keep: Duration,
    parked: Mutex<Parked>,
    /// A version became current.
    swapped: Notify,
}

#[derive(Default)]
struct Parked {
    count: usize,
    /// How many wait for what idle connections hold.
    wanted: usize,
    /// How many were taken for another request.
    reused: u64,
    /// Connections made before this moment are not kept.
    since: Option<Instant>,
    /// Where the one belongs that the sweep has in its hands, if it may come back.
    lifted: Option<Key>,
    by_key: HashMap<Key, Vec<(Instant, Connection)>>,
}

impl Idle {
    /// Keeps at most `most` connections, `most_alike` of them to one target on the same
    /// terms, for at most `keep` each.
    pub(crate) fn new(most: usize, most_alike: usize, keep: Duration) -> Idle {
        Idle {
            most,
            most_alike,
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

    /// How long one is kept.
    pub(crate) fn keep(&self) -> Duration {
        self.keep
    }

    /// The newest connection for the key that is still alive.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        self.take_if(key, |_| true)
    }

    /// The same of those that are fit for what it is taken for. The others stay.
    pub(crate) fn take_if(
        &self,
        key: &Key,
        mut is_fit: impl FnMut(&Connection) -> bool,
    ) -> Option<Connection> {
        let mut parked = self.lock();
        let list = parked.by_key.get_mut(key)?;
        let (mut place, mut dead, mut found) = (list.len(), 0, None);
        while let Some(before) = place.checked_sub(1) {
            place = before;
            let (since, connection) = &mut list[place];
            if since.elapsed() >= self.keep || !connection.is_alive() {
                list.remove(place);
                dead += 1;
            } else if is_fit(connection) {
                found = Some(list.remove(place).1);
                break;
            }
        }
        parked.count -= dead + usize::from(found.is_some());
        parked.reused += u64::from(found.is_some());
        found
    }

    /// As [`Idle::park_if`] where it may be kept.
    #[cfg(test)]
    pub(crate) fn park(&self, key: Key, connection: Connection) -> bool {
        self.park_if(key, connection, || true)
    }

    /// Keeps a connection, unless somebody waits for what it holds. Those that have
    /// waited longest make room. Whether it may be kept at all is asked when nobody else
    /// parks or closes.
    pub(crate) fn park_if(
        &self,
        key: Key,
        mut connection: Connection,
        may_be_kept: impl FnOnce() -> bool,
    ) -> bool {
        connection.rest();
        let mut parked = self.lock();
        if !may_be_kept() {
            return false;
        }
        if parked.wanted > 0 || parked.since.is_some_and(|since| connection.since <= since) {
            return false;
        }
        if self.most == 0 || self.most_alike == 0 {
            return false;
        }
        if parked.count >= self.most {
            parked.drop_expired(self.keep);
        }
        if key.is_of_one_target() {
            parked.trim_alike(&key, self.most_alike - 1);
        }
        if parked.count >= self.most {
            parked.trim(self.most - 1, |_| true);
        }
        let list = parked.by_key.entry(key).or_default();
        list.push((Instant::now(), connection));
        parked.count += 1;
        true
    }

    /// Closes what has waited too long, and gives the rest guests of the current
    /// versions: the peers do not notice. A connection that a version cannot go on
    /// with is closed. Thousands of instances take a while to make, so they are
    /// made one by one, and requests find all other connections here meanwhile.
    pub(crate) async fn sweep(&self) {
        for key in self.outdated() {
            while let Some((since, mut connection)) = self.lift_outdated(&key) {
                if connection.refresh().is_ok() {
                    self.put_back(since, connection);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes one whose guests are not current from the others, to be put back: what
    /// closes those for more than their age closes this one too. Since when it waits.
    pub(crate) fn lift_outdated(&self, key: &Key) -> Option<(Instant, Connection)> {
        let mut parked = self.lock();
        let list = parked.by_key.get_mut(key)?;
        let lifted = list.remove(list.iter().position(is_outdated)?);
        parked.count -= 1;
        parked.lifted = Some(key.clone());
        Some(lifted)
    }

    /// Puts it where it was, if it may still be there.
    pub(crate) fn put_back(&self, since: Instant, connection: Connection) {
        let mut parked = self.lock();
        let Some(key) = parked.lifted.take() else {
            return;
        };
        let alike = parked.by_key.get(&key).map_or(0, Vec::len);
        let is_full = key.is_of_one_target() && alike >= self.most_alike;
        if is_full || parked.wanted > 0 || parked.count >= self.most {
            return;
        }
        let list = parked.by_key.entry(key).or_default();
        let place = list.partition_point(|(other, _)| *other <= since);
        list.insert(place, (since, connection));
        parked.count += 1;
    }

    /// Closes what has waited too long; says where guests are not current.
    fn outdated(&self) -> Vec<Key> {
        let mut parked = self.lock();
        parked.drop_expired(self.keep);
        let lists = parked.by_key.iter();
        let outdated = lists.filter(|(_, list)| list.iter().any(is_outdated));
        outdated.map(|(key, _)| key.clone()).collect()
    }

    /// Closes the oldest idle ones until a new connection is not one too many for
    /// whoever has this turn.
    pub(crate) fn leave_room(&self, key: &Key, turn: &Turn) {
        let mut parked = self.lock();
        if let Some(most) = turn.idle_at_origin() {
            parked.trim(most, |it| it == key);
        }
        if let Some(most) = turn.idle_at_proxy() {
            parked.trim(most, |it| it.proxy() == key.proxy());
        }
    }

    /// Has no connection kept as long as this is held.
    pub(crate) fn want_room(&self) -> Wanted<'_> {
        self.lock().wanted += 1;
        Wanted(self)
    }

    /// Closes the one that has waited longest. False where there is none.
    pub(crate) fn drop_oldest(&self) -> bool {
        let mut parked = self.lock();
        let most = parked.count.saturating_sub(1);
        let any = parked.count > 0;
        parked.trim(most, |_| true);
        any
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

    /// Tells how many there are, were taken, and are waited for.
    pub(crate) fn tell(&self, pool: &mut PoolActivity) {
        let parked = self.lock();
        pool.idle = parked.count as u64;
        pool.reused = parked.reused;
        pool.waiting_for_place = parked.wanted as u64;
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Closes those of a listener's clients.
    pub(crate) fn close_of(&self, listener: ListenerId) {
        let mut parked = self.lock();
        parked.close_lifted(|key| key.is_of(listener));
        parked.by_key.retain(|key, _| !key.is_of(listener));
        parked.recount();
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

/// Whether other versions than its guests' are current.
fn is_outdated((_, connection): &(Instant, Connection)) -> bool {
    !connection.is_current()
}

/// Somebody waits for what idle connections hold.
pub(crate) struct Wanted<'a>(&'a Idle);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.lock().wanted -= 1;
    }
}

impl Parked {
    /// Has the one that was lifted not come back, if it is one of these.
    fn close_lifted(&mut self, of: impl Fn(&Key) -> bool) {
        let _closed = self.lifted.take_if(|key| of(key));
    }

    fn clear(&mut self) {
        self.lifted = None;
        self.by_key.clear();
        self.count = 0;
    }

    /// Closes the oldest of some, until at most so many are left; the one that was
    /// lifted is one more.
    fn trim(&mut self, most: usize, of: impl Fn(&Key) -> bool) {
        let some = self.by_key.iter().filter(|(key, _)| of(key));
        let mut since: Vec<Instant> = some
            .flat_map(|(_, list)| list.iter().map(|(since, _)| *since))
            .collect();
        if since.len() >= most {
            self.close_lifted(&of);
        }
        let Some(too_many) = since.len().checked_sub(most).filter(|count| *count > 0) else {
            return;
        };
        since.sort_unstable();
        let mut left = too_many;
        let last = since[too_many - 1];
        for (_, list) in self.by_key.iter_mut().filter(|(key, _)| of(key)) {
            list.retain(|(since, _)| {
                let drop = left > 0 && *since <= last;
                left -= usize::from(drop);
                !drop
            });
        }
        self.by_key.retain(|_, list| !list.is_empty());
        self.count -= too_many;
    }

    /// The same of those with one key, which needs no look at the others.
    fn trim_alike(&mut self, key: &Key, most: usize) {
        if let Some(list) = self.by_key.get_mut(key) {
            let too_many = list.len().saturating_sub(most);
            list.drain(..too_many);
            self.count -= too_many;
        }
    }

    fn drop_expired(&mut self, keep: Duration) {
        self.keep_if(|since, _| since.elapsed() < keep);
    }

    fn keep_if(&mut self, mut wanted: impl FnMut(Instant, &mut Connection) -> bool) {
        for list in self.by_key.values_mut() {
            list.retain_mut(|(since, connection)| wanted(*since, connection));
        }
        self.by_key.retain(|_, list| !list.is_empty());
        self.recount();
    }

    fn recount(&mut self) {
        self.count = self.by_key.values().map(Vec::len).sum();
    }
}
