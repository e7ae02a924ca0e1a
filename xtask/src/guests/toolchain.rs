//! A Rust toolchain that can build for `wasm32-unknown-unknown`.
//!
//! What is there is preferred over what would have to be fetched:
//! 1. the active toolchain, when it has the target;
//! 2. Debian's toolchain with the sources of std, when it is installed;
//! 3. `rustup target add`, where there is rustup and a network;
//! 4. Debian's toolchain, installed with apt-get;
//! 5. an error that says what to type.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::packages;
use crate::report;
use crate::workspace::{Workspace, find_program, rustc_program};

/// No operating system: a module imports what its world names and nothing else.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// rustup fetches some 20 MB; a network that swallows packets must not hold
/// us up for longer.
const RUSTUP_LIMIT: Duration = Duration::from_secs(90);

const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Its presence tells Debian's toolchain for the web from the plain one.
const DEBIAN_STD_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// How the guests are compiled.
pub(super) enum Toolchain {
    /// The toolchain that compiles everything else; it has std for the target.
    Active,
    /// Debian's, which has std as sources and borrows the active one's linker.
    Debian { linker: PathBuf },
}

impl Toolchain {
    pub(super) fn find(workspace: &Workspace) -> Result<Self> {
        if active_has_target()? {
            return Ok(Self::Active);
        }
        if debian_is_installed() {
            return Self::debian();
        }
        if rustup_adds_target(workspace)? && active_has_target()? {
            return Ok(Self::Active);
        }
        packages::install(&DEBIAN_PACKAGES).with_context(|| {
            format!(
                "the guests need a Rust toolchain for {TARGET}: type `rustup target add \
                 {TARGET}`, or let Debian's toolchain be installed"
            )
        })?;
        if !debian_is_installed() {
            bail!(
                "the packages {} are installed, but {DEBIAN_STD_SOURCES} is not there: type \
                 `rustup target add {TARGET}` instead",
                DEBIAN_PACKAGES.join(", ")
            );
        }
        Self::debian()
    }

    fn debian() -> Result<Self> {
        let linker = target_libdir(None)?.with_file_name("bin").join("rust-lld");
        if linker.is_file() {
            return Ok(Self::Debian { linker });
        }
        match find_program("rust-lld") {
            Some(linker) => Ok(Self::Debian { linker }),
            None => bail!(
                "Debian's toolchain needs the linker rust-lld, which comes with rustup's \
                 toolchains: install rustup from https://rustup.rs and run this again"
            ),
        }
    }

    /// For the progress line.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Active => format!("the active toolchain's {TARGET}"),
            Self::Debian { .. } => "Debian's toolchain, std from its sources".to_owned(),
        }
    }

    /// A cargo, up to its subcommand's own arguments (`build` comes first in
    /// every use, so options of cargo itself are given as environment).
    pub(super) fn cargo(&self, workspace: &Workspace) -> Result<Command> {
        let mut cargo = match self {
            Self::Active => workspace.cargo(),
            Self::Debian { linker } => debian_cargo(workspace, linker),
        };
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags(workspace)?);
        Ok(cargo)
    }
}

fn debian_cargo(workspace: &Workspace, linker: &Path) -> Command {
    let mut cargo = Command::new(DEBIAN_CARGO);
    cargo
        .current_dir(workspace.root())
        .env("RUSTC", DEBIAN_RUSTC)
        // A released compiler builds std only when told to look away.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    // These would lead back to the active toolchain.
    for name in ["CARGO", "RUSTDOC", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN"] {
        cargo.env_remove(name);
    }
    cargo
}

/// SIMD for memchr (ten times faster); no random numbers, which no guest may
/// import by the back door of a crate; and no path of this machine in a
/// guest's panic messages, so that every machine builds the same bytes.
fn rustflags(workspace: &Workspace) -> Result<String> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    let flags = [
        "-Ctarget-feature=+simd128".to_owned(),
        "--cfg=getrandom_backend=\"unsupported\"".to_owned(),
        format!("--remap-path-prefix={}=/cargo", home.display()),
        format!(
            "--remap-path-prefix={}=/fumehood",
            workspace.root().display()
        ),
    ];
    Ok(flags.join("\u{1f}"))
}

fn active_has_target() -> Result<bool> {
    let libdir = target_libdir(Some(TARGET))?;
    let has_core = |folder: std::fs::ReadDir| {
        folder
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
    };
    Ok(libdir.read_dir().is_ok_and(has_core))
}

/// Where the active toolchain keeps, or would keep, std for `target`.
fn target_libdir(target: Option<&str>) -> Result<PathBuf> {
    let mut rustc = Command::new(rustc_program());
    rustc.args(["--print", "target-libdir"]);
    if let Some(target) = target {
        rustc.args(["--target", target]);
    }
    Ok(PathBuf::from(command::capture(&mut rustc)?.trim()))
}

fn debian_is_installed() -> bool {
    [DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_STD_SOURCES]
        .iter()
        .all(|path| Path::new(path).is_file())
}

/// Quiet where it fails: there is another way.
fn rustup_adds_target(workspace: &Workspace) -> Result<bool> {
    if find_program("rustup").is_none() {
        return Ok(false);
    }
    report::line("guests", &format!("trying `rustup target add {TARGET}`"));
    let mut rustup = Command::new("rustup");
    rustup
        .args(["target", "add", TARGET])
        .current_dir(workspace.root());
    let status = command::status_within(&mut rustup, RUSTUP_LIMIT)?;
    Ok(status.is_some_and(|status| status.success()))
}
