//! The steps into isolation, in their order. Each writes how its layer is.

mod capabilities;
mod identity;
mod inherited;
mod landlock;
mod names;
mod namespaces;
mod root;

use fumehood_control::Layer;
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;

use crate::layers::{Failed, Ledger, because};
use crate::phases::{filters_hold, no_capability_is_left, no_new_privs_holds};
use crate::proc_status::{Status, StatusFile};
use crate::refusal::Refusal;
use crate::seccomp::{self, UnixSockets};

pub use identity::NOBODY;
pub use inherited::{
    MAX_BROKER_FILES, MAX_COMPILER_CPU_SECONDS, MAX_COMPILER_FILES, MAX_COMPILER_MEMORY,
    MAX_COMPILER_OUTPUT, MAX_ENGINE_FILES,
};

pub(crate) use inherited::shed as shed_inherited;

/// The engine leaves everything: user, namespaces, files, capabilities.
pub(crate) fn isolate_engine(ledger: &mut Ledger) {
    let limits = inherited::limit_resources(MAX_ENGINE_FILES);
    isolate_from_all(ledger, limits);
}

/// The compiler leaves the same, and has so much time and memory.
pub(crate) fn isolate_compiler(ledger: &mut Ledger) {
    let limits = inherited::limit_resources(MAX_COMPILER_FILES)
        .and_then(|files| Ok(format!("{files}; {}", inherited::limit_work()?)));
    isolate_from_all(ledger, limits);
}

fn isolate_from_all(ledger: &mut Ledger, limits: Result<String, Failed>) {
    ledger.write(Layer::Rlimits, limits);
    become_nobody(ledger);
    namespaces::enter(ledger);
    ledger.write(
        Layer::MountNamespace,
        namespaces::enter_mounts().and_then(|()| root::empty()),
    );
    drop_privileges(ledger);
    ledger.write(Layer::Landlock, landlock::deny_all());
}

/// The broker keeps the network and what its resolver reads.
pub(crate) fn isolate_broker(ledger: &mut Ledger) {
    ledger.write(Layer::Rlimits, inherited::limit_resources(MAX_BROKER_FILES));
    become_nobody(ledger);
    ledger.not_used(&[
        Layer::UserNamespace,
        Layer::NetNamespace,
        Layer::MountNamespace,
        Layer::IpcNamespace,
    ]);
    drop_privileges(ledger);
    ledger.write(Layer::Landlock, landlock::allow_reading_for_resolver());
}

/// Any program may be put into a network of its own: the namespaces for it. Says
/// which is missing.
pub(crate) fn enter_own_network(ledger: &mut Ledger) -> Result<(), Layer> {
    demand(ledger, Layer::UserNamespace, namespaces::enter_user())?;
    let entered = namespaces::enter_net().map(|_| "no route but to its own loopback".to_owned());
    demand(ledger, Layer::NetNamespace, entered)
}

/// Has such a program ask for names in its network, as far as mounts can be had.
/// What is missing keeps it from none of the rest: then it asks where nobody is.
pub(crate) fn ask_inside(ledger: &mut Ledger) {
    let mounted = namespaces::enter_mounts().and_then(|()| names::ask_inside());
    ledger.write(Layer::MountNamespace, mounted);
}

/// Takes from such a program what could lead out of its network, and nothing
/// that ordinary programs need. Says which layer is missing; Landlock may be,
/// as the user namespace closes other processes to it too.
pub(crate) fn confine_program(ledger: &mut Ledger, unix: UnixSockets) -> Result<(), Layer> {
    ledger.not_used(&[
        Layer::Rlimits,
        Layer::IpcNamespace,
        Layer::Mdwe,
        Layer::Unprivileged,
        Layer::NotDumpable,
    ]);
    let before = look().seccomp_filters.unwrap_or(0);
    let dropped = capabilities::drop_all();
    ledger.write(Layer::Landlock, landlock::scope_only());
    let installed = seccomp::install_confined(unix);
    let status = look();
    let filters = status.seccomp_filters.unwrap_or(0).saturating_sub(before);
    let none_left = dropped.and_then(|()| no_capability_is_left(&status));
    demand(ledger, Layer::NoCapabilities, none_left)?;
    demand(ledger, Layer::NoNewPrivs, no_new_privs_holds(&status))?;
    let filtered = filters_hold(installed, &status, filters)
        .map(|()| "no socket that the network does not isolate".to_owned());
    demand(ledger, Layer::Seccomp, filtered)
}

/// What cannot be read reads as not holding.
fn look() -> Status {
    let status = StatusFile::open().and_then(StatusFile::read);
    status.unwrap_or_default()
}

fn demand(ledger: &mut Ledger, layer: Layer, found: Result<String, Failed>) -> Result<(), Layer> {
    let held = found.is_ok();
    ledger.write(layer, found);
    if held { Ok(()) } else { Err(layer) }
}

/// Gives the process, and what it starts, a network without any address and
/// mounts that it may change without anybody else seeing it. To try programs
/// in, as on a network of one's own; it restricts nothing. It must have no
/// other thread.
///
/// # Errors
/// [`Refusal::Setup`], as where user namespaces are forbidden.
pub fn enter_private_network() -> Result<(), Refusal> {
    Ok(namespaces::enter_network_and_mounts()?)
}

/// A failure is noted here; that it worked is found by looking, when sealing.
fn become_nobody(ledger: &mut Ledger) {
    if let Err(failed) = identity::become_nobody() {
        ledger.write(Layer::Unprivileged, Err(failed));
    }
}

/// Gives up capabilities, being dumped, and ever gaining privileges again.
/// After the user maps, which only a dumpable process may write.
fn drop_privileges(ledger: &mut Ledger) {
    if let Err(failed) = capabilities::drop_all() {
        ledger.write(Layer::NoCapabilities, Err(failed));
    }
    ledger.write(Layer::NotDumpable, forbid_dumping());
    if let Err(errno) = set_no_new_privs(true) {
        ledger.write(
            Layer::NoNewPrivs,
            Err(because("prctl(PR_SET_NO_NEW_PRIVS)")(errno)),
        );
    }
}

fn forbid_dumping() -> Result<String, Failed> {
    const CALL: &str = "prctl(PR_SET_DUMPABLE)";
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(because(CALL))?;
    match dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Ok("memory is closed to other processes".to_owned()),
        _ => Err(Failed::ineffective(CALL)),
    }
}
