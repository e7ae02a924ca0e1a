//! TLS: the handshake in a guest, keys and records in the host.
//!
//! ```text
//! handshake   records to the `tls` guest, its answers to the peer, then:
//! stream      application data sealed and opened here, never seen by a guest
//! guest       the `tls` guest, typed; imports and state are what it calls
//! recorded    what those are asked and answer, where the user wants it kept
//! player      a recording shown to a fresh instance, without keys or network
//! steady      the same behind the handshake, where it outlives its instances
//! judge       which verifier is asked, and which when that one ends
//! verifier    the `x509` guest, shared by all connections
//! ```
//!
//! The guest names its traffic keys; `fumehood-crypto` gives them out only
//! when the verifier believed the certificate and its key signed this very
//! key exchange. What the guest says about either is not asked.

mod anchors;
pub(crate) mod bindings;
mod failure;
mod guest;
mod handshake;
mod imports;
#[cfg(any(test, feature = "measure"))]
mod in_memory;
mod judge;
mod key_log;
mod names;
mod player;
mod recorded;
mod state;
mod steady;
mod stream;
#[cfg(test)]
mod tests;
mod verifier;

pub(crate) use anchors::Anchors;
pub(crate) use failure::cause_inside;
pub(crate) use guest::{HandshakeError, TlsModule};
pub(crate) use handshake::{Begun, HTTP, Peer, begin, handshake};
#[cfg(feature = "measure")]
pub(crate) use in_memory::Finished;
#[cfg(any(test, feature = "measure"))]
pub(crate) use in_memory::handshake_in_memory;
pub(crate) use key_log::KeyLogFile;
pub(crate) use stream::TlsStream;
pub(crate) use verifier::{Recorded, Verifier};
