//! The phases of a process on its way into the sandbox.

use std::io;
use std::os::fd::OwnedFd;

use fumehood_control::{Layer, LayerReport};

use crate::layers::{Failed, Ledger, because, missing};
use crate::proc_status::{Status, StatusFile};
use crate::refusal::Refusal;
use crate::remedy::HostFacts;
use crate::seccomp::{self, Table};
use crate::{steps, sys};

/// `Seccomp:` in `/proc/self/status` when filters are in force.
const FILTER_MODE: u64 = 2;

/// Which process this is; the sandbox is made to its measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Holds the guests and the connections it is given. It reaches nothing.
    Engine,
    /// Resolves and dials. It keeps the network and reads what the resolver
    /// needs (`/etc`, shared libraries, `/run`), and nothing else.
    Broker,
    /// Makes native code of one module and ends. It reaches nothing, and its
    /// time and memory are bounded.
    Compiler,
}

/// First phase: what was inherited is gone, but nothing is restricted yet.
#[derive(Debug)]
#[must_use = "a process that stops here has no sandbox"]
pub struct Bootstrap {
    facts: HostFacts,
    filters_before: u64,
    status: StatusFile,
}

/// Second phase: out of reach of files, network and other processes, as far
/// as the kernel allows; threads may start and guests may be loaded.
#[derive(Debug)]
#[must_use = "a process that stops here has no system call filter"]
pub struct Isolated {
    role: Role,
    ledger: Ledger,
    facts: HostFacts,
    filters_before: u64,
    status: StatusFile,
}

impl Bootstrap {
    /// To be called once, first thing in `main`. Takes standard input, which
    /// is the control channel; points standard output to `/dev/null`; closes
    /// everything else but standard error; empties the environment.
    ///
    /// # Errors
    /// [`Refusal::NotFirst`] when called twice or with threads running, or
    /// [`Refusal::Setup`], as where `/proc` or `/dev/null` is not there.
    pub fn enter() -> Result<(Self, OwnedFd), Refusal> {
        let control = sys::take_stdin().ok_or(Refusal::NotFirst)?;
        steps::shed_inherited()?;
        let status = open_status()?.read().map_err(|e| status_failed(&e))?;
        if status.threads != Some(1) {
            return Err(Refusal::NotFirst);
        }
        sys::clear_environment();
        // Asks the kernel once and remembers; once sealed, asking would kill.
        let _known_from_now_on = rustix::param::page_size();
        let bootstrap = Self {
            facts: HostFacts::with_filters(status.seccomp_filters),
            filters_before: status.seccomp_filters.unwrap_or(0),
            status: open_status()?,
        };
        Ok((bootstrap, control))
    }

    /// Leaves everything that the role does not need. Must come before any
    /// thread and before anything is read that is not from the embedder.
    ///
    /// What cannot be had is noted, and judged by [`Isolated::seal`].
    ///
    /// # Errors
    /// [`Refusal::NotFirst`] when threads run already.
    pub fn isolate(self, role: Role) -> Result<Isolated, Refusal> {
        let status = open_status()?.read().map_err(|e| status_failed(&e))?;
        if status.threads != Some(1) {
            return Err(Refusal::NotFirst);
        }
        let mut ledger = Ledger::default();
        match role {
            Role::Engine => steps::isolate_engine(&mut ledger),
            Role::Broker => steps::isolate_broker(&mut ledger),
            Role::Compiler => steps::isolate_compiler(&mut ledger),
        }
        let Self {
            facts,
            filters_before,
            status,
        } = self;
        Ok(Isolated {
            role,
            ledger,
            facts,
            filters_before,
            status,
        })
    }
}

impl Isolated {
    /// Closes the sandbox: no memory becomes executable any more, and any
    /// system call that is not in the role's table kills the process. Reports
    /// every layer as found by looking.
    ///
    /// # Errors
    /// [`Refusal::Missing`] when a layer of [`Layer::FLOOR`] or of `required`
    /// does not hold. A layer that the role does not use by design is not
    /// missing.
    pub fn seal(self, required: &[Layer]) -> Result<Vec<LayerReport>, Refusal> {
        let Self {
            role,
            mut ledger,
            facts,
            filters_before,
            status,
        } = self;
        let table = match role {
            Role::Engine => &seccomp::ENGINE,
            Role::Broker => &seccomp::BROKER,
            Role::Compiler => &seccomp::COMPILER,
        };
        ledger.write(Layer::Mdwe, refuse_exec_gain());
        let installed = table.install();
        // What cannot be read back reads as not holding.
        let status = status.read().unwrap_or_default();
        let filters = status
            .seccomp_filters
            .unwrap_or(0)
            .saturating_sub(filters_before);
        ledger.write(
            Layer::Seccomp,
            filter_holds(table, installed, &status, filters),
        );
        ledger.write(Layer::NoNewPrivs, no_new_privs_holds(&status));
        ledger.write(Layer::NoCapabilities, no_capability_is_left(&status));
        ledger.write(Layer::Unprivileged, is_not_root(&status));
        let layers = ledger.into_reports();
        let missing = missing(&layers, required);
        if missing.is_empty() {
            Ok(layers)
        } else {
            Err(Refusal::Missing {
                missing,
                layers,
                facts,
            })
        }
    }
}

fn refuse_exec_gain() -> Result<String, Failed> {
    sys::set_mdwe().map_err(because("prctl(PR_SET_MDWE)"))?;
    if sys::mdwe_holds() {
        Ok("no page gains execute permission".to_owned())
    } else {
        Err(Failed::ineffective("prctl(PR_SET_MDWE)"))
    }
}

fn filter_holds(
    table: &Table,
    installed: Result<u64, Failed>,
    status: &Status,
    filters: u64,
) -> Result<String, Failed> {
    filters_hold(installed, status, filters)?;
    Ok(format!("{} calls, the rest kills", table.len()))
}

/// Whether as many filters were added as were installed.
pub(crate) fn filters_hold(
    installed: Result<u64, Failed>,
    status: &Status,
    filters: u64,
) -> Result<(), Failed> {
    let wanted = installed?;
    if status.seccomp_mode == Some(FILTER_MODE) && filters >= wanted {
        Ok(())
    } else {
        Err(Failed::ineffective("seccomp"))
    }
}

pub(crate) fn no_new_privs_holds(status: &Status) -> Result<String, Failed> {
    match status.no_new_privs {
        Some(1) => Ok("no program raises privileges".to_owned()),
        _ => Err(Failed::ineffective("prctl(PR_SET_NO_NEW_PRIVS)")),
    }
}

pub(crate) fn no_capability_is_left(status: &Status) -> Result<String, Failed> {
    match (status.capabilities, status.bounding) {
        (Some(0), Some(0)) => Ok("none in any set".to_owned()),
        // Emptying the bounding set takes a capability. What is in it can
        // only be gained through a program, which no-new-privs forbids.
        (Some(0), _) => Ok("none; the bounding set is moot under no-new-privs".to_owned()),
        _ => Err(Failed::ineffective("capset")),
    }
}

fn is_not_root(status: &Status) -> Result<String, Failed> {
    match status.uids.as_slice() {
        [real, effective, saved, filesystem]
            if [real, effective, saved, filesystem]
                .iter()
                .all(|uid| **uid != 0) =>
        {
            Ok(format!("user {real}"))
        }
        _ => Err(Failed::ineffective("setresuid")),
    }
}

fn open_status() -> Result<StatusFile, Refusal> {
    StatusFile::open().map_err(|error| status_failed(&error))
}

fn status_failed(error: &io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    Refusal::Setup {
        call: "/proc/self/status",
        errno,
    }
}
