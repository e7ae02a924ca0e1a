//! A recording as it is played: what the guest asks for next is held against
//! what was recorded.

use fumehood_control::RecordedCall;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::{Error, Result};

use super::super::recorded::{Fingerprint, Step, import};
use crate::instance::bounded;
use crate::replay::Divergence;

/// What was recorded, and how far it was played.
pub(super) struct Tape {
    steps: Vec<RecordedCall>,
    at: usize,
    /// Why the guest was ended, where the tape ended it.
    off: Option<Off>,
}

/// Why a tape ended a guest.
pub(super) enum Off {
    /// It goes on where the recording ends.
    Past,
    /// A step does not decode.
    Damaged(usize),
    /// It does something else than was recorded.
    Diverged(Divergence),
}

impl Tape {
    pub(super) fn new(steps: &[RecordedCall]) -> Tape {
        Tape {
            steps: steps.to_vec(),
            at: 0,
            off: None,
        }
    }

    /// The step that is next.
    pub(super) fn next(&self) -> Option<&RecordedCall> {
        self.steps.get(self.at)
    }

    /// Its number, from 0.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Goes on to the one behind it.
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Why the tape ended the guest, if it did.
    pub(super) fn off(&mut self) -> Option<Off> {
        self.off.take()
    }

    /// What an import was answered when this was recorded.
    pub(super) fn answer<T: DeserializeOwned>(
        &mut self,
        function: &'static str,
        asked: &impl Serialize,
    ) -> Result<T> {
        match self.find(function, asked) {
            Ok(step) => {
                self.at += 1;
                step.told.into_result()
            }
            Err(off) => {
                self.off = Some(off);
                Err(Error::msg("the recording has no answer"))
            }
        }
    }

    fn find<T: DeserializeOwned>(
        &self,
        function: &'static str,
        asked: &impl Serialize,
    ) -> std::result::Result<Step<T>, Off> {
        let Some(step) = self.next() else {
            return Err(Off::Past);
        };
        if step.function != function {
            let did = format!("asks for {function}");
            return Err(Off::Diverged(self.diverged(step, did)));
        }
        let told: Step<T> =
            postcard::from_bytes(&step.arguments).map_err(|_| Off::Damaged(self.at))?;
        if told.asked != Fingerprint::of(asked) {
            let did = format!("asks for {function} about something else");
            return Err(Off::Diverged(self.diverged(step, did)));
        }
        Ok(told)
    }

    /// The guest does this instead of the step that is next.
    pub(super) fn diverged(&self, step: &RecordedCall, did: String) -> Divergence {
        let recorded = if import::is(&step.function) {
            format!("asking for {}", bounded(&step.function))
        } else {
            "an answer".to_owned()
        };
        Divergence {
            step: self.at,
            recorded,
            did,
        }
    }
}
