//! Questions about modules to an engine, its answers, and what it reports unasked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::{
    Assembly, Digest, FaultReport, Inventory, MAX_REPORT_STEPS, MAX_SCHEMES, SwapReason,
    ToEmbedder, ToEngine,
};
use fumehood_policy::ServedScheme;
use tokio::sync::{Mutex as TurnMutex, mpsc, oneshot};

use crate::error::ChannelError;
use crate::launch::EngineChannel;
use crate::live::LiveEngine;
use crate::modules::ModuleError;

/// How long the engine has for an answer. Loading and linking takes
/// milliseconds, and it may be busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Reports that wait to be written; more are dropped. A guest cannot trap
/// faster than its version is quarantined.
const MAX_WAITING: usize = 64;

/// Most versions in an inventory: more than an engine holds.
const MAX_INVENTORY: usize = 256;

/// An answer of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Loaded {
        digest: Digest,
        took_us: u64,
        schemes: Vec<ServedScheme>,
    },
    Swapped {
        from: Digest,
        to: Digest,
        took_us: u64,
    },
    Withdrawn,
    Refused(String),
    Inventory(Box<Inventory>),
}

/// What the engine says unasked.
#[derive(Debug)]
pub(crate) enum News {
    /// A version was quarantined and another took over.
    Quarantined {
        name: String,
        from: Digest,
        to: Digest,
    },
    /// An instance ended.
    Fault(Box<FaultReport>),
    /// Of this side: tell when all before it has been acted on.
    Flush(oneshot::Sender<()>),
}

/// One engine's answers.
pub(crate) struct Desk {
    inner: Mutex<Inner>,
    /// Answers have no numbers, so questions are asked one at a time.
    turn: TurnMutex<()>,
    news: mpsc::Sender<News>,
}

#[derive(Default)]
struct Inner {
    waiting: Option<oneshot::Sender<Answer>>,
    inventory: Assembly,
    report: Option<(u64, Assembly)>,
    /// It is gone, or an answer did not come in time and may come any time.
    closed: bool,
}

impl Desk {
    pub(crate) fn new() -> (Self, mpsc::Receiver<News>) {
        let (news, heard) = mpsc::channel(MAX_WAITING);
        let desk = Desk {
            inner: Mutex::default(),
            turn: TurnMutex::new(()),
            news,
        };
        (desk, heard)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // It is consistent between any two statements that can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a message is for this desk.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(
            message,
            ToEmbedder::ModuleLoaded { .. }
                | ToEmbedder::ModuleRefused { .. }
                | ToEmbedder::ModuleWithdrawn { .. }
                | ToEmbedder::Swapped { .. }
                | ToEmbedder::InventoryFragment { .. }
                | ToEmbedder::Inventory { .. }
                | ToEmbedder::ReportFragment { .. }
                | ToEmbedder::Report { .. }
        )
    }

    /// Asks, and waits for the answer. Must be driven to its end: an answer
    /// that nobody waits for would be taken for the next one's.
    async fn ask(
        &self,
        channel: &EngineChannel,
        question: &ToEngine,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Answer, ModuleError> {
        let _turn = self.turn.lock().await;
        let (answer, answered) = oneshot::channel();
        {
            let mut inner = self.inner();
            if inner.closed {
                return Err(gone());
            }
            inner.waiting = Some(answer);
        }
        let asked = async {
            channel.send(question, fds).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())
        };
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                self.close();
                Err(ModuleError::NoAnswer {
                    seconds: ANSWER_WITHIN.as_secs(),
                })
            }
        }
    }

    /// Takes one message that [`Desk::takes`].
    ///
    /// # Errors
    /// [`ChannelError`] when the engine says what it cannot.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        let mut inner = self.inner();
        match message {
            ToEmbedder::ModuleLoaded {
                digest,
                took_us,
                schemes,
                ..
            } if schemes.len() <= MAX_SCHEMES => inner.answer(Answer::Loaded {
                digest,
                took_us,
                schemes,
            }),
            ToEmbedder::ModuleWithdrawn { .. } => inner.answer(Answer::Withdrawn),
            ToEmbedder::ModuleRefused { why, .. } => inner.answer(Answer::Refused(why)),
            ToEmbedder::Swapped {
                from,
                to,
                took_us,
                reason: SwapReason::Asked,
                ..
            } => inner.answer(Answer::Swapped { from, to, took_us }),
            ToEmbedder::Swapped {
                name,
                from,
                to,
                reason: SwapReason::Quarantine,
                ..
            } => {
                self.tell(News::Quarantined { name, from, to });
                Ok(())
            }
            ToEmbedder::InventoryFragment { bytes } => Ok(inner.inventory.push(&bytes)?),
            ToEmbedder::Inventory { bytes } => {
                let all: Inventory = std::mem::take(&mut inner.inventory).finish(&bytes)?;
                if all.modules.len() > MAX_INVENTORY {
                    return Err(ChannelError::OutOfOrder);
                }
                inner.answer(Answer::Inventory(Box::new(all)))
            }
            ToEmbedder::ReportFragment { number, bytes } => {
                Ok(inner.assembly(number)?.push(&bytes)?)
            }
            ToEmbedder::Report { number, bytes } => {
                inner.assembly(number)?;
                let (_, assembly) = inner.report.take().ok_or(ChannelError::OutOfOrder)?;
                let report: FaultReport = assembly.finish(&bytes)?;
                if report.backtrace.len().max(report.trail.len()) > MAX_REPORT_STEPS {
                    return Err(ChannelError::OutOfOrder);
                }
                self.tell(News::Fault(Box::new(report)));
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// Waits until all news so far have been acted on.
    pub(crate) async fn flush(&self) {
        let (done, all_done) = oneshot::channel();
        if self.news.send(News::Flush(done)).await.is_ok() {
            // Gone with the engine: nothing is left to wait for.
            let _gone = all_done.await;
        }
    }

    fn tell(&self, news: News) {
        if self.news.try_send(news).is_err() {
            tracing::warn!("the engine reports faster than can be written; a report is dropped");
        }
    }

    /// The engine is gone: nobody waits any longer.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        inner.waiting = None;
    }
}

impl Inner {
    fn answer(&mut self, answer: Answer) -> Result<(), ChannelError> {
        match self.waiting.take() {
            Some(waiting) => {
                // Whoever asked may have given up.
                let _unheard = waiting.send(answer);
                Ok(())
            }
            // Too late.
            None if self.closed => Ok(()),
            None => Err(ChannelError::OutOfOrder),
        }
    }

    /// Reports come one after the other.
    fn assembly(&mut self, number: u64) -> Result<&mut Assembly, ChannelError> {
        let (current, assembly) = self
            .report
            .get_or_insert_with(|| (number, Assembly::default()));
        match *current == number {
            true => Ok(assembly),
            false => Err(ChannelError::OutOfOrder),
        }
    }
}

/// Asks an engine, whether or not the caller waits to the end.
pub(crate) async fn ask(
    engine: &Arc<LiveEngine>,
    question: ToEngine,
    fd: Option<Arc<OwnedFd>>,
) -> Result<Answer, ModuleError> {
    let engine = engine.clone();
    let asking = tokio::spawn(async move {
        let fds: Vec<BorrowedFd<'_>> = fd.iter().map(|fd| fd.as_fd()).collect();
        engine.desk.ask(&engine.channel, &question, &fds).await
    });
    asking.await.unwrap_or_else(|_| Err(gone()))
}

fn gone() -> ModuleError {
    crate::Error::from(ChannelError::Channel(
        fumehood_sandbox::ChannelError::Closed,
    ))
    .into()
}

#[cfg(test)]
mod tests;
