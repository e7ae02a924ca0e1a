//! `cargo xtask guests`: Rust to core wasm, to a component, to native code.
//!
//! ```text
//! cargo (profile guest, fat LTO)   target/guests/wasm32-unknown-unknown/guest/*.wasm
//! fumehood-compiler                target/guests/out/NAME.wasm, NAME.cwasm
//! the list of imports              guest-modules/IMPORTS.txt, compared
//! what was built                   target/guests/out/guests.json
//! ```

mod imports;
mod manifest;
mod toolchain;
mod wrap;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::command;
use crate::report;
use crate::workspace::Workspace;
pub(crate) use imports::Imports;
use toolchain::Toolchain;

/// One guest of this repository.
pub(crate) struct Guest {
    /// What it is called everywhere: in the registry, in file names.
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    /// The features that make a component of the library.
    features: &'static [&'static str],
}

/// Built together, so that what they share is compiled once.
const MODULES: [Guest; 3] = [
    Guest {
        name: "http1",
        package: "fumehood-guest-http1",
        features: &["fumehood-guest-http1/component"],
    },
    Guest {
        name: "tls",
        package: "fumehood-guest-tls",
        features: &["fumehood-guest-tls/component"],
    },
    Guest {
        name: "x509",
        package: "fumehood-guest-x509",
        features: &["fumehood-guest-x509/component"],
    },
];

/// Built apart: it contains the library of `http1`, which must not export a
/// component of its own there.
const PROGRAMS: [Guest; 1] = [Guest {
    name: "http1-faulty",
    package: "fumehood-guest-http1-faulty",
    features: &[],
}];

/// Every guest, modules first.
pub(crate) fn all() -> impl Iterator<Item = &'static Guest> {
    MODULES.iter().chain(&PROGRAMS)
}

pub(crate) fn run(workspace: &Workspace, imports: Imports) -> Result<ExitCode> {
    build(workspace, imports)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds what has changed and leaves everything in `target/guests/out`.
pub(crate) fn build(workspace: &Workspace, imports: Imports) -> Result<()> {
    let started = Instant::now();
    let toolchain = Toolchain::find(workspace)?;
    report::line("guests", &format!("with {}", toolchain.description()));
    report::line("guests", "compiling (a minute or two the first time)");
    for group in [&MODULES[..], &PROGRAMS[..]] {
        compile(workspace, &toolchain, group)?;
    }
    let built = wrap::wrap(workspace)?;
    imports::compare(workspace, &built, imports)?;
    report::line(
        "guests",
        &format!("in {}", report::duration(started.elapsed())),
    );
    Ok(())
}

fn compile(workspace: &Workspace, toolchain: &Toolchain, group: &[Guest]) -> Result<()> {
    let mut cargo = toolchain.cargo(workspace)?;
    cargo
        .args(["build", "--profile", "guest"])
        .args(["--target", toolchain::TARGET])
        .arg("--target-dir")
        .arg(target_folder(workspace));
    for guest in group {
        cargo.args(["--package", guest.package]);
        for feature in guest.features {
            cargo.args(["--features", feature]);
        }
    }
    let names: Vec<&str> = group.iter().map(|guest| guest.name).collect();
    command::run(&mut cargo)
        .with_context(|| format!("the guests {} do not compile", names.join(", ")))
}

/// A target directory of their own: the guests may need another rustc, and
/// would otherwise take the lock from the host's build.
fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("guests")
}

/// What cargo leaves of a guest.
fn core_module(workspace: &Workspace, guest: &Guest) -> PathBuf {
    target_folder(workspace)
        .join(toolchain::TARGET)
        .join("guest")
        .join(format!("{}.wasm", guest.package.replace('-', "_")))
}

/// Where the components and their native code go.
pub(crate) fn out_folder(workspace: &Workspace) -> PathBuf {
    target_folder(workspace).join("out")
}
