//! Drivers: guests that open sockets of their own, under a grant.
//!
//! ```text
//! link        the WASI interfaces, for whatever world a driver has
//!   tcp         sockets: a state machine each
//!   stream      a connected socket's bytes, both ways
//!   udp         datagrams, to one checked address a peer
//!   lookup      names
//!   options     what a guest may set on a socket
//!   address     addresses, and which of them a guest may name
//!   clocks      time
//!   random      chance
//! access      the one way out: what the guest's grant lets it ask the broker
//! errors      what a failure is called in WASI
//! state       what a driver's store holds
//! budget      how long a driver may compute without waiting
//! module      the world `fumehood:driver/driver`: loaded, described, called
//! fetch       one transfer through a driver
//! ```
//!
//! `wasi:io` is wasmtime's own implementation, which has no access to anything:
//! it waits for what we give it. All else is written here over the broker,
//! because this process cannot call `socket`, `connect` or `bind`: a guest's
//! `connect` becomes a message under the guest's grant, and what comes back is
//! a connected descriptor. There is nothing here to listen, to choose a local
//! address, or to read a file, an environment or an argument.
//!
//! A driver runs on a stack of its own and never holds a worker: it gives way
//! whenever it waits, and at every tick of the epoch while it computes. One that
//! computes without waiting is ended ([`budget`]), as is one whose transfer's
//! deadline passes, which drops its instance and closes its sockets. It is not
//! resumed: what it has sent cannot be taken back.

mod access;
mod address;
pub(crate) mod bindings;
mod budget;
mod clocks;
mod errors;
mod fetch;
mod link;
mod lookup;
mod module;
mod options;
mod random;
mod state;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub(crate) use access::{Access, Work};
#[cfg(feature = "fuzz")]
pub(crate) use address::{from_wasi, to_wasi};
pub(crate) use bindings::fumehood::guest::panic;
pub(crate) use budget::Budget;
pub(crate) use fetch::run;
pub(crate) use link::{DriverView, View, interfaces};
pub(crate) use module::DriverModule;
