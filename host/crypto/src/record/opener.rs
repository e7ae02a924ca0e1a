//! Opens one record, in place.

use super::{Alert, ContentType, HEADER, MAX_CONTENT};
use crate::Version;
use crate::protection::Protection;

/// What a peer may do wrong behind the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record of a type that does not exist.
    #[error("the server sent something that is not a TLS record")]
    UnknownType,
    /// A record of a version that does not exist.
    #[error("the server sent a record of a version that does not exist")]
    BadVersion,
    /// A record longer than [`super::MAX_PAYLOAD`] or, opened, than [`MAX_CONTENT`].
    #[error("the server sent a record longer than 16 KiB")]
    TooLong,
    /// A record that does not authenticate: damaged, replayed or forged.
    #[error("a record from the server does not authenticate: it was damaged or forged")]
    BadRecord,
    /// A type that has no place here, or nothing but padding.
    #[error("the server sent a record of a type that has no place here")]
    UnexpectedType,
    /// Another record inside a handshake message, or a key change inside one.
    #[error("the server sent a handshake message with another record inside it")]
    Interleaved,
    /// A handshake message longer than [`super::MAX_MESSAGE`].
    #[error("the server sent a handshake message longer than 64 KiB")]
    MessageTooLong,
    /// An alert that is not two bytes.
    #[error("the server sent a malformed alert")]
    BadAlert,
    /// The peer gave up.
    #[error("the server closed the connection with the alert {name}", name = .0.name())]
    PeerAlert(Alert),
    /// TLS 1.2: the server wants another handshake.
    #[error("the server asked for renegotiation, which is not done")]
    Renegotiation,
    /// More records without data in a row than [`super::Inbound`] takes.
    #[error("the server keeps sending records without data")]
    Idle,
}

impl RecordError {
    /// What to tell the peer.
    #[must_use]
    pub fn alert(self) -> Option<Alert> {
        Some(match self {
            RecordError::BadRecord => Alert::BAD_RECORD_MAC,
            RecordError::TooLong => Alert::RECORD_OVERFLOW,
            RecordError::BadAlert | RecordError::MessageTooLong => Alert::DECODE_ERROR,
            RecordError::Renegotiation => Alert::NO_RENEGOTIATION,
            RecordError::UnknownType
            | RecordError::BadVersion
            | RecordError::UnexpectedType
            | RecordError::Interleaved
            | RecordError::Idle => Alert::UNEXPECTED_MESSAGE,
            RecordError::PeerAlert(_) => return None,
        })
    }
}

/// Opens records with sequence numbers of its own counting.
pub struct Opener {
    protection: Protection,
    next: u64,
}

impl Opener {
    pub(crate) fn new(protection: Protection, first: u64) -> Self {
        Opener {
            protection,
            next: first,
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.protection.version
    }

    /// Opens the record that fills `space` from `start` to its end, header
    /// included, and moves its content to the beginning of `space`. Returns
    /// the content's type and length.
    ///
    /// # Errors
    /// [`RecordError`]. Nothing in `space` is to be used then.
    pub fn open(
        &mut self,
        space: &mut [u8],
        start: usize,
    ) -> Result<(ContentType, usize), RecordError> {
        let outer = space
            .get(start)
            .and_then(|code| ContentType::of_code_point(*code))
            .ok_or(RecordError::UnknownType)?;
        if space.len() < start + HEADER {
            return Err(RecordError::BadRecord);
        }
        // A change_cipher_spec has no place behind the Finished messages
        // (RFC 8446 section 5), and in TLS 1.3 everything is disguised as data.
        let disguised = self.version() == Version::Tls13;
        if outer == ContentType::ChangeCipherSpec
            || (disguised && outer != ContentType::ApplicationData)
        {
            return Err(RecordError::UnexpectedType);
        }
        if space[start + 1..start + 3] != [3, 3] {
            return Err(RecordError::BadVersion);
        }
        let length = self
            .protection
            .open(self.next, outer.code_point(), space, start + HEADER)
            .map_err(|_| RecordError::BadRecord)?;
        self.next = self.next.checked_add(1).ok_or(RecordError::BadRecord)?;
        if disguised {
            unwrap_inner(&space[..length])
        } else if length > MAX_CONTENT {
            Err(RecordError::TooLong)
        } else {
            Ok((outer, length))
        }
    }
}

/// TLSInnerPlaintext: content, type, zeros (RFC 8446 section 5.2).
fn unwrap_inner(plaintext: &[u8]) -> Result<(ContentType, usize), RecordError> {
    if plaintext.len() > MAX_CONTENT + 1 {
        return Err(RecordError::TooLong);
    }
    let end = plaintext
        .iter()
        .rposition(|byte| *byte != 0)
        .ok_or(RecordError::UnexpectedType)?;
    match ContentType::of_code_point(plaintext[end]) {
        None | Some(ContentType::ChangeCipherSpec) => Err(RecordError::UnexpectedType),
        Some(kind) => Ok((kind, end)),
    }
}
