//! Nightly Rust and cargo-fuzz, and the instrumented programs they build.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::report;
use crate::workspace::{Workspace, find_program};

/// The workspace of the fuzzers, below the root.
const LIBFUZZER: &str = "tests/fuzz/libfuzzer";

/// `target/fuzz`: all that fuzzing leaves.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("fuzz")
}

/// Builds one target's program; returns where it is.
pub(super) fn build(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let program = build_some(workspace, Some(target))?.join(target);
    if !program.is_file() {
        bail!("cargo-fuzz left no {}", program.display());
    }
    Ok(program)
}

/// Builds all programs; returns the folder where they are.
pub(super) fn build_all(workspace: &Workspace) -> Result<PathBuf> {
    build_some(workspace, None)
}

/// Builds one target's program, or all.
fn build_some(workspace: &Workspace, target: Option<&str>) -> Result<PathBuf> {
    let cargo_fuzz = require()?;
    follow_lock(workspace)?;
    let out = folder(workspace).join("build");
    let what = target.unwrap_or("all targets");
    report::line(
        "building",
        &format!("{what} with nightly (some minutes the first time)"),
    );
    let mut cargo = Command::new(cargo_fuzz);
    cargo
        .args(["fuzz", "build"])
        .args(target)
        .args(["--fuzz-dir", LIBFUZZER])
        .arg("--target-dir")
        .arg(&out)
        // What is fuzzed is what ships: no crate is to behave otherwise here.
        .arg("--no-cfg-fuzzing")
        .args(["--codegen-units", "16"])
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .current_dir(workspace.root());
    // The cargo that runs us set these; they would lead back to it.
    for name in ["CARGO", "RUSTC", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    command::run(&mut cargo)?;
    Ok(out.join(host()?).join("release"))
}

/// cargo-fuzz, installed where it is missing; nightly Rust, or what to type.
fn require() -> Result<PathBuf> {
    let nightly = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        bail!(
            "fuzzing needs nightly Rust, and nothing else here does: type `rustup toolchain \
             install nightly --profile minimal` and run this again"
        );
    }
    if let Some(program) = cargo_fuzz() {
        return Ok(program);
    }
    report::line("installing", "cargo-fuzz from crates.io");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "cargo-fuzz", "--locked"]);
    command::run(&mut cargo).context(
        "cargo-fuzz is missing and could not be installed: type `cargo install cargo-fuzz`",
    )?;
    cargo_fuzz().context("cargo-fuzz is installed, but not where cargo keeps its programs")
}

/// On `PATH`, or where cargo installs.
fn cargo_fuzz() -> Option<PathBuf> {
    const NAME: &str = "cargo-fuzz";
    find_program(NAME).or_else(|| {
        let home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))?;
        Some(home.join("bin").join(NAME)).filter(|program| program.is_file())
    })
}

/// Has the fuzzers' workspace take the versions that ship: its lock file begins
/// as a copy of ours, made again whenever ours has changed.
fn follow_lock(workspace: &Workspace) -> Result<()> {
    let ours = fs::read(workspace.root().join("Cargo.lock")).context("there is no Cargo.lock")?;
    let followed = folder(workspace).join("Cargo.lock");
    let theirs = workspace.root().join(LIBFUZZER).join("Cargo.lock");
    if theirs.is_file() && fs::read(&followed).is_ok_and(|old| old == ours) {
        return Ok(());
    }
    fs::create_dir_all(folder(workspace))?;
    for copy in [theirs, followed] {
        fs::write(&copy, &ours).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    Ok(())
}

/// The target triple that cargo-fuzz builds for.
fn host() -> Result<String> {
    let told = command::capture(Command::new("rustc").arg("-vV"))?;
    told.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc does not say which host it is for")
}
