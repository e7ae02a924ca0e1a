//! A TLS connection as a byte stream: records here, handshake messages to the guest.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use fumehood_control::{Cause, Instance};
use fumehood_crypto::record::{Alert, Inbound, RecordError, SealError, Sealer, Step};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::failure;
use super::guest::{Ask, NewKeys};
use super::steady::{Asked, SteadyGuest};
use crate::connection::Meter;
use crate::transport::Transport;

/// Most plaintext sealed at a time, in bytes: four records a system call.
const MAX_PENDING_PLAINTEXT: usize = 64 * 1024;

/// Most sealed bytes that may wait for a peer to read while we read from it:
/// what is written at a time, and as much again of answers to its key updates.
const MAX_UNSENT: usize = 2 * MAX_PENDING_PLAINTEXT;

/// A connection behind its handshake.
///
/// Reading yields decrypted bytes in place. The end of the stream is the
/// peer's close_notify; a FIN without one is an error, as an attacker can
/// forge it (RFC 8446 section 6.1).
pub(crate) struct TlsStream {
    /// What it runs over: a socket, or a tunnel through a proxy.
    lower: Transport,
    inbound: Inbound,
    sealer: Sealer,
    /// Sealed records not yet sent, from `sent` on.
    outbound: Vec<u8>,
    sent: usize,
    /// For messages behind the handshake; TLS 1.2 has none.
    guest: Option<Box<SteadyGuest>>,
    /// No instance survived such a message. Data goes on; what later messages
    /// say is lost, and a record under keys they brought cannot be opened.
    lost: Option<Cause>,
    meter: Meter,
    /// close_notify or another last alert is sealed.
    closing: bool,
    /// What reading came to; it comes to the same again.
    broken: Option<Cause>,
}

impl TlsStream {
    /// With a guest only where it has something left to do; `meter` is what it
    /// has done so far.
    pub(super) fn new(
        lower: Transport,
        sealer: Sealer,
        inbound: Inbound,
        guest: Option<Box<SteadyGuest>>,
        meter: Meter,
    ) -> Self {
        TlsStream {
            lower,
            inbound,
            sealer,
            outbound: Vec::new(),
            sent: 0,
            guest,
            lost: None,
            meter,
            closing: false,
            broken: None,
        }
    }

    /// What it runs over.
    pub(crate) fn lower(&mut self) -> &mut Transport {
        &mut self.lower
    }

    /// The same, to look at.
    pub(crate) fn beneath(&self) -> &Transport {
        &self.lower
    }

    /// Whether something is opened that nobody has taken.
    pub(crate) fn has_plaintext(&self) -> bool {
        !self.inbound.plaintext().is_empty()
    }

    /// Whether nothing has arrived that is not taken, be it the beginning of a record
    /// or of a message.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbound.is_quiet()
    }

    /// Gives buffers back while the connection idles.
    pub(crate) fn shrink(&mut self) {
        self.inbound.shrink();
        if self.outbound.is_empty() {
            self.outbound = Vec::new();
        }
    }

    /// The guest's work on this connection so far.
    pub(crate) fn meter(&self) -> Meter {
        self.guest.as_deref().map_or(self.meter, SteadyGuest::meter)
    }

    /// What names the keys it began with, outbound and inbound.
    #[cfg(test)]
    pub(super) fn keys(&self) -> Option<(u64, u64)> {
        self.guest.as_deref().map(SteadyGuest::keys)
    }

    /// Ends the connection for a reason, and tells the peer if it should know.
    fn fail(&mut self, cause: Cause, alert: Option<Alert>) -> io::Error {
        if let Some(alert) = alert.filter(|_| !self.closing) {
            self.closing = true;
            // A peer that is gone, or a key that is used up, hears nothing.
            let sealed = self.sealer.seal_alert(alert, &mut self.outbound);
            if sealed.is_ok() {
                self.sent += self.lower.try_write(&self.outbound[self.sent..]);
            }
        }
        self.broken = Some(cause.clone());
        failure::wrap(cause)
    }

    fn broken_record(&mut self, error: RecordError) -> io::Error {
        let cause = self.lost.take().unwrap_or_else(|| failure::record(error));
        self.fail(cause, error.alert())
    }

    /// Whether the guest that is still with the connection, if one is, is of the
    /// version that new connections take.
    pub(crate) fn is_current(&self) -> bool {
        self.guest.as_deref().is_none_or(SteadyGuest::is_current)
    }

    /// Has the current version's guest go on, where another's is with the
    /// connection; see [`SteadyGuest::refresh`]. Returns the new instance.
    ///
    /// # Errors
    /// As there: the connection is of no further use.
    pub(crate) fn refresh(&mut self) -> Result<Option<Instance>, Cause> {
        let Some(guest) = self.guest.take() else {
            return Ok(None);
        };
        self.meter = guest.meter();
        match guest.refresh() {
            Ok((guest, made)) => {
                self.guest = Some(guest);
                Ok(made)
            }
            Err(cause) => {
                self.lost = Some(cause.clone());
                Err(cause)
            }
        }
    }

    /// Instances that took over since the last time.
    pub(crate) fn taken_over(&mut self) -> Vec<Instance> {
        self.guest
            .as_deref_mut()
            .map(SteadyGuest::taken_over)
            .unwrap_or_default()
    }

    /// Asks the guest, and does what it says. Where none is left, data goes on.
    fn ask(&mut self, ask: Ask<'_>) -> io::Result<()> {
        let Some(guest) = self.guest.take() else {
            return match &self.lost {
                Some(_) => Ok(()),
                None => Err(self.broken_record(RecordError::UnexpectedType)),
            };
        };
        match guest.ask(ask) {
            Asked::Keys(guest, keys) => {
                self.guest = Some(guest);
                self.apply(keys)
            }
            Asked::Refused(cause) => Err(self.fail(cause, Some(Alert::UNEXPECTED_MESSAGE))),
            Asked::Lost(cause, meter) => {
                self.meter = meter;
                self.lost = Some(cause);
                Ok(())
            }
        }
    }

    /// New keys and a reply, in the order of `wit/tls`.
    fn apply(&mut self, keys: NewKeys) -> io::Result<()> {
        if let Some(opener) = keys.opener
            && let Err(error) = self.inbound.replace(opener)
        {
            return Err(self.broken_record(error));
        }
        if let Some(reply) = keys.reply.filter(|_| !self.closing)
            && let Err(error) = self.sealer.seal_message(&reply, &mut self.outbound)
        {
            return Err(self.fail(failure::seal(error), None));
        }
        if let Some(sealer) = keys.sealer {
            self.sealer = sealer;
        }
        Ok(())
    }

    /// Seals some of `data`, under new keys if the present ones are used up.
    fn seal(&mut self, data: &[u8]) -> io::Result<usize> {
        match self.sealer.seal_data(data, &mut self.outbound) {
            Ok(sealed) => Ok(sealed),
            Err(SealError::KeyLimit) if self.guest.is_some() => {
                self.ask(Ask::RenewOutbound)?;
                self.sealer
                    .seal_data(data, &mut self.outbound)
                    .map_err(|error| self.fail(failure::seal(error), None))
            }
            Err(error) => Err(self.fail(failure::seal(error), Some(Alert::INTERNAL_ERROR))),
        }
    }

    /// Sends what is sealed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outbound.len() {
            let rest = &self.outbound[self.sent..];
            match ready!(self.lower.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.outbound.clear();
        self.sent = 0;
        // What lies below may have accepted it and not sent it.
        self.lower.poll_flush(cx)
    }

    /// Reads until there is plaintext, or the end.
    fn poll_plaintext(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.inbound.plaintext().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Some(cause) = &self.broken {
                return Poll::Ready(Err(failure::wrap(cause.clone())));
            }
            // A peer that does not read our answers is not asked for more.
            if self.outbound.len() > MAX_UNSENT {
                ready!(self.poll_drain(cx))?;
            }
            match self.inbound.advance() {
                Ok(Step::Data) => {}
                Ok(Step::Closed) => return Poll::Ready(Ok(())),
                Ok(Step::Message(message)) => {
                    self.ask(Ask::Message(&message))?;
                    // An answer goes out now or with the next write.
                    let _ = self.poll_drain(cx)?;
                }
                Ok(Step::NeedsBytes) => ready!(self.poll_socket(cx))?,
                // What was opened before the bad record is good; the error
                // comes when that is consumed.
                Err(error) => {
                    let error = self.broken_record(error);
                    if self.inbound.plaintext().is_empty() {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut read = ReadBuf::new(self.inbound.space());
        ready!(Pin::new(&mut self.lower).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        if count == 0 {
            let cause = Cause::Truncated {
                place: "tls-record".to_owned(),
            };
            return Poll::Ready(Err(self.fail(cause, None)));
        }
        self.inbound.filled(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for TlsStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_plaintext(cx))?;
        Poll::Ready(Ok(this.inbound.plaintext()))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        self.get_mut().inbound.consume(count);
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_plaintext(cx))?;
        let plaintext = this.inbound.plaintext();
        let count = plaintext.len().min(out.remaining());
        out.put_slice(&plaintext[..count]);
        this.inbound.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.poll_drain(cx))?;
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sealed = this.seal(&data[..data.len().min(MAX_PENDING_PLAINTEXT)])?;
        // Accepted; what does not go out now goes with the next call.
        let _ = this.poll_drain(cx)?;
        Poll::Ready(Ok(sealed))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    /// Sends close_notify. The socket stays open for what the peer still sends.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closing {
            this.closing = true;
            if let Err(error) = this
                .sealer
                .seal_alert(Alert::CLOSE_NOTIFY, &mut this.outbound)
            {
                return Poll::Ready(Err(this.fail(failure::seal(error), None)));
            }
        }
        this.poll_drain(cx)
    }
}
