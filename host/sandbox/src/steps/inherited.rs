//! What a process inherits: descriptors, environment, limits, mask.

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Resource, Rlimit, chdir, getrlimit, setrlimit, umask};

use crate::layers::{Failed, because};
use crate::sys;

/// Most descriptors of an engine: 8,192 connections, which is more than its
/// embedder may ask for; a sink and a source for each of 2,048 exchanges; the
/// runtime's own and those of messages in flight. Where the system's hard limit
/// is lower, that holds.
pub const MAX_ENGINE_FILES: u64 = 16_384;

/// Most descriptors of a broker: dials, attempts to connect and lookups are
/// each bounded there so that their sockets fit.
pub const MAX_BROKER_FILES: u64 = 1024;

/// Most descriptors of a compiler: the channel, a module and its code.
pub const MAX_COMPILER_FILES: u64 = 16;

/// Processor time of a compiler, in seconds: 20 times what the largest of our
/// guests takes. The kernel kills it a second later at the latest.
pub const MAX_COMPILER_CPU_SECONDS: u64 = 30;

/// Processor time, in seconds, between the signal that says it is used up and the end.
const CPU_GRACE_SECONDS: u64 = 1;

/// Address space of a compiler, in bytes: several times what the largest of
/// our guests takes. It reserves none for guests, as it runs none.
pub const MAX_COMPILER_MEMORY: u64 = 1 << 30;

/// Largest native code a compiler may write, in bytes: what an engine loads.
pub const MAX_COMPILER_OUTPUT: u64 = 64 << 20;

/// Sheds descriptors, standard output, the file mode mask, the signal that a file
/// over its bound is answered with, and those that a terminal sends.
pub(crate) fn shed() -> Result<(), Failed> {
    let null = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(because("open /dev/null"))?;
    rustix::stdio::dup2_stdout(&null).map_err(because("dup2"))?;
    drop(null);
    sys::close_inherited().map_err(because("close_range"))?;
    // One sink that may not grow must not end everybody's engine.
    sys::ignore_file_size_signal().map_err(because("signal(SIGXFSZ)"))?;
    sys::ignore_typed_signals().map_err(because("signal(SIGINT)"))?;
    umask(Mode::RWXG | Mode::RWXO);
    chdir("/").map_err(because("chdir /"))
}

/// Bounds what the process can take.
///
/// Not bounded: the number of processes, which counts all of the user's (the
/// filter has no fork); the size of files, since a sink may be one; address
/// space, of which guests' memory reserves much and uses little.
pub(super) fn limit_resources(files: u64) -> Result<String, Failed> {
    let limits = [
        (Resource::Nofile, files, "setrlimit(RLIMIT_NOFILE)"),
        (Resource::Core, 0, "setrlimit(RLIMIT_CORE)"),
        (Resource::Memlock, 0, "setrlimit(RLIMIT_MEMLOCK)"),
        (Resource::Msgqueue, 0, "setrlimit(RLIMIT_MSGQUEUE)"),
    ];
    lower(&limits)?;
    Ok(format!(
        "at most {files} descriptors, no core dumps, no locked memory"
    ))
}

/// Bounds the work of a compiler: a module may be made to be hard to compile.
pub(super) fn limit_work() -> Result<String, Failed> {
    lower(&[
        (
            Resource::Cpu,
            MAX_COMPILER_CPU_SECONDS + CPU_GRACE_SECONDS,
            "setrlimit(RLIMIT_CPU)",
        ),
        (Resource::As, MAX_COMPILER_MEMORY, "setrlimit(RLIMIT_AS)"),
        (
            Resource::Fsize,
            MAX_COMPILER_OUTPUT,
            "setrlimit(RLIMIT_FSIZE)",
        ),
    ])?;
    Ok(format!(
        "{MAX_COMPILER_CPU_SECONDS} s of processor time, {} MiB of memory",
        MAX_COMPILER_MEMORY >> 20
    ))
}

/// Sets each limit, or leaves a lower one, and looks whether it holds.
fn lower(limits: &[(Resource, u64, &'static str)]) -> Result<(), Failed> {
    for &(resource, wanted, call) in limits {
        let most = getrlimit(resource)
            .maximum
            .map_or(wanted, |most| most.min(wanted));
        let current = match resource {
            // So that it ends by SIGXCPU, and not by a signal of many meanings.
            Resource::Cpu => most.saturating_sub(CPU_GRACE_SECONDS).max(1),
            _ => most,
        };
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(because(call))?;
        if getrlimit(resource) != limit {
            return Err(Failed::ineffective(call));
        }
    }
    Ok(())
}
