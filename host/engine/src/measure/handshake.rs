//! A handshake by itself, with a server that is a function.

use fumehood_policy::Target;

use super::{Guests, request};
use crate::tls;

/// A connection that has shaken hands.
pub struct Connected(#[expect(dead_code, reason = "only its drop matters")] tls::Finished);

impl Guests {
    /// Runs something while guests can be interrupted, as in an exchange. The
    /// handshakes of [`Guests::handshake`] belong in it.
    pub fn at_work<T>(&self, work: impl FnOnce() -> T) -> T {
        let _active = self.ticker.activate();
        work()
    }

    /// Makes a `tls` instance, has it shake hands and the certificate judged,
    /// and takes its keys. What is returned is the connection, for the caller
    /// to drop when it is over. `exchange` is given what the client sends
    /// and returns what the server answers.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub fn handshake(
        &self,
        target: &Target,
        exchange: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    ) -> Result<Connected, String> {
        let version = self.registry.tls.current().map_err(|e| format!("{e:?}"))?;
        let peer = tls::Peer {
            registry: &self.registry,
            version: &version,
            options: request(target, "/").tls,
            host: &target.host,
            key_log: None,
        };
        tls::handshake_in_memory(peer, exchange)
            .map(Connected)
            .map_err(|error| format!("{:?}", error.into_cause()))
    }
}
