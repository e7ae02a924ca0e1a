//! How an exchange ended: a summary, or a failure that says who is to blame.

use fumehood_policy::{Lapse, ProxyServer};
use serde::{Deserialize, Serialize};

use crate::{DialFailure, ProxyFault};

/// Who has to change something for the exchange to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Blame {
    /// The server broke a protocol, a bound, or its word.
    Peer,
    /// What lies between: names, routes, resets, time.
    Network,
    /// The policy said no.
    Policy,
    /// A guest trapped or hung.
    Guest,
    /// The caller: a request that cannot be sent, a sink that cannot be written.
    Caller,
    /// The engine or the broker itself: it died, or is of another build.
    Engine,
}

/// Whether the request may be sent again without being done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetrySafety {
    /// No byte of the request reached the peer.
    NotSent,
    /// It may have been acted on; safe for idempotent methods only (RFC 9110 section 9.2.2).
    MaybeProcessed,
    /// The response had begun.
    Answered,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Dialling failed or was denied.
    Dial(DialFailure),
    /// The peer reset the connection or the network broke: an `errno`.
    Socket {
        /// `ECONNRESET` and the like.
        errno: i32,
    },
    /// The peer closed too early.
    Truncated {
        /// Before the head, in the head, in the payload, in the TLS handshake.
        place: String,
    },
    /// The peer broke HTTP: the violation's name.
    HttpViolation(String),
    /// The peer broke the protocol that a driver speaks: one sentence of the
    /// driver's, at most 1 KiB.
    Violation {
        /// The driver's name.
        driver: String,
        /// What it said.
        detail: String,
    },
    /// The peer exceeded a bound: the bound's name.
    Limit(String),
    /// The TLS handshake or record layer failed: one sentence.
    Tls(String),
    /// The certificate was refused: a machine-readable name (as in
    /// `fumehood:x509`) and one sentence.
    Certificate {
        /// `expired`, `unknown-issuer`, `wrong-name`, …
        rejection: String,
        /// One sentence.
        detail: String,
    },
    /// A deadline passed: the phase's name and how long it was, in milliseconds.
    Deadline {
        /// `connect`, `tls`, `head`, `idle`, `total`.
        phase: String,
        /// As it was set.
        milliseconds: u32,
    },
    /// A guest trapped, hung or was refused memory.
    Guest {
        /// Module name.
        module: String,
        /// Module version.
        version: String,
        /// `trap`, `hang`, `memory`, `no-instance`, or `nonsense`: it said what no
        /// sound guest says.
        kind: String,
        /// The trap's or panic's text, at most 1 KiB.
        detail: String,
    },
    /// The sink could not be written: an `errno` (`ENOSPC`, `EPIPE`).
    Sink {
        /// What the write failed with.
        errno: i32,
    },
    /// The source could not be read or ended early.
    Source {
        /// What the read failed with; 0 when it ended early.
        errno: i32,
    },
    /// The caller asked for what cannot be sent.
    BadRequest(String),
    /// The caller cancelled.
    Cancelled,
    /// The engine ended while the exchange was under way.
    EngineDied,
    /// The engine has as many exchanges as it takes.
    Busy,
    /// The leave it ran under ended.
    Lapsed(Lapse),
    /// A proxy on the way could not be reached, broke its protocol, or refused.
    Proxy {
        /// Which.
        server: ProxyServer,
        /// What happened there.
        fault: Box<ProxyFault>,
    },
}

/// A typed failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who.
    pub blame: Blame,
    /// What.
    pub cause: Cause,
    /// Whether to try again.
    pub retry: RetrySafety,
}

/// When the phases of an exchange ended, in microseconds since it began; `None`
/// for a phase that did not happen (no DNS for a literal, no dial on a reused
/// connection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// The name was resolved.
    pub resolved_us: Option<u64>,
    /// The connection stood.
    pub connected_us: Option<u64>,
    /// TLS stood.
    pub tls_us: Option<u64>,
    /// The request was sent.
    pub sent_us: Option<u64>,
    /// The final response's head was read.
    pub head_us: Option<u64>,
    /// All was done.
    pub total_us: u64,
}

/// What an exchange that succeeded cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// When.
    pub timings: Timings,
    /// Response payload moved, in bytes.
    pub payload_received: u64,
    /// Request payload moved, in bytes.
    pub payload_sent: u64,
    /// Bytes shown to or made by guests for this exchange.
    pub bytes_through_guests: u64,
    /// Bytes moved without any guest seeing them.
    pub bytes_past_guests: u64,
    /// Calls into guests.
    pub guest_calls: u64,
    /// Largest linear memory of the exchange's guests together, in bytes.
    pub guest_memory_bytes: u64,
    /// The connection was kept for another request.
    pub connection_kept: bool,
}
