//! What happened on the way, for queries that are traced.

use crate::bounds::MAX_STEPS;
use crate::types::{Happening, Step, Time};

/// Happenings with their times, the first [`MAX_STEPS`] of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail(Vec<(Time, Happening)>);

impl Trail {
    pub(crate) fn note(&mut self, now: Time, happening: Happening) {
        if self.0.len() < MAX_STEPS {
            self.0.push((now, happening));
        }
    }

    pub(crate) fn append(&mut self, other: &Trail) {
        let room = MAX_STEPS.saturating_sub(self.0.len());
        self.0.extend(other.0.iter().take(room).cloned());
    }

    /// In order of time, counted from `start`.
    pub(crate) fn steps(mut self, start: Time) -> Vec<Step> {
        self.0.sort_by_key(|(at, _)| *at);
        self.0
            .into_iter()
            .map(|(at, happening)| Step {
                at: at.saturating_sub(start),
                happening,
            })
            .collect()
    }
}
