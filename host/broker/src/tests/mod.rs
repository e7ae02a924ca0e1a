//! Tests with a simulated network, resolver and clock, and over real channels.
#![allow(clippy::unwrap_used, reason = "tests")]

mod associating;
mod dialling;
mod grants;
mod properties;
mod racing;
mod resolving;
mod servers;
mod serving;
mod sockets;
mod world;
