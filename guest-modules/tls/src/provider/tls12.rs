//! TLS 1.2's key derivation.

use rustls::Error;
use rustls::crypto::ActiveKeyExchange;
use rustls::crypto::tls12::Prf;

use super::record::Aead;
use crate::handle;
use crate::imports::{self, HashAlgorithm};

/// The PRF of a cipher suite. The host cuts up the key block, so it must know
/// the suite's AEAD.
pub(super) struct HostPrf {
    pub(super) hash: HashAlgorithm,
    pub(super) aead: &'static Aead,
}

impl Prf for HostPrf {
    fn for_key_exchange(
        &self,
        output: &mut [u8; 48],
        exchange: Box<dyn ActiveKeyExchange>,
        peer: &[u8],
        label: &[u8],
        seed: &[u8],
    ) -> Result<(), Error> {
        if label != b"extended master secret" {
            return Err(Error::General(
                "only the extended master secret is made".to_owned(),
            ));
        }
        let premaster = handle::from_bytes(exchange.complete(peer)?.secret_bytes());
        let master = imports::tls12_master(self.hash, premaster, seed);
        output[..handle::HANDLE].copy_from_slice(&handle::to_bytes(master));
        Ok(())
    }

    fn for_secret(&self, output: &mut [u8], secret: &[u8], label: &[u8], seed: &[u8]) {
        let master = handle::from_bytes(secret);
        if label == b"key expansion" {
            let block = imports::tls12_key_block(self.hash, self.aead.algorithm, master, seed);
            let (client, rest) = output.split_at_mut(self.aead.key_len());
            handle::write(block.client, client);
            handle::write(block.server, rest);
        } else {
            let data = imports::tls12_finished(self.hash, master, label, seed);
            for (out, byte) in output.iter_mut().zip(data) {
                *out = byte;
            }
        }
    }
}
