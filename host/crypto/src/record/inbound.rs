//! What arrived: a buffer in which records are opened in place, one behind the other.
//!
//! ```text
//! buffer: │ consumed │ plaintext │ gap │ ciphertext │ space │
//! ```
//!
//! Opening moves each record's content down to the end of the plaintext, so
//! many records become one piece that can be written on in one call.

use std::ops::Range;

use super::messages::Messages;
use super::{Alert, ContentType, HEADER, MAX_PAYLOAD, Opener, RecordError, framed};
use crate::Version;

/// Size of the buffer at first, in bytes: one record of the greatest length.
const SMALL: usize = HEADER + MAX_PAYLOAD;

/// Size of the buffer of a connection that fills the small one, in bytes.
/// Fifteen full records a system call; more gains nothing measurable.
const LARGE: usize = 256 * 1024;

/// Records without application data in a row that are borne. OpenSSL bears
/// 32; a server may well send a few tickets and key updates.
const MAX_WITHOUT_DATA: u32 = 64;

/// What [`Inbound::advance`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// There is plaintext, and nothing more to open but a part of a record.
    Data,
    /// There is no plaintext and no whole record.
    NeedsBytes,
    /// A whole handshake message (TLS 1.3). Records behind it stay closed
    /// until `advance` is called again, as it may change the keys.
    Message(Vec<u8>),
    /// The peer said close_notify; whatever came behind it is dropped.
    Closed,
}

/// The inbound half of a connection.
pub struct Inbound {
    opener: Opener,
    messages: Messages,
    buffer: Vec<u8>,
    plain: Range<usize>,
    cipher: Range<usize>,
    without_data: u32,
    closed: bool,
}

impl Inbound {
    /// Begins with the bytes that came behind the handshake.
    #[must_use]
    pub fn new(opener: Opener, leftover: &[u8]) -> Self {
        let mut buffer = vec![0; SMALL.max(leftover.len())];
        buffer[..leftover.len()].copy_from_slice(leftover);
        Inbound {
            opener,
            messages: Messages::default(),
            buffer,
            plain: 0..0,
            cipher: 0..leftover.len(),
            without_data: 0,
            closed: false,
        }
    }

    /// The plaintext at hand.
    #[must_use]
    pub fn plaintext(&self) -> &[u8] {
        &self.buffer[self.plain.clone()]
    }

    /// So much of the plaintext was taken.
    pub fn consume(&mut self, count: usize) {
        self.plain.start = self.plain.end.min(self.plain.start + count);
    }

    /// Where to put bytes from the socket: never empty. Plaintext must have
    /// been consumed before; what is left of it is dropped.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.cipher.clone(), 0);
        self.cipher = 0..self.cipher.len();
        self.plain = 0..0;
        if self.cipher.end == self.buffer.len() {
            self.buffer.resize(LARGE.max(self.buffer.len() + SMALL), 0);
        }
        &mut self.buffer[self.cipher.end..]
    }

    /// So many bytes were put into [`Inbound::space`].
    pub fn filled(&mut self, count: usize) {
        let space = self.buffer.len() - self.cipher.end;
        self.cipher.end += count.min(space);
        // A read that fills all of a small buffer announces many more.
        if self.cipher.end == self.buffer.len() && self.buffer.len() < LARGE {
            self.buffer.resize(LARGE, 0);
        }
    }

    /// Bytes held beyond what a quiet connection needs are given back.
    pub fn shrink(&mut self) {
        if self.plain.is_empty() && self.cipher.is_empty() && self.buffer.len() > SMALL {
            self.buffer = vec![0; SMALL];
            self.plain = 0..0;
            self.cipher = 0..0;
        }
    }

    /// No byte of a record or message is waiting for the rest of it, and no
    /// plaintext to be consumed.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.plain.is_empty() && self.cipher.is_empty() && self.messages.is_empty()
    }

    /// From the next record on the peer uses other keys.
    ///
    /// # Errors
    /// [`RecordError::Interleaved`] if a message began under the old ones
    /// (RFC 8446 section 5.1).
    pub fn replace(&mut self, opener: Opener) -> Result<(), RecordError> {
        if !self.messages.is_empty() {
            return Err(RecordError::Interleaved);
        }
        self.opener = opener;
        Ok(())
    }

    /// Opens all whole records, up to a handshake message or the end.
    ///
    /// # Errors
    /// [`RecordError`]; the connection is of no further use. Plaintext opened
    /// before it may still be consumed.
    pub fn advance(&mut self) -> Result<Step, RecordError> {
        loop {
            if self.closed {
                self.cipher.start = self.cipher.end;
                return Ok(if self.plain.is_empty() {
                    Step::Closed
                } else {
                    Step::Data
                });
            }
            if let Some(message) = self.messages.next()? {
                return Ok(Step::Message(message));
            }
            match framed(&self.buffer[self.cipher.clone()])? {
                Some(length) if length <= self.cipher.len() => self.open(length)?,
                Some(_) | None if self.plain.is_empty() => return Ok(Step::NeedsBytes),
                Some(_) | None => return Ok(Step::Data),
            }
        }
    }

    /// Opens the record of `length` bytes that the ciphertext begins with.
    fn open(&mut self, length: usize) -> Result<(), RecordError> {
        let record = self.cipher.start..self.cipher.start + length;
        self.cipher.start = record.end;
        let target = self.plain.end;
        let (kind, content) = self
            .opener
            .open(&mut self.buffer[target..record.end], record.start - target)?;
        let content = target..target + content;
        if kind == ContentType::ApplicationData && !content.is_empty() {
            self.without_data = 0;
        } else {
            self.without_data += 1;
            if self.without_data > MAX_WITHOUT_DATA {
                return Err(RecordError::Idle);
            }
        }
        if kind != ContentType::Handshake && !self.messages.is_empty() {
            return Err(RecordError::Interleaved);
        }
        match kind {
            ContentType::ApplicationData => self.plain.end = content.end,
            ContentType::Handshake => self.handshake(content)?,
            ContentType::Alert => self.alert(content)?,
            ContentType::ChangeCipherSpec => return Err(RecordError::UnexpectedType),
        }
        Ok(())
    }

    fn handshake(&mut self, content: Range<usize>) -> Result<(), RecordError> {
        if self.opener.version() == Version::Tls12 {
            return Err(RecordError::Renegotiation);
        }
        if content.is_empty() {
            return Err(RecordError::UnexpectedType);
        }
        self.messages.push(&self.buffer[content]);
        Ok(())
    }

    fn alert(&mut self, content: Range<usize>) -> Result<(), RecordError> {
        const WARNING: u8 = 1;
        let &[level, code] = &self.buffer[content] else {
            return Err(RecordError::BadAlert);
        };
        let alert = Alert(code);
        // In TLS 1.3 the level says nothing (RFC 8446 section 6).
        let borne = alert == Alert::USER_CANCELED
            || (self.opener.version() == Version::Tls12 && level == WARNING);
        if alert == Alert::CLOSE_NOTIFY {
            self.closed = true;
            Ok(())
        } else if borne {
            Ok(())
        } else {
            Err(RecordError::PeerAlert(alert))
        }
    }
}
