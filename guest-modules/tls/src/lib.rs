//! TLS client handshake (RFC 8446, RFC 5246) without I/O and without keys.
//!
//! One [`Client`] serves one connection. It runs rustls over a cryptographic
//! provider whose secrets are handles in the host's tables and whose every
//! operation is an import; see `README.md` and `wit/tls/client.wit`, which
//! describes the types and the order of calls.
//!
//! This library builds natively, for tests and fuzzing: the imports are then
//! whatever [`imports::install`] put in their place. Compiled to WebAssembly
//! with the `component` feature it is the guest.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

mod adopted;
mod client;
#[cfg(target_family = "wasm")]
pub mod component;
mod error;
mod handle;
pub mod imports;
mod messages;
mod provider;
mod time;
mod types;
mod verifier;

pub use client::{Client, MAX_MESSAGE, MAX_RECORD};
pub use error::{Blame, Failure};
pub use types::{Config, Established, Progress, Update};
