//! A descriptor whose readiness a tokio runtime watches.
#![expect(
    unsafe_code,
    reason = "tokio leaves it to the caller to keep the descriptor open"
)]

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::unix::AsyncFd;

/// Any descriptor that can be waited for (a socket, a pipe, not a regular
/// file) on a tokio runtime, for both directions.
///
/// It is tokio's [`AsyncFd`] but for what could take the descriptor from under
/// the runtime's feet. The descriptor should be non-blocking.
#[derive(Debug)]
pub struct ReadyFd(AsyncFd<OwnedFd>);

impl ReadyFd {
    /// Registers it with the runtime that this is called within.
    ///
    /// # Errors
    /// The descriptor again, with `EPERM` for what cannot be waited for, such
    /// as a regular file.
    pub fn new(fd: OwnedFd) -> Result<Self, (OwnedFd, io::Error)> {
        // SAFETY: an owned descriptor is open until it is dropped, and as this
        // type lends it out shared only, nobody replaces it meanwhile.
        match unsafe { AsyncFd::register(fd) } {
            Ok(fd) => Ok(Self(fd)),
            Err(refused) => Err(refused.into_parts()),
        }
    }

    /// Gives the descriptor back.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0.into_inner()
    }
}

impl Deref for ReadyFd {
    type Target = AsyncFd<OwnedFd>;

    fn deref(&self) -> &AsyncFd<OwnedFd> {
        &self.0
    }
}

impl AsFd for ReadyFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
