//! Typed channels between processes: one message, one packet, with descriptors.

mod asynchronous;
mod packet;

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fumehood_control::{CodecError, Message, decode, encode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};

pub use asynchronous::AsyncChannel;

/// Most descriptors that travel with one message. No message has more than
/// three; the rest is slack for a peer of another build, refused by the codec.
pub const MAX_FDS: usize = 4;

/// Why a channel did not send or receive.
///
/// After [`ChannelError::Codec`], [`ChannelError::Truncated`] or
/// [`ChannelError::Io`] the peer is of another build, corrupt or hostile:
/// close the channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The peer closed its end or died.
    #[error("the peer process closed its control channel: it ended or was killed")]
    Closed,
    /// The message is over its bound, does not decode, or came or was to go
    /// with another number of descriptors than its type has.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The packet was longer than any message, or carried more than
    /// [`MAX_FDS`] descriptors; what arrived of it was closed and dropped.
    #[error("a control packet was longer, or had more descriptors, than any message has")]
    Truncated,
    /// The descriptor is not a Unix `SOCK_SEQPACKET` socket.
    #[error(
        "this is not a control channel: the program was started by hand, \
         or by something other than its embedder"
    )]
    NotAChannel,
    /// The kernel refused.
    #[error("{call} on a control channel failed: {source}")]
    Io {
        /// The system call.
        call: &'static str,
        /// With what.
        source: io::Error,
    },
}

/// One end of a control channel that sends `S` and receives `R`, blocking.
///
/// For bootstrap and for programs without a runtime; [`Channel::into_async`]
/// makes the other kind.
#[derive(Debug)]
pub struct Channel<S, R> {
    fd: OwnedFd,
    messages: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> Channel<S, R> {
    /// Makes both ends, close-on-exec.
    ///
    /// # Errors
    /// [`ChannelError::Io`], in practice when out of descriptors.
    #[expect(clippy::type_complexity, reason = "two ends, each the other's mirror")]
    pub fn pair() -> Result<(Channel<S, R>, Channel<R, S>), ChannelError> {
        let (a, b) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| failed("socketpair", errno))?;
        Ok((Channel::new(a), Channel::new(b)))
    }

    /// Takes a descriptor that came from elsewhere, such as the one of
    /// [`crate::Bootstrap::enter`].
    ///
    /// # Errors
    /// [`ChannelError::NotAChannel`] when it is anything else.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, ChannelError> {
        let is_channel = sockopt::socket_type(&fd) == Ok(SocketType::SEQPACKET)
            && sockopt::socket_domain(&fd) == Ok(AddressFamily::UNIX);
        if !is_channel {
            return Err(ChannelError::NotAChannel);
        }
        Ok(Self::new(fd))
    }

    fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            messages: PhantomData,
        }
    }

    /// Sends a message with its descriptors, waiting for room. The descriptors
    /// are duplicated into the peer; the caller's stay open.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] when nobody will read it, or
    /// [`ChannelError::Codec`] when it is over the bound or `fds` are not as
    /// many as its type has.
    pub fn send(&self, message: &S, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let bytes = encoded(message, fds)?;
        packet::send(self.fd.as_fd(), &bytes, fds, packet::Wait::Block)
            .map_err(|errno| failed(packet::send_call(fds), errno))
    }

    /// Waits for a message and the descriptors that came with it, all of them
    /// close-on-exec.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] at end of file; any other error as there.
    /// Descriptors of a packet that is refused are closed.
    pub fn recv(&self) -> Result<(R, Vec<OwnedFd>), ChannelError> {
        let received = packet::recv(self.fd.as_fd(), packet::Wait::Block)
            .map_err(|errno| failed("recvmsg", errno))?;
        decoded(received)
    }

    /// Makes it asynchronous. Must be called within a tokio runtime with I/O.
    ///
    /// # Errors
    /// [`ChannelError::Io`] when it cannot be made non-blocking or registered.
    pub fn into_async(self) -> Result<AsyncChannel<S, R>, ChannelError> {
        AsyncChannel::new(self.fd)
    }

    /// Gives the descriptor up, to pass this end to another process.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl<S, R> AsFd for Channel<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Encodes a message that is to go with these descriptors.
fn encoded<S: Message>(message: &S, fds: &[BorrowedFd<'_>]) -> Result<Vec<u8>, ChannelError> {
    let want = message.fd_count();
    if fds.len() != want || want > MAX_FDS {
        return Err(CodecError::WrongFdCount {
            got: fds.len(),
            want,
        }
        .into());
    }
    Ok(encode(message)?)
}

/// Believes a packet, or drops it and closes its descriptors.
fn decoded<R: Message>(received: packet::Packet) -> Result<(R, Vec<OwnedFd>), ChannelError> {
    match received {
        packet::Packet::End => Err(ChannelError::Closed),
        packet::Packet::Truncated => Err(ChannelError::Truncated),
        packet::Packet::Whole { bytes, fds } => Ok((decode(&bytes, fds.len())?, fds)),
    }
}

/// Tells a peer that is gone from a kernel that refused.
fn failed(call: &'static str, errno: Errno) -> ChannelError {
    match errno {
        Errno::PIPE | Errno::CONNRESET => ChannelError::Closed,
        errno => ChannelError::Io {
            call,
            source: errno.into(),
        },
    }
}
