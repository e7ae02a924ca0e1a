//! A handshake with a peer that is a function: no socket, so what is timed is the client.

use std::time::{SystemTime, UNIX_EPOCH};

use fumehood_control::Cause;
use fumehood_crypto::record::{Opener, Sealer, framed};

use super::guest::Failed;
use super::handshake::config;
use super::state::Subject;
use super::{Peer, failure};

/// Shakes hands with `exchange`, which is given what the client sends and
/// returns what the server answers. Makes the instance, and drops it.
///
/// # Errors
/// As [`super::handshake`].
pub(crate) fn handshake_in_memory(
    peer: Peer<'_>,
    exchange: &mut dyn FnMut(&[u8]) -> Vec<u8>,
) -> Result<(Sealer, Opener), Cause> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let subject = Subject::new(peer.host, peer.options.verification, now);
    let config = config(&subject, peer.options);
    let mut guest = peer
        .module
        .instantiate(subject, peer.verifier, peer.key_log)?;
    let told = |failed: Failed| failed.cause;
    let mut progress = guest.start(&config).map_err(told)?;
    let mut arrived = Vec::new();
    loop {
        if !progress.send.is_empty() {
            arrived.extend_from_slice(&exchange(&progress.send));
        }
        if let Some(keys) = progress.established {
            return guest.release(&keys);
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
