//! A connected socket's bytes, both ways, each with its own end.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::access::{Counted, Log};

/// Most bytes read ahead of a guest, and most that it may hand over before the
/// kernel has taken them; a few segments, so that neither side waits for the other.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// One connection, shared by its socket and its streams.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    /// The guest shut its receiving side down.
    deaf: AtomicBool,
    outbound: Mutex<Outbound>,
    log: Arc<Log>,
    _counted: Counted,
}

/// What is still to be sent.
#[derive(Debug)]
enum Outbound {
    /// These bytes, then perhaps the end.
    Open { pending: Bytes, then_end: bool },
    /// The end was sent, or cannot be any more.
    Ended,
    /// Sending failed; the guest has yet to hear of it.
    Failed(io::Error),
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, log: Arc<Log>, counted: Counted) -> Arc<Stream> {
        Arc::new(Stream {
            tcp,
            deaf: AtomicBool::new(false),
            outbound: Mutex::new(Outbound::Open {
                pending: Bytes::new(),
                then_end: false,
            }),
            log,
            _counted: counted,
        })
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Ends one direction or both. The end of what is sent follows what has
    /// been handed over.
    pub(super) fn shut_down(&self, how: Shutdown) {
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.deaf.store(true, Ordering::Relaxed);
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            if let Outbound::Open { then_end, .. } = &mut *self.outbound() {
                *then_end = true;
            }
            let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands what is pending to the kernel. Ready when nothing is.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut outbound = self.outbound();
        loop {
            let Outbound::Open { pending, then_end } = &mut *outbound else {
                return Poll::Ready(());
            };
            if pending.is_empty() {
                if *then_end {
                    *outbound = self.end();
                }
                return Poll::Ready(());
            }
            let written = self.log.within_leave(pending.len(), |most| {
                let count = self.tcp.try_write(&pending[..most])?;
                Ok((count, count))
            });
            match written {
                Ok(count) => {
                    self.log.note_sent(count);
                    let _sent = pending.split_to(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.tcp.poll_write_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => *outbound = self.failed(error),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Err(error) => *outbound = self.failed(error),
            }
        }
    }

    /// Ready when the kernel takes more.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.poll_send(cx));
        match self.tcp.poll_write_ready(cx) {
            Poll::Ready(Err(error)) => {
                *self.outbound() = self.failed(error);
                Poll::Ready(())
            }
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Pending => match &*self.outbound() {
                Outbound::Open { .. } => Poll::Pending,
                Outbound::Ended | Outbound::Failed(_) => Poll::Ready(()),
            },
        }
    }

    /// The end of what is sent. A peer that is gone needs none.
    fn end(&self) -> Outbound {
        match rustix::net::shutdown(&self.tcp, rustix::net::Shutdown::Write) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Outbound::Ended,
            Err(errno) => self.failed(errno.into()),
        }
    }

    fn failed(&self, error: io::Error) -> Outbound {
        self.log.note_io(&error);
        Outbound::Failed(error)
    }

    /// Tells of a failure once; then the stream is closed.
    fn state(&self) -> StreamResult<MutexGuard<'_, Outbound>> {
        let mut outbound = self.outbound();
        match std::mem::replace(&mut *outbound, Outbound::Ended) {
            open @ Outbound::Open { .. } => {
                let ending = matches!(open, Outbound::Open { then_end: true, .. });
                *outbound = open;
                if ending {
                    return Err(StreamError::Closed);
                }
                Ok(outbound)
            }
            Outbound::Ended => Err(StreamError::Closed),
            Outbound::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

/// What comes from the peer.
#[derive(Debug)]
pub(super) struct Reader {
    stream: Arc<Stream>,
    /// Read ahead while waiting, so that "ready" is never a false hope.
    ahead: Option<io::Result<Bytes>>,
}

impl Reader {
    pub(super) fn new(stream: Arc<Stream>) -> Reader {
        Reader {
            stream,
            ahead: None,
        }
    }

    /// What is there now; no bytes at the end of the stream.
    fn try_read(&self, size: usize) -> io::Result<Bytes> {
        let log = &self.stream.log;
        let read = log.within_leave(size.min(BUFFER_BYTES), |most| {
            let mut buffer = vec![0; most];
            let count = self.stream.tcp.try_read(&mut buffer)?;
            buffer.truncate(count);
            Ok((count, buffer))
        });
        match read {
            // What may not be read any more may be the end.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.try_end(error),
            read => {
                let buffer = read?;
                log.note_received(buffer.len());
                Ok(buffer.into())
            }
        }
    }

    /// No bytes at the end of the stream, and this error where there are some.
    fn try_end(&self, error: io::Error) -> io::Result<Bytes> {
        let tcp = &self.stream.tcp;
        tcp.try_io(Interest::READABLE, || {
            match recv(tcp, &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT)? {
                (_, 0) => Ok(Bytes::new()),
                _ => Err(error),
            }
        })
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        if self.stream.deaf.load(Ordering::Relaxed) {
            return;
        }
        while self.ahead.is_none() {
            let readable = poll_fn(|cx| {
                // What was handed over goes out also for a guest that now waits
                // for the answer alone.
                let _later = self.stream.poll_send(cx);
                self.stream.tcp.poll_read_ready(cx)
            });
            let read = match readable.await {
                Ok(()) => self.try_read(BUFFER_BYTES),
                Err(error) => Err(error),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => self.ahead = Some(read),
            }
        }
    }
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.stream.deaf.load(Ordering::Relaxed) {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        let read = match self.ahead.take() {
            Some(Ok(mut bytes)) if bytes.len() > size => {
                let now = bytes.split_to(size);
                self.ahead = Some(Ok(bytes));
                Ok(now)
            }
            Some(read) => read,
            None => self.try_read(size),
        };
        match read {
            Ok(bytes) if bytes.is_empty() => {
                // The end stays the end.
                self.ahead = Some(Ok(bytes));
                Err(StreamError::Closed)
            }
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => {
                self.ahead = Some(Ok(Bytes::new()));
                self.stream.log.note_io(&error);
                Err(StreamError::LastOperationFailed(error.into()))
            }
        }
    }
}

/// What goes to the peer.
#[derive(Debug)]
pub(super) struct Writer {
    stream: Arc<Stream>,
}

impl Writer {
    pub(super) fn new(stream: Arc<Stream>) -> Writer {
        Writer { stream }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        poll_fn(|cx| self.stream.poll_room(cx)).await;
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > BUFFER_BYTES {
            return Err(StreamError::trap("a guest wrote more than it had leave to"));
        }
        if let Outbound::Open { pending, .. } = &mut *self.stream.state()? {
            if !pending.is_empty() {
                return Err(StreamError::trap("a guest wrote without leave"));
            }
            *pending = bytes;
        }
        let _ = self
            .stream
            .poll_send(&mut Context::from_waker(Waker::noop()));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // Nothing is held back: what is pending goes out as the kernel takes it.
        self.stream.state().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let sent = self
            .stream
            .poll_send(&mut Context::from_waker(Waker::noop()));
        drop(self.stream.state()?);
        Ok(if sent.is_ready() { BUFFER_BYTES } else { 0 })
    }

    /// Dropped with bytes that were taken: they are still sent.
    async fn cancel(&mut self) {
        poll_fn(|cx| self.stream.poll_send(cx)).await;
    }
}
