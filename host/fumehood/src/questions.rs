//! An engine's questions, which may come in pieces, and their answers, which may go
//! in pieces.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fumehood_control::{Assembly, ToEngine, fragments};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ChannelError;
use crate::launch::EngineChannel;

/// Most questions that came in part: those over 15 KiB. For one more, the oldest makes
/// room: mostly one whose asker gave up half way, as nobody is told of that. Where more
/// than so many are under way at once, some did not come whole, and are answered so.
const MAX_PARTS: usize = 256;

/// Questions that came in part.
#[derive(Debug, Default)]
pub(crate) struct Parts(Mutex<BTreeMap<u64, Assembly>>);

impl Parts {
    /// Takes a piece.
    ///
    /// # Errors
    /// [`ChannelError`] where it is longer than a question can be.
    pub(crate) fn push(&self, id: u64, bytes: &[u8]) -> Result<(), ChannelError> {
        let mut parts = self.lock();
        if parts.len() >= MAX_PARTS && !parts.contains_key(&id) {
            // Numbers are given in order.
            parts.pop_first();
        }
        parts.entry(id).or_default().push(bytes)?;
        Ok(())
    }

    /// Takes the last piece. `None` where the question did not come whole.
    pub(crate) fn finish<Q: DeserializeOwned>(&self, id: u64, bytes: &[u8]) -> Option<Q> {
        let assembly = self.lock().remove(&id).unwrap_or_default();
        assembly.finish(bytes).ok()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Assembly>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a question, by messages that are a piece and the last.
pub(crate) async fn say<A: Serialize>(
    channel: &EngineChannel,
    id: u64,
    answer: &A,
    [fragment, last]: [fn(u64, Vec<u8>) -> ToEngine; 2],
) -> Result<(), ChannelError> {
    let mut pieces = fragments(answer)?;
    let closing = pieces.pop().unwrap_or_default();
    for bytes in pieces {
        channel.send(&fragment(id, bytes), &[]).await?;
    }
    Ok(channel.send(&last(id, closing), &[]).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn what_was_given_up_half_way_makes_room() {
        let (parts, question) = (Parts::default(), "x".repeat(40_000));
        let mut pieces = fragments(&question).unwrap();
        let last = pieces.pop().unwrap();
        assert!(!pieces.is_empty());
        for id in 0..=MAX_PARTS as u64 {
            for piece in &pieces {
                parts.push(id, piece).unwrap();
            }
        }
        assert_eq!(parts.lock().len(), MAX_PARTS);
        assert_eq!(parts.finish::<String>(0, &last), None);
        assert_eq!(parts.finish(MAX_PARTS as u64, &last), Some(question));
    }
}
