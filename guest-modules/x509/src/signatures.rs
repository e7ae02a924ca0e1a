//! The signature algorithms of certificates, each an import.

use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

#[cfg(target_family = "wasm")]
use crate::component::bindings::fumehood::crypto::signatures::{Algorithm, verify};
#[cfg(not(target_family = "wasm"))]
use native::verify;
#[cfg(not(target_family = "wasm"))]
pub use native::{Algorithm, Check, install};

/// An algorithm as certificates name it, and as the host does.
#[derive(Debug)]
struct Imported {
    algorithm: Algorithm,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Imported {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if verify(self.algorithm, key, message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

const fn ecdsa(
    algorithm: Algorithm,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
) -> Imported {
    Imported {
        algorithm,
        key,
        signature,
    }
}

const fn rsa(algorithm: Algorithm, signature: AlgorithmIdentifier) -> Imported {
    Imported {
        algorithm,
        key: alg_id::RSA_ENCRYPTION,
        signature,
    }
}

/// All that are accepted. SHA-1 is not.
pub(crate) static ALL: [&dyn SignatureVerificationAlgorithm; 12] = [
    &ecdsa(
        Algorithm::EcdsaP256Sha256,
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA256,
    ),
    &ecdsa(
        Algorithm::EcdsaP256Sha384,
        alg_id::ECDSA_P256,
        alg_id::ECDSA_SHA384,
    ),
    &ecdsa(
        Algorithm::EcdsaP384Sha256,
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA256,
    ),
    &ecdsa(
        Algorithm::EcdsaP384Sha384,
        alg_id::ECDSA_P384,
        alg_id::ECDSA_SHA384,
    ),
    &ecdsa(
        Algorithm::EcdsaP521Sha512,
        alg_id::ECDSA_P521,
        alg_id::ECDSA_SHA512,
    ),
    &Imported {
        algorithm: Algorithm::Ed25519,
        key: alg_id::ED25519,
        signature: alg_id::ED25519,
    },
    &rsa(Algorithm::RsaPssSha256, alg_id::RSA_PSS_SHA256),
    &rsa(Algorithm::RsaPssSha384, alg_id::RSA_PSS_SHA384),
    &rsa(Algorithm::RsaPssSha512, alg_id::RSA_PSS_SHA512),
    &rsa(Algorithm::RsaPkcs1Sha256, alg_id::RSA_PKCS1_SHA256),
    &rsa(Algorithm::RsaPkcs1Sha384, alg_id::RSA_PKCS1_SHA384),
    &rsa(Algorithm::RsaPkcs1Sha512, alg_id::RSA_PKCS1_SHA512),
];

/// The import where there is no component.
#[cfg(not(target_family = "wasm"))]
mod native {
    use std::cell::Cell;

    /// As in `wit/crypto`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs, reason = "described in wit/crypto")]
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

    /// Whether the last is the signature of the third by the key.
    pub type Check = fn(Algorithm, &[u8], &[u8], &[u8]) -> bool;

    thread_local! {
        static CHECK: Cell<Check> = const { Cell::new(|_, _, _, _| false) };
    }

    /// Puts a check behind this thread's import. Without one nothing verifies.
    pub fn install(check: Check) {
        CHECK.set(check);
    }

    pub(super) fn verify(
        algorithm: Algorithm,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        CHECK.get()(algorithm, key, message, signature)
    }
}
