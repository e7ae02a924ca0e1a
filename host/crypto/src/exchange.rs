//! Ephemeral key exchange: X25519, the NIST curves, and X25519 with ML-KEM-768.

use aws_lc_rs::{agreement, kem, rand};
use zeroize::Zeroizing;

use crate::{Error, Fault, Group, Refusal};

/// Length of the server's ML-KEM-768 ciphertext, in bytes (FIPS 203 table 3).
const ML_KEM_768_CIPHERTEXT: usize = 1088;

/// An exchange under way. Its private keys never leave it, and completing it
/// consumes them.
pub struct KeyExchange {
    group: Group,
    curve: agreement::EphemeralPrivateKey,
    kem: Option<Box<kem::DecapsulationKey<kem::AlgorithmId>>>,
    public: Vec<u8>,
}

impl KeyExchange {
    /// Makes fresh keys.
    ///
    /// # Errors
    /// [`Fault::Library`] if the library cannot.
    pub fn new(group: Group) -> Result<Self, Fault> {
        let curve =
            agreement::EphemeralPrivateKey::generate(curve_of(group), &rand::SystemRandom::new())
                .map_err(|_| Fault::Library)?;
        let mut public = Vec::new();
        let kem = match group {
            Group::X25519MlKem768 => {
                let key = kem::DecapsulationKey::generate(&kem::ML_KEM_768)
                    .map_err(|_| Fault::Library)?;
                let encapsulation = key
                    .encapsulation_key()
                    .and_then(|key| key.key_bytes())
                    .map_err(|_| Fault::Library)?;
                public.extend_from_slice(encapsulation.as_ref());
                Some(Box::new(key))
            }
            Group::X25519 | Group::Secp256r1 | Group::Secp384r1 => None,
        };
        let share = curve.compute_public_key().map_err(|_| Fault::Library)?;
        public.extend_from_slice(share.as_ref());
        Ok(KeyExchange {
            group,
            curve,
            kem,
            public,
        })
    }

    /// The share for the peer: ML-KEM's first in the hybrid
    /// (draft-ietf-tls-ecdhe-mlkem section 4.1).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// The shared secret. `group` is the exchange's own, or X25519 where the
    /// exchange is the hybrid and the peer chose its classical half.
    pub(crate) fn complete(self, group: Group, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let half = self.group == Group::X25519MlKem768 && group == Group::X25519;
        if group != self.group && !half {
            return Err(Fault::WrongKind.into());
        }
        let (ciphertext, point) = match group {
            Group::X25519MlKem768 => peer
                .split_at_checked(ML_KEM_768_CIPHERTEXT)
                .ok_or(Refusal::InvalidKeyShare)?,
            Group::X25519 | Group::Secp256r1 | Group::Secp384r1 => peer.split_at(0),
        };
        check_point(group, point)?;
        // Reserved at once, so that no half-filled copy is left behind by growth.
        let mut shared = Zeroizing::new(Vec::with_capacity(128));
        if let (Some(key), Group::X25519MlKem768) = (self.kem, group) {
            let secret = key
                .decapsulate(ciphertext.into())
                .map_err(|_| Refusal::InvalidKeyShare)?;
            shared.extend_from_slice(secret.as_ref());
        }
        let peer = agreement::UnparsedPublicKey::new(curve_of(group), point);
        agreement::agree_ephemeral(self.curve, peer, Refusal::InvalidKeyShare, |secret| {
            shared.extend_from_slice(secret);
            Ok(())
        })?;
        Ok(shared)
    }
}

fn curve_of(group: Group) -> &'static agreement::Algorithm {
    match group {
        Group::Secp256r1 => &agreement::ECDH_P256,
        Group::Secp384r1 => &agreement::ECDH_P384,
        Group::X25519 | Group::X25519MlKem768 => &agreement::X25519,
    }
}

/// Only the encodings of RFC 8446 section 4.2.8.2; the library would take others.
fn check_point(group: Group, point: &[u8]) -> Result<(), Refusal> {
    let valid = match group {
        Group::Secp256r1 => point.len() == 65 && point[0] == 4,
        Group::Secp384r1 => point.len() == 97 && point[0] == 4,
        Group::X25519 | Group::X25519MlKem768 => point.len() == 32,
    };
    if valid {
        Ok(())
    } else {
        Err(Refusal::InvalidKeyShare)
    }
}
