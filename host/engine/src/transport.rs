//! A connection's bytes: TCP as it is, or inside TLS, which may lie inside another.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use fumehood_control::{Cause, Instance};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::Meter;
use crate::low_water::LowWater;
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
    buffer: Vec<u8>,
    /// What precedes it in the buffer is taken.
    start: usize,
    low_water: LowWater,
}

impl PlainStream {
    pub(crate) fn new(tcp: TcpStream) -> PlainStream {
        PlainStream {
            tcp,
            buffer: Vec::new(),
            start: 0,
            low_water: LowWater::default(),
        }
    }
}

impl From<TcpStream> for Transport {
    fn from(tcp: TcpStream) -> Transport {
        Transport::Plain(PlainStream::new(tcp))
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

    /// The first byte that comes, which stays; `None` at the end of the stream.
    /// No buffer is held while it is waited for.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        if let Transport::Plain(plain) = self
            && plain.is_taken()
        {
            ready!(plain.tcp.poll_read_ready(cx))?;
        }
        let first = self.poll_bytes(cx).map_ok(|bytes| bytes.first().copied());
        if first.is_pending() {
            // It was ready for nothing.
            self.shrink();
        }
        first
    }

    /// The same without a buffer of its own: what was read and not taken comes
    /// beside it. TLS keeps what it has.
    pub(crate) fn bare(self) -> (Transport, Vec<u8>) {
        match self {
            Transport::Plain(plain) => {
                let rest = plain.buffer[plain.start..].to_vec();
                (Transport::from(plain.tcp), rest)
            }
            other => (other, Vec::new()),
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

    /// Where its own end is; nowhere on a Unix socket, and not told within TLS.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Transport::Plain(plain) => plain.tcp.local_addr().ok(),
            Transport::Tls(_) | Transport::Closed => None,
        }
    }

    /// So many bytes are certain to come, beside those that were read, unless it ends.
    pub(crate) fn expect(&mut self, bytes: u64) {
        match self {
            Transport::Plain(plain) => plain.low_water.expect(&plain.tcp, bytes),
            // In records they are some more, of which one may have been read in part.
            Transport::Tls(tls) => tls.lower().expect(bytes),
            Transport::Closed => {}
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

    /// Whether bytes have been read that nobody has taken.
    pub(crate) fn has_bytes(&self) -> bool {
        match self {
            Transport::Plain(plain) => !plain.is_taken(),
            Transport::Tls(tls) => tls.has_plaintext(),
            Transport::Closed => false,
        }
    }

    /// Whether nothing was read that is not taken, be it the beginning of a record.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Transport::Plain(plain) => plain.is_taken(),
            Transport::Tls(tls) => tls.is_quiet() && tls.beneath().is_quiet(),
            Transport::Closed => true,
        }
    }

    /// Writes as much as it takes at once, without telling of failure: what is
    /// said on the way out.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> usize {
        match self {
            Transport::Plain(plain) => plain.tcp.try_write(bytes).unwrap_or(0),
            Transport::Closed => 0,
            Transport::Tls(tls) => {
                let mut cx = Context::from_waker(Waker::noop());
                match Pin::new(tls.as_mut()).poll_write(&mut cx, bytes) {
                    Poll::Ready(Ok(count)) => count,
                    Poll::Ready(Err(_)) | Poll::Pending => 0,
                }
            }
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
    /// under TLS (RFC 8446 section 6.1), the innermost first; the descriptor's
    /// drop does the rest.
    pub(crate) fn farewell(&mut self) {
        if let Transport::Tls(tls) = self {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(tls.as_mut()).poll_shutdown(&mut cx);
            tls.lower().farewell();
        }
    }

    /// Guests of its own that took over since the last time.
    pub(crate) fn taken_over(&mut self) -> Vec<Instance> {
        match self {
            Transport::Plain(_) | Transport::Closed => Vec::new(),
            Transport::Tls(tls) => {
                let mut all = tls.lower().taken_over();
                all.append(&mut tls.taken_over());
                all
            }
        }
    }

    /// Whether all guests of its own are of the version that new connections take.
    pub(crate) fn is_current(&self) -> bool {
        self.streams().all(TlsStream::is_current)
    }

    /// Gives it guests of the current version; returns those that were made.
    ///
    /// # Errors
    /// As [`TlsStream::refresh`].
    pub(crate) fn refresh(&mut self) -> Result<Vec<Instance>, Cause> {
        match self {
            Transport::Plain(_) | Transport::Closed => Ok(Vec::new()),
            Transport::Tls(tls) => {
                let mut made = tls.lower().refresh()?;
                made.extend(tls.refresh()?);
                Ok(made)
            }
        }
    }

    /// What its guests have done until now.
    pub(crate) fn meter(&self) -> Meter {
        let meters = self.streams().map(TlsStream::meter);
        meters.fold(Meter::default(), Meter::and)
    }

    /// Gives buffers back while the connection idles.
    pub(crate) fn shrink(&mut self) {
        match self {
            Transport::Plain(plain) if plain.is_taken() => {
                plain.buffer = Vec::new();
                plain.start = 0;
            }
            Transport::Plain(_) | Transport::Closed => {}
            Transport::Tls(tls) => {
                tls.shrink();
                tls.lower().shrink();
            }
        }
    }

    /// TLS within TLS, the innermost first.
    fn streams(&self) -> impl Iterator<Item = &TlsStream> {
        std::iter::successors(self.as_tls(), |it| it.beneath().as_tls())
    }

    fn as_tls(&self) -> Option<&TlsStream> {
        match self {
            Transport::Plain(_) | Transport::Closed => None,
            Transport::Tls(tls) => Some(tls),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(plain) if plain.is_taken() => plain.poll_read(cx, out),
            Transport::Plain(plain) => {
                let count = out.remaining().min(plain.buffer.len() - plain.start);
                out.put_slice(&plain.buffer[plain.start..plain.start + count]);
                plain.start += count;
                Poll::Ready(Ok(()))
            }
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, out),
            Transport::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    /// Only the outermost layer says that nothing more comes.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}

impl PlainStream {
    /// All that was read is taken.
    fn is_taken(&self) -> bool {
        self.start == self.buffer.len()
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.is_taken() {
            // What filled the buffer has more behind it, as a rule.
            let wanted = match self.buffer.capacity() {
                0 => SMALL,
                length if self.buffer.len() == length => LARGE.max(length),
                length => length,
            };
            if wanted > self.buffer.capacity() {
                self.buffer = Vec::with_capacity(wanted);
            }
            self.buffer.clear();
            self.start = 0;
            // It keeps nothing between two polls, and room need not be zeroed for it.
            while pin!(self.tcp.read_buf(&mut self.buffer))
                .poll(cx)?
                .is_pending()
            {
                ready!(self.low_water.poll_lowered(cx, &self.tcp));
            }
            let filled = self.buffer.len() == self.buffer.capacity();
            self.low_water.note(&self.tcp, self.buffer.len(), filled);
        }
        Poll::Ready(Ok(&self.buffer[self.start..]))
    }

    /// Past the buffer, of which all is taken.
    fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        while Pin::new(&mut self.tcp).poll_read(cx, out)?.is_pending() {
            ready!(self.low_water.poll_lowered(cx, &self.tcp));
        }
        let count = out.filled().len() - before;
        self.low_water.note(&self.tcp, count, out.remaining() == 0);
        Poll::Ready(Ok(()))
    }
}
