//! How long a driver may compute without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use wasmtime::{Result, UpdateDeadline};

use crate::instance::CALL_DEADLINE_TICKS;

/// Counts the epochs in which a driver computed since it last waited. At each
/// it gives way to others; after as many as any guest's call may take it is ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    used: AtomicU64,
    gave_way: AtomicBool,
}

impl Budget {
    /// An epoch passed while the driver computed, or as it goes on after waiting.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "what wasmtime wants of a callback"
    )]
    pub(crate) fn tick(&self) -> Result<UpdateDeadline> {
        if self.shared.used.fetch_add(1, Ordering::Relaxed) >= CALL_DEADLINE_TICKS {
            return Ok(UpdateDeadline::Interrupt);
        }
        self.shared.gave_way.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }

    /// Runs a call, and tells waiting from giving way.
    pub(crate) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = std::pin::pin!(call);
        self.renew();
        std::future::poll_fn(|cx: &mut Context<'_>| {
            let polled = call.as_mut().poll(cx);
            if matches!(polled, Poll::Pending)
                && !self.shared.gave_way.swap(false, Ordering::Relaxed)
            {
                self.renew();
            }
            polled
        })
        .await
    }

    fn renew(&self) {
        self.shared.used.store(0, Ordering::Relaxed);
    }
}
