//! A handshake with a peer that is a function: no socket, so what is timed is the client.

use fumehood_control::Cause;
use fumehood_crypto::record::{Opener, Sealer, framed};

use super::guest::{Failed, Guest, HandshakeError};
use super::{Begun, failure};

/// What a handshake leaves behind.
pub(crate) struct Finished {
    _sealer: Sealer,
    _opener: Opener,
    _guest: Guest,
}

/// Goes on with a handshake, with `exchange` as the peer, which is given what the client sends and
/// returns what the server answers. The instance is returned with its keys, as
/// it lives on with the connection.
///
/// # Errors
/// As [`super::handshake`].
pub(crate) fn handshake_in_memory(
    begun: Begun,
    exchange: &mut dyn FnMut(&[u8]) -> Vec<u8>,
) -> Result<Finished, HandshakeError> {
    let Begun {
        mut guest,
        first: mut progress,
        ..
    } = begun;
    let told = |failed: Failed| failed.error;
    let mut arrived = Vec::new();
    loop {
        if !progress.send.is_empty() {
            arrived.extend_from_slice(&exchange(&progress.send));
        }
        if let Some(keys) = progress.established {
            let (sealer, opener) = guest.release(&keys)?;
            return Ok(Finished {
                _sealer: sealer,
                _opener: opener,
                _guest: guest,
            });
        }
        let length = framed(&arrived)
            .map_err(failure::record)?
            .filter(|length| *length <= arrived.len())
            .ok_or_else(|| Cause::Truncated {
                place: "tls-handshake".to_owned(),
            })?;
        progress = guest.receive(&arrived[..length]).map_err(told)?;
        arrived.drain(..length);
    }
}
