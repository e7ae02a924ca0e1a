//! How scarce memory is: the machine's, and the engine's share of it.

use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use fumehood_control::ToEngine;

use crate::shared::Shared;

/// Between two looks. Shrinking takes effect within as long.
const EVERY: Duration = Duration::from_secs(2);

/// Where the kernel tells how long tasks wait for memory.
const STALLS: &str = "/proc/pressure/memory";

/// Share of time, in percent, in which some task waited for memory (an average
/// over 10 s) that counts as the whole budget: a machine that stalls for a
/// tenth of its time is short of memory, whoever uses it.
const STALL_BUDGET: f64 = 10.0;

/// Steps in which pressure is told, in percent, so that it is told seldom.
const STEP: u16 = 10;

/// Below it nothing is scarce, and all is told as none.
const CALM: u16 = 50;

/// Size of a page as `/proc/PID/statm` counts them, in bytes.
fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// Watches for as long as there is an engine, and tells it of changes.
pub(crate) async fn watch(shared: Weak<Shared>) {
    let mut told = (0, 0);
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some(engine) = shared.engine_if_alive().await else {
            continue;
        };
        let budget = shared.config.limits.memory_bytes;
        let percent = step(look(Path::new(STALLS), engine.pid, budget));
        // A new engine knows of no pressure.
        if told.0 != engine.pid {
            told = (engine.pid, 0);
        }
        if percent != told.1 {
            told.1 = percent;
            // An engine that is gone has no use for it.
            let _gone = engine
                .channel
                .send(&ToEngine::Pressure { percent }, &[])
                .await;
        }
    }
}

/// The greater of both pressures; files that are not there tell nothing.
fn look(stalls: &Path, pid: u32, budget: u64) -> u16 {
    let stalls = std::fs::read_to_string(stalls).unwrap_or_default();
    let stalled = stalled(&stalls).unwrap_or(0);
    let resident = resident_bytes(pid).and_then(|bytes| share(bytes, budget));
    stalled.max(resident.unwrap_or(0))
}

/// From the kernel's pressure stall information: percent of [`STALL_BUDGET`].
fn stalled(text: &str) -> Option<u16> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let share = line
        .split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?;
    let share: f64 = share
        .parse()
        .ok()
        .filter(|share| (0.0..=100.0).contains(share))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000, as was checked"
    )]
    Some((share / STALL_BUDGET * 100.0) as u16)
}

/// Memory of a process that is in use, in bytes; `None` once it is gone.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    resident(&std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?)
}

/// From the process's own counts, in bytes.
fn resident(text: &str) -> Option<u64> {
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(page_bytes()))
}

/// In percent of a budget; `None` where there is none.
fn share(bytes: u64, budget: u64) -> Option<u16> {
    let percent = bytes.saturating_mul(100).checked_div(budget)?;
    Some(u16::try_from(percent).unwrap_or(u16::MAX))
}

fn step(percent: u16) -> u16 {
    match percent {
        ..CALM => 0,
        percent => percent / STEP * STEP,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::{look, page_bytes, resident, share, stalled, step};

    #[test]
    fn stalls_are_a_share_of_what_is_borne() {
        let text = |avg: &str| {
            format!("some avg10={avg} avg60=0.00 avg300=0.00 total=1\nfull avg10=99.00 total=0\n")
        };
        assert_eq!(stalled(&text("0.00")), Some(0));
        assert_eq!(stalled(&text("5.00")), Some(50));
        assert_eq!(stalled(&text("100.00")), Some(1000));
        for odd in ["", "nan", "-1", "1e9"] {
            assert_eq!(stalled(&text(odd)), None, "{odd}");
        }
        assert_eq!(stalled(""), None);
    }

    #[test]
    fn the_scarcer_of_the_two_is_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let stalls = folder.path().join("memory");
        let (own, unbounded) = (std::process::id(), 0);
        // Not every kernel tells.
        assert_eq!(look(&stalls, own, unbounded), 0);
        let of_a_byte = look(&stalls, own, 1);
        assert_eq!(of_a_byte, u16::MAX);
        let told = "some avg10=7.00 avg60=0.00 avg300=0.00 total=1\n";
        std::fs::write(&stalls, told).unwrap();
        assert_eq!(look(&stalls, own, unbounded), 70);
        assert_eq!(look(&stalls, own, u64::MAX), 70);
        assert_eq!(look(&stalls, own, 1), u16::MAX);
    }

    #[test]
    fn resident_memory_is_a_share_of_the_budget() {
        let statm = "1000 64 3 4 5 6 7\n";
        assert_eq!(resident(statm), Some(64 * page_bytes()));
        assert_eq!([resident(""), resident("1 x")], [None, None]);
        assert_eq!(share(64, 128), Some(50));
        assert_eq!(share(u64::MAX, 1), Some(u16::MAX));
        assert_eq!(share(64, 0), None);
    }

    #[test]
    fn small_changes_and_calm_are_not_told() {
        assert_eq!(
            [0, 49, 50, 59, 60, 99, 101, 1000].map(step),
            [0, 0, 50, 50, 60, 90, 100, 1000]
        );
    }
}
