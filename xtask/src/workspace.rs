//! Where things are: the repository, its target directory, the tools in use.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The repository this program was built from, and what cargo says of it.
pub(crate) struct Workspace {
    root: PathBuf,
    metadata: Value,
}

impl Workspace {
    /// Asks cargo about the workspace. Works from any directory, offline.
    pub(crate) fn find() -> Result<Self> {
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = here
            .parent()
            .context("xtask is not inside a workspace")?
            .to_path_buf();
        let mut cargo = Command::new(cargo_program());
        cargo
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root);
        let metadata = serde_json::from_str(&command::capture(&mut cargo)?)
            .context("cargo metadata answered with something that is not JSON")?;
        Ok(Self { root, metadata })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `target/`, or wherever the developer's configuration puts it.
    pub(crate) fn target(&self) -> PathBuf {
        self.metadata["target_directory"]
            .as_str()
            .map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// A program of this workspace as `cargo build --release` leaves it.
    pub(crate) fn release_program(&self, name: &str) -> PathBuf {
        self.target().join("release").join(name)
    }

    /// The same of what users are handed: see `[profile.dist]`.
    pub(crate) fn dist_program(&self, name: &str) -> PathBuf {
        self.target().join("dist").join(name)
    }

    /// The workspace's own packages, as `cargo metadata` describes them.
    pub(crate) fn packages(&self) -> &[Value] {
        self.metadata["packages"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Value> {
        self.packages()
            .iter()
            .find(|package| package["name"] == name)
    }

    /// The cargo that runs us, in the repository's root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root);
        command
    }

    /// `path` below the root, for messages.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// The cargo that runs us; plain `cargo` when run by hand.
fn cargo_program() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// The rustc beside that cargo, so that both are of one toolchain.
pub(crate) fn rustc_program() -> PathBuf {
    let beside = cargo_program().with_file_name("rustc");
    if beside.is_file() {
        beside
    } else {
        "rustc".into()
    }
}

/// The user we run as: `/proc/self` belongs to the effective user.
pub(crate) fn effective_user() -> Result<u32> {
    Ok(fs::metadata("/proc/self")
        .context("cannot read /proc/self")?
        .uid())
}

/// The first program called `name` on `PATH`, or in the system folders that
/// an unprivileged `PATH` leaves out.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
