//! The DNS guest as a component, against a real unbound, under the sockets of
//! wasmtime-wasi; and the same library natively, with the system's sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

mod component;
mod host;
mod native;
