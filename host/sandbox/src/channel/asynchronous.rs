//! The channel on a tokio runtime.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fumehood_control::Message;
use rustix::io::Errno;

use super::packet::{self, Packet, Wait};
use super::{ChannelError, decoded, encoded, failed};
use crate::ReadyFd;

/// One end of a control channel that sends `S` and receives `R`, on a runtime.
///
/// Both directions take `&self`, so a reading and several writing tasks share
/// one. Both are safe to cancel: a message is sent or received whole or not
/// at all. When two tasks receive at once, each message goes to one of them.
#[derive(Debug)]
pub struct AsyncChannel<S, R> {
    fd: ReadyFd,
    messages: PhantomData<fn(S) -> R>,
}

impl<S: Message, R: Message> AsyncChannel<S, R> {
    /// Takes a channel's descriptor over.
    pub(super) fn new(fd: OwnedFd) -> Result<Self, ChannelError> {
        let fd = ReadyFd::new(fd).map_err(|(_, source)| ChannelError::Io {
            call: "epoll_ctl",
            source,
        })?;
        Ok(Self {
            fd,
            messages: PhantomData,
        })
    }

    /// Sends a message with its descriptors, waiting for room.
    ///
    /// # Errors
    /// As [`super::Channel::send`].
    pub async fn send(&self, message: &S, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let bytes = encoded(message, fds)?;
        loop {
            let mut ready = self
                .fd
                .writable()
                .await
                .map_err(|e| lost_runtime("epoll_wait", e))?;
            let sent =
                ready.try_io(|fd| Ok(packet::send(fd.get_ref().as_fd(), &bytes, fds, Wait::No)?));
            match sent {
                Ok(result) => return result.map_err(|e| from_io(packet::send_call(fds), e)),
                Err(_not_yet) => {}
            }
        }
    }

    /// Waits for a message and the descriptors that came with it.
    ///
    /// # Errors
    /// As [`super::Channel::recv`].
    pub async fn recv(&self) -> Result<(R, Vec<OwnedFd>), ChannelError> {
        decoded(self.packet().await?)
    }

    async fn packet(&self) -> Result<Packet, ChannelError> {
        loop {
            let mut ready = self
                .fd
                .readable()
                .await
                .map_err(|e| lost_runtime("epoll_wait", e))?;
            match ready.try_io(|fd| Ok(packet::recv(fd.get_ref().as_fd(), Wait::No)?)) {
                Ok(result) => return result.map_err(|e| from_io("recvmsg", e)),
                Err(_not_yet) => {}
            }
        }
    }
}

impl<S, R> AsFd for AsyncChannel<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An error that came through `std::io`, with its `errno` read again.
fn from_io(call: &'static str, error: io::Error) -> ChannelError {
    match Errno::from_io_error(&error) {
        Some(errno) => failed(call, errno),
        None => ChannelError::Io {
            call,
            source: error,
        },
    }
}

/// The runtime is shutting down.
fn lost_runtime(call: &'static str, source: io::Error) -> ChannelError {
    ChannelError::Io { call, source }
}
