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
const LARGE: &str = "1gib.bin";

/// What is read from the report.
#[derive(Clone, Copy)]
pub(super) enum Reported {
    /// Milliseconds until the engine is ready, the median of several.
    EngineReady,
    /// MiB of memory a guest has while 1 GiB passes over TLS.
    GuestMemory,
    /// Bytes of memory that 1 GiB adds over 1 KiB.
    GuestMemoryGrowth,
    /// Bytes of a body of 1 GiB that did not go past the guests.
    GuestPayload,
}

pub(super) fn measure(
    workspace: &Workspace,
    peers: &Peers,
    reported: Reported,
) -> Result<Measured> {
    let fetch = |file| report(workspace, peers, file);
    let ours = match reported {
        Reported::EngineReady => {
            let mut figures = Vec::new();
            for _ in 0..LAUNCHES {
                figures.push(number(&fetch(SMALL)?, "/launch/engine_ready_us")? / 1000.0);
            }
            median(figures)
        }
        Reported::GuestMemory => memory_of_a_guest(&fetch(LARGE)?)?,
        Reported::GuestMemoryGrowth => {
            let memory = |report| number(&report, "/guests/memory_bytes");
            (memory(fetch(LARGE)?)? - memory(fetch(SMALL)?)?).max(0.0)
        }
        Reported::GuestPayload => {
            let report = fetch(LARGE)?;
            number(&report, "/bytes/received")? - number(&report, "/bytes/past_guests")?
        }
    };
    Ok(Measured { ours, peer: None })
}

/// The report counts all guests of the exchange together.
fn memory_of_a_guest(report: &Value) -> Result<f64> {
    let guests = report["modules"].as_array().map_or(0, Vec::len);
    let guests = u32::try_from(guests).ok().filter(|guests| *guests > 0);
    let guests = guests.context("the report names no guest")?;
    Ok(number(report, "/guests/memory_bytes")? / f64::from(1 << 20) / f64::from(guests))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn memory_is_shared_out_among_the_guests() {
        let report = json!({ "modules": [1, 2], "guests": { "memory_bytes": 4 << 20 } });
        assert!((memory_of_a_guest(&report).unwrap() - 2.0).abs() < f64::EPSILON);
        assert!(memory_of_a_guest(&json!({ "modules": [] })).is_err());
    }
}
