//! A TLS connection as a pair of the guest's streams.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncBufRead as _, AsyncWrite as _};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::tls::TlsStream;

/// Most bytes that the guest may hand over before they are sealed and sent: a
/// few questions.
const BUFFER_BYTES: usize = 16 * 1024;

/// A connection, shared by both streams.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Line>>);

struct Line {
    tls: TlsStream,
    /// What was handed over and is not sealed yet.
    pending: Bytes,
    /// Sending failed; the guest has yet to hear of it.
    failed: Option<io::Error>,
}

impl Shared {
    pub(super) fn new(tls: TlsStream) -> Shared {
        Shared(Arc::new(Mutex::new(Line {
            tls,
            pending: Bytes::new(),
            failed: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Sends what is pending. Ready when nothing is, or it failed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.failed.is_none() {
            let sent = match self.pending.is_empty() {
                true => ready!(Pin::new(&mut self.tls).poll_flush(cx)).map(|()| None),
                false => ready!(Pin::new(&mut self.tls).poll_write(cx, &self.pending)).map(Some),
            };
            match sent {
                Ok(None) => break,
                Ok(Some(count)) => {
                    let _sealed = self.pending.split_to(count);
                }
                Err(error) => self.failed = Some(error),
            }
        }
        Poll::Ready(())
    }

    /// Tells of a failure, and of nothing else.
    fn check(&mut self) -> StreamResult<()> {
        match self.failed.take() {
            Some(error) => Err(StreamError::LastOperationFailed(error.into())),
            None => Ok(()),
        }
    }
}

/// What comes from the server.
pub(super) struct Reader {
    line: Shared,
}

impl Reader {
    pub(super) fn new(line: Shared) -> Reader {
        Reader { line }
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        poll_fn(|cx| {
            let mut line = self.line.lock();
            // What was handed over goes out also while the answer is waited for.
            let _later = line.poll_send(cx);
            // What is there, or what has gone wrong, is told by the next read.
            Pin::new(&mut line.tls).poll_fill_buf(cx).map(drop)
        })
        .await;
    }
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut line = self.line.lock();
        let bytes = match Pin::new(&mut line.tls).poll_fill_buf(&mut cx) {
            Poll::Pending => return Ok(Bytes::new()),
            Poll::Ready(Ok([])) => return Err(StreamError::Closed),
            Poll::Ready(Ok(there)) => Bytes::copy_from_slice(&there[..there.len().min(size)]),
            Poll::Ready(Err(error)) => return Err(StreamError::LastOperationFailed(error.into())),
        };
        Pin::new(&mut line.tls).consume(bytes.len());
        Ok(bytes)
    }
}

/// What goes to the server.
pub(super) struct Writer {
    line: Shared,
}

impl Writer {
    pub(super) fn new(line: Shared) -> Writer {
        Writer { line }
    }

    fn send_now(&self) -> Poll<()> {
        let mut cx = Context::from_waker(Waker::noop());
        self.line.lock().poll_send(&mut cx)
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        poll_fn(|cx| self.line.lock().poll_send(cx)).await;
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut line = self.line.lock();
        line.check()?;
        if !line.pending.is_empty() || bytes.len() > BUFFER_BYTES {
            return Err(StreamError::trap("a guest wrote more than it had leave to"));
        }
        line.pending = bytes;
        drop(line);
        let _later = self.send_now();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // Nothing is held back: what is pending goes out as the peer takes it.
        self.line.lock().check()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let sent = self.send_now();
        self.line.lock().check()?;
        Ok(if sent.is_ready() { BUFFER_BYTES } else { 0 })
    }
}
