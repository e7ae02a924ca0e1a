//! A connection's bytes: TCP as it is, or inside TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fumehood_control::Instance;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::TlsStream;

/// Bytes read from a plain socket at first: a usual response in one call.
const SMALL: usize = 16 * 1024;

/// Bytes read from a plain socket that fills the small buffer: large enough
/// that the system calls of a bulk transfer cost little. Buffers are allocated
/// when they are needed and freed while the connection is idle.
const LARGE: usize = 256 * 1024;

/// What an HTTP connection runs over.
pub(crate) enum Transport {
    Plain(PlainStream),
    Tls(Box<TlsStream>),
    /// Taken from its connection.
    Closed,
}

/// A TCP stream with a read buffer that can be looked at in place.
pub(crate) struct PlainStream {
    tcp: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl PlainStream {
    pub(crate) fn new(tcp: TcpStream) -> PlainStream {
        PlainStream {
            tcp,
            buffer: Box::default(),
            start: 0,
            end: 0,
        }
    }
}

impl Transport {
    /// Bytes that have arrived, at least one; empty at the end of the stream.
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        match self {
            Transport::Plain(plain) => plain.poll_bytes(cx),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_fill_buf(cx),
            Transport::Closed => Poll::Ready(Ok(&[])),
        }
    }

    /// Whether [`Transport::poll_bytes`] would not wait, without a buffer.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(plain) if plain.start < plain.end => Poll::Ready(Ok(())),
            Transport::Plain(plain) => plain.tcp.poll_read_ready(cx),
            Transport::Tls(_) | Transport::Closed => self.poll_bytes(cx).map_ok(drop),
        }
    }

    /// The socket of a plain connection, and what was read from it and not taken.
    pub(crate) fn into_plain(self) -> Option<(TcpStream, Vec<u8>)> {
        match self {
            Transport::Plain(plain) => {
                let rest = plain.buffer[plain.start..plain.end].to_vec();
                Some((plain.tcp, rest))
            }
            Transport::Tls(_) | Transport::Closed => None,
        }
    }

    /// Tells the peer that nothing more is sent.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(plain) => Pin::new(&mut plain.tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Transport::Closed => Poll::Ready(Ok(())),
        }
    }

    /// Takes bytes that [`Transport::poll_bytes`] showed.
    pub(crate) fn consume(&mut self, count: usize) {
        match self {
            Transport::Plain(plain) => plain.start += count,
            Transport::Tls(tls) => Pin::new(tls.as_mut()).consume(count),
            Transport::Closed => {}
        }
    }

    /// Accepts some bytes for sending.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(plain) => Pin::new(&mut plain.tcp).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
            Transport::Closed => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Sends what was accepted.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(_) | Transport::Closed => Poll::Ready(Ok(())),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    /// Says farewell as far as that is possible without waiting: close_notify
    /// under TLS (RFC 8446 section 6.1); the descriptor's drop does the rest.
    pub(crate) fn farewell(&mut self) {
        if let Transport::Tls(tls) = self {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _ = Pin::new(tls.as_mut()).poll_shutdown(&mut cx);
        }
    }

    /// Guests of its own that took over since the last time.
    pub(crate) fn taken_over(&mut self) -> Vec<Instance> {
        match self {
            Transport::Plain(_) | Transport::Closed => Vec::new(),
            Transport::Tls(tls) => tls.taken_over(),
        }
    }

    /// Gives buffers back while the connection idles.
    pub(crate) fn shrink(&mut self) {
        match self {
            Transport::Plain(plain) if plain.start == plain.end => plain.buffer = Box::default(),
            Transport::Plain(_) | Transport::Closed => {}
            Transport::Tls(tls) => tls.shrink(),
        }
    }
}

impl PlainStream {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.start == self.end {
            // What filled the buffer has more behind it, as a rule.
            let wanted = match self.buffer.len() {
                0 => SMALL,
                length if self.end == length => LARGE,
                length => length,
            };
            if wanted > self.buffer.len() {
                self.buffer = vec![0; wanted].into_boxed_slice();
            }
            self.start = 0;
            self.end = 0;
            let mut read = ReadBuf::new(&mut self.buffer);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
            self.end = read.filled().len();
        }
        Poll::Ready(Ok(&self.buffer[self.start..self.end]))
    }
}
