//! `cargo xtask build`: the guests, then the command that embeds them.

use std::process::ExitCode;

use anyhow::Result;

use crate::command;
use crate::guests::{self, Imports};
use crate::report;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    build(workspace)?;
    let program = workspace.release_program("fumehood");
    report::line("done", &program.display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// Leaves `target/release/fumehood`, with the guests inside.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    guests::build(workspace, Imports::MustMatch)?;
    report::line(
        "building",
        "fumehood (optimised: some minutes the first time)",
    );
    command::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "fumehood"]),
    )
}
