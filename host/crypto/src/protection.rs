//! One record protection key: nonces and additional data of both versions.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{Aead, Fault, Refusal, Version};

/// Length of an AEAD tag, in bytes, of every suite spoken.
pub(crate) const TAG: usize = 16;

/// Length of TLS 1.2 AES-GCM's explicit nonce, in bytes (RFC 5288 section 3).
const EXPLICIT_NONCE: usize = 8;

/// A key with its IV. It does not count: callers own the sequence numbers.
pub(crate) struct Protection {
    key: LessSafeKey,
    iv: [u8; 12],
    pub(crate) version: Version,
    pub(crate) aead: Aead,
}

impl Protection {
    pub(crate) fn new(version: Version, aead: Aead, key: &[u8], iv: &[u8]) -> Result<Self, Fault> {
        if key.len() != aead.key_len() || iv.len() != aead.fixed_iv_len(version) {
            return Err(Fault::BadLength);
        }
        let key = UnboundKey::new(aead.algorithm(), key).map_err(|_| Fault::Library)?;
        let mut padded = [0; 12];
        padded[..iv.len()].copy_from_slice(iv);
        Ok(Protection {
            key: LessSafeKey::new(key),
            iv: padded,
            version,
            aead,
        })
    }

    /// Bytes of nonce at the beginning of each record's payload.
    pub(crate) fn explicit_nonce(&self) -> usize {
        match (self.version, self.aead) {
            (Version::Tls12, Aead::Aes128Gcm | Aead::Aes256Gcm) => EXPLICIT_NONCE,
            (Version::Tls12, Aead::ChaCha20Poly1305) | (Version::Tls13, _) => 0,
        }
    }

    /// Appends a record's payload to `out`: explicit nonce, ciphertext, tag.
    /// The content is `parts`, one behind the other.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        content_type: u8,
        parts: [&[u8]; 2],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let length = parts[0].len() + parts[1].len();
        let explicit = self.explicit_nonce();
        // The sequence number is the explicit nonce, so it cannot repeat.
        out.extend_from_slice(&sequence.to_be_bytes()[..explicit]);
        let start = out.len();
        out.extend_from_slice(parts[0]);
        out.extend_from_slice(parts[1]);
        let nonce = self.nonce(sequence, &sequence.to_be_bytes());
        let aad = self.additional_data(sequence, content_type, length, length + TAG);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad.as_slice()), &mut out[start..])
            .map_err(|_| Fault::Library)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens the payload that begins at `payload` in `space` and moves the
    /// content to the beginning of `space`. Returns its length.
    pub(crate) fn open(
        &self,
        sequence: u64,
        content_type: u8,
        space: &mut [u8],
        payload: usize,
    ) -> Result<usize, Refusal> {
        let start = payload + self.explicit_nonce();
        let length = space
            .len()
            .checked_sub(start + TAG)
            .ok_or(Refusal::BadRecord)?;
        let mut explicit = [0; 8];
        let given = &space[payload..start];
        explicit[..given.len()].copy_from_slice(given);
        let nonce = self.nonce(sequence, &explicit);
        let aad = self.additional_data(sequence, content_type, length, length + TAG);
        self.key
            .open_within(nonce, Aad::from(aad.as_slice()), space, start..)
            .map(|content| content.len())
            .map_err(|_| Refusal::BadRecord)
    }

    fn nonce(&self, sequence: u64, explicit: &[u8; 8]) -> Nonce {
        let mut nonce = self.iv;
        if self.explicit_nonce() > 0 {
            nonce[4..].copy_from_slice(explicit);
        } else {
            for (byte, number) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
                *byte ^= number;
            }
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 8446 section 5.2; RFC 5246 section 6.2.3.3. Records carry version
    /// 1.2 in both; a header that says otherwise has already been refused.
    fn additional_data(
        &self,
        sequence: u64,
        content_type: u8,
        content: usize,
        ciphertext: usize,
    ) -> AdditionalData {
        let mut data = AdditionalData {
            bytes: [0; 13],
            length: 0,
        };
        let length = match self.version {
            Version::Tls12 => {
                data.push(&sequence.to_be_bytes());
                data.push(&[content_type]);
                content
            }
            Version::Tls13 => {
                data.push(&[23]);
                ciphertext
            }
        };
        data.push(&[3, 3]);
        // Both were bounded by the callers: a record's length has 16 bits.
        data.push(&(length & 0xffff).to_be_bytes()[size_of::<usize>() - 2..]);
        data
    }
}

/// At most 13 bytes, without an allocation a record.
struct AdditionalData {
    bytes: [u8; 13],
    length: usize,
}

impl AdditionalData {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
