//! What a codec was asked since the last message boundary, in bounds and compact.

use crate::instance::Call;

/// Most bytes of heads, chunk-size lines and trailers kept: a request's and a
/// response's largest heads, and as much again.
pub(super) const MAX_REPLAY_BYTES: usize = 1 << 20;

/// Most runs of calls kept.
pub(super) const MAX_REPLAY_RUNS: usize = 4096;

/// Most calls made again: a call takes under a microsecond, so this is well
/// under the time a user notices.
pub(super) const MAX_REPLAY_CALLS: u64 = 200_000;

/// A call, and what identifies its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub call: Call,
    pub fingerprint: u64,
}

/// Steps that were made so many times in a row.
#[derive(Debug)]
pub(super) struct Run {
    pub step: Step,
    /// Where two alternate: a chunk's size and its payload.
    pub other: Option<Step>,
    pub times: u64,
}

impl Run {
    fn once(step: Step) -> Run {
        Run {
            step,
            other: None,
            times: 1,
        }
    }

    fn steps(&self) -> impl Iterator<Item = &Step> + Clone {
        std::iter::once(&self.step).chain(&self.other)
    }
}

/// The calls of one exchange. A body of equal chunks is one run, however long.
#[derive(Debug, Default)]
pub(super) struct Journal {
    runs: Vec<Run>,
    /// The first half of the last run's next repetition.
    half: Option<Step>,
    bytes: usize,
    calls: u64,
    overflowed: bool,
}

impl Journal {
    /// Adds a call that was answered.
    pub(super) fn note(&mut self, step: Step) {
        if self.overflowed {
            return;
        }
        self.calls += 1;
        self.add(step);
        if self.bytes > MAX_REPLAY_BYTES
            || self.runs.len() > MAX_REPLAY_RUNS
            || self.calls > MAX_REPLAY_CALLS
        {
            *self = Journal {
                overflowed: true,
                ..Journal::default()
            };
        }
    }

    /// The exchange is longer than can be made again.
    pub(super) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// All steps, in order.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        let times = |run: &Run| usize::try_from(run.times).unwrap_or(usize::MAX);
        self.runs
            .iter()
            .flat_map(move |run| std::iter::repeat_n(run.steps(), times(run)).flatten())
            .chain(&self.half)
    }

    fn add(&mut self, step: Step) {
        if let Some(half) = self.half.take() {
            if let Some(run) = self.runs.last_mut()
                && run.other.as_ref() == Some(&step)
            {
                run.times += 1;
                return;
            }
            self.push(half);
        }
        match self.runs.last_mut() {
            Some(run) if run.step == step => match run.other {
                None => run.times += 1,
                Some(_) => self.half = Some(step),
            },
            _ => {
                self.push(step);
                self.fold();
            }
        }
    }

    fn push(&mut self, step: Step) {
        self.bytes += step.call.weight();
        self.runs.push(Run::once(step));
    }

    /// Makes `a b a b` one run of two.
    fn fold(&mut self) {
        let is_pair = match &self.runs[..] {
            [.., a, b, c, d] => {
                [a, b, c, d]
                    .iter()
                    .all(|run| run.times == 1 && run.other.is_none())
                    && a.step == c.step
                    && b.step == d.step
            }
            _ => false,
        };
        if !is_pair {
            return;
        }
        let last = self.runs.split_off(self.runs.len() - 2);
        self.bytes -= last.iter().map(|run| run.step.call.weight()).sum::<usize>();
        let other = self.runs.pop();
        if let Some(run) = self.runs.last_mut() {
            run.other = other.map(|run| run.step);
            run.times = 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Step {
        Step {
            call: Call::Receive(text.as_bytes().into()),
            fingerprint: 1,
        }
    }

    fn moved(count: u64) -> Step {
        Step {
            call: Call::PayloadMoved(count),
            fingerprint: 2,
        }
    }

    fn check(steps: &[Step]) -> Journal {
        let mut journal = Journal::default();
        for step in steps {
            journal.note(step.clone());
        }
        assert!(journal.steps().eq(steps), "{journal:?}");
        journal
    }

    #[test]
    fn whatever_comes_is_told_again_in_order() {
        // All sequences of three kinds up to a length where every fold has happened.
        let kinds = [line("a"), moved(1), line("b")];
        for length in 0..=7_u32 {
            for number in 0..3_usize.pow(length) {
                let digits = (0..length).map(|place| number / 3_usize.pow(place) % 3);
                check(&digits.map(|digit| kinds[digit].clone()).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn equal_chunks_take_no_more_room_the_more_they_are() {
        let chunk = [line("\r\n4000\r\n"), moved(0x4000)];
        let steps: Vec<Step> = chunk.iter().cycle().take(20_001).cloned().collect();
        let journal = check(&steps);
        assert_eq!(journal.runs.len(), 1);
        assert_eq!(journal.bytes, 8);
    }

    #[test]
    fn past_its_bounds_it_keeps_nothing() {
        let mut journal = Journal::default();
        for number in 0..=MAX_REPLAY_RUNS as u64 {
            assert!(!journal.has_overflowed());
            journal.note(moved(number));
        }
        assert!(journal.has_overflowed() && journal.steps().next().is_none());
        let mut journal = Journal::default();
        journal.note(line(&"x".repeat(MAX_REPLAY_BYTES)));
        assert!(!journal.has_overflowed());
        journal.note(line("y"));
        assert!(journal.has_overflowed());
        let mut journal = Journal::default();
        for _ in 0..=MAX_REPLAY_CALLS {
            journal.note(moved(1));
        }
        assert!(journal.has_overflowed());
    }
}
