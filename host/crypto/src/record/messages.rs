//! Handshake messages put together from records (RFC 8446 section 5.1).

use super::RecordError;

/// Longest handshake message behind the handshake, in bytes, header included.
/// Tickets of real servers have a few hundred bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Length of a handshake message's header, in bytes: type and length.
const MESSAGE_HEADER: usize = 4;

/// Handshake bytes not yet given out.
#[derive(Default)]
pub(crate) struct Messages {
    pending: Vec<u8>,
}

impl Messages {
    /// Adds a record's content.
    pub(crate) fn push(&mut self, content: &[u8]) {
        self.pending.extend_from_slice(content);
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(&[_, high, middle, low]) = self.pending.first_chunk::<MESSAGE_HEADER>() else {
            return Ok(None);
        };
        let length = MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > MAX_MESSAGE {
            return Err(RecordError::MessageTooLong);
        }
        if self.pending.len() < length {
            return Ok(None);
        }
        let rest = self.pending.split_off(length);
        Ok(Some(std::mem::replace(&mut self.pending, rest)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
