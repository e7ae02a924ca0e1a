//! The byte pipe of one request's or response's payload.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};

/// What the kernel is asked to hold of a body in flight, in bytes each way. It
/// grants at most `net.core.wmem_max`, usually 208 KiB, which it doubles.
/// More would only delay backpressure.
pub const BODY_BUFFER_BYTES: usize = 256 * 1024;

/// Makes a stream socket pair for one body: both ends non-blocking and
/// close-on-exec. Backpressure, end of file (by shutting down or closing) and
/// cancelling (by closing the reading end) come with it.
///
/// # Errors
/// What `socketpair` fails with, in practice only `EMFILE` and `ENFILE`.
pub fn body_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    for end in [&a, &b] {
        sockopt::set_socket_send_buffer_size(end, BODY_BUFFER_BYTES)?;
    }
    Ok((a, b))
}
