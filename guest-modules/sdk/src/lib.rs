//! What the guests share: the panic hook that hands over last words.
//!
//! A guest on `wasm32-unknown-unknown` that panics only traps: the message is
//! lost. With `panic::install` it reaches the host's crash report first.
//!
//! This crate also owns the bindings of `fumehood:guest/panic`, the one import
//! all guests have. A guest names them in its own `generate!`, so that the
//! import is bound once:
//!
//! ```text
//! with: { "fumehood:guest/panic@0.1.0": fumehood_guest_sdk::panic::bindings::fumehood::guest::panic }
//! ```

pub mod panic;
