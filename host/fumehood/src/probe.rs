//! What the sandbox is worth on this machine, proven in throw-away children.

use std::process::{Command, Stdio};

use fumehood_control::LayerReport;
use fumehood_sandbox as sandbox;

pub use fumehood_sandbox::{Attack, Expected, HostFacts, ProbeError, Remedy, Verdict, remedy};

use crate::Role;

/// Which layers the engine and the broker get here: a child enters the
/// sandbox of that role and looks. Blocks for some milliseconds.
///
/// # Errors
/// [`ProbeError`] when no child could tell; missing layers are no error.
/// Also where [`crate::init`] is not called first thing in `main`.
pub fn layers(role: Role) -> Result<Vec<LayerReport>, ProbeError> {
    let role = match role {
        Role::Broker => sandbox::Role::Broker,
        Role::Engine | Role::Probe | Role::Replay | Role::Launcher => sandbox::Role::Engine,
    };
    sandbox::probe_layers(&mut command(), role)
}

/// As [`layers`], for the compiler of modules, which is a program of its own.
///
/// # Errors
/// As for [`layers`].
pub fn compiler_layers() -> Result<Vec<LayerReport>, ProbeError> {
    sandbox::probe_layers(&mut command(), sandbox::Role::Compiler)
}

/// Has a child enter the engine's sandbox and then do what a compromised
/// engine would try. Blocks for some milliseconds.
///
/// # Errors
/// [`ProbeError`] when the attack did not take place.
pub fn attack(attack: Attack) -> Result<Verdict, ProbeError> {
    sandbox::probe_attack(&mut command(), attack)
}

fn command() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(Role::Probe.argument()).stderr(Stdio::null());
    command
}
