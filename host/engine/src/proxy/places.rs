//! How many associations there may be: of one client, and in all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use fumehood_policy::ClientName;

use super::lock;

/// Most associations of an engine. With [`super::flows::MAX_FLOWS`] each, they take
/// 2,112 descriptors, which 6,000 connections and their servers leave.
const MAX_ASSOCIATIONS: u32 = 64;

/// Most of one client, which is a name that rules know at an address: half of all,
/// so that one leaves something to others.
const MAX_ASSOCIATIONS_PER_CLIENT: u32 = 32;

/// By which associations are counted.
pub(super) type Key = (Option<ClientName>, IpAddr);

/// Those that are taken.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    by_client: HashMap<Key, u32>,
}

/// An association's place, given back when it ends.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    key: Key,
}

impl Places {
    /// One for this client; `None` where it has as many as it may, or all are taken.
    pub(super) fn take(&self, key: Key) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let of_client = taken.by_client.get(&key).copied().unwrap_or_default();
        if taken.all >= MAX_ASSOCIATIONS || of_client >= MAX_ASSOCIATIONS_PER_CLIENT {
            return None;
        }
        taken.all += 1;
        taken.by_client.insert(key.clone(), of_client + 1);
        Some(Place {
            taken: Arc::clone(&self.taken),
            key,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(of_client) = taken.by_client.get_mut(&self.key) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.by_client.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8) -> Key {
        (None, [127, 0, 0, last].into())
    }

    #[test]
    fn one_client_leaves_something_to_others() {
        let places = Places::default();
        let take = |last| (0..MAX_ASSOCIATIONS).map_while(move |_| Some(last));
        let first: Vec<_> = take(1).filter_map(|it| places.take(key(it))).collect();
        assert_eq!(first.len(), MAX_ASSOCIATIONS_PER_CLIENT as usize);
        let second: Vec<_> = take(2).filter_map(|it| places.take(key(it))).collect();
        assert_eq!(first.len() + second.len(), MAX_ASSOCIATIONS as usize);
        assert!(places.take(key(3)).is_none(), "all are taken");
        drop(first);
        assert!(places.take(key(3)).is_some());
        drop(second);
        let taken = lock(&places.taken);
        assert_eq!((taken.all, taken.by_client.len()), (0, 0));
    }
}
