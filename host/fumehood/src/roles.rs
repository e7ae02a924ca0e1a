//! The roles a process can play, and the call that makes a program able to.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Prefix of the first argument that gives a re-executed program its role.
const ROLE_ARGUMENT: &str = "--fumehood-role=";

/// Set by [`init`]; without it a launch would run the embedder's `main` again.
static INITIALISED: AtomicBool = AtomicBool::new(false);

/// What a child process is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The process with the guests.
    Engine,
    /// The process that dials.
    Broker,
    /// A throw-away child that tries something and reports; for `doctor` and `demo`.
    Probe,
    /// A throw-away child that makes recorded calls in a guest.
    Replay,
}

impl Role {
    /// Its name, in arguments and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Engine => "engine",
            Role::Broker => "broker",
            Role::Probe => "probe",
            Role::Replay => "replay",
        }
    }

    /// The argument that asks for it.
    pub(crate) fn argument(self) -> String {
        format!("{ROLE_ARGUMENT}{}", self.name())
    }

    fn of_argument(argument: &str) -> Option<Result<Self, ()>> {
        let name = argument.strip_prefix(ROLE_ARGUMENT)?;
        let role = [Role::Engine, Role::Broker, Role::Probe, Role::Replay]
            .into_iter()
            .find(|r| r.name() == name);
        Some(role.ok_or(()))
    }
}

/// Call this first thing in `main`, before any thread is started.
///
/// Fumehood's processes are the embedder's own program, executed again. In
/// such a process this call plays the role and never returns; in the
/// embedder's process it returns at once. [`crate::EngineBuilder::launch`]
/// refuses to run where it was not called.
///
/// The crate's example shows it in its place.
pub fn init() {
    INITIALISED.store(true, Ordering::Release);
    let Some(argument) = std::env::args_os().nth(1) else {
        return;
    };
    let Some(role) = argument.to_str().and_then(Role::of_argument) else {
        return;
    };
    // What the variable says was checked where the child was started.
    let _silent = crate::log_to_stderr(None);
    let code = match role {
        Ok(Role::Engine) => fumehood_engine::run(),
        Ok(Role::Broker) => fumehood_broker::run(),
        Ok(Role::Probe) => fumehood_sandbox::serve_probe(),
        Ok(Role::Replay) => crate::replay::serve(),
        // Nobody to tell: such a child was not started by this library.
        Err(()) => ExitCode::FAILURE,
    };
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// Whether [`init`] was called.
pub(crate) fn initialised() -> bool {
    INITIALISED.load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn arguments_name_roles() {
        for role in [Role::Engine, Role::Broker, Role::Probe, Role::Replay] {
            assert_eq!(Role::of_argument(&role.argument()), Some(Ok(role)));
        }
        assert_eq!(Role::of_argument("--fumehood-role=root"), Some(Err(())));
        assert_eq!(Role::of_argument("fetch"), None);
    }
}
