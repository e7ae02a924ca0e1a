//! Where payload comes from and goes to: descriptors the embedder gave.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use fumehood_sandbox::ReadyFd;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, read, write};

/// Most bytes read from a source at a time: a few TLS records' worth.
pub(crate) const SOURCE_CHUNK: usize = 64 * 1024;

/// A descriptor that payload is moved through.
///
/// Its owner chose how it behaves: one in non-blocking mode (a body's
/// socketpair, a reopened pipe) is waited for; any other (a file, a device, a
/// terminal shared with other programs) is used as it is, and while a call on
/// it blocks, this thread's other tasks move to another thread.
/// Clones share the descriptor, so a request can be sent once more.
#[derive(Clone, Debug)]
pub(crate) enum Pipe {
    /// Non-blocking, registered with the runtime.
    Waited(Arc<ReadyFd>),
    /// Blocking.
    Direct(Arc<File>),
}

impl Pipe {
    /// Takes a descriptor over.
    ///
    /// # Errors
    /// When it is no open descriptor or cannot be registered.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Pipe> {
        let non_blocking = fcntl_getfl(&fd)?.contains(OFlags::NONBLOCK);
        if !non_blocking {
            return Ok(Pipe::Direct(Arc::new(File::from(fd))));
        }
        match ReadyFd::new(fd) {
            Ok(fd) => Ok(Pipe::Waited(Arc::new(fd))),
            // Regular files are always ready, so epoll will not have them.
            Err((fd, error)) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                Ok(Pipe::Direct(Arc::new(File::from(fd))))
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Writes some bytes.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Pipe::Direct(file) => Poll::Ready(retry(|| {
                tokio::task::block_in_place(|| (&**file).write(bytes))
            })),
            Pipe::Waited(fd) => loop {
                let mut guard = ready!(fd.poll_write_ready(cx))?;
                match guard.try_io(|fd| retry(|| Ok(write(fd.get_ref(), bytes)?))) {
                    Ok(result) => return Poll::Ready(result),
                    Err(_not_yet) => {}
                }
            },
        }
    }

    /// Reads some bytes; zero at the end.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Pipe::Direct(file) => Poll::Ready(retry(|| {
                tokio::task::block_in_place(|| (&**file).read(bytes))
            })),
            Pipe::Waited(fd) => loop {
                let mut guard = ready!(fd.poll_read_ready(cx))?;
                match guard.try_io(|fd| retry(|| Ok(read(fd.get_ref(), &mut *bytes)?))) {
                    Ok(result) => return Poll::Ready(result),
                    Err(_not_yet) => {}
                }
            },
        }
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
