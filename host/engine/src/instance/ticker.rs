//! The clock that ends hung guests: it ticks only while guests may run.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::Engine;

/// Time between two epochs. A call overruns its deadline by one tick at most.
const TICK: Duration = Duration::from_millis(10);

/// Epochs a call may take: half a second. The longest honest call, a chain of
/// 16 RSA certificates, takes under 10 ms.
pub(crate) const CALL_DEADLINE_TICKS: u64 = 50;

/// So much time in epochs, rounded up.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX)
}

/// Advances the engine's epoch from a thread of its own, since a hung guest
/// keeps its own thread busy. With nothing under way it sleeps without waking.
#[derive(Clone, Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    active: Mutex<u64>,
    wake: Condvar,
}

/// While one lives, the epoch advances.
#[derive(Debug)]
pub(crate) struct Active {
    shared: Arc<Shared>,
}

impl Ticker {
    /// Starts the thread; it ends with the process.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                loop {
                    theirs.wait_until_active();
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(Ticker { shared })
    }

    /// Keeps the epoch advancing while the result lives.
    pub(crate) fn activate(&self) -> Active {
        let mut active = self
            .shared
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *active += 1;
        if *active == 1 {
            self.shared.wake.notify_one();
        }
        Active {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Shared {
    fn wait_until_active(&self) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        while *active == 0 {
            active = self
                .wake
                .wait(active)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        *self
            .shared
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}
