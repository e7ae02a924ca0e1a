//! The process that resolves, checks and dials; it parses no payload.
//!
//! ```text
//! startup ── policy, sandbox ──► serve ── grants ──► dial ──► resolve ──► race ──► connect
//! ```
//!
//! The embedder names targets by grants; the engine presents a grant's number
//! and gets a connected socket. Between the two, and in one step: the target
//! is checked, its name resolved, every address checked, and exactly an
//! address that passed is connected to. Names are resolved anew for each dial
//! and nothing is kept, so there is no older answer to confuse with a newer.
//!
//! For the proxy's clients a standing grant takes the place of a target: the
//! engine names one, and the policy alone says whether it is dialled. The
//! proxy's listening sockets are made and kept here (`listeners`), so that they
//! outlive engines; the embedder has duplicates for the broker that comes after.
//!
//! Names may also be resolved by the engine's own resolver, whose sockets reach
//! the servers that the embedder named and nothing else (`servers`). What it
//! finds is judged here as what `getaddrinfo` finds.
//!
//! A driver's sockets do the same in two steps, lookup and connect, since that
//! is how WASI has them; `sockets` ties the two together.

mod associate;
mod connect;
mod dial;
mod grants;
mod link;
mod listeners;
mod race;
mod resolve;
mod serve;
mod servers;
mod sockets;
mod startup;
#[cfg(test)]
mod tests;

pub use connect::MAX_CONNECTING;
pub use dial::MAX_DEADLINE;
pub use grants::MAX_GRANTS;
pub use link::{MAX_DIALS, MAX_REPLIES};
pub use listeners::BACKLOG;
pub use race::ATTEMPT_DELAY;
pub use resolve::{IDLE_THREAD_LIFETIME, MAX_LOOKUPS};
pub use sockets::{MAX_GRANTED_NAMES, MAX_SOCKET_GRANTS};
pub use startup::{BrokerError, run};
