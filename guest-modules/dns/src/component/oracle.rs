//! Signatures and digests, which the host does, and its date.

use super::bindings::fumehood::dns::signatures::{
    DigestAlgorithm, SignatureAlgorithm, digest, verify,
};
use super::bindings::wasi::clocks::wall_clock;
use crate::dnssec::{Algorithm, Digest, Oracle};

pub(super) struct Host;

impl Oracle for Host {
    fn unix_time(&self) -> u64 {
        wall_clock::now().seconds
    }

    fn digest(&self, algorithm: Digest, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match algorithm {
            Digest::Sha1 => DigestAlgorithm::Sha1,
            Digest::Sha256 => DigestAlgorithm::Sha256,
            Digest::Sha384 => DigestAlgorithm::Sha384,
        };
        digest(algorithm, bytes)
    }

    fn verify(&self, algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match algorithm {
            Algorithm::RsaSha256 => SignatureAlgorithm::RsaSha256,
            Algorithm::RsaSha512 => SignatureAlgorithm::RsaSha512,
            Algorithm::EcdsaP256 => SignatureAlgorithm::EcdsaP256Sha256,
            Algorithm::EcdsaP384 => SignatureAlgorithm::EcdsaP384Sha384,
            Algorithm::Ed25519 => SignatureAlgorithm::Ed25519,
        };
        verify(algorithm, key, message, signature)
    }
}
