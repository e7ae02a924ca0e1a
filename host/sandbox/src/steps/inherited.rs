//! What a process inherits: descriptors, environment, limits, mask.

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Resource, Rlimit, chdir, getrlimit, setrlimit, umask};

use crate::layers::{Failed, because};
use crate::sys;

/// Most descriptors of an engine: 512 connections, a sink and a source for as
/// many exchanges, and the runtime's own, with room for messages in flight.
pub const MAX_ENGINE_FILES: u64 = 4096;

/// Most descriptors of a broker: 64 dials with several attempts each, and 64
/// resolver threads with a few sockets each.
pub const MAX_BROKER_FILES: u64 = 1024;

/// Sheds descriptors, standard output, the file mode mask, and the signal
/// that a file over its bound is answered with.
pub(crate) fn shed() -> Result<(), Failed> {
    let null = open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(because("open /dev/null"))?;
    rustix::stdio::dup2_stdout(&null).map_err(because("dup2"))?;
    drop(null);
    sys::close_inherited().map_err(because("close_range"))?;
    // One sink that may not grow must not end everybody's engine.
    sys::ignore_file_size_signal().map_err(because("signal(SIGXFSZ)"))?;
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
    for (resource, wanted, call) in limits {
        let most = getrlimit(resource)
            .maximum
            .map_or(wanted, |most| most.min(wanted));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(because(call))?;
        if getrlimit(resource) != limit {
            return Err(Failed::ineffective(call));
        }
    }
    Ok(format!(
        "at most {files} descriptors, no core dumps, no locked memory"
    ))
}
