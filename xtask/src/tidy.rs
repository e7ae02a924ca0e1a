//! `cargo xtask tidy`: what no compiler checks. Runs as a test too.

mod dependencies;
mod files;
mod promises;
mod source;
mod wit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<ExitCode> {
    check(workspace)?;
    println!("tidy");
    Ok(ExitCode::SUCCESS)
}

/// Fails with all that is untidy, one line each.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut problems = Vec::new();
    let mut paths = Vec::new();
    collect(workspace.root(), &mut paths)?;
    paths.sort_unstable();
    for path in paths {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // What is not text has no lines to judge.
        if let Ok(text) = String::from_utf8(bytes) {
            let path = workspace.relative(&path);
            files::check(path, &text, &mut problems);
            wit::check(path, &text, &mut problems);
        }
    }
    dependencies::check(workspace, &mut problems)?;
    promises::check(workspace, &mut problems);
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_unstable();
    bail!(
        "{} things are untidy:\n{}",
        problems.len(),
        problems.join("\n")
    )
}

/// Every file of the repository, without what is built and what git keeps.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if entry.file_name() != "target" && entry.file_name() != ".git" {
                collect(&entry.path(), paths)?;
            }
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        if let Err(error) = check(&Workspace::find().unwrap()) {
            panic!("{error:#}");
        }
    }
}
