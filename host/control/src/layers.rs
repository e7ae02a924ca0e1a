//! The sandbox's layers, as a process reports them when it is ready.

use serde::{Deserialize, Serialize};

/// One layer of a process's sandbox. The first four are the floor: without
/// any of them a process refuses to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Layer {
    /// `PR_SET_NO_NEW_PRIVS`: no setuid program can raise privileges.
    NoNewPrivs,
    /// A seccomp filter that kills on any call not listed.
    Seccomp,
    /// No capability in any set.
    NoCapabilities,
    /// Bounds on files, processes and core dumps.
    Rlimits,
    /// Landlock: no file, no TCP, no signals or abstract sockets outside.
    Landlock,
    /// A user namespace of its own.
    UserNamespace,
    /// A network namespace with no interface up.
    NetNamespace,
    /// A mount namespace whose root is empty and read-only; of a program that is run,
    /// one in which names are asked where they are answered.
    MountNamespace,
    /// A System V IPC and POSIX message queue namespace of its own.
    IpcNamespace,
    /// Memory-deny-write-execute: no page is or becomes writable and executable.
    Mdwe,
    /// Not running as root: what was started by root became another user.
    Unprivileged,
    /// Not dumpable: no other process of the user reads its memory.
    NotDumpable,
}

impl Layer {
    /// All layers, in the order they are reported.
    pub const ALL: [Layer; 12] = [
        Layer::NoNewPrivs,
        Layer::Seccomp,
        Layer::NoCapabilities,
        Layer::Rlimits,
        Layer::Landlock,
        Layer::UserNamespace,
        Layer::NetNamespace,
        Layer::MountNamespace,
        Layer::IpcNamespace,
        Layer::Mdwe,
        Layer::Unprivileged,
        Layer::NotDumpable,
    ];

    /// Without which a process refuses to start.
    pub const FLOOR: [Layer; 4] = [
        Layer::NoNewPrivs,
        Layer::Seccomp,
        Layer::NoCapabilities,
        Layer::Rlimits,
    ];

    /// Its name in reports, JSON and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::NoNewPrivs => "no-new-privs",
            Layer::Seccomp => "seccomp",
            Layer::NoCapabilities => "no-capabilities",
            Layer::Rlimits => "rlimits",
            Layer::Landlock => "landlock",
            Layer::UserNamespace => "user-namespace",
            Layer::NetNamespace => "net-namespace",
            Layer::MountNamespace => "mount-namespace",
            Layer::IpcNamespace => "ipc-namespace",
            Layer::Mdwe => "mdwe",
            Layer::Unprivileged => "unprivileged",
            Layer::NotDumpable => "not-dumpable",
        }
    }
}

/// Whether a layer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerState {
    /// It holds, as found by looking, not by remembering; with a detail for
    /// people ("abi 7", "184 calls").
    Holds(String),
    /// It does not.
    Missing {
        /// The system call that failed.
        syscall: String,
        /// What it failed with; 0 where the kernel has no such call.
        errno: i32,
    },
    /// This process does not use it (the broker needs a network namespace with a network).
    NotUsed,
}

/// One layer's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Which.
    pub layer: Layer,
    /// How it is.
    pub state: LayerState,
}
