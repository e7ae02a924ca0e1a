//! Figures that `fumehood fetch --json` reports of its own transfer.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Measured;
use super::peers::Peers;
use super::transfers::{fumehood, median};
use crate::command;
use crate::workspace::Workspace;

/// The time of a launch varies; odd, so that the median is a real one.
const LAUNCHES: u32 = 21;

const SMALL: &str = "1kib.bin";

/// What is read from the report.
#[derive(Clone, Copy)]
pub(super) enum Reported {
    /// Milliseconds until the engine is ready, the median of several.
    EngineReady,
}

pub(super) fn measure(
    workspace: &Workspace,
    peers: &Peers,
    reported: Reported,
) -> Result<Measured> {
    let Reported::EngineReady = reported;
    let mut figures = Vec::new();
    for _ in 0..LAUNCHES {
        let report = report(workspace, peers, SMALL)?;
        figures.push(number(&report, "/launch/engine_ready_us")? / 1000.0);
    }
    Ok(Measured {
        ours: median(figures),
        peer: None,
    })
}

fn report(workspace: &Workspace, peers: &Peers, file: &str) -> Result<Value> {
    let url = peers.url("tls13", file)?;
    let printed = command::capture(fumehood(workspace, peers.ca_file()?, &url).arg("--json"))?;
    serde_json::from_str(&printed).context("`fumehood fetch --json` printed no JSON object")
}

fn number(report: &Value, pointer: &str) -> Result<f64> {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("`fumehood fetch --json` did not say {pointer}"))
}
