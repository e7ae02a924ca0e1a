//! Calls with their content, where the user asked for it.

use fumehood_control::RecordedCall;
use serde::Serialize;

/// Most bytes of arguments kept, so that a report holds them.
const MAX_RECORDED_BYTES: usize = 256 * 1024;

/// Most calls kept.
const MAX_RECORDED_CALLS: usize = 4096;

/// The calls since the last message boundary, from which a fresh instance can
/// be brought to the same end. Past its bounds it keeps nothing: a recording
/// with a hole in it reproduces nothing.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    wanted: bool,
    overflowed: bool,
    bytes: usize,
    calls: Vec<RecordedCall>,
}

impl Recording {
    pub(crate) fn new(wanted: bool) -> Recording {
        Recording {
            wanted,
            ..Recording::default()
        }
    }

    /// A message boundary: what was before does not matter any more.
    pub(crate) fn begin(&mut self) {
        *self = Recording::new(self.wanted);
    }

    /// Keeps a call.
    pub(crate) fn note(&mut self, function: &str, arguments: &impl Serialize) {
        if !self.wanted || self.overflowed {
            return;
        }
        let arguments = postcard::to_stdvec(arguments).unwrap_or_default();
        self.bytes += arguments.len();
        if self.bytes > MAX_RECORDED_BYTES || self.calls.len() == MAX_RECORDED_CALLS {
            self.overflowed = true;
            self.calls = Vec::new();
        } else {
            self.calls.push(RecordedCall {
                function: function.to_owned(),
                arguments,
            });
        }
    }

    /// For a report.
    pub(crate) fn tell(&self) -> Vec<RecordedCall> {
        self.calls.clone()
    }
}
