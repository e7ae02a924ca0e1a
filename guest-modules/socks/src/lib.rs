//! SOCKS 4, 4a and 5 codec (RFC 1928, RFC 1929), sans-IO, both roles.
//!
//! A [`Client`] asks a proxy for a tunnel, a [`Server`] is asked for one, or for an
//! association. Each says after every step how many bytes it must see next, and is
//! shown exactly so many. Of an association's datagrams [`read`] is shown the header
//! that [`measure`] said the length of. The types and the order of calls are those of `fumehood:socks`
//! (`wit/socks/socks.wit`), where they are described in full.
//!
//! A client never learns the user's name and password: it says where they go,
//! and the host puts them there.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

mod address;
mod client;
#[cfg(target_family = "wasm")]
pub mod component;
mod datagram;
mod error;
mod server;
mod wire;

pub use address::{Address, Endpoint, MAX_NAME_BYTES};
pub use client::{Client, Login, Next, Piece, Request, Step, Version};
pub use datagram::{
    DATAGRAM_START_BYTES, Flaw, MAX_DATAGRAM_HEADER_BYTES, MIN_DATAGRAM_HEADER_BYTES, measure,
    read, write,
};
pub use error::{Error, Violation};
pub use server::{Credentials, Event, Outcome, Server, ServerStep};

/// Most bytes wanted at once: a name with its length and a port.
pub const MAX_WANTED: u16 = 258;
