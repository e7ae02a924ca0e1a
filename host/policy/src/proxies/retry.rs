//! Which proxy to try next: the order a script gave, and what failed lately.
//!
//! Pure: time comes with each call, as in the rest of this crate.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long a proxy that failed is put last, the first time: Chromium's.
pub const FIRST_RETRY: Duration = Duration::from_secs(5 * 60);

/// The longest that one which fails again and again is put last.
pub const LONGEST_RETRY: Duration = Duration::from_secs(60 * 60);

/// Most proxies remembered. Real scripts name fewer than ten.
pub const MAX_REMEMBERED: usize = 1024;

/// What failed lately, by whatever `P` names a proxy.
///
/// A proxy that failed is not forbidden: it comes after the others, the one
/// that is due first before those due later. So there is always one to try.
#[derive(Clone, Debug)]
pub struct RetryMemory<P> {
    failed: HashMap<P, Bad>,
}

#[derive(Clone, Copy, Debug)]
struct Bad {
    until: Instant,
    /// What was added to the time of its latest failure.
    delay: Duration,
}

impl<P> Default for RetryMemory<P> {
    fn default() -> Self {
        Self {
            failed: HashMap::new(),
        }
    }
}

impl<P: Clone + Eq + Hash> RetryMemory<P> {
    /// The proxies in the order they are to be tried at a time: those that
    /// are well as they came, then those that failed, soonest due first.
    #[must_use]
    pub fn order(&self, proxies: &[P], now: Instant) -> Vec<P> {
        let due = |proxy: &P| {
            let bad = self.failed.get(proxy)?;
            (bad.until > now).then_some(bad.until)
        };
        let mut ordered = proxies.to_vec();
        // Stable, and `None` comes before all times.
        ordered.sort_by_key(due);
        ordered
    }

    /// It failed: for twice as long as the last time, if that is not long over.
    /// To be told once another proxy, or nothing, was tried in its place.
    pub fn failed(&mut self, proxy: &P, now: Instant) {
        let delay = match self.failed.get(proxy) {
            // Within the time it was told for, it tells nothing new.
            Some(bad) if bad.until > now => return,
            Some(bad) if now < bad.until + LONGEST_RETRY => (bad.delay * 2).min(LONGEST_RETRY),
            _ => FIRST_RETRY,
        };
        if !self.failed.contains_key(proxy) {
            self.make_room(now);
        }
        let until = now + delay;
        self.failed.insert(proxy.clone(), Bad { until, delay });
    }

    /// It worked: nothing is held against it.
    pub fn worked(&mut self, proxy: &P) {
        self.failed.remove(proxy);
    }

    /// The network is another: forget all.
    pub fn clear(&mut self) {
        self.failed.clear();
    }

    /// Those that failed and when each is due again, soonest first.
    #[must_use]
    pub fn list(&self, now: Instant) -> Vec<(P, Duration)> {
        let mut list: Vec<_> = self
            .failed
            .iter()
            .map(|(proxy, bad)| (proxy.clone(), bad.until.saturating_duration_since(now)))
            .filter(|(_, wait)| !wait.is_zero())
            .collect();
        list.sort_by_key(|(_, wait)| *wait);
        list
    }

    fn make_room(&mut self, now: Instant) {
        if self.failed.len() < MAX_REMEMBERED {
            return;
        }
        self.failed.retain(|_, bad| bad.until > now);
        if self.failed.len() < MAX_REMEMBERED {
            return;
        }
        let soonest = self.failed.iter().min_by_key(|(_, bad)| bad.until);
        if let Some(proxy) = soonest.map(|(proxy, _)| proxy.clone()) {
            self.failed.remove(&proxy);
        }
    }
}
