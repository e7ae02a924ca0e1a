//! `fumehood run`, the real processes: what is run reaches what it may, and
//! nothing else.
#![allow(clippy::unwrap_used, reason = "a test")]

mod clients;
mod closed;
mod confinement;
mod life;
mod names;
mod proxied;
mod support;
