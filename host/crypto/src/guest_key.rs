//! A record key in a guest's use, for the records of the handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protection::Protection;
use crate::secret::Use;
use crate::{Direction, Error, Fault, Refusal};

/// Most content of one record, in bytes: 2^14 and the inner type (RFC 8446 section 5.2).
const MAX_CONTENT: usize = (1 << 14) + 1;

/// Most payload of one record, in bytes (RFC 5246 section 6.2.3, the larger of the two).
const MAX_PAYLOAD: usize = (1 << 14) + 2048;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// A record key the guest may use but not see.
///
/// Keys of application data serve it for no more than the handshake needs:
/// TLS 1.2's Finished messages, and one alert.
pub struct GuestKey {
    protection: Protection,
    r#use: Use,
    direction: Direction,
    /// The next sequence number of a sealing key; shared with the connection
    /// where the key will later be the host's.
    next: Arc<AtomicU64>,
}

impl GuestKey {
    pub(crate) fn new(
        protection: Protection,
        r#use: Use,
        direction: Direction,
        next: Arc<AtomicU64>,
    ) -> Self {
        GuestKey {
            protection,
            r#use,
            direction,
            next,
        }
    }

    /// Seals one record's content and returns its payload.
    ///
    /// # Errors
    /// [`Refusal::OutOfSequence`] if `sequence` is not the next one;
    /// [`Refusal::NotAuthenticated`] for what is the host's alone to send;
    /// faults for an opening key and for too much content.
    pub fn seal(&self, sequence: u64, content_type: u8, content: &[u8]) -> Result<Vec<u8>, Error> {
        if self.direction != Direction::Seal {
            return Err(Fault::WrongKind.into());
        }
        if content.len() > MAX_CONTENT {
            return Err(Fault::BadLength.into());
        }
        self.check_sealed(sequence, content_type, content)?;
        let after = sequence.checked_add(1).ok_or(Refusal::OutOfSequence)?;
        self.next
            .compare_exchange(sequence, after, Ordering::Relaxed, Ordering::Relaxed)
            .map_err(|_| Refusal::OutOfSequence)?;
        let mut out = Vec::with_capacity(content.len() + 8 + 16);
        self.protection
            .seal(sequence, content_type, [content, &[]], &mut out)?;
        Ok(out)
    }

    /// What a guest may send under which key.
    fn check_sealed(&self, sequence: u64, kind: u8, content: &[u8]) -> Result<(), Refusal> {
        let allowed = match self.r#use {
            Use::Handshake(_) => true,
            Use::Application12(_) => match kind {
                HANDSHAKE => sequence == 0,
                ALERT => content.len() == 2 && sequence < 2,
                _ => false,
            },
            Use::Application13(..) => {
                sequence == 0 && content.len() == 3 && content.last() == Some(&ALERT)
            }
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::NotAuthenticated)
        }
    }

    /// Opens one record's payload.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] if it does not authenticate;
    /// [`Refusal::NotAuthenticated`] for application data; faults for a
    /// sealing key and for too much payload.
    pub fn unseal(
        &self,
        sequence: u64,
        content_type: u8,
        mut payload: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        if self.direction != Direction::Open {
            return Err(Fault::WrongKind.into());
        }
        if payload.len() > MAX_PAYLOAD {
            return Err(Fault::BadLength.into());
        }
        let allowed = match self.r#use {
            Use::Handshake(_) => true,
            Use::Application12(_) => matches!(content_type, ALERT | HANDSHAKE),
            Use::Application13(..) => false,
        };
        if !allowed {
            return Err(Refusal::NotAuthenticated.into());
        }
        let length = self
            .protection
            .open(sequence, content_type, &mut payload, 0)?;
        payload.truncate(length);
        Ok(payload)
    }
}
