//! Where payload comes from and goes to: descriptors the embedder gave.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use fumehood_sandbox::ReadyFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, major};
use rustix::io::{Errno, read, write};
use tokio::task::block_in_place;

/// Most bytes read from a source at a time: a few TLS records' worth.
pub(crate) const SOURCE_CHUNK: usize = 64 * 1024;

/// Calls that may block a worker without its other tasks being moved to
/// another thread first, which costs more than the call. One fewer than there
/// are workers, so that somebody is always there for the rest.
const MAX_BLOCKED_WORKERS: usize = crate::start::WORKERS - 1;

/// Workers blocked that way now.
static BLOCKED_WORKERS: AtomicUsize = AtomicUsize::new(0);

/// The kernel's devices that are nobody's: `null`, `zero`, `full`, `urandom`
/// (Linux, admin-guide/devices.txt).
const MEMORY_DEVICES: u32 = 1;

/// A descriptor that payload is moved through.
///
/// Its owner chose how it behaves: one in non-blocking mode (a body's
/// socketpair, a reopened pipe) is waited for; any other (a file, a device, a
/// terminal shared with other programs) is used as it is, and a call on it may
/// block, which no other exchange waits for.
/// Clones share the descriptor, so a request can be sent once more.
#[derive(Clone, Debug)]
pub(crate) enum Pipe {
    /// Non-blocking, registered with the runtime.
    Waited(Arc<ReadyFd>),
    /// Blocking, for as long as the machine takes.
    Direct(Arc<File>),
    /// Blocking, for as long as somebody else likes.
    Unhurried(Arc<File>),
    /// No descriptor: bytes that are read, or that have been written.
    Memory(Arc<Mutex<Memory>>),
}

/// Content that is small and stays here.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    /// Most bytes that it holds.
    most: usize,
}

impl Pipe {
    /// Takes a descriptor over.
    ///
    /// # Errors
    /// When it is no open descriptor or cannot be registered.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Pipe> {
        let non_blocking = fcntl_getfl(&fd)?.contains(OFlags::NONBLOCK);
        if !non_blocking {
            return Ok(if waits_for_nobody(&fd)? {
                Pipe::Direct(Arc::new(File::from(fd)))
            } else {
                Pipe::Unhurried(Arc::new(File::from(fd)))
            });
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

    /// These bytes, in memory that takes no more than `most`.
    pub(crate) fn memory(bytes: Vec<u8>, most: usize) -> Pipe {
        Pipe::Memory(Arc::new(Mutex::new(Memory { bytes, most })))
    }

    /// What was written to memory; nothing of any other pipe.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self {
            Pipe::Memory(memory) => std::mem::take(&mut lock(&memory).bytes),
            Pipe::Waited(_) | Pipe::Direct(_) | Pipe::Unhurried(_) => Vec::new(),
        }
    }

    /// Writes some bytes.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Pipe::Direct(file) => Poll::Ready(retry(|| blocking(|| (&**file).write(bytes)))),
            Pipe::Unhurried(file) => {
                Poll::Ready(retry(|| block_in_place(|| (&**file).write(bytes))))
            }
            Pipe::Memory(memory) => Poll::Ready(lock(memory).write(bytes)),
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
            Pipe::Direct(file) => Poll::Ready(retry(|| blocking(|| (&**file).read(bytes)))),
            Pipe::Unhurried(file) => {
                Poll::Ready(retry(|| block_in_place(|| (&**file).read(bytes))))
            }
            Pipe::Memory(memory) => Poll::Ready(Ok(lock(memory).read(bytes))),
            Pipe::Waited(fd) => loop {
                let mut guard = ready!(fd.poll_read_ready(cx))?;
                match guard.try_io(|fd| retry(|| Ok(read(fd.get_ref(), &mut *bytes)?))) {
                    Ok(result) => return Poll::Ready(result),
                    Err(_not_yet) => {}
                }
            },
        }
    }

    /// Whether the other end of a socket is closed altogether, and not only
    /// for writing: what it will send is not only over, its owner is gone.
    pub(crate) fn is_hung_up(&self) -> bool {
        let Pipe::Waited(fd) = self else {
            return false;
        };
        let mut polled = [PollFd::new(&**fd, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A descriptor that cannot even be asked will bring nothing more.
        poll(&mut polled, Some(&at_once)).is_err() || polled[0].revents().contains(PollFlags::HUP)
    }
}

impl Memory {
    /// All of it, or nothing: what does not fit is no content to be had.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(Errno::NOSPC.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let count = bytes.len().min(self.bytes.len());
        for (to, from) in bytes.iter_mut().zip(self.bytes.drain(..count)) {
            *to = from;
        }
        count
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether calls on a descriptor take no longer than the machine needs: a
/// file's and a memory device's do; a pipe's, a socket's or a terminal's last
/// until somebody at the other end reads or writes.
fn waits_for_nobody(fd: impl AsFd) -> io::Result<bool> {
    let status = fstat(fd)?;
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice => true,
        FileType::CharacterDevice => major(status.st_rdev) == MEMORY_DEVICES,
        _ => false,
    })
}

/// Makes a call that takes as long as the machine does, on this worker or
/// beside it.
fn blocking(call: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    let blocked = BLOCKED_WORKERS.fetch_add(1, Ordering::Relaxed);
    let result = if blocked < MAX_BLOCKED_WORKERS {
        call()
    } else {
        block_in_place(call)
    };
    BLOCKED_WORKERS.fetch_sub(1, Ordering::Relaxed);
    result
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// The engine's end of a body whose owner holds the other.
    fn body() -> (UnixStream, Pipe) {
        let (owner, ours) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("non-blocking");
        (owner, Pipe::new(ours.into()).expect("a pipe"))
    }

    #[test]
    fn memory_takes_so_much_and_gives_it_back_in_order() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let pipe = Pipe::memory(Vec::new(), 5);
        for bytes in ["he", "llo"] {
            let written = pipe.poll_write(&mut cx, bytes.as_bytes());
            assert!(matches!(written, Poll::Ready(Ok(count)) if count == bytes.len()));
        }
        let over = pipe.poll_write(&mut cx, b"!");
        assert!(matches!(over, Poll::Ready(Err(_))));
        let mut two = [0; 2];
        let read = pipe.poll_read(&mut cx, &mut two);
        assert!(matches!(read, Poll::Ready(Ok(2))));
        assert_eq!(&two, b"he");
        assert_eq!(pipe.clone().into_memory(), b"llo");
        assert!(matches!(
            pipe.poll_read(&mut cx, &mut two),
            Poll::Ready(Ok(0))
        ));
    }

    /// What a task wakes runs next on its worker. It must not wait there for
    /// somebody who reads a pipe: here it is the reader itself.
    #[test]
    fn a_pipe_that_nobody_reads_holds_up_nothing_else() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let sink = Pipe::new(writer.into()).expect("a sink");
        let more_than_it_holds = vec![0; 4 << 20];
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(crate::start::WORKERS)
            .build()
            .expect("a runtime");
        let (tell, told) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let reads = tokio::spawn(async move {
                let copied = block_in_place(|| io::copy(&mut reader, &mut io::sink()));
                tell.send(copied.expect("read")).expect("somebody listens");
            });
            let mut left = &more_than_it_holds[..];
            while !left.is_empty() {
                let written = std::future::poll_fn(|cx| sink.poll_write(cx, left)).await;
                left = &left[written.expect("it is taken")..];
            }
            drop(sink);
            reads.await.expect("the reader ends");
        });
        let copied = told.recv_timeout(std::time::Duration::from_secs(60));
        // A worker that is held up must not hold up the test's failure.
        runtime.shutdown_background();
        assert_eq!(copied, Ok(4 << 20));
    }

    #[tokio::test]
    async fn an_owner_that_is_done_is_told_from_one_that_died() {
        let (owner, source) = body();
        assert!(!source.is_hung_up());
        owner.shutdown(Shutdown::Write).expect("shut down");
        assert!(!source.is_hung_up());
        drop(owner);
        assert!(source.is_hung_up());
    }
}
