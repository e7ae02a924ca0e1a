//! Landlock: no file and no TCP by path or port, even without namespaces.

use std::error::Error;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::layers::Failed;

/// The newest rights that are asked for; older kernels give what they know.
const NEWEST: ABI = ABI::V9;

/// The newest for the broker: the next version would forbid connecting to the
/// Unix sockets of name service daemons.
const NEWEST_FOR_BROKER: ABI = ABI::V8;

/// What the C library's resolver reads: configuration, name service modules,
/// and what name service daemons leave to be mapped or connected to.
const RESOLVER_PATHS: [&str; 9] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/run",
    "/var/run",
    "/var/lib/sss",
];

/// Allows nothing: no file, no TCP, no signal or abstract socket outside.
pub(super) fn deny_all() -> Result<String, Failed> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|r| r.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|r| r.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(|e| failed("landlock_create_ruleset", &e))?;
    restrict(ruleset)
}

/// Allows reading what the resolver reads; TCP stays free.
pub(super) fn allow_reading_for_resolver() -> Result<String, Failed> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST_FOR_BROKER))
        .and_then(|r| r.scope(Scope::from_all(NEWEST_FOR_BROKER)))
        .and_then(Ruleset::create)
        .map_err(|e| failed("landlock_create_ruleset", &e))?;
    for path in RESOLVER_PATHS {
        let Ok(directory) = PathFd::new(path) else {
            continue; // this host does not have it
        };
        let rule = PathBeneath::new(directory, AccessFs::ReadFile | AccessFs::ReadDir);
        ruleset = ruleset
            .add_rule(rule)
            .map_err(|e| failed("landlock_add_rule", &e))?;
    }
    restrict(ruleset)
}

/// Leaves all files and ports, and forbids signals to processes outside and
/// their abstract sockets. Whoever is in such a domain reads no memory of
/// processes outside either. Before Linux 6.12 there is no such scope.
pub(super) fn scope_only() -> Result<String, Failed> {
    const CALL: &str = "landlock_create_ruleset";
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::from_all(NEWEST))
        .and_then(Ruleset::create)
        .map_err(|e| failed(CALL, &e))?
        .restrict_self()
        .map_err(|e| failed("landlock_restrict_self", &e))?;
    match (status.ruleset, status.landlock) {
        (_, LandlockStatus::NotImplemented) => Err(unsupported(Errno::NOSYS)),
        (_, LandlockStatus::NotEnabled) => Err(unsupported(Errno::OPNOTSUPP)),
        (RulesetStatus::NotEnforced, _) => Err(Failed::ineffective(CALL)),
        (_, LandlockStatus::Available { .. }) => {
            Ok("no signal and no abstract socket outside".to_owned())
        }
    }
}

fn restrict(ruleset: RulesetCreated) -> Result<String, Failed> {
    let status = ruleset
        .restrict_self()
        .map_err(|e| failed("landlock_restrict_self", &e))?;
    let RestrictionStatus {
        ruleset, landlock, ..
    } = status;
    let abi = match landlock {
        LandlockStatus::NotImplemented => return Err(unsupported(Errno::NOSYS)),
        LandlockStatus::NotEnabled => return Err(unsupported(Errno::OPNOTSUPP)),
        LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
    };
    // A directory that every process may list, were it not for this layer.
    let root = open(
        "/",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    if ruleset == RulesetStatus::NotEnforced || root.err() != Some(Errno::ACCESS) {
        return Err(Failed::ineffective("landlock_restrict_self"));
    }
    Ok(format!("abi {abi}"))
}

fn unsupported(errno: Errno) -> Failed {
    Failed::new("landlock_create_ruleset", errno)
}

/// Digs the `errno` out of the crate's nested errors.
fn failed(call: &'static str, error: &RulesetError) -> Failed {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(errno) = error.downcast_ref().and_then(Errno::from_io_error) {
            return Failed::new(call, errno);
        }
        source = error.source();
    }
    Failed::ineffective(call)
}
