//! What the engine says of names, to whom it belongs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_control::{Assembly, NameAnswer, ToEmbedder, ToEngine, Unresolved};
use tokio::sync::{mpsc, oneshot};

use crate::error::ChannelError;

type Outcome = Result<NameAnswer, Unresolved>;

/// One engine's questions that wait.
#[derive(Debug)]
pub(crate) struct Answers {
    /// None once the engine is gone.
    waiting: Mutex<Option<HashMap<u64, Slot>>>,
}

#[derive(Debug)]
struct Slot {
    assembly: Assembly,
    answer: oneshot::Sender<Outcome>,
}

/// A question that waits. Dropped, nobody wants its answer any more.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: u64,
    answers: Arc<Answers>,
    answer: oneshot::Receiver<Outcome>,
    orders: mpsc::UnboundedSender<ToEngine>,
}

impl Waiting {
    /// Waits for it; nothing if the engine goes away first.
    pub(crate) async fn answer(mut self) -> Option<Outcome> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let given_up = self
            .answers
            .lock()
            .as_mut()
            .and_then(|waiting| waiting.remove(&self.id));
        if given_up.is_some() {
            // An engine that is gone need not be told.
            let _gone = self.orders.send(ToEngine::Unresolve { id: self.id });
        }
    }
}

impl Answers {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Answers {
            waiting: Mutex::new(Some(HashMap::new())),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Slot>>> {
        // It is consistent between any two statements that can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for an answer; none when the engine is gone.
    pub(crate) fn open(
        self: &Arc<Self>,
        id: u64,
        orders: &mpsc::UnboundedSender<ToEngine>,
    ) -> Option<Waiting> {
        let (sender, answer) = oneshot::channel();
        let slot = Slot {
            assembly: Assembly::default(),
            answer: sender,
        };
        self.lock().as_mut()?.insert(id, slot);
        Some(Waiting {
            id,
            answers: Arc::clone(self),
            answer,
            orders: orders.clone(),
        })
    }

    /// Whether a message is for this place.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(
            message,
            ToEmbedder::ResolvedFragment { .. } | ToEmbedder::Resolved { .. }
        )
    }

    /// Takes one message that [`Answers::takes`]. One to a question that was
    /// given up is passed over.
    ///
    /// # Errors
    /// [`ChannelError`] when it is not in the agreed form.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        let mut all = self.lock();
        let Some(waiting) = all.as_mut() else {
            return Ok(());
        };
        match message {
            ToEmbedder::ResolvedFragment { id, bytes } => match waiting.get_mut(&id) {
                Some(slot) => Ok(slot.assembly.push(&bytes)?),
                None => Ok(()),
            },
            ToEmbedder::Resolved { id, bytes } => {
                let Some(Slot { assembly, answer }) = waiting.remove(&id) else {
                    return Ok(());
                };
                // Whoever asked may have given up.
                let _unheard = answer.send(assembly.finish(&bytes)?);
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// The engine is gone: nobody waits any longer.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }
}
