//! What validating takes, which the guest asks of the host.

use fumehood_crypto::zone;
use wasmtime::Result;

use super::bindings::fumehood::dns::signatures::{
    self as wire, DigestAlgorithm, SignatureAlgorithm,
};
use super::state::DnsState;

impl wire::Host for &mut DnsState {
    fn digest(&mut self, algorithm: DigestAlgorithm, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(digest(algorithm, &data))
    }

    fn verify(
        &mut self,
        algorithm: SignatureAlgorithm,
        public_key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        let algorithm = match algorithm {
            SignatureAlgorithm::RsaSha256 => zone::Algorithm::RsaSha256,
            SignatureAlgorithm::RsaSha512 => zone::Algorithm::RsaSha512,
            SignatureAlgorithm::EcdsaP256Sha256 => zone::Algorithm::EcdsaP256Sha256,
            SignatureAlgorithm::EcdsaP384Sha384 => zone::Algorithm::EcdsaP384Sha384,
            SignatureAlgorithm::Ed25519 => zone::Algorithm::Ed25519,
        };
        Ok(zone::verify(algorithm, &public_key, &message, &signature))
    }
}

/// A zone's digest, by the guest's name of it.
pub(crate) fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        DigestAlgorithm::Sha1 => zone::Digest::Sha1,
        DigestAlgorithm::Sha256 => zone::Digest::Sha256,
        DigestAlgorithm::Sha384 => zone::Digest::Sha384,
    };
    zone::digest(algorithm, data)
}
