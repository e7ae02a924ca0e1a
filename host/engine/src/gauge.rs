//! How many of something there are at this moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is held.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU64>);

/// One of them, for as long as it is held.
#[derive(Debug)]
pub(crate) struct One(Arc<AtomicU64>);

impl Gauge {
    /// One more.
    pub(crate) fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
