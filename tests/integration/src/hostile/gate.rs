//! A point in a script where the server waits for the test.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest that a script or a test waits at a gate. Only a test that fails
/// waits so long.
const LIMIT: Duration = Duration::from_secs(30);

/// Scripts wait at it until the test opens it. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    arrived: usize,
    open: bool,
}

impl Gate {
    /// A closed one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.lock().open = true;
        self.shared.changed.notify_all();
    }

    /// Waits until `count` scripts have come here.
    ///
    /// # Panics
    /// If they have not after half a minute.
    pub fn wait_for(&self, count: usize) {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.lock(), LIMIT, |state| state.arrived < count);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            state.arrived >= count,
            "{} of {count} connections reached the gate",
            state.arrived
        );
    }

    /// A script comes and waits.
    pub(super) fn pass(&self) {
        let mut state = self.lock();
        state.arrived += 1;
        self.shared.changed.notify_all();
        // Past the limit the test has failed, or forgot to open: go on and end.
        let _passed = self
            .shared
            .changed
            .wait_timeout_while(state, LIMIT, |state| !state.open);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
