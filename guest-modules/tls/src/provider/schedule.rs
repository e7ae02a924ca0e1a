//! TLS 1.3's key schedule: rustls says what follows from what, the host derives.

use rustls::crypto::hmac::Tag;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};

use super::hash;
use crate::handle;
use crate::imports::{self, HashAlgorithm, Secret};

pub(super) static HKDF_SHA256: HostHkdf = HostHkdf(HashAlgorithm::Sha256);
pub(super) static HKDF_SHA384: HostHkdf = HostHkdf(HashAlgorithm::Sha384);

pub(super) struct HostHkdf(HashAlgorithm);

impl HostHkdf {
    fn extract(&self, salt: Option<&[u8]>, ikm: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        let secret = imports::extract(
            self.0,
            salt.map(handle::from_bytes),
            ikm.map(handle::from_bytes),
        );
        Box::new(Expander {
            hash: self.0,
            secret,
        })
    }
}

impl Hkdf for HostHkdf {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.extract(salt, None)
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        self.extract(salt, Some(secret))
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Expander {
            hash: self.0,
            secret: handle::from_bytes(okm.as_ref()),
        })
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        Tag::new(&imports::hmac(
            self.0,
            handle::from_bytes(key.as_ref()),
            message,
        ))
    }
}

struct Expander {
    hash: HashAlgorithm,
    secret: Secret,
}

impl Expander {
    /// The label says how long the output is. What rustls gives room for may
    /// be longer: all its AEAD keys have room for 32 bytes.
    ///
    /// A traffic secret's key and IV are derived by the host when it opens a
    /// record key, so here the secret stands for both.
    fn expand(&self, info: &[&[u8]]) -> Secret {
        let info = info.concat();
        if info.len() > LABEL && matches!(&info[LABEL..], b"\x09tls13 key\0" | b"\x08tls13 iv\0") {
            return self.secret;
        }
        let length = info
            .first_chunk()
            .map_or(0, |length| u16::from_be_bytes(*length));
        imports::expand(self.hash, self.secret, &info, u32::from(length))
    }
}

/// Where the label begins in an HkdfLabel, behind two bytes of length.
const LABEL: usize = 2;

impl HkdfExpander for Expander {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        let space = output
            .first_chunk_mut::<{ handle::HANDLE }>()
            .ok_or(OutputLengthError)?;
        *space = handle::to_bytes(self.expand(info));
        Ok(())
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        OkmBlock::new(&handle::to_bytes(self.expand(info)))
    }

    fn hash_len(&self) -> usize {
        hash::output_len(self.hash)
    }
}
