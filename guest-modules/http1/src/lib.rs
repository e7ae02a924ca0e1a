//! HTTP/1.1 codec (RFC 9112) in both roles, sans-IO.
//!
//! One [`Client`] or one [`Server`] serves one connection. A client is told what to send and shown
//! what came back, and answers with [`Event`]s; after every step its
//! [`Demand`] names the piece of the inbound stream it must see next. What
//! lies between two demands is payload, which it never sees.
//!
//! The types and the order of calls are those of `fumehood:http1`
//! (`wit/http1/client.wit` and `server.wit`), where they are described in full. This library
//! builds natively, for tests and fuzzing; compiled to WebAssembly with the
//! `component` feature it is the guest.
//!
//! Strictness: whatever two parsers might read differently is refused, with
//! three exceptions that real servers need and that leave no doubt about where
//! a message ends: a status line without the space before an empty reason
//! (RFC 9112 section 4), `content-length` repeated with one value (section
//! 6.3, rule 5), and blanks after a chunk size (section 7.1.1).
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

mod body;
pub mod bounds;
mod challenges;
mod chunk;
mod client;
#[cfg(target_family = "wasm")]
pub mod component;
mod error;
mod exchange;
mod fields;
mod framing;
mod head;
mod owned;
mod piece;
mod preferences;
mod request;
mod server;
mod types;
mod upload;

pub use challenges::{Challenge, challenges};
pub use client::Client;
pub use error::{Error, Limit, Misuse, Truncation, Violation};
pub use preferences::Preferences;
pub use server::Server;
pub use types::{
    Answer, Completion, Demand, Ending, Event, Field, Line, LineDemand, Login, PayloadFrame,
    PayloadLength, Progress, Request, RequestHead, RequestTarget, ResponseHead, ServerEvent,
    ServerProgress,
};
