//! What the guest imports, under the names of `wit/crypto` and `wit/tls`.
//!
//! In a component these are its real imports. Natively they are a thread's
//! [`Host`], so that tests can put the host's own code behind them.

#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(not(target_family = "wasm"))]
pub use native::*;

#[cfg(target_family = "wasm")]
pub(crate) use crate::component::bindings::fumehood::{
    crypto::keys::{
        AeadAlgorithm, Direction, Error, Group, HashAlgorithm, KeyExchange, ProtocolVersion,
        RecordKey, Secret, Transcript, expand, extract, hmac, random, tls12_finished,
        tls12_key_block, tls12_master,
    },
    tls::verify::{verify_chain, verify_signature},
};
