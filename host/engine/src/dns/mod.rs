//! Names, resolved by the `dns` guest: one long-lived instance for the engine.
//!
//! ```text
//! names       who wants a name waits here; instances come and go behind it
//! inbox       queries until they are answered; what becomes of them at a death
//! module      the world `fumehood:dns/dns-resolver`: loaded, linked, run
//!   state       what its store holds
//!   signatures  digests and signatures of zones, for DNSSEC
//!   secure      channels to servers of encrypted DNS
//!   words       between its types and those of the messages
//! questions   the same module, where it reads what confined programs ask
//! ```
//!
//! The guest is a driver: it opens sockets by `wasi:sockets`, each connected by
//! the broker under the resolver's own grant, which has the servers of the
//! setup and nothing else. What it finds is a stranger's word: who dials has
//! every address judged.
//!
//! A query is kept until it is answered. When an instance ends, the next one is
//! given all that was not, and one that ends two of them is told so.

pub(crate) mod bindings;
mod inbox;
mod module;
mod names;
pub(crate) mod questions;
mod secure;
mod signatures;
mod state;
mod words;

pub(crate) use inbox::failure;
pub(crate) use module::DnsModule;
pub(crate) use names::Names;
pub(crate) use secure::MAX_CHANNELS;
#[cfg(feature = "fuzz")]
pub(crate) use signatures::digest;
#[cfg(feature = "fuzz")]
pub(crate) use state::MAX_RESOURCES;
