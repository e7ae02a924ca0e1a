//! A cryptographic provider for rustls in which every operation is an import.

mod exchange;
mod hash;
mod record;
mod schedule;
mod suites;
mod tls12;

use std::sync::Arc;

use rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

use crate::imports;

/// Most bytes of one `random` import.
const MAX_RANDOM: u32 = 256;

/// The provider. It verifies no signatures: those are the verifier's business,
/// which is the host's.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: suites::ALL.to_vec(),
        kx_groups: exchange::ALL.to_vec(),
        signature_verification_algorithms: WebPkiSupportedAlgorithms {
            all: &[],
            mapping: &[],
        },
        secure_random: &HostRandom,
        key_provider: &NoKeys,
    }
}

#[derive(Debug)]
struct HostRandom;

impl SecureRandom for HostRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), GetRandomFailed> {
        let length = u32::try_from(out.len()).map_err(|_| GetRandomFailed)?;
        if length == 0 {
            return Ok(());
        }
        if length > MAX_RANDOM {
            return Err(GetRandomFailed);
        }
        let random = imports::random(length);
        if random.len() != out.len() {
            return Err(GetRandomFailed);
        }
        out.copy_from_slice(&random);
        Ok(())
    }
}

#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _key: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General(
            "no private key enters a guest".to_owned(),
        ))
    }
}
