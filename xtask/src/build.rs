//! `cargo xtask build`: the guests, then the command that embeds them; as it is worked
//! on, or as users are handed it.

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

/// Leaves programs in `target/dist`, optimised as wholes. The guests that they embed are
/// built already.
pub(crate) fn build_for_users(workspace: &Workspace, programs: &[&str]) -> Result<()> {
    // One after the other: in one go, the engine would have the compiler's features.
    for program in programs {
        report::line(
            "building",
            &format!("{program}, optimised as a whole: several minutes"),
        );
        command::run(
            workspace
                .cargo()
                .args(["build", "--profile", "dist", "--package", program]),
        )?;
    }
    Ok(())
}
