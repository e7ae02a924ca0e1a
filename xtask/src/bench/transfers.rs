//! Whole transfers, timed from outside: `fumehood fetch` and `curl` in turn.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::Measured;
use super::peers::Peers;
use crate::command;
use crate::workspace::Workspace;

/// What is fetched, and what of it is measured.
pub(super) struct Transfer {
    pub(super) server: &'static str,
    pub(super) file: &'static str,
    pub(super) quantity: Quantity,
    /// How often each program runs; odd, so that the median is a real run.
    pub(super) rounds: u32,
}

#[derive(Clone, Copy)]
pub(super) enum Quantity {
    /// MiB/s over the whole process: start and handshake are part of it.
    Throughput { bytes: u32 },
    /// Milliseconds from spawn to exit.
    WallTime,
}

pub(super) fn measure(
    workspace: &Workspace,
    peers: &Peers,
    transfer: &Transfer,
) -> Result<Measured> {
    let url = peers.url(transfer.server, transfer.file)?;
    let ca_file = peers.ca_file()?;
    let mut ours = fumehood(workspace, ca_file, &url);
    let mut curl = curl(ca_file, &url);
    // The first run of each warms caches and is not counted.
    seconds(&mut ours)?;
    seconds(&mut curl)?;
    let mut our_figures = Vec::new();
    let mut curl_figures = Vec::new();
    for _ in 0..transfer.rounds {
        our_figures.push(transfer.quantity.figure(seconds(&mut ours)?));
        curl_figures.push(transfer.quantity.figure(seconds(&mut curl)?));
    }
    Ok(Measured {
        ours: median(our_figures),
        peer: Some((median(curl_figures), "curl".to_owned())),
    })
}

impl Quantity {
    fn figure(self, seconds: f64) -> f64 {
        match self {
            Self::Throughput { bytes } => f64::from(bytes) / f64::from(1 << 20) / seconds,
            Self::WallTime => seconds * 1000.0,
        }
    }
}

/// `fumehood fetch`, silent, into the void.
pub(super) fn fumehood(workspace: &Workspace, ca_file: &str, url: &str) -> Command {
    let mut command = Command::new(workspace.dist_program("fumehood"));
    command
        .args(["fetch", "-s", "--cacert", ca_file, "-o", "/dev/null"])
        .args(["--allow-private", "127.0.0.1", url]);
    without_proxies(&mut command);
    command
}

fn curl(ca_file: &str, url: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["-sS", "--fail", "--cacert", ca_file, "-o", "/dev/null", url]);
    without_proxies(&mut command);
    command
}

/// Both programs go straight to the server, whatever this machine is set to.
fn without_proxies(command: &mut Command) {
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
}

fn seconds(command: &mut Command) -> Result<f64> {
    let started = Instant::now();
    command::run(command)?;
    Ok(started.elapsed().as_secs_f64())
}

/// The middle one; zero of none.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }

    #[test]
    fn throughput_is_in_mebibytes_a_second() {
        let quantity = Quantity::Throughput { bytes: 1 << 30 };
        assert!((quantity.figure(2.0) - 512.0).abs() < f64::EPSILON);
    }
}
