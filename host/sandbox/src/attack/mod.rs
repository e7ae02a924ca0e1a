//! What a compromised engine would try, and what must come of it.

mod perform;

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use serde::{Deserialize, Serialize};

/// One thing that native code in the engine might try once it is no longer
/// ours. The tests, and the demonstration, try each in a process that has
/// really entered the engine's sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Attack {
    /// Make a TCP socket.
    TcpSocket,
    /// Make a UDP socket.
    UdpSocket,
    /// Make a Multipath TCP socket, which Landlock's TCP rules do not see.
    MultipathTcpSocket,
    /// Make a Unix socket.
    UnixSocket,
    /// Make a netlink socket.
    NetlinkSocket,
    /// Connect a socket that was passed.
    Connect,
    /// Bind a socket that was passed.
    Bind,
    /// Listen on a socket that was passed.
    Listen,
    /// Send a datagram to an address of its choice.
    SendToAddress,
    /// Connect by sending (`MSG_FASTOPEN`).
    SendFastOpen,
    /// Send with an address behind a pointer, or pass descriptors.
    SendMessage,
    /// Read a file.
    OpenFile,
    /// Create a file.
    CreateFile,
    /// Learn whether a file exists.
    StatFile,
    /// Open a file by handle, around paths.
    OpenByHandle,
    /// Run a program.
    Execute,
    /// Run a program from a descriptor.
    ExecuteDescriptor,
    /// Make a process.
    Fork,
    /// Make a process by `clone3`, whose flags no filter sees.
    Clone3,
    /// Trace the parent.
    TraceParent,
    /// Read the parent's memory.
    ReadParentMemory,
    /// Signal the parent.
    SignalParent,
    /// Signal the parent, by thread.
    SignalParentThread,
    /// Take a descriptor from the parent.
    TakeParentDescriptor,
    /// Map memory that is writable and executable.
    MapWriteExecute,
    /// Map memory that is executable.
    MapExecute,
    /// The same as a module's code is mapped, but without a file behind it.
    MapExecuteFixed,
    /// Map a file's pages to be written and executed, as a module's code is mapped.
    MapFileWriteExecute,
    /// Make written memory executable.
    ProtectExecute,
    /// Have the kernel do I/O on its behalf, past the filter.
    IoUring,
    /// Load a program into the kernel.
    Bpf,
    /// Count events in the kernel.
    PerfEvent,
    /// Handle page faults of the kernel.
    Userfault,
    /// Reach the kernel's key rings.
    KeyRing,
    /// Gain capabilities in a new user namespace.
    NewUserNamespace,
    /// Mount a file system.
    Mount,
    /// Change the root.
    ChangeRoot,
    /// Put characters into a terminal's input.
    TypeIntoTerminal,
    /// Duplicate a descriptor over another.
    DuplicateDescriptor,
    /// Allow other processes to read its memory.
    BecomeDumpable,
    /// Raise its limits.
    RaiseLimits,
    /// Use the x32 table of calls, which a careless filter forgets.
    #[cfg(target_arch = "x86_64")]
    X32Call,
    /// Use the 32-bit table of calls.
    #[cfg(target_arch = "x86_64")]
    Int80Call,
}

/// What must come of an attack in the engine's sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The kernel kills the process with `SIGSYS`.
    Killed,
    /// The call answers with this `errno`, since libraries try it innocently.
    Refused(i32),
}

impl Attack {
    /// All attacks of this architecture.
    pub const ALL: &[Attack] = &[
        Attack::TcpSocket,
        Attack::UdpSocket,
        Attack::MultipathTcpSocket,
        Attack::UnixSocket,
        Attack::NetlinkSocket,
        Attack::Connect,
        Attack::Bind,
        Attack::Listen,
        Attack::SendToAddress,
        Attack::SendFastOpen,
        Attack::SendMessage,
        Attack::OpenFile,
        Attack::CreateFile,
        Attack::StatFile,
        Attack::OpenByHandle,
        Attack::Execute,
        Attack::ExecuteDescriptor,
        Attack::Fork,
        Attack::Clone3,
        Attack::TraceParent,
        Attack::ReadParentMemory,
        Attack::SignalParent,
        Attack::SignalParentThread,
        Attack::TakeParentDescriptor,
        Attack::MapWriteExecute,
        Attack::MapExecute,
        Attack::MapExecuteFixed,
        Attack::MapFileWriteExecute,
        Attack::ProtectExecute,
        Attack::IoUring,
        Attack::Bpf,
        Attack::PerfEvent,
        Attack::Userfault,
        Attack::KeyRing,
        Attack::NewUserNamespace,
        Attack::Mount,
        Attack::ChangeRoot,
        Attack::TypeIntoTerminal,
        Attack::DuplicateDescriptor,
        Attack::BecomeDumpable,
        Attack::RaiseLimits,
        #[cfg(target_arch = "x86_64")]
        Attack::X32Call,
        #[cfg(target_arch = "x86_64")]
        Attack::Int80Call,
    ];

    /// Its name in reports and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Attack::TcpSocket => "tcp-socket",
            Attack::UdpSocket => "udp-socket",
            Attack::MultipathTcpSocket => "mptcp-socket",
            Attack::UnixSocket => "unix-socket",
            Attack::NetlinkSocket => "netlink-socket",
            Attack::Connect => "connect",
            Attack::Bind => "bind",
            Attack::Listen => "listen",
            Attack::SendToAddress => "send-to-address",
            Attack::SendFastOpen => "send-fast-open",
            Attack::SendMessage => "send-message",
            Attack::OpenFile => "open-file",
            Attack::CreateFile => "create-file",
            Attack::StatFile => "stat-file",
            Attack::OpenByHandle => "open-by-handle",
            Attack::Execute => "execute",
            Attack::ExecuteDescriptor => "execute-descriptor",
            Attack::Fork => "fork",
            Attack::Clone3 => "clone3",
            Attack::TraceParent => "trace-parent",
            Attack::ReadParentMemory => "read-parent-memory",
            Attack::SignalParent => "signal-parent",
            Attack::SignalParentThread => "signal-parent-thread",
            Attack::TakeParentDescriptor => "take-parent-descriptor",
            Attack::MapWriteExecute => "map-write-execute",
            Attack::MapExecute => "map-execute",
            Attack::MapExecuteFixed => "map-execute-fixed",
            Attack::MapFileWriteExecute => "map-file-write-execute",
            Attack::ProtectExecute => "protect-execute",
            Attack::IoUring => "io-uring",
            Attack::Bpf => "bpf",
            Attack::PerfEvent => "perf-event",
            Attack::Userfault => "userfault",
            Attack::KeyRing => "key-ring",
            Attack::NewUserNamespace => "new-user-namespace",
            Attack::Mount => "mount",
            Attack::ChangeRoot => "change-root",
            Attack::TypeIntoTerminal => "type-into-terminal",
            Attack::DuplicateDescriptor => "duplicate-descriptor",
            Attack::BecomeDumpable => "become-dumpable",
            Attack::RaiseLimits => "raise-limits",
            #[cfg(target_arch = "x86_64")]
            Attack::X32Call => "x32-call",
            #[cfg(target_arch = "x86_64")]
            Attack::Int80Call => "int80-call",
        }
    }

    /// What must come of it in the engine's sandbox.
    #[must_use]
    pub fn expected(self) -> Expected {
        match self {
            Attack::OpenFile | Attack::CreateFile | Attack::StatFile => {
                Expected::Refused(libc::EACCES)
            }
            Attack::Clone3 | Attack::IoUring => Expected::Refused(libc::ENOSYS),
            _ => Expected::Killed,
        }
    }

    /// What must come of it in the compiler's sandbox, where nothing looks for
    /// files innocently.
    #[must_use]
    pub fn expected_in_compiler(self) -> Expected {
        match self {
            Attack::OpenFile | Attack::CreateFile | Attack::StatFile => Expected::Killed,
            other => other.expected(),
        }
    }

    /// Gets what it takes while that can still be had: the parent's number,
    /// and a socket as the broker might pass one.
    ///
    /// # Errors
    /// What making the socket failed with.
    pub fn prepare(self) -> io::Result<PreparedAttack> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        Ok(PreparedAttack {
            attack: self,
            parent,
            socket,
        })
    }
}

/// An attack that is ready to be tried.
#[derive(Debug)]
pub struct PreparedAttack {
    attack: Attack,
    parent: i32,
    socket: UdpSocket,
}

impl PreparedAttack {
    /// Tries it, in this process. Returns only where nothing kills it.
    ///
    /// Meant for a process that was made for it: where no sandbox holds, some
    /// attacks replace the program or change its limits for good.
    ///
    /// # Errors
    /// The `errno` that the kernel answered.
    pub fn perform(self) -> Result<(), i32> {
        perform::perform(&self)
    }
}
