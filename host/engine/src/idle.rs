//! Connections that wait for another request to the same origin.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::TlsOptions;
use fumehood_policy::{Scheme, Target};
use tokio::time::Instant;

use crate::connection::Connection;

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
            Scheme::Http => None,
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
}

#[derive(Default)]
struct Parked {
    count: usize,
    by_key: HashMap<Key, Vec<(Instant, Connection)>>,
}

impl Idle {
    /// Keeps at most `most` connections for at most `keep` each.
    pub(crate) fn new(most: usize, keep: Duration) -> Idle {
        Idle {
            most,
            keep,
            parked: Mutex::default(),
        }
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
        connection.transport.shrink();
        let mut parked = self.lock();
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

    /// Closes what has waited too long.
    pub(crate) fn sweep(&self) {
        self.lock().drop_expired(self.keep);
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        *self.lock() = Parked::default();
    }

    fn lock(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    fn drop_expired(&mut self, keep: Duration) {
        for list in self.by_key.values_mut() {
            list.retain(|(since, _)| since.elapsed() < keep);
        }
        self.by_key.retain(|_, list| !list.is_empty());
        self.count = self.by_key.values().map(Vec::len).sum();
    }
}
