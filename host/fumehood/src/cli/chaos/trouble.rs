//! What is done to the engine while transfers run: modules are swapped, and
//! it is killed. When is told by how many transfers are over, not by a clock.

use std::time::{Duration, Instant};

use fumehood::control::Digest;
use fumehood::{Engine, ModuleError, Rest};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use super::versions::{Pair, Versions};

/// Something that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// The other version of `http1` becomes current.
    SwapHttp1,
    SwapTls,
    Kill,
}

/// What came of it all.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub(super) swaps: Vec<Swap>,
    pub(super) kills: Vec<Kill>,
    /// What could not be done: in words.
    pub(super) undone: Vec<String>,
}

/// One swap.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    pub(super) module: &'static str,
    pub(super) version: String,
    /// Of the swap itself, in the engine.
    pub(super) took_us: u64,
    /// With the way there and back, while it has much else to do.
    pub(super) round_trip: Duration,
    /// Transfers over by then.
    pub(super) at: usize,
}

/// One death.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    /// Until another engine answered.
    pub(super) answered_after: Duration,
    /// What was current before is current in the new one.
    pub(super) replayed: bool,
    pub(super) at: usize,
}

/// Which deed is due after how many transfers: `http1` is swapped at equal
/// distances, `tls` between, and the engine dies when both are not what they
/// were at its launch.
fn schedule(transfers: usize, swaps: usize, kills: usize) -> Vec<(usize, Deed)> {
    let mut all = Vec::new();
    for turn in 0..swaps {
        all.push((transfers * (turn + 1) / (swaps + 1), Deed::SwapHttp1));
        all.push((transfers * (2 * turn + 1) / (2 * swaps), Deed::SwapTls));
    }
    for turn in 0..kills {
        all.push((transfers * (5 * turn + 1) / (5 * kills), Deed::Kill));
    }
    all.sort_unstable();
    all
}

/// Does all that is due, until it is done.
pub(super) async fn make(
    engine: &Engine,
    versions: &mut Versions,
    transfers: usize,
    (swaps, kills): (usize, usize),
    mut done: watch::Receiver<usize>,
) -> Troubles {
    let mut troubles = Troubles::default();
    for (due, deed) in schedule(transfers, swaps, kills) {
        // The sender lives as long as there are transfers.
        let Ok(at) = done
            .wait_for(|count| *count >= due)
            .await
            .map(|count| *count)
        else {
            troubles.undone.push(format!("{deed:?} came too late"));
            continue;
        };
        let outcome = match deed {
            Deed::SwapHttp1 => swap(engine, &mut versions.http1, at).await.map(Made::Swap),
            Deed::SwapTls => swap(engine, &mut versions.tls, at).await.map(Made::Swap),
            Deed::Kill => kill(engine, versions, at).await.map(Made::Kill),
        };
        match outcome {
            Ok(Made::Swap(swap)) => troubles.swaps.push(swap),
            Ok(Made::Kill(kill)) => troubles.kills.push(kill),
            Err(why) => troubles.undone.push(format!("{deed:?}: {why}")),
        }
    }
    troubles
}

enum Made {
    Swap(Swap),
    Kill(Kill),
}

async fn swap(engine: &Engine, pair: &mut Pair, at: usize) -> Result<Swap, String> {
    let other = pair.other();
    let began = Instant::now();
    let swapped = engine.modules().swap(pair.name, other.digest).await;
    let swapped = swapped.map_err(|e: ModuleError| e.to_string())?;
    let (module, version) = (pair.name, other.version.to_string());
    pair.turn();
    Ok(Swap {
        module,
        version,
        took_us: swapped.took_us,
        round_trip: began.elapsed(),
        at,
    })
}

async fn kill(engine: &Engine, versions: &Versions, at: usize) -> Result<Kill, String> {
    let pid = engine.launch_report().await.engine.pid;
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = process.ok_or("the engine has no number")?;
    let began = Instant::now();
    kill_process(process, Signal::KILL).map_err(|e| e.to_string())?;
    // Whoever finds out first launches the next.
    let modules = engine.modules();
    loop {
        let current = match modules.list().await {
            Ok(current) => current,
            // Many deaths in a row are followed by a rest.
            Err(ModuleError::Engine(error)) if error.is_retryable() => {
                let rest = error.rest().map_or(Duration::ZERO, Rest::left);
                tokio::time::sleep(rest).await;
                continue;
            }
            Err(why) => return Err(why.to_string()),
        };
        if engine.launch_report().await.engine.pid == pid {
            tokio::task::yield_now().await;
            continue;
        }
        let is_current = |name: &str, digest: Digest| {
            let digest = hex(&digest);
            current.modules.iter().any(|it| {
                it.name == name && it.digest == digest && it.state.as_deref() == Some("current")
            })
        };
        return Ok(Kill {
            answered_after: began.elapsed(),
            replayed: [&versions.http1, &versions.tls]
                .iter()
                .all(|pair| is_current(pair.name, pair.current().digest)),
            at,
        });
    }
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_due_while_transfers_run() {
        let schedule = schedule(1000, 3, 1);
        let at = |deed| {
            let of_it = schedule.iter().filter(|it| it.1 == deed);
            of_it.map(|it| it.0).collect::<Vec<_>>()
        };
        assert_eq!(at(Deed::SwapHttp1), [250, 500, 750]);
        assert_eq!(at(Deed::SwapTls), [166, 500, 833]);
        assert_eq!(at(Deed::Kill), [200]);
    }

    #[test]
    fn nothing_is_due_where_nothing_is_wanted() {
        assert!(schedule(1000, 0, 0).is_empty());
    }
}
