//! When processes that keep dying are launched again: at once, or after a rest.
//!
//! | young deaths in a row | 1 | 2 | 3 | 4 | 5 | … | 11 | 12 and more |
//! |---|---|---|---|---|---|---|---|---|
//! | rest | – | – | 100 ms | 200 ms | 400 ms | … | 25.6 s | 30 s |
//!
//! A death is young where the process neither lasted nor was of use before it. One
//! that was ends the row. How often it was of use is what an engine says itself, so that
//! counts for nothing before a second: one gone rogue has no more than one launch in it.
//! Engine and broker share one row: which of them dies of what the other asks is hard to
//! tell. Time is passed in.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Young deaths in a row that nobody waits for: a mishap, and its echo in the
/// request that is sent once more.
const FREE_DEATHS: u32 = 2;

/// Rest after the first death that is not free: some launches on a busy machine, so
/// that no more than a part of a processor goes into them.
const FIRST_REST: Duration = Duration::from_millis(100);

/// Longest rest. Whoever has removed the cause waits no longer to see it.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// A process that lasted so long did not die of how it begins.
const LASTED: Duration = Duration::from_secs(10);

/// Exchanges that make an engine worth its launch, once it lasted [`OF_USE_AFTER`].
const OF_USE: u64 = 8;

/// Some times longer than a launch takes.
const OF_USE_AFTER: Duration = Duration::from_secs(1);

/// What processes were before one of them died.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lived {
    /// From being ready to the end.
    pub(crate) lasted: Duration,
    /// Exchanges and requests of a proxy's clients that came to a good end.
    pub(crate) exchanges: u64,
}

impl Lived {
    /// Those that never were ready.
    pub(crate) const NOT_AT_ALL: Lived = Lived {
        lasted: Duration::ZERO,
        exchanges: 0,
    };

    fn is_young(self) -> bool {
        let was_of_use = self.exchanges >= OF_USE && self.lasted >= OF_USE_AFTER;
        self.lasted < LASTED && !was_of_use
    }
}

/// The row of deaths, and the rest after the last.
#[derive(Debug, Default)]
pub(crate) struct Relaunch {
    young_deaths: u32,
    rest_ends: Option<Instant>,
    why: String,
}

/// No process is launched for a while, since too many in a row died young.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "no engine is launched for another {} s: {deaths} in a row did not last (the latest: \
     {why}); see what ended guests with `fumehood crashes list`, and what the processes \
     say with FUMEHOOD_LOG=info, and ask again then",
    seconds(*left_ms)
)]
pub struct Rest {
    /// What is left of it, in milliseconds; at most 30,000.
    pub left_ms: u64,
    /// Young deaths in a row, at least three.
    pub deaths: u32,
    /// How the last one ended: one clause.
    pub why: String,
}

/// People are told tenths of a second, rounded up.
fn seconds(milliseconds: u64) -> String {
    let tenths = milliseconds.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

impl Rest {
    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.left_ms)
    }
}

impl Relaunch {
    /// A process has ended, `at` some moment.
    pub(crate) fn died(&mut self, lived: Lived, at: Instant, why: String) {
        self.young_deaths = match lived.is_young() {
            true => self.young_deaths.saturating_add(1),
            false => 0,
        };
        self.rest_ends = rest_after(self.young_deaths).map(|rest| at + rest);
        self.why = why;
    }

    /// How the last one ended was found out later.
    pub(crate) fn explain(&mut self, why: String) {
        self.why = why;
    }

    /// What is left of the rest, if one is kept; without one a process may be
    /// launched.
    pub(crate) fn rest(&self, now: Instant) -> Option<Rest> {
        let left = self.rest_ends?.checked_duration_since(now)?;
        let left_ms = u64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        (left_ms > 0).then(|| Rest {
            left_ms,
            deaths: self.young_deaths,
            why: self.why.clone(),
        })
    }
}

/// How long nothing is launched after so many young deaths in a row.
fn rest_after(deaths: u32) -> Option<Duration> {
    let doublings = deaths.checked_sub(FREE_DEATHS + 1)?;
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    Some(FIRST_REST.saturating_mul(factor).min(LONGEST_REST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YOUNG: Lived = Lived {
        lasted: Duration::from_millis(9_999),
        exchanges: OF_USE - 1,
    };

    fn after(deaths: u32, now: Instant) -> Relaunch {
        let mut relaunch = Relaunch::default();
        for _ in 0..deaths {
            relaunch.died(YOUNG, now, "signal: 9".to_owned());
        }
        relaunch
    }

    #[test]
    fn two_deaths_are_free_and_the_rest_doubles_up_to_its_bound() {
        let now = Instant::now();
        let left = |deaths| after(deaths, now).rest(now).map(|rest| rest.left_ms);
        assert_eq!((left(0), left(1), left(2)), (None, None, None));
        let doubling = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600];
        for (number, expected) in (3..).zip(doubling) {
            assert_eq!(left(number), Some(expected), "{number}");
        }
        for many in [12, 34, 35, 36, 100] {
            assert_eq!(left(many), Some(30_000), "{many}");
        }
        let mut relaunch = after(3, now);
        relaunch.young_deaths = u32::MAX;
        relaunch.died(Lived::NOT_AT_ALL, now, String::new());
        assert_eq!(relaunch.rest(now).map(|rest| rest.left_ms), Some(30_000));
    }

    #[test]
    fn a_rest_is_counted_from_the_death_and_ends() {
        let now = Instant::now();
        let relaunch = after(4, now);
        let left = |after_us| {
            let rest = relaunch.rest(now + Duration::from_micros(after_us));
            rest.map(|rest| rest.left_ms)
        };
        assert_eq!(left(50_000), Some(150));
        // What is left is never told as nothing.
        assert_eq!(left(199_999), Some(1));
        assert_eq!((left(200_000), left(200_001)), (None, None));
        // It is over, and forgotten only when a process has lived.
        let mut next = relaunch;
        next.died(YOUNG, now, String::new());
        assert_eq!(next.rest(now).map(|rest| rest.left_ms), Some(400));
    }

    #[test]
    fn one_that_lasted_or_was_of_use_ends_the_row() {
        let now = Instant::now();
        for lived in [
            Lived {
                lasted: LASTED,
                exchanges: 0,
            },
            Lived {
                lasted: OF_USE_AFTER,
                exchanges: OF_USE,
            },
        ] {
            let mut relaunch = after(7, now);
            relaunch.died(lived, now, String::new());
            assert_eq!(relaunch.rest(now), None, "{lived:?}");
            relaunch.died(YOUNG, now, String::new());
            relaunch.died(YOUNG, now, String::new());
            assert_eq!(relaunch.rest(now), None, "two are free again");
        }
    }

    #[test]
    fn no_count_excuses_an_early_death() {
        let now = Instant::now();
        let mut relaunch = after(2, now);
        let lived = Lived {
            lasted: OF_USE_AFTER - Duration::from_millis(1),
            exchanges: u64::MAX,
        };
        relaunch.died(lived, now, String::new());
        assert!(relaunch.rest(now).is_some());
    }

    #[test]
    fn people_are_told_how_long_why_and_what_to_do() {
        let now = Instant::now();
        let mut relaunch = after(5, now);
        relaunch.explain("the engine ended: signal: 11 (SIGSEGV)".to_owned());
        let told = relaunch.rest(now).map(|rest| rest.to_string());
        assert_eq!(
            told.as_deref(),
            Some(
                "no engine is launched for another 0.4 s: 5 in a row did not last (the latest: \
                 the engine ended: signal: 11 (SIGSEGV)); see what ended guests with `fumehood \
                 crashes list`, and what the processes say with FUMEHOOD_LOG=info, and ask again \
                 then"
            )
        );
        let almost = relaunch.rest(now + Duration::from_micros(399_999));
        assert!(almost.is_some_and(|rest| rest.to_string().contains("another 0.1 s")));
    }
}
