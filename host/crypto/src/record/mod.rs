//! The TLS record layer behind the handshake (RFC 8446 section 5, RFC 5246 section 6).
//!
//! [`Sealer`] makes records of what the host sends, [`Inbound`] holds what
//! arrived and opens it in place. Handshake messages that arrive among the
//! data are put together and given out whole, for a guest to read.

mod alert;
mod inbound;
mod messages;
mod opener;
mod sealer;

#[cfg(test)]
mod tests;

pub use alert::{Alert, description};
pub use inbound::{Inbound, Step};
pub use messages::MAX_MESSAGE;
pub use opener::{Opener, RecordError};
pub use sealer::{SealError, Sealer};

/// Length of a record's header, in bytes: type, version, length.
pub const HEADER: usize = 5;

/// Most content of a record, in bytes (RFC 8446 section 5.1).
pub const MAX_CONTENT: usize = 1 << 14;

/// Most payload of a record in TLS 1.3, in bytes (RFC 8446 section 5.2). The
/// AEADs of TLS 1.2 add less, so it bounds their records too.
pub const MAX_PAYLOAD: usize = MAX_CONTENT + 256;

/// What a record carries (IANA "TLS ContentType").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// 20
    ChangeCipherSpec,
    /// 21
    Alert,
    /// 22
    Handshake,
    /// 23
    ApplicationData,
}

impl ContentType {
    /// IANA code point.
    #[must_use]
    pub const fn code_point(self) -> u8 {
        match self {
            ContentType::ChangeCipherSpec => 20,
            ContentType::Alert => 21,
            ContentType::Handshake => 22,
            ContentType::ApplicationData => 23,
        }
    }

    /// The type of a code point.
    #[must_use]
    pub const fn of_code_point(code: u8) -> Option<Self> {
        Some(match code {
            20 => ContentType::ChangeCipherSpec,
            21 => ContentType::Alert,
            22 => ContentType::Handshake,
            23 => ContentType::ApplicationData,
            _ => return None,
        })
    }
}

/// Length of the record that `bytes` begin with, header included: it may be
/// more than there is. `None` while the header is not whole.
///
/// # Errors
/// [`RecordError::UnknownType`], [`RecordError::BadVersion`] and
/// [`RecordError::TooLong`], as soon as the header shows it.
pub fn framed(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    let Some(&[kind, major, minor, high, low]) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    if ContentType::of_code_point(kind).is_none() {
        return Err(RecordError::UnknownType);
    }
    // A first ServerHello may come in a record that says 3.1.
    if major != 3 || !(1..=3).contains(&minor) {
        return Err(RecordError::BadVersion);
    }
    let payload = usize::from(u16::from_be_bytes([high, low]));
    if payload > MAX_PAYLOAD {
        return Err(RecordError::TooLong);
    }
    Ok(Some(HEADER + payload))
}
