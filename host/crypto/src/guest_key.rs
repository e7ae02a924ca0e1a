//! A record key in a guest's use, for the records of the handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::protection::Protection;
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
/// in TLS 1.2 for the Finished messages and one alert, in TLS 1.3 for nothing.
pub struct GuestKey(Inner);

enum Inner {
    Handshake {
        protection: Protection,
        direction: Direction,
        next: Arc<AtomicU64>,
    },
    Finished12 {
        protection: Protection,
        direction: Direction,
        /// Shared with the connection, whose record layer goes on from there.
        next: Arc<AtomicU64>,
    },
    Useless,
}

impl GuestKey {
    /// For TLS 1.3's encrypted part of the handshake.
    pub(crate) fn handshake(protection: Protection, direction: Direction) -> Self {
        GuestKey(Inner::Handshake {
            protection,
            direction,
            next: Arc::default(),
        })
    }

    /// For TLS 1.2's Finished message in one direction.
    pub(crate) fn finished12(
        protection: Protection,
        direction: Direction,
        next: Arc<AtomicU64>,
    ) -> Self {
        GuestKey(Inner::Finished12 {
            protection,
            direction,
            next,
        })
    }

    /// For TLS 1.3's application data: the guest's state machine wants a key
    /// there and has no use for it.
    pub(crate) fn useless() -> Self {
        GuestKey(Inner::Useless)
    }

    /// Seals one record's content and returns its payload.
    ///
    /// # Errors
    /// [`Refusal::OutOfSequence`] if `sequence` is not the next one;
    /// [`Refusal::NotAuthenticated`] for what is the host's alone to send;
    /// faults for an opening key and for too much content.
    pub fn seal(&self, sequence: u64, content_type: u8, content: &[u8]) -> Result<Vec<u8>, Error> {
        let (protection, direction, next) = match &self.0 {
            Inner::Handshake {
                protection,
                direction,
                next,
            } => (protection, direction, next),
            Inner::Finished12 {
                protection,
                direction,
                next,
            } => {
                let allowed = match content_type {
                    HANDSHAKE => sequence == 0,
                    ALERT => sequence < 2 && content.len() == 2,
                    _ => false,
                };
                if !allowed {
                    return Err(Refusal::NotAuthenticated.into());
                }
                (protection, direction, next)
            }
            Inner::Useless => return Err(Refusal::NotAuthenticated.into()),
        };
        if *direction != Direction::Seal {
            return Err(Fault::WrongKind.into());
        }
        if content.len() > MAX_CONTENT {
            return Err(Fault::BadLength.into());
        }
        let after = sequence.checked_add(1).ok_or(Refusal::OutOfSequence)?;
        next.compare_exchange(sequence, after, Ordering::Relaxed, Ordering::Relaxed)
            .map_err(|_| Refusal::OutOfSequence)?;
        let mut out = Vec::with_capacity(content.len() + 8 + 16);
        protection.seal(sequence, content_type, [content, &[]], &mut out)?;
        Ok(out)
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
        let (protection, direction) = match &self.0 {
            Inner::Handshake {
                protection,
                direction,
                ..
            } => (protection, direction),
            Inner::Finished12 {
                protection,
                direction,
                ..
            } if matches!(content_type, ALERT | HANDSHAKE) => (protection, direction),
            Inner::Finished12 { .. } | Inner::Useless => {
                return Err(Refusal::NotAuthenticated.into());
            }
        };
        if *direction != Direction::Open {
            return Err(Fault::WrongKind.into());
        }
        if payload.len() > MAX_PAYLOAD {
            return Err(Fault::BadLength.into());
        }
        let length = protection.open(sequence, content_type, &mut payload, 0)?;
        payload.truncate(length);
        Ok(payload)
    }
}
