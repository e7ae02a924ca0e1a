//! `cargo xtask demo`: from a fresh clone to Fumehood at work, in one command.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::build;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[&str]) -> Result<ExitCode> {
    build::build(workspace)?;
    // Standard input stays: a demonstration may ask whoever watches to go on.
    let status = Command::new(workspace.release_program("fumehood"))
        .arg("demo")
        .args(args)
        .status()
        .context("cannot start target/release/fumehood")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
