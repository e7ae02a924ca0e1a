//! One packet in, one packet out, over a `SOCK_SEQPACKET` socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use fumehood_control::MAX_PACKET_BYTES;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, send as send_plain, sendmsg,
};

use super::MAX_FDS;

/// Bytes of control message that carry [`MAX_FDS`] descriptors.
const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(MAX_FDS));

/// Whether a call waits or answers `EAGAIN`.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// Until there is a packet, or room for one.
    Block,
    /// Not at all.
    No,
}

/// What one receive brought.
pub(super) enum Packet {
    /// End of file.
    End,
    /// Longer than any message or with too many descriptors; dropped.
    Truncated,
    /// A packet as it was sent.
    Whole {
        /// At most [`MAX_PACKET_BYTES`].
        bytes: Vec<u8>,
        /// At most [`MAX_FDS`], close-on-exec.
        fds: Vec<OwnedFd>,
    },
}

/// Which call [`send`] makes, for messages to people.
pub(super) fn send_call(fds: &[BorrowedFd<'_>]) -> &'static str {
    if fds.is_empty() { "sendto" } else { "sendmsg" }
}

/// Sends one packet. Without descriptors it is a `sendto` with no address,
/// since the engine's filter kills `sendmsg`, whose address it cannot see.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    wait: Wait,
) -> Result<(), Errno> {
    let flags = match wait {
        Wait::Block => SendFlags::NOSIGNAL,
        Wait::No => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    };
    if fds.is_empty() {
        retry_on_intr(|| send_plain(socket, bytes, flags))?;
        return Ok(());
    }
    let mut space = [MaybeUninit::<u8>::uninit(); CONTROL_BYTES];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOMANYREFS);
    }
    retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags))?;
    Ok(())
}

/// Receives one packet.
pub(super) fn recv(socket: BorrowedFd<'_>, wait: Wait) -> Result<Packet, Errno> {
    let flags = match wait {
        Wait::Block => RecvFlags::CMSG_CLOEXEC,
        Wait::No => RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    };
    let mut bytes = [0; MAX_PACKET_BYTES];
    let mut space = [MaybeUninit::<u8>::uninit(); CONTROL_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        )
    })?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    // The space has slack for alignment, which the kernel may fill.
    if fds.len() > MAX_FDS {
        return Ok(Packet::Truncated);
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Ok(Packet::Truncated);
    }
    if received.bytes == 0 {
        return Ok(Packet::End);
    }
    Ok(Packet::Whole {
        bytes: bytes[..received.bytes].to_vec(),
        fds,
    })
}
