//! A deadline that moves on: one timer a connection, seldom touched.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

/// How long is waited.
pub(super) struct Patience {
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    /// No deadline yet.
    pub(super) fn new() -> Patience {
        // It fires once for nothing and is then set to what is asked.
        Patience {
            timer: Box::pin(tokio::time::sleep(Duration::from_secs(1))),
        }
    }

    /// Ready when the deadline has passed. The timer may lag behind a deadline
    /// that moves on: setting it at each step would cost more than the wakeup.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            // A turn that was spent on data has a deadline all the same.
            ready!(pin!(unconstrained(self.timer.as_mut())).poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}

/// So many milliseconds from now.
pub(super) fn within(milliseconds: u32) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::coop::poll_proceed;

    #[tokio::test]
    async fn a_turn_that_was_spent_on_data_has_a_deadline() {
        let mut patience = Patience::new();
        let deadline = Instant::now();
        let lost = deadline + Duration::from_secs(30);
        let is_ready = std::future::poll_fn(|cx| {
            while let Poll::Ready(turn) = poll_proceed(cx) {
                turn.made_progress();
            }
            // What had no turn left has woken the task already.
            match patience.poll(cx, deadline) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending if Instant::now() > lost => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        });
        assert!(is_ready.await);
    }
}
