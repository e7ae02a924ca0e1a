//! What must hold, and what was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use fumehood::crashes::MAX_FILES;
use serde_json::{Value, json};

use super::crowd::Run;
use super::plan::Item;
use super::transfer::{End, Outcome, Reason};
use super::trouble::Troubles;
use crate::cli::show::Finding;

/// All that was seen.
pub(super) struct Evidence<'a> {
    pub(super) plan: &'a [Item],
    pub(super) baseline: &'a Run,
    pub(super) disturbed: &'a Run,
    pub(super) troubles: &'a Troubles,
    /// Swaps of each module, and kills.
    pub(super) wanted: (usize, usize),
    pub(super) restarts: u64,
    pub(super) reports: usize,
}

/// Each claim.
pub(super) fn judge(it: &Evidence<'_>) -> [Finding; 7] {
    [
        baseline(it),
        unpoisoned(it),
        poisoned(it),
        swaps(it),
        deaths(it),
        latency(it),
        reports(it),
    ]
}

/// How some transfers went, counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    transfers: usize,
    exact: usize,
    resumed: usize,
    /// Sent again by the library before the response had begun.
    sent_again: usize,
    /// Begun again from the start, by us.
    retried: usize,
    retried_for: BTreeMap<String, u32>,
    failed: BTreeMap<Reason, usize>,
    wrong: Vec<String>,
    hung: usize,
}

impl Count {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Self {
        let mut count = Count::default();
        for outcome in outcomes {
            count.transfers += 1;
            count.resumed += usize::from(outcome.resumed);
            count.sent_again += usize::from(outcome.sent_again);
            count.retried += usize::from(!outcome.begun_again.is_empty());
            for (reason, times) in &outcome.begun_again {
                *count.retried_for.entry(reason.name.clone()).or_default() += times;
            }
            match &outcome.end {
                End::Exact => count.exact += 1,
                End::Wrong(how) => count.wrong.push(how.clone()),
                End::Failed(reason) => *count.failed.entry(reason.clone()).or_default() += 1,
                End::Hung => count.hung += 1,
            }
        }
        count
    }

    fn all_exact(&self) -> bool {
        self.exact == self.transfers
    }

    /// Exact, or ended for a guest's end by a typed error.
    fn none_worse_than_typed(&self) -> bool {
        let typed: usize = self.failed.values().sum();
        self.failed.keys().all(|reason| reason.by_guest) && self.exact + typed == self.transfers
    }

    /// What is not as it should be, and what was retried; empty for a calm run.
    fn remarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.sent_again > 0 {
            lines.push(format!(
                "{} sent again by the library, before their response had begun",
                self.sent_again
            ));
        }
        if self.retried > 0 {
            let reasons: Vec<String> = self
                .retried_for
                .iter()
                .map(|(name, times)| format!("{name} {times}"))
                .collect();
            lines.push(format!(
                "{} retried from the start ({})",
                self.retried,
                reasons.join(", ")
            ));
        }
        for (reason, times) in &self.failed {
            lines.push(format!("{times} failed: {}", reason.name));
        }
        lines.extend(self.wrong.iter().take(3).map(|how| format!("WRONG: {how}")));
        if self.hung > 0 {
            lines.push(format!("{} HUNG", self.hung));
        }
        lines
    }

    fn json(&self) -> Value {
        let failed: BTreeMap<&str, usize> = self
            .failed
            .iter()
            .map(|(reason, n)| (&*reason.name, *n))
            .collect();
        json!({
            "transfers": self.transfers,
            "exact": self.exact,
            "resumed": self.resumed,
            "sent_again": self.sent_again,
            "retried": self.retried,
            "retried_for": self.retried_for,
            "failed": failed,
            "wrong": self.wrong,
            "hung": self.hung,
        })
    }
}

fn baseline(it: &Evidence<'_>) -> Finding {
    let count = Count::of(it.baseline.outcomes.iter());
    let mut seen = vec![format!(
        "undisturbed: {} of {} exact in {}",
        count.exact,
        count.transfers,
        seconds(it.baseline.took)
    )];
    seen.extend(count.remarks());
    Finding {
        name: "baseline",
        holds: count.all_exact(),
        seen,
        figures: with_time(count.json(), it.baseline.took),
    }
}

/// Outcomes of the disturbed run, poisoned or not.
fn disturbed(it: &Evidence<'_>, poisoned: bool) -> Count {
    let all = it.plan.iter().zip(&it.disturbed.outcomes);
    let chosen = all.filter(|(item, _)| item.poison.is_some() == poisoned);
    Count::of(chosen.map(|(_, outcome)| outcome))
}

fn unpoisoned(it: &Evidence<'_>) -> Finding {
    let count = disturbed(it, false);
    let mut seen = vec![format!(
        "disturbed: {} of {} unpoisoned transfers exact, in {}",
        count.exact,
        count.transfers,
        seconds(it.disturbed.took)
    )];
    seen.extend(count.remarks());
    Finding {
        name: "unpoisoned",
        holds: count.all_exact(),
        seen,
        figures: with_time(count.json(), it.disturbed.took),
    }
}

fn poisoned(it: &Evidence<'_>) -> Finding {
    let count = disturbed(it, true);
    let failed: usize = count.failed.values().sum();
    let mut seen = vec![format!(
        "{} of {} poisoned transfers exact, {} of them resumed on a good version; {failed} typed errors, {} wrong bytes, {} hung",
        count.exact,
        count.transfers,
        count.resumed,
        count.wrong.len(),
        count.hung
    )];
    seen.extend(count.remarks());
    Finding {
        name: "poisoned",
        // Poison that bites nobody would show nothing.
        holds: count.none_worse_than_typed()
            && (count.transfers == 0 || count.resumed + failed > 0),
        seen,
        figures: count.json(),
    }
}

fn swaps(it: &Evidence<'_>) -> Finding {
    let made = &it.troubles.swaps;
    let slowest = made.iter().map(|swap| swap.took_us).max().unwrap_or(0);
    let mut seen = vec![format!(
        "{} of {} swaps under way, the slowest in {slowest} µs",
        made.len(),
        2 * it.wanted.0
    )];
    for swap in made {
        seen.push(format!(
            "after {} transfers {} {}: {} µs, {} there and back",
            swap.at,
            swap.module,
            swap.version,
            swap.took_us,
            milliseconds(swap.round_trip)
        ));
    }
    seen.extend(it.troubles.undone.iter().cloned());
    let figures = made.iter().map(|swap| {
        json!({
            "module": swap.module,
            "version": swap.version,
            "after_transfers": swap.at,
            "took_us": swap.took_us,
            "round_trip_us": micros(swap.round_trip),
        })
    });
    Finding {
        name: "swaps",
        holds: made.len() == 2 * it.wanted.0 && it.troubles.undone.is_empty(),
        seen,
        figures: json!({ "made": figures.collect::<Vec<_>>() }),
    }
}

fn deaths(it: &Evidence<'_>) -> Finding {
    let kills = &it.troubles.kills;
    let mut seen = vec![format!(
        "engines killed: {}; launched in their place: {}",
        kills.len(),
        it.restarts
    )];
    for kill in kills {
        let replayed = match kill.replayed {
            true => "with the same versions current",
            false => "with OTHER versions current",
        };
        seen.push(format!(
            "after {} transfers; the next answered after {}, {replayed}",
            kill.at,
            milliseconds(kill.answered_after)
        ));
    }
    let figures = kills.iter().map(|kill| {
        json!({
            "after_transfers": kill.at,
            "answered_after_us": micros(kill.answered_after),
            "replayed": kill.replayed,
        })
    });
    Finding {
        name: "deaths",
        holds: kills.len() == it.wanted.1
            && it.restarts == kills.len() as u64
            && kills.iter().all(|kill| kill.replayed),
        seen,
        figures: json!({ "restarts": it.restarts, "kills": figures.collect::<Vec<_>>() }),
    }
}

fn latency(it: &Evidence<'_>) -> Finding {
    let of = |run: &Run| {
        let mut all: Vec<Duration> = run.outcomes.iter().map(|it| it.took).collect();
        all.sort_unstable();
        [50, 99].map(|percent| quantile(&all, percent))
    };
    let (calm, stormy) = (of(it.baseline), of(it.disturbed));
    let added = [0, 1].map(|at| milliseconds_between(calm[at], stormy[at]));
    let seen = vec![
        format!(
            "added latency: p50 {:+.1} ms, p99 {:+.1} ms",
            added[0], added[1]
        ),
        format!(
            "p50 {} and {}, p99 {} and {}, undisturbed and disturbed",
            milliseconds(calm[0]),
            milliseconds(stormy[0]),
            milliseconds(calm[1]),
            milliseconds(stormy[1])
        ),
    ];
    Finding {
        name: "latency",
        // No claim, but a figure: it is this machine's.
        holds: true,
        seen,
        figures: json!({
            "added_p50_ms": added[0],
            "added_p99_ms": added[1],
            "undisturbed_p50_us": micros(calm[0]),
            "undisturbed_p99_us": micros(calm[1]),
            "disturbed_p50_us": micros(stormy[0]),
            "disturbed_p99_us": micros(stormy[1]),
        }),
    }
}

fn reports(it: &Evidence<'_>) -> Finding {
    let bitten = disturbed(it, true);
    let bitten = bitten.resumed > 0 || !bitten.failed.is_empty();
    let kept = match it.reports {
        MAX_FILES => format!(", the newest {MAX_FILES} kept"),
        _ => String::new(),
    };
    Finding {
        name: "reports",
        holds: bitten == (it.reports > 0),
        seen: vec![format!("{} crash reports written{kept}", it.reports)],
        figures: json!({ "written": it.reports }),
    }
}

/// The smallest that so many percent do not exceed.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn with_time(mut figures: Value, took: Duration) -> Value {
    figures["elapsed_us"] = micros(took).into();
    figures
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

fn milliseconds_between(calm: Duration, stormy: Duration) -> f64 {
    (stormy.as_secs_f64() - calm.as_secs_f64()) * 1000.0
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(end: End) -> Outcome {
        Outcome {
            end,
            took: Duration::ZERO,
            resumed: false,
            sent_again: false,
            begun_again: BTreeMap::new(),
        }
    }

    fn failed(by_guest: bool) -> End {
        End::Failed(Reason {
            name: "x".to_owned(),
            by_guest,
        })
    }

    #[test]
    fn one_that_is_not_exact_breaks_the_claim() {
        let exact = outcome(End::Exact);
        assert!(Count::of([&exact, &exact].into_iter()).all_exact());
        for end in [failed(true), End::Hung, End::Wrong(String::new())] {
            assert!(!Count::of([&exact, &outcome(end)].into_iter()).all_exact());
        }
    }

    #[test]
    fn poison_may_end_typed_by_a_guest_and_not_otherwise() {
        let count = |end| Count::of([&outcome(End::Exact), &outcome(end)].into_iter());
        assert!(count(failed(true)).none_worse_than_typed());
        for end in [failed(false), End::Hung, End::Wrong(String::new())] {
            assert!(!count(end).none_worse_than_typed());
        }
    }

    #[test]
    fn quantiles_are_of_what_was_seen() {
        let all: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&all, 50), Duration::from_millis(50));
        assert_eq!(quantile(&all, 99), Duration::from_millis(99));
        assert_eq!(quantile(&all[..1], 99), Duration::from_millis(1));
        assert_eq!(quantile(&[], 50), Duration::ZERO);
    }
}
