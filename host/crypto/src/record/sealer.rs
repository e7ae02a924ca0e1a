//! Records for what the host sends.

use super::{Alert, ContentType, HEADER, MAX_CONTENT};
use crate::protection::{Protection, TAG};
use crate::{Aead, Version};

/// Most records under one AES-GCM key (RFC 8446 section 5.5: 2^24.5).
const AES_GCM_RECORDS: u64 = 1 << 24;

/// Records kept back for a key update and alerts when the limit for data is reached.
const RESERVE: u64 = 8;

/// Bytes a record is longer than its content, at most.
const OVERHEAD: usize = HEADER + 8 + 1 + TAG;

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key has protected as many records as it may. In TLS 1.3 a key
    /// update is due, in TLS 1.2 a new connection.
    #[error("the connection's key has protected as many records as it may")]
    KeyLimit,
    /// More content than a record holds.
    #[error("the content is longer than a record may be")]
    TooLong,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// Seals records with sequence numbers of its own counting.
pub struct Sealer {
    protection: Protection,
    next: u64,
    limit: u64,
}

impl Sealer {
    pub(crate) fn new(protection: Protection, first: u64) -> Self {
        let limit = match protection.aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => AES_GCM_RECORDS,
            Aead::ChaCha20Poly1305 => u64::MAX,
        };
        Sealer {
            protection,
            next: first,
            limit,
        }
    }

    /// Appends application data to `out` as records of at most 16 KiB of content.
    /// Returns how much of `data` was sealed: less than all of it when the
    /// key's limit is reached on the way.
    ///
    /// # Errors
    /// [`SealError::KeyLimit`] when nothing could be sealed.
    pub fn seal_data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<usize, SealError> {
        out.reserve(data.len() + data.len().div_ceil(MAX_CONTENT) * OVERHEAD);
        let mut sealed = 0;
        for piece in data.chunks(MAX_CONTENT) {
            if self.next >= self.limit - RESERVE {
                return if sealed == 0 {
                    Err(SealError::KeyLimit)
                } else {
                    Ok(sealed)
                };
            }
            self.record(ContentType::ApplicationData, piece, out)?;
            sealed += piece.len();
        }
        Ok(sealed)
    }

    /// Appends a handshake message to `out`: at most 16 KiB.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_message(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        self.record(ContentType::Handshake, message, out)
    }

    /// Appends an alert to `out`.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal_alert(&mut self, alert: Alert, out: &mut Vec<u8>) -> Result<(), SealError> {
        self.record(ContentType::Alert, &alert.content(), out)
    }

    fn record(
        &mut self,
        kind: ContentType,
        content: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        if content.len() > MAX_CONTENT {
            return Err(SealError::TooLong);
        }
        if self.next >= self.limit {
            return Err(SealError::KeyLimit);
        }
        let inner_type = [kind.code_point()];
        let (outer, parts): (ContentType, [&[u8]; 2]) = match self.protection.version {
            Version::Tls12 => (kind, [content, &[]]),
            Version::Tls13 => (ContentType::ApplicationData, [content, &inner_type]),
        };
        let payload = self.protection.explicit_nonce() + parts[0].len() + parts[1].len() + TAG;
        // At most 2^14 + 25, as the content was bounded above.
        let length = u16::try_from(payload)
            .map_err(|_| SealError::TooLong)?
            .to_be_bytes();
        out.extend_from_slice(&[outer.code_point(), 3, 3, length[0], length[1]]);
        let sequence = self.next;
        self.next += 1;
        self.protection
            .seal(sequence, kind.code_point(), parts, out)
            .map_err(|_| SealError::Library)
    }

    /// Pretends that so many records have been sealed.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.next = sequence;
    }

    /// A record without content, which the host itself never sends.
    #[cfg(test)]
    pub(super) fn seal_nothing(&mut self, out: &mut Vec<u8>) -> Result<(), SealError> {
        self.record(ContentType::ApplicationData, &[], out)
    }
}
