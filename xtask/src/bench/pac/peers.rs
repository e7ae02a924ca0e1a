//! The other evaluators: fetched once, then run as programs of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Figures, Script, figures};
use crate::command;
use crate::packages;
use crate::report;

/// Measured against these and no others: a promise names its peers.
const PACPARSER: &str = "pacparser==1.5.3";
const PAC_RESOLVER: [&str; 2] = ["pac-resolver@9.0.1", "quickjs-wasi@2"];

const PYTHON_PROGRAM: &str = include_str!("time_pacparser.py");
const NODE_PROGRAM: &str = include_str!("time_pac_resolver.mjs");

/// Where they are.
pub(super) struct Peers {
    folder: PathBuf,
}

pub(super) fn install(folder: &Path) -> Result<Peers> {
    packages::require_programs(&["python3", "node", "npm"])?;
    let peers = Peers {
        folder: folder.to_path_buf(),
    };
    let (python, node) = (peers.python(), peers.node());
    fs::create_dir_all(&node).with_context(|| format!("cannot create {}", node.display()))?;
    fs::write(folder.join("time_pacparser.py"), PYTHON_PROGRAM)?;
    fs::write(folder.join("time_pac_resolver.mjs"), NODE_PROGRAM)?;
    if !python.join("pacparser").is_dir() {
        report::line("packages", &format!("fetching {PACPARSER} with pip"));
        command::capture(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--target"])
                .arg(&python)
                .arg(PACPARSER),
        )?;
    }
    if !node.join("node_modules/pac-resolver").is_dir() {
        report::line(
            "packages",
            &format!("fetching {} with npm", PAC_RESOLVER[0]),
        );
        fs::write(node.join("package.json"), "{\"private\": true}\n")?;
        command::capture(
            Command::new("npm")
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .args(PAC_RESOLVER)
                .current_dir(&node),
        )?;
    }
    Ok(peers)
}

impl Peers {
    fn python(&self) -> PathBuf {
        self.folder.join("python")
    }

    fn node(&self) -> PathBuf {
        self.folder.join("node")
    }

    /// Both, one after the other.
    pub(super) fn measure(
        &self,
        script: &Script,
        file: &Path,
    ) -> Result<Vec<(&'static str, Figures)>> {
        let mut python = Command::new("python3");
        python
            .env("PYTHONPATH", self.python())
            .arg(self.folder.join("time_pacparser.py"));
        let mut node = Command::new("node");
        node.arg(self.folder.join("time_pac_resolver.mjs"))
            .arg(self.node());
        let mut measured = Vec::new();
        for (name, mut command) in [("pacparser", python), ("pac-resolver", node)] {
            command
                .arg(file)
                .arg(script.calls.to_string())
                .args(&script.hosts);
            measured.push((name, figures(command)?));
        }
        Ok(measured)
    }
}
