//! Failures, remembered for a moment: what has just failed is not asked for at every
//! turn (RFC 9520; of what is bogus, RFC 4035 section 4.7).

use std::collections::BTreeMap;
use std::time::Duration;

use super::Key;
use crate::bounds::{FAILURE_SECONDS, MAX_FAILURE_SECONDS, MAX_FAILURES, SILENCE_SECONDS};
use crate::types::{Cause, Time};

/// What a question was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    /// Somebody wants the answer.
    Answer,
    /// Answers stand on it: the keys of a zone, or its delegation.
    Zone,
}

#[derive(Debug)]
struct Entry {
    cause: Cause,
    seconds: u32,
    until: Time,
}

/// Bounded in number; what would be forgotten first goes first.
#[derive(Debug, Default)]
pub(super) struct Failures(BTreeMap<(About, Key), Entry>);

impl Failures {
    pub(super) fn get(&self, about: About, key: &Key, now: Time) -> Option<Cause> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.0.get(&(about, key.clone()))?;
        (entry.until > now).then(|| entry.cause.clone())
    }

    /// Keeps a failure for `most` seconds at most; what is none of servers', not at all.
    pub(super) fn put(&mut self, of: (About, Key), cause: &Cause, most: u32, now: Time) {
        let window = Duration::from_secs(MAX_FAILURE_SECONDS.into());
        let recent = self.0.remove(&of).filter(|it| it.until + window > now);
        let seconds = match cause {
            Cause::Timeout | Cause::Unreachable(_) => SILENCE_SECONDS,
            Cause::Bogus(_) | Cause::ServerFailure(_) | Cause::Malformed(_) | Cause::AliasLoop => {
                recent.map_or(FAILURE_SECONDS, |it| {
                    let twice = it.seconds.saturating_mul(2);
                    twice.clamp(FAILURE_SECONDS, MAX_FAILURE_SECONDS)
                })
            }
            _ => return,
        };
        let seconds = seconds.min(most);
        if seconds == 0 {
            return;
        }
        if self.0.len() >= MAX_FAILURES {
            let first = self.0.iter().min_by_key(|(_, it)| it.until);
            if let Some(first) = first.map(|(of, _)| of.clone()) {
                self.0.remove(&first);
            }
        }
        let entry = Entry {
            cause: cause.clone(),
            seconds,
            until: now + Duration::from_secs(seconds.into()),
        };
        self.0.insert(of, entry);
    }

    /// There is an answer after all.
    pub(super) fn forget(&mut self, key: &Key) {
        if !self.0.is_empty() {
            self.0.remove(&(About::Answer, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use hickory_proto::rr::Name;

    use super::*;
    use crate::types::RecordType;

    const DAY: u32 = 86_400;

    fn key(number: usize) -> Key {
        Key {
            name: Name::from_ascii(format!("n{number}.example.")).unwrap(),
            kind: RecordType::A,
        }
    }

    fn at(seconds: u64) -> Time {
        Duration::from_secs(seconds)
    }

    fn bogus() -> Cause {
        Cause::Bogus("the signature is wrong".to_owned())
    }

    /// For how many seconds a failure is kept that was put at that second.
    fn life(failures: &Failures, put: u64) -> u64 {
        let kept = |second: &u64| {
            failures
                .get(About::Answer, &key(1), at(put + second))
                .is_some()
        };
        (0..).take_while(kept).count() as u64
    }

    #[test]
    fn each_failure_in_a_row_is_kept_for_longer_up_to_a_minute() {
        let mut failures = Failures::default();
        let mut now = 100;
        for expected in [5, 10, 20, 40, 60, 60] {
            failures.put((About::Answer, key(1)), &bogus(), DAY, at(now));
            assert_eq!(life(&failures, now), expected);
            now += expected;
        }
        // After an answer, or a long time, it begins anew.
        failures.forget(&key(1));
        failures.put((About::Answer, key(1)), &bogus(), DAY, at(now));
        assert_eq!(life(&failures, now), 5);
        now += 5 + u64::from(MAX_FAILURE_SECONDS);
        failures.put((About::Answer, key(1)), &bogus(), DAY, at(now));
        assert_eq!(life(&failures, now), 5);
    }

    #[test]
    fn silence_is_over_at_once_and_what_we_refuse_ourselves_is_not_kept() {
        let mut failures = Failures::default();
        for _ in 0..3 {
            failures.put((About::Answer, key(1)), &Cause::Timeout, DAY, at(100));
            assert_eq!(life(&failures, 100), 1);
        }
        for cause in [Cause::Busy, Cause::NoServers] {
            failures.put((About::Answer, key(1)), &cause, DAY, at(200));
            assert_eq!(life(&failures, 200), 0);
        }
        failures.put((About::Answer, key(1)), &bogus(), 3, at(300));
        assert_eq!(life(&failures, 300), 3);
        // What a zone fails in is no answer.
        assert_eq!(failures.get(About::Zone, &key(1), at(300)), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let mut failures = Failures::default();
        for number in 0..=MAX_FAILURES {
            let now = at(number as u64 / 100);
            failures.put((About::Answer, key(number)), &bogus(), DAY, now);
            assert!(failures.0.len() <= MAX_FAILURES);
        }
        assert!(
            failures
                .get(About::Answer, &key(MAX_FAILURES), at(3))
                .is_some()
        );
        assert!(failures.get(About::Answer, &key(0), at(3)).is_none());
    }
}
