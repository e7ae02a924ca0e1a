//! Calls with their content, where the user asked for it.

use fumehood_control::RecordedCall;
use serde::Serialize;

/// Most bytes of functions' names and arguments kept, so that a report holds them.
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

    /// Whether notes are kept.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted && !self.overflowed
    }

    /// A message boundary: what was before does not matter any more.
    pub(crate) fn begin(&mut self) {
        *self = Recording::new(self.wanted);
    }

    /// Keeps a call.
    pub(crate) fn note(&mut self, function: &str, arguments: &(impl Serialize + ?Sized)) {
        if !self.is_wanted() {
            return;
        }
        let arguments = postcard::to_stdvec(arguments).unwrap_or_default();
        self.bytes += function.len() + arguments.len();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_its_bounds_it_keeps_nothing_until_it_begins_again() {
        let name = "x".repeat(24);
        for (bytes, most) in [(MAX_RECORDED_BYTES / 16, 15), (0, MAX_RECORDED_CALLS)] {
            let mut recording = Recording::new(true);
            for count in 1..=most {
                recording.note(&name, &vec![0_u8; bytes]);
                assert_eq!(recording.tell().len(), count);
            }
            recording.note(&name, &vec![0_u8; bytes]);
            assert!(recording.tell().is_empty() && !recording.is_wanted());
            recording.begin();
            recording.note(&name, &0_u8);
            assert_eq!(recording.tell().len(), 1);
        }
    }

    #[test]
    fn it_keeps_nothing_that_was_not_asked_for() {
        let mut recording = Recording::new(false);
        recording.note("receive", &0_u8);
        assert!(recording.tell().is_empty());
    }
}
