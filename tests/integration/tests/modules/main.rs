//! Live modules through the command: chaos, faults that nobody notices,
//! recordings, and who may ask.
#![allow(clippy::unwrap_used, reason = "a test")]

mod admin;
mod chaos;
mod faults;
mod metrics;
mod recordings;
mod support;
mod trusted;
