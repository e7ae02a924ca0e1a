//! A stub resolver (RFC 1034 section 5.3.1), without I/O.
//!
//! A [`Resolver`] is told of queries, replies and the time, and says in turn
//! what to send, whom to answer and when to come back:
//!
//! ```text
//! resolve, cancel, configure, prefer     what the host wants
//! handle_event, handle_timeout           what the network and the clock say
//! poll_action, poll_answer, next_timeout what follows; ask until there is no more
//! ```
//!
//! [`drive`] connects it with a [`Network`]: WASI's sockets in the component,
//! plain ones or none at all in tests. Types and bounds are those of
//! `wit/dns/dns.wit`.
//!
//! [`questions`] is another matter, of which an instance is made for every call: a
//! server's side, which reads what a confined program asks (`wit/dns/questions.wit`).
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

mod bounds;
mod cache;
mod chain;
#[cfg(target_family = "wasm")]
pub mod component;
mod data;
mod dnssec;
mod exchange;
mod frame;
mod host_table;
mod lookup;
mod message;
mod names;
mod network;
mod pending;
mod preferences;
mod private;
pub mod questions;
mod resolver;
mod room;
mod servers;
mod settings;
mod trail;
mod types;

pub use bounds::*;
pub use dnssec::{Algorithm, Digest, Oracle};
pub use frame::{Deframer, frame};
pub use network::{Action, Channel, Event, ExchangeId, Network, drive};
pub use preferences::Preferences;
pub use resolver::{RandomSource, Resolver};
pub use types::*;
