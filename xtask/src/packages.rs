//! What the distribution provides: nginx, curl, unbound, proxies, a toolchain for the guests.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::report;
use crate::workspace::{effective_user, find_program};

/// Makes sure that `programs` can be run; the packages bear the same names.
pub(crate) fn require_programs(programs: &[&str]) -> Result<()> {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| find_program(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// The same for a program whose package bears another name.
pub(crate) fn require(program: &str, package: &str) -> Result<()> {
    match find_program(program) {
        Some(_) => Ok(()),
        None => install(&[package]),
    }
}

/// The same for a library, of which this file is a part.
pub(crate) fn require_file(file: &str, package: &str) -> Result<()> {
    match Path::new(file).exists() {
        true => Ok(()),
        false => install(&[package]),
    }
}

/// Installs Debian packages without asking, without recommendations, and
/// without removing anything that is there. Done as root, or through `sudo`
/// where CI allows it without a password; otherwise the error says what to type.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let typed = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if find_program("apt-get").is_none() {
        bail!(
            "missing: {}. This system has no apt-get; install them with its own \
             package manager and run the command again",
            packages.join(", ")
        );
    }
    let Some(prefix) = privilege()? else {
        bail!(
            "missing: {}. Only root may install them: type `sudo {typed}` and run \
             the command again",
            packages.join(", ")
        );
    };
    report::line("packages", &format!("installing {}", packages.join(", ")));
    // Old lists name packages that the mirror no longer has. Where no list can
    // be fetched the installation says so better.
    let _ = command::output(apt(prefix).args(["update", "--quiet"]))?;
    command::capture(
        apt(prefix)
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .arg("--no-remove")
            .args(packages),
    )
    .with_context(|| format!("could not install {}", packages.join(", ")))?;
    Ok(())
}

/// What has to stand before `apt-get`, if we may call it at all.
fn privilege() -> Result<Option<&'static [&'static str]>> {
    if effective_user()? == 0 {
        return Ok(Some(&[]));
    }
    let in_ci = env::var_os("CI").is_some();
    if in_ci && find_program("sudo").is_some() {
        let asked = command::output(Command::new("sudo").args(["--non-interactive", "true"]))?;
        if asked.status.success() {
            return Ok(Some(&["sudo", "--non-interactive"]));
        }
    }
    Ok(None)
}

fn apt(prefix: &[&str]) -> Command {
    let mut words = prefix.iter().chain(&[
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        // Another apt may be at work, as on a machine that has just started.
        "-oDPkg::Lock::Timeout=120",
    ]);
    let mut command = Command::new(words.next().copied().unwrap_or("apt-get"));
    command.args(words);
    command
}
