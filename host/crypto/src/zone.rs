//! Signatures and digests of DNSSEC, over public data.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// Digests of DS and NSEC3 records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// Hashes names in NSEC3 (RFC 5155), where nothing rests on its strength
    /// against collisions; and old delegations.
    Sha1,
    /// RFC 4509.
    Sha256,
    /// RFC 6605.
    Sha384,
}

/// Algorithms of RRSIG records (RFC 9904).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the IANA registry")]
pub enum Algorithm {
    /// Keys of 1,024 to 8,192 bits: zones still sign with the shorter ones.
    RsaSha256,
    /// The same keys.
    RsaSha512,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    Ed25519,
}

impl Algorithm {
    fn implementation(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Algorithm::RsaSha256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Algorithm::RsaSha512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::Ed25519 => &ED25519,
        }
    }
}

/// 20, 32 or 48 bytes.
#[must_use]
pub fn digest(algorithm: Digest, bytes: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        Digest::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => &SHA256,
        Digest::Sha384 => &SHA384,
    };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

/// Whether `signature`, as a record has it, is the key's over `message`. `key` is
/// an RSAPublicKey in DER, an uncompressed point, or 32 bytes.
#[must_use]
pub fn verify(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm.implementation(), key)
        .verify(message, signature)
        .is_ok()
}
