//! Test programs: built all at once, then run one by one, so that the same
//! program can be run again as another user.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::tally::{self, Tally};
use crate::command;
use crate::report;
use crate::workspace::Workspace;

/// A program full of tests.
pub(super) struct Program {
    pub(super) package: String,
    /// The target's name: the library's, or that of a file under `tests/`.
    pub(super) name: String,
    pub(super) executable: PathBuf,
    /// The package's folder, where cargo too would run it.
    pub(super) folder: PathBuf,
}

impl Program {
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.package, self.name)
    }

    /// The way cargo runs it.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }
}

/// Compiles the tests of the packages that `selection` (arguments of cargo)
/// names, without running them.
pub(super) fn build(workspace: &Workspace, selection: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--release", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .args(selection)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cannot start cargo")?;
    command::check(&cargo, output.status)?;
    let messages = String::from_utf8(output.stdout).context("cargo printed no UTF-8")?;
    let programs: Vec<Program> = messages
        .lines()
        .filter_map(|line| program_of(workspace, line))
        .collect();
    if programs.is_empty() {
        bail!("cargo built no test at all");
    }
    Ok(programs)
}

/// The test program that a message of cargo announces, if it does.
fn program_of(workspace: &Workspace, line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = message["manifest_path"].as_str()?;
    let package = workspace
        .packages()
        .iter()
        .find(|package| package["manifest_path"] == manifest)?;
    Some(Program {
        package: package["name"].as_str()?.to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        executable: message["executable"].as_str()?.into(),
        folder: PathBuf::from(manifest).parent()?.to_path_buf(),
    })
}

/// Runs every program, even after one has failed.
pub(super) fn run_all(programs: &[Program], filter: Option<&str>) -> Result<Tally> {
    let mut total = Tally::default();
    for program in programs {
        report::line("running", &program.title());
        let mut command = program.command();
        command.args(filter);
        total.add(tally::run(&mut command)?);
    }
    Ok(total)
}
