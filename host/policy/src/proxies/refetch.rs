//! When a script is fetched again.

use std::time::{Duration, Instant};

/// Waits after failures in a row, the last of them for ever after: Chromium's.
pub const AFTER_FAILURES: [Duration; 4] = [
    Duration::from_secs(8),
    Duration::from_secs(32),
    Duration::from_secs(2 * 60),
    Duration::from_secs(4 * 60 * 60),
];

/// How long a script that was had is good: Chromium's.
pub const AFTER_SUCCESS: Duration = Duration::from_secs(12 * 60 * 60);

/// When a script is fetched again. Time comes with the calls.
#[derive(Clone, Copy, Debug)]
pub struct Refetch {
    due: Instant,
    /// In a row.
    failures: usize,
}

impl Refetch {
    /// It is due at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Refetch {
            due: now,
            failures: 0,
        }
    }

    /// When to fetch next.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Whether that has come.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// It was fetched and loads.
    pub fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        self.due = now + AFTER_SUCCESS;
    }

    /// It was not had, or does not load.
    pub fn failed(&mut self, now: Instant) {
        let last = AFTER_FAILURES.len() - 1;
        self.due = now + AFTER_FAILURES[self.failures.min(last)];
        self.failures = self.failures.saturating_add(1);
    }

    /// The network or the settings are others: due at once, and nothing is held
    /// against it.
    pub fn changed(&mut self, now: Instant) {
        *self = Refetch::new(now);
    }
}
