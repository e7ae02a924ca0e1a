//! What a failure is called in WASI.

use std::io;

use fumehood_control::{Cause, DialFailure};
use rustix::io::Errno;
use wasmtime::component::ResourceTableError;

use super::bindings::wasi::sockets::network::ErrorCode;

/// An error for the guest, or the guest's end.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum SocketError {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest asked for what no sound guest asks for.
    Trap(wasmtime::Error),
}

impl SocketError {
    /// For the guest, or the trap.
    pub(super) fn into_code(self) -> wasmtime::Result<ErrorCode> {
        match self {
            SocketError::Code(code) => Ok(code),
            SocketError::Trap(error) => Err(error),
        }
    }
}

impl From<ErrorCode> for SocketError {
    fn from(code: ErrorCode) -> SocketError {
        SocketError::Code(code)
    }
}

impl From<ResourceTableError> for SocketError {
    fn from(error: ResourceTableError) -> SocketError {
        SocketError::Trap(error.into())
    }
}

/// Why the broker brought no socket and no address.
pub(super) fn of_cause(cause: &Cause) -> ErrorCode {
    match cause {
        Cause::Dial(failure) => of_dial(failure),
        Cause::Socket { errno } => of_errno(Errno::from_raw_os_error(*errno)),
        _ => ErrorCode::Unknown,
    }
}

fn of_dial(failure: &DialFailure) -> ErrorCode {
    match failure {
        DialFailure::Denied(_) | DialFailure::NoGrant | DialFailure::Outside(_) => {
            ErrorCode::AccessDenied
        }
        DialFailure::Resolve(_) => ErrorCode::NameUnresolvable,
        DialFailure::Connect(attempts) => attempts
            .last()
            .and_then(|attempt| attempt.errno)
            .map_or(ErrorCode::Unknown, |errno| {
                of_errno(Errno::from_raw_os_error(errno))
            }),
        DialFailure::Timeout { .. } => ErrorCode::Timeout,
        DialFailure::Busy => ErrorCode::NewSocketLimit,
        // Of listeners' clients alone.
        DialFailure::Loop => ErrorCode::RemoteUnreachable,
    }
}

/// A socket's error.
pub(super) fn of_io(error: &io::Error) -> ErrorCode {
    // The runtime says it without having asked the kernel.
    if error.kind() == io::ErrorKind::WouldBlock {
        return ErrorCode::WouldBlock;
    }
    match Errno::from_io_error(error) {
        Some(errno) => of_errno(errno),
        // Its leave is spent.
        None if error.kind() == io::ErrorKind::PermissionDenied => ErrorCode::AccessDenied,
        None => ErrorCode::Unknown,
    }
}

fn of_errno(errno: Errno) -> ErrorCode {
    match errno {
        Errno::AGAIN => ErrorCode::WouldBlock,
        Errno::ACCESS | Errno::PERM => ErrorCode::AccessDenied,
        Errno::CONNREFUSED => ErrorCode::ConnectionRefused,
        Errno::CONNRESET | Errno::PIPE => ErrorCode::ConnectionReset,
        Errno::CONNABORTED => ErrorCode::ConnectionAborted,
        Errno::TIMEDOUT => ErrorCode::Timeout,
        Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETUNREACH | Errno::NETDOWN => {
            ErrorCode::RemoteUnreachable
        }
        Errno::MSGSIZE => ErrorCode::DatagramTooLarge,
        Errno::NOBUFS | Errno::NOMEM => ErrorCode::OutOfMemory,
        Errno::MFILE | Errno::NFILE => ErrorCode::NewSocketLimit,
        Errno::OPNOTSUPP | Errno::NOPROTOOPT => ErrorCode::NotSupported,
        Errno::INVAL => ErrorCode::InvalidArgument,
        _ => ErrorCode::Unknown,
    }
}
