//! A handshake by itself, with a server that is a function.

use fumehood_policy::Target;

use super::{Guests, request};
use crate::tls;

/// A handshake whose ClientHello is ready to be sent.
pub struct Begun(tls::Begun);

/// A connection that has shaken hands.
pub struct Connected(#[expect(dead_code, reason = "only its drop matters")] tls::Finished);

impl Guests {
    /// Runs something while guests can be interrupted, as in an exchange. The
    /// handshakes of [`Guests::handshake`] belong in it.
    pub fn at_work<T>(&self, work: impl FnOnce() -> T) -> T {
        let _active = self.ticker.activate();
        work()
    }

    /// Makes a `tls` instance and has it write its ClientHello, as the engine
    /// does while the connection is dialled.
    ///
    /// # Errors
    /// When there is no instance, or nothing to offer.
    pub fn begin(&self, target: &Target) -> Result<Begun, String> {
        let version = self.registry.tls.current().map_err(|e| format!("{e:?}"))?;
        let peer = tls::Peer {
            registry: &self.registry,
            version: &version,
            options: request(target, "/").tls,
            host: &target.host,
            alpn: tls::HTTP,
            key_log: None,
        };
        tls::begin(peer)
            .map(Begun)
            .map_err(|error| format!("{:?}", error.into_cause()))
    }

    /// Shakes hands, has the certificate judged, and takes the keys. What is
    /// returned is the connection, for the caller to drop when it is over.
    /// `exchange` is given what the client sends and returns what the server
    /// answers.
    ///
    /// # Errors
    /// Why the handshake failed.
    pub fn handshake(
        &self,
        begun: Begun,
        exchange: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    ) -> Result<Connected, String> {
        tls::handshake_in_memory(begun.0, exchange)
            .map(Connected)
            .map_err(|error| format!("{:?}", error.into_cause()))
    }
}
