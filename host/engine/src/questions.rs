//! Questions to the embedder that wait for their answers, either of which may come
//! in pieces.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::{Assembly, ToEmbedder, fragments};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::outbox::Outbox;

/// Makes a message of a question's number and a piece of it.
type Piece = fn(u64, Vec<u8>) -> ToEmbedder;

/// Questions of one kind, and whoever waits for their answers `A`.
pub(crate) struct Questions<A> {
    fragment: Piece,
    last: Piece,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting<A>>>,
}

struct Waiting<A> {
    assembly: Assembly,
    answer: oneshot::Sender<A>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It is too long to be asked.
    TooLong,
    /// Nobody answered in time.
    Late,
}

impl<A: DeserializeOwned> Questions<A> {
    /// None yet. The messages of one: a piece, and the last.
    pub(crate) fn new(fragment: Piece, last: Piece) -> Questions<A> {
        Questions {
            fragment,
            last,
            next: AtomicU64::new(0),
            waiting: Mutex::new(HashMap::new()),
        }
    }

    /// Takes a piece of an answer. One that does not decode answers nothing.
    pub(crate) fn assemble(&self, id: u64, bytes: &[u8]) {
        let mut waiting = self.lock();
        if let Some(question) = waiting.get_mut(&id)
            && question.assembly.push(bytes).is_err()
        {
            waiting.remove(&id);
        }
    }

    /// Takes the last piece.
    pub(crate) fn answer(&self, id: u64, bytes: &[u8]) {
        let waiting = self.lock().remove(&id);
        if let Some(Waiting { assembly, answer }) = waiting
            && let Ok(answered) = assembly.finish(bytes)
        {
            // Whoever asked may have given up.
            let _unheard = answer.send(answered);
        }
    }

    /// Asks, and waits. Safe to cancel.
    pub(crate) async fn ask<Q: Serialize>(
        &self,
        outbox: &Outbox,
        question: &Q,
        within: Duration,
    ) -> Result<A, Unanswered> {
        let mut pieces = fragments(question).map_err(|_| Unanswered::TooLong)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let assembly = Assembly::default();
        self.lock().insert(id, Waiting { assembly, answer });
        let _pending = Pending {
            questions: self,
            id,
        };
        let last = pieces.pop().unwrap_or_default();
        for bytes in pieces {
            // Nobody is left to ask when this fails.
            let _gone = outbox.send((self.fragment)(id, bytes)).await;
        }
        let _gone = outbox.send((self.last)(id, last)).await;
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Unanswered::Late),
        }
    }
}

impl<A> Questions<A> {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting<A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question; it is forgotten with whoever asks.
struct Pending<'a, A> {
    questions: &'a Questions<A>,
    id: u64,
}

impl<A> Drop for Pending<'_, A> {
    fn drop(&mut self) {
        self.questions.lock().remove(&self.id);
    }
}
