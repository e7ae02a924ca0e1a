//! What the host does for a validator, done here, on a day that stays the same.

use fumehood_crypto::zone;
use fumehood_guest_dns::{Algorithm, Digest, Oracle};

/// A day of the tests, in seconds since the Unix epoch.
pub(crate) const TODAY: u32 = 1_800_000_000;

pub(crate) struct Computed;

impl Oracle for Computed {
    fn unix_time(&self) -> u64 {
        TODAY.into()
    }

    fn digest(&self, digest: Digest, bytes: &[u8]) -> Vec<u8> {
        let digest = match digest {
            Digest::Sha1 => zone::Digest::Sha1,
            Digest::Sha256 => zone::Digest::Sha256,
            Digest::Sha384 => zone::Digest::Sha384,
        };
        zone::digest(digest, bytes)
    }

    fn verify(&self, algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match algorithm {
            Algorithm::RsaSha256 => zone::Algorithm::RsaSha256,
            Algorithm::RsaSha512 => zone::Algorithm::RsaSha512,
            Algorithm::EcdsaP256 => zone::Algorithm::EcdsaP256Sha256,
            Algorithm::EcdsaP384 => zone::Algorithm::EcdsaP384Sha384,
            Algorithm::Ed25519 => zone::Algorithm::Ed25519,
        };
        zone::verify(algorithm, key, message, signature)
    }
}
