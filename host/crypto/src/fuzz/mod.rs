//! The parts of this crate that read a peer's bytes, under keys that everybody
//! knows, for fuzzing; and a service of keys that protects nothing at all.
//!
//! Not part of the crate's face: behind the feature `fuzz`, which no shipped
//! program turns on.

mod toy;

pub use toy::{TAG_OF_A_BAD_RECORD, TOY_MAC, Toy};

use crate::protection::Protection;
use crate::record::{ContentType, HEADER, Opener};
use crate::transcript::Hellos;
use crate::{Aead, Direction, Fault, GuestKey, Version};

/// Both ends of one connection's inbound records. The key is always the same.
pub struct Records {
    version: Version,
    aead: Aead,
    next: u64,
}

impl Records {
    /// The peer's end, at its first record.
    #[must_use]
    pub fn new(version: Version, aead: Aead) -> Records {
        Records {
            version,
            aead,
            next: 0,
        }
    }

    /// Our end, at its first record.
    ///
    /// # Errors
    /// [`Fault::Library`] if the cryptographic library fails.
    pub fn opener(&self) -> Result<Opener, Fault> {
        Ok(Opener::new(self.protection()?, 0))
    }

    /// The same as a guest uses it in a TLS 1.3 handshake.
    ///
    /// # Errors
    /// [`Fault::Library`] if the cryptographic library fails.
    pub fn guest_key(&self) -> Result<GuestKey, Fault> {
        Ok(GuestKey::handshake(self.protection()?, Direction::Open))
    }

    /// Appends a record with a header of this type around any plaintext, which
    /// for TLS 1.3 is a whole TLSInnerPlaintext (RFC 8446 section 5.2).
    ///
    /// # Errors
    /// [`Fault::BadLength`] if it is longer than a header can say.
    pub fn seal(
        &mut self,
        outer: ContentType,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let start = out.len();
        out.extend_from_slice(&[outer.code_point(), 3, 3, 0, 0]);
        let sequence = self.next;
        self.next += 1;
        self.protection()?
            .seal(sequence, outer.code_point(), [plaintext, &[]], out)?;
        let payload = out.len() - start - HEADER;
        let length = u16::try_from(payload).map_err(|_| Fault::BadLength)?;
        out[start + 3..start + HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn protection(&self) -> Result<Protection, Fault> {
        let key = vec![7; self.aead.key_len()];
        let iv = vec![9; self.aead.fixed_iv_len(self.version)];
        Protection::new(self.version, self.aead, &key, &iv)
    }
}

/// What the beginning of a transcript says: the client's random number, and
/// the ServerHello behind its session id.
#[must_use]
pub fn hellos(transcript: &[u8]) -> (Option<&[u8; 32]>, Option<&[u8]>) {
    let hellos = Hellos::find(transcript);
    (hellos.client_random, hellos.server_part)
}
