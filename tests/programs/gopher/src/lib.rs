//! Gopher (RFC 1436) as a driver: `gopher://host/TYPEselector` (RFC 4266).
//!
//! It knows the host by `wit/driver` alone, as a module of somebody else's would:
//! no crate of this workspace is used. What needs no host is ordinary Rust and
//! is tested natively; `component` is the rest.

#[cfg(target_family = "wasm")]
mod component;
pub mod item;
pub mod text;
