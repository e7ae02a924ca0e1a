//! Questions under way on one engine, and the answers to them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fumehood_control::{Assembly, PacAnswer, PacScriptId, ToEmbedder};
use tokio::sync::oneshot;

use crate::error::ChannelError;

/// Questions that wait for their answers.
#[derive(Default)]
pub(crate) struct PacBook {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<u64, Waiting>,
    /// Scripts that nobody holds any more and the engine may not know it of.
    /// It is told before the next question, which may need the place.
    released: Vec<PacScriptId>,
    /// The engine is gone: nothing is added any more.
    closed: bool,
}

struct Waiting {
    answer: oneshot::Sender<PacAnswer>,
    assembly: Assembly,
}

impl PacBook {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // It is consistent between any two statements that can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question; `None` when the engine is gone. Its entry goes with the
    /// answer, also where nobody waits for that any more.
    pub(super) fn open(&self, id: u64) -> Option<oneshot::Receiver<PacAnswer>> {
        let (answer, answered) = oneshot::channel();
        let mut inner = self.inner();
        if inner.closed {
            return None;
        }
        let assembly = Assembly::default();
        inner.waiting.insert(id, Waiting { answer, assembly });
        Some(answered)
    }

    /// Forgets a question that was never sent.
    pub(super) fn forget(&self, id: u64) {
        self.inner().waiting.remove(&id);
    }

    /// A script is held no longer.
    pub(super) fn release(&self, script: PacScriptId) {
        let mut inner = self.inner();
        if !inner.closed {
            inner.released.push(script);
        }
    }

    /// Takes what is to be said of scripts that are held no longer.
    pub(super) fn released(&self) -> Vec<PacScriptId> {
        std::mem::take(&mut self.inner().released)
    }

    /// Whether a message is for this book.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(
            message,
            ToEmbedder::PacFragment { .. } | ToEmbedder::Pac { .. }
        )
    }

    /// Takes one message that [`PacBook::takes`].
    ///
    /// # Errors
    /// [`ChannelError`] when the engine says what it cannot.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        let mut inner = self.inner();
        match message {
            ToEmbedder::PacFragment { id, bytes } => {
                let waiting = inner.waiting.get_mut(&id);
                let waiting = waiting.ok_or(ChannelError::OutOfOrder)?;
                Ok(waiting.assembly.push(&bytes)?)
            }
            ToEmbedder::Pac { id, bytes } => {
                let waiting = inner.waiting.remove(&id);
                let waiting = waiting.ok_or(ChannelError::OutOfOrder)?;
                let answer: PacAnswer = waiting.assembly.finish(&bytes)?;
                // Whoever asked may have given up.
                let _unheard = waiting.answer.send(answer);
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// The engine is gone: nobody waits any longer.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        inner.waiting.clear();
        inner.released.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood_control::fragments;

    fn last(id: u64, answer: &PacAnswer) -> ToEmbedder {
        let bytes = fragments(answer).unwrap().pop().unwrap();
        ToEmbedder::Pac { id, bytes }
    }

    #[test]
    fn an_answer_reaches_who_asked_and_nobody_else() {
        let book = PacBook::default();
        let (mut one, other) = (book.open(1).unwrap(), book.open(2).unwrap());
        let answer = PacAnswer::Loaded(Ok(()));
        book.take(last(2, &answer)).unwrap();
        assert_eq!(other.blocking_recv().unwrap(), answer);
        assert!(one.try_recv().is_err());
        drop(one);
        // Unheard, and no fault of the engine's.
        book.take(last(1, &answer)).unwrap();
        assert!(matches!(
            book.take(last(1, &answer)),
            Err(ChannelError::OutOfOrder)
        ));
    }

    #[test]
    fn nonsense_of_the_engine_is_refused() {
        let book = PacBook::default();
        let _one = book.open(1).unwrap();
        let bytes = vec![0xff; 9];
        assert!(book.take(ToEmbedder::Pac { id: 1, bytes }).is_err());
        let _two = book.open(2).unwrap();
        let mut refused = false;
        for _ in 0..64 {
            let bytes = vec![0; 15 * 1024];
            refused |= book.take(ToEmbedder::PacFragment { id: 2, bytes }).is_err();
        }
        assert!(refused);
    }

    #[test]
    fn the_engines_end_ends_all_waiting() {
        let book = PacBook::default();
        let one = book.open(1).unwrap();
        book.close();
        assert!(one.blocking_recv().is_err());
        assert!(book.open(2).is_none());
    }
}
