//! Keys by handle and the TLS record layer, in native code.
//!
//! A TLS guest runs the handshake but owns no secret: what it holds are
//! [`Handle`]s into a [`Connection`], one a TLS connection, which does the
//! arithmetic and watches what is derived from what. When the handshake is
//! over, [`Connection::release`] turns the handles of its traffic keys into a
//! [`record::Sealer`] and a [`record::Opener`], with which the host
//! moves application data that no guest ever sees.
//!
//! [`Connection::release`] is the gate: it gives out keys only when
//!
//! 1. a certificate verdict was recorded ([`Connection::record_verdict`]),
//! 2. a handshake signature was verified here with that verdict's key
//!    ([`Connection::verify_signature`]), and
//! 3. what was signed names the very key exchange the keys come from.
//!
//! So a subverted guest can fail a handshake, but it can neither leak a key
//! nor connect the user to a peer that is not the certificate's owner.
//!
//! No I/O, no clock, no WebAssembly.

mod algorithm;
mod authentication;
mod connection;
mod error;
mod exchange;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod guest_key;
mod kdf;
mod key_log;
mod label;
mod protection;
pub mod record;
mod secret;
pub mod signature;
mod transcript;
pub mod zone;

pub use algorithm::{Aead, Direction, Group, Hash, Version};
pub use connection::{Connection, KeyBlock, MAX_SECRETS};
pub use error::{Error, Fault, Refusal};
pub use exchange::KeyExchange;
pub use guest_key::GuestKey;
pub use key_log::KeyLog;
pub use secret::Handle;
pub use signature::{KeyKind, PublicKey};
pub use transcript::Transcript;
