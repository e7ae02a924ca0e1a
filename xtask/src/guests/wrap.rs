//! Core modules to components and native code, by running `fumehood-compiler`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::manifest::{Built, Manifest, sha256_of};
use super::{GUESTS, Guest, core_module, out_folder};
use crate::command;
use crate::report;
use crate::workspace::Workspace;

/// Wraps and precompiles each guest whose core module, or whose compiler, is
/// another than last time. Returns all guests.
pub(super) fn wrap(workspace: &Workspace) -> Result<Vec<Built>> {
    report::line(
        "guests",
        "building the compiler (some minutes the first time)",
    );
    command::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "fumehood-compiler"]),
    )
    .context("the compiler of guests does not build")?;
    let compiler = workspace.release_program("fumehood-compiler");
    let out = out_folder(workspace);
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;

    let file = out.join("guests.json");
    let compiler_sha256 = sha256_of(&compiler)?;
    let mut old = Manifest::read(&file)
        .filter(|manifest| manifest.compiler_sha256 == compiler_sha256)
        .map_or_else(Vec::new, |manifest| manifest.guests);
    let mut manifest = Manifest {
        compiler_sha256,
        guests: Vec::new(),
    };
    for guest in &GUESTS {
        let previous = old.iter().position(|built| built.name == guest.name);
        let previous = previous.map(|index| old.swap_remove(index));
        let built = wrap_one(workspace, &compiler, guest, previous)?;
        manifest.guests.push(built);
    }
    manifest.write(&file)?;
    Ok(manifest.guests)
}

fn wrap_one(
    workspace: &Workspace,
    compiler: &Path,
    guest: &Guest,
    previous: Option<Built>,
) -> Result<Built> {
    let core = core_module(workspace, guest);
    let base = out_folder(workspace).join(guest.name);
    let component = base.with_extension("wasm");
    let native = base.with_extension("cwasm");
    let version = version(workspace, guest)?;
    let core_sha256 = sha256_of(&core)?;
    if let Some(built) = previous
        && built.core_sha256 == core_sha256
        && built.version == version
        && sha256_of(&component).is_ok_and(|digest| digest == built.component_sha256)
        && length(&native).is_ok_and(|bytes| bytes == built.native_bytes)
    {
        report::line(guest.name, "unchanged");
        return Ok(built);
    }

    command::run(Command::new(compiler).arg(&core).arg(&base))
        .with_context(|| format!("the guest {} cannot be made a component", guest.name))?;
    let imports = command::capture(Command::new(compiler).arg("--imports").arg(&component))?;
    let mut imports: Vec<String> = imports.lines().map(str::to_owned).collect();
    imports.sort_unstable();
    let built = Built {
        name: guest.name.to_owned(),
        version,
        core_sha256,
        component_sha256: sha256_of(&component)?,
        core_bytes: length(&core)?,
        component_bytes: length(&component)?,
        native_bytes: length(&native)?,
        imports,
    };
    report::line(
        guest.name,
        &format!(
            "component {}, native code {}, imports {}",
            report::size(built.component_bytes),
            report::size(built.native_bytes),
            built.imports.len()
        ),
    );
    Ok(built)
}

fn version(workspace: &Workspace, guest: &Guest) -> Result<String> {
    workspace
        .package(guest.package)
        .and_then(|package| package["version"].as_str())
        .map(str::to_owned)
        .with_context(|| format!("the workspace has no package {}", guest.package))
}

fn length(path: &Path) -> Result<u64> {
    let metadata =
        fs::metadata(path).with_context(|| format!("{} is not there", path.display()))?;
    Ok(metadata.len())
}
