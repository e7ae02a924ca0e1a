//! The servers to fetch from, as the integration tests start them: the
//! program `fumehood-peers` says where they are, and stops them when its
//! standard input ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;
use crate::workspace::Workspace;

const PROGRAM: &str = "fumehood-peers";

/// How long the servers may take to stop before they are killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Running servers; stopped on drop.
pub(super) struct Peers {
    child: Child,
    addresses: Value,
}

impl Peers {
    pub(super) fn start(workspace: &Workspace) -> Result<Self> {
        command::run(
            workspace
                .cargo()
                .args(["build", "--release", "--bin", PROGRAM])
                .args(["--package", "fumehood-tests"]),
        )?;
        let mut child = Command::new(workspace.release_program(PROGRAM))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {PROGRAM}"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let addresses = serde_json::from_str(&line)
            .with_context(|| format!("{PROGRAM} could not start the servers"))?;
        Ok(Self { child, addresses })
    }

    /// The file with the root certificate that signs for the servers.
    pub(super) fn ca_file(&self) -> Result<&str> {
        self.text("ca_file")
    }

    /// The address of `file` on `server` (`http`, `tls12`, `tls13`, `chunks`).
    pub(super) fn url(&self, server: &str, file: &str) -> Result<String> {
        Ok(format!("{}/{file}", self.text(server)?))
    }

    fn text(&self, name: &str) -> Result<&str> {
        self.addresses[name]
            .as_str()
            .with_context(|| format!("{PROGRAM} did not say `{name}`"))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It is killed in any case; there is nobody to tell more.
        let _ = command::wait_within(&mut self.child, STOP_LIMIT);
    }
}
