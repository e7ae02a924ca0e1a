//! A thread that something runs on, with the stack that JavaScript needs.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use fumehood_control::PacFailure;
use tokio::sync::oneshot;

/// Native stack of the thread, in bytes: what the guest may use, and what host
/// functions beside it do.
pub(crate) const STACK_BYTES: usize = fumehood_wasm::EVALUATOR_STACK + (2 << 20);

/// Calls that may wait for a thread. A page's requests come by the hundred.
const WAITING_CALLS: usize = 256;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Owns what runs on the thread. It ends, and drops that, with the last call
/// after this was dropped.
pub(super) struct Worker<S> {
    jobs: SyncSender<Job<S>>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`PacFailure::Busy`] when the system gives none.
    pub(super) fn start(mut state: S) -> Result<Worker<S>, PacFailure> {
        let (jobs, todo) = sync_channel::<Job<S>>(WAITING_CALLS);
        std::thread::Builder::new()
            .name("pac".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                while let Ok(job) = todo.recv() {
                    job(&mut state);
                }
            })
            .map_err(|_| PacFailure::Busy)?;
        Ok(Worker { jobs })
    }

    /// Runs a piece of work after those before it.
    ///
    /// # Errors
    /// [`PacFailure::Busy`] when as many wait as may.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, PacFailure> {
        let (done, outcome) = oneshot::channel();
        let job = Box::new(move |state: &mut S| {
            // Whoever asked may have given up.
            let _unheard = done.send(work(state));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => PacFailure::Busy,
        })?;
        outcome.await.map_err(|_| PacFailure::Busy)
    }
}
