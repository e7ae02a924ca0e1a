//! Verification of a server's certificate chain (RFC 5280, RFC 9525), without I/O.
//!
//! One [`Verifier`] holds the trust anchors and judges chains; types and
//! bounds are those of `wit/x509/x509.wit`. Signatures are checked by the
//! host, whose part natively is played by what [`signatures::install`] was given.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

#[cfg(target_family = "wasm")]
pub mod component;
mod key;
mod rejection;
pub mod signatures;
mod verifier;

pub use key::{KeyKind, Verdict};
pub use rejection::{MAX_NAMES, Rejection};
pub use verifier::{MAX_ANCHORS, MAX_CHAIN_BYTES, MAX_CHAIN_LENGTH, Verifier};
