//! Signature verification: by algorithm for certificates, by scheme for handshakes.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::Version;

/// Kinds of public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// RFC 8032.
    Ed25519,
    /// RFC 8017, of 2,048 to 8,192 bits.
    Rsa,
}

/// A certificate's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Of which kind.
    pub kind: KeyKind,
    /// Content of the subjectPublicKey bit string.
    pub bytes: Vec<u8>,
}

/// Algorithms of certificates: kind of key and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are those of RFC 5758, RFC 8410, RFC 4055"
)]
pub enum Algorithm {
    EcdsaP256Sha256,
    EcdsaP256Sha384,
    EcdsaP384Sha256,
    EcdsaP384Sha384,
    EcdsaP521Sha512,
    Ed25519,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
}

impl Algorithm {
    fn implementation(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Algorithm::EcdsaP256Sha384 => &ECDSA_P256_SHA384_ASN1,
            Algorithm::EcdsaP384Sha256 => &ECDSA_P384_SHA256_ASN1,
            Algorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
            Algorithm::EcdsaP521Sha512 => &ECDSA_P521_SHA512_ASN1,
            Algorithm::Ed25519 => &ED25519,
            Algorithm::RsaPssSha256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::RsaPssSha384 => &RSA_PSS_2048_8192_SHA384,
            Algorithm::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
            Algorithm::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RsaPkcs1Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RsaPkcs1Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        }
    }

    /// What a handshake scheme (IANA "TLS SignatureScheme") means for a kind
    /// of key. TLS 1.3 ties the curve to the hash and has no PKCS #1 v1.5
    /// (RFC 8446 section 4.2.3); TLS 1.2 does neither.
    #[must_use]
    pub fn of_scheme(version: Version, scheme: u16, kind: KeyKind) -> Option<Self> {
        Some(match (version, scheme, kind) {
            (_, 0x0403, KeyKind::P256) => Algorithm::EcdsaP256Sha256,
            (_, 0x0503, KeyKind::P384) => Algorithm::EcdsaP384Sha384,
            (_, 0x0603, KeyKind::P521) => Algorithm::EcdsaP521Sha512,
            (_, 0x0807, KeyKind::Ed25519) => Algorithm::Ed25519,
            (_, 0x0804, KeyKind::Rsa) => Algorithm::RsaPssSha256,
            (_, 0x0805, KeyKind::Rsa) => Algorithm::RsaPssSha384,
            (_, 0x0806, KeyKind::Rsa) => Algorithm::RsaPssSha512,
            (Version::Tls12, 0x0503, KeyKind::P256) => Algorithm::EcdsaP256Sha384,
            (Version::Tls12, 0x0403, KeyKind::P384) => Algorithm::EcdsaP384Sha256,
            (Version::Tls12, 0x0401, KeyKind::Rsa) => Algorithm::RsaPkcs1Sha256,
            (Version::Tls12, 0x0501, KeyKind::Rsa) => Algorithm::RsaPkcs1Sha384,
            (Version::Tls12, 0x0601, KeyKind::Rsa) => Algorithm::RsaPkcs1Sha512,
            _ => return None,
        })
    }
}

/// Whether `signature` over `message` is the key's. `key` is the content of
/// the subjectPublicKey bit string: an uncompressed point, 32 bytes, or an
/// RSAPublicKey.
#[must_use]
pub fn verify(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    has_certificate_form(algorithm, key)
        && UnparsedPublicKey::new(algorithm.implementation(), key)
            .verify(message, signature)
            .is_ok()
}

/// The library takes more encodings than certificates have.
fn has_certificate_form(algorithm: Algorithm, key: &[u8]) -> bool {
    match algorithm {
        Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha384 => is_point(key, 65),
        Algorithm::EcdsaP384Sha256 | Algorithm::EcdsaP384Sha384 => is_point(key, 97),
        Algorithm::EcdsaP521Sha512 => is_point(key, 133),
        Algorithm::Ed25519 => key.len() == 32,
        _ => key.first() == Some(&0x30),
    }
}

fn is_point(key: &[u8], length: usize) -> bool {
    key.len() == length && key[0] == 4
}
