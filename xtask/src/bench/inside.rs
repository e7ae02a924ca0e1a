//! Figures that only the engine itself can tell: instances, handshakes.
//!
//! `fumehood-measure CASE…` prints one JSON object a line for each case:
//!
//! ```text
//! {"case": "tls13-handshake", "ours": 612.0, "peer": 567.0, "peer_name": "rustls"}
//! ```
//!
//! `ours` and `peer` are medians in the case's unit (see `cases.rs`); `peer`
//! is left out where the promise is an absolute one.

use std::collections::HashMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Measured;
use crate::command;
use crate::workspace::Workspace;

/// The package, and its program.
const PROGRAM: &str = "fumehood-measure";

pub(super) fn measure(workspace: &Workspace, cases: &[&str]) -> Result<HashMap<String, Measured>> {
    command::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", PROGRAM]),
    )?;
    let program = workspace.release_program(PROGRAM);
    let printed = command::capture(Command::new(program).args(cases))?;
    let mut figures = HashMap::new();
    for line in printed.lines() {
        let (case, measured) = row(line).with_context(|| format!("{PROGRAM} printed `{line}`"))?;
        figures.insert(case, measured);
    }
    Ok(figures)
}

fn row(line: &str) -> Result<(String, Measured)> {
    let row: Value = serde_json::from_str(line).context("not a JSON object")?;
    let case = row["case"].as_str().context("no case")?;
    let ours = row["ours"].as_f64().context("no figure of ours")?;
    let peer = row["peer"].as_f64().map(|figure| {
        let name = row["peer_name"].as_str().unwrap_or("peer");
        (figure, name.to_owned())
    });
    Ok((case.to_owned(), Measured { ours, peer }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn rows_are_read_with_and_without_a_peer() {
        let (case, measured) = row(r#"{"case":"a","ours":1.5}"#).unwrap();
        assert_eq!((case.as_str(), measured.ours), ("a", 1.5));
        assert!(measured.peer.is_none());
        let (_, measured) = row(r#"{"case":"a","ours":1,"peer":2,"peer_name":"b"}"#).unwrap();
        assert_eq!(measured.peer, Some((2.0, "b".to_owned())));
    }

    #[test]
    fn a_row_without_a_figure_is_an_error() {
        assert!(row("{}").is_err());
        assert!(row("nothing").is_err());
    }
}
