//! `fumehood proxy` as programs meet it: the real processes, curl, and clients
//! that no program should be.
#![allow(clippy::unwrap_used, reason = "a test")]

mod association;
mod browser;
mod clients;
mod counted;
mod datagrams;
mod forwarding;
mod hostile;
mod identity;
mod life;
mod network;
mod policy;
mod proof;
mod service;
mod shared;
mod socks;
mod strays;
mod support;
mod turns;
mod upstream;
mod users;
mod wpad;
