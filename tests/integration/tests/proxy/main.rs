//! `fumehood proxy` as programs meet it: the real processes, curl, and clients
//! that no program should be.
#![allow(clippy::unwrap_used, reason = "a test")]

mod forwarding;
mod hostile;
mod life;
mod policy;
mod support;
mod upstream;
