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
struct Guest {
    /// What it is called everywhere: in the registry, in file names.
    name: &'static str,
    package: &'static str,
    /// The features that make a component of the library.
    features: &'static [&'static str],
}

/// The modules, then the programs that tests load in their place.
const GUESTS: [Guest; 13] = [
    Guest {
        name: "http1",
        package: "fumehood-guest-http1",
        features: &["component"],
    },
    Guest {
        name: "tls",
        package: "fumehood-guest-tls",
        features: &["component"],
    },
    Guest {
        name: "x509",
        package: "fumehood-guest-x509",
        features: &["component"],
    },
    Guest {
        name: "pac",
        package: "fumehood-pac",
        features: &["component"],
    },
    Guest {
        name: "socks",
        package: "fumehood-guest-socks",
        features: &["component"],
    },
    Guest {
        name: "dns",
        package: "fumehood-guest-dns",
        features: &["component"],
    },
    // These contain the library of the guest they play, which exports nothing there.
    Guest {
        name: "http1-faulty",
        package: "fumehood-guest-http1-faulty",
        features: &[],
    },
    Guest {
        name: "tls-faulty",
        package: "fumehood-guest-tls-faulty",
        features: &[],
    },
    Guest {
        name: "x509-faulty",
        package: "fumehood-guest-x509-faulty",
        features: &[],
    },
    Guest {
        name: "dns-faulty",
        package: "fumehood-guest-dns-faulty",
        features: &[],
    },
    Guest {
        name: "socks-faulty",
        package: "fumehood-guest-socks-faulty",
        features: &[],
    },
    Guest {
        name: "gopher",
        package: "fumehood-driver-gopher",
        features: &[],
    },
    Guest {
        name: "driver-probe",
        package: "fumehood-driver-probe",
        features: &[],
    },
];

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
    for guest in &GUESTS {
        compile(workspace, &toolchain, guest)?;
    }
    let built = wrap::wrap(workspace)?;
    imports::compare(workspace, &built, imports)?;
    report::line(
        "guests",
        &format!("in {}", report::duration(started.elapsed())),
    );
    Ok(())
}

/// Each guest by itself: its features, and so its bytes, do not depend on
/// which others are built. The libraries are plain ones; only here do they
/// become modules.
fn compile(workspace: &Workspace, toolchain: &Toolchain, guest: &Guest) -> Result<()> {
    let mut cargo = toolchain.cargo(workspace)?;
    cargo
        .args(["rustc", "--lib", "--crate-type", "cdylib"])
        .args(["--profile", "guest", "--target", toolchain::TARGET])
        .arg("--target-dir")
        .arg(target_folder(workspace))
        .args(["--package", guest.package]);
    for feature in guest.features {
        cargo.args(["--features", feature]);
    }
    command::run(&mut cargo).with_context(|| format!("the guest {} does not compile", guest.name))
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
fn out_folder(workspace: &Workspace) -> PathBuf {
    target_folder(workspace).join("out")
}
