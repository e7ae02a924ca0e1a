//! The local forward proxy: listeners, leave for their clients, and what was served.

use std::net::{IpAddr, SocketAddr};

use fumehood_policy::ClientName;
use serde::{Deserialize, Serialize};

use crate::{Deadlines, GrantId};

/// Most listeners of one broker: one for each kind of client a program serves.
pub const MAX_LISTENERS: usize = 16;

/// Most records in one message, so that it stays within a packet.
pub const MAX_ACCESS_RECORDS: usize = 16;

/// Most bytes of a record's target; longer ones are cut.
pub const MAX_ACCESS_TARGET_BYTES: usize = 512;

/// Most bytes of a record's method; longer ones are cut.
pub const MAX_ACCESS_METHOD_BYTES: usize = 32;

/// Names a listening socket; chosen by the embedder, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenerId(pub u64);

/// Leave to dial for a listener's clients, for as long as it listens: whatever
/// the policy lets such a client reach, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingGrant {
    /// By which the engine refers to it.
    pub id: GrantId,
    /// What the policy's rules know the clients by.
    pub client: Option<ClientName>,
}

/// How the engine serves a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSetup {
    /// Which.
    pub id: ListenerId,
    /// The broker's leave to dial for its clients.
    pub grant: StandingGrant,
    /// The name in `Via` (RFC 9110 section 7.6.3); none adds no such field.
    pub via: Option<String>,
    /// How servers are waited for.
    pub deadlines: Deadlines,
    /// What clients may take.
    pub bounds: ListenerBounds,
    /// Tell of every request ([`crate::ToEmbedder::Access`]).
    pub records: bool,
}

/// What a listener's clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerBounds {
    /// Most connections alive at once, tunnels among them. More wait in the
    /// socket's queue.
    pub connections: u32,
    /// Most of them from one address. More are closed at once.
    pub connections_per_address: u32,
    /// From a request's first byte to the end of its head, in milliseconds.
    pub head_ms: u32,
    /// Between two requests, in milliseconds.
    pub keep_alive_ms: u32,
    /// Between two bytes in a tunnel, in milliseconds.
    pub tunnel_idle_ms: u32,
}

/// How a request to the proxy went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessOutcome {
    /// The server answered.
    Served,
    /// A tunnel stood, and has ended.
    Tunnelled,
    /// The policy said no: its reason's name.
    Denied(String),
    /// The proxy refused or gave up: an error type of RFC 9209 section 2.3.
    Failed(String),
}

/// One request to the proxy, when it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    /// Where it came in.
    pub listener: ListenerId,
    /// Who asked.
    pub client: SocketAddr,
    /// When it came, in milliseconds since 1970.
    pub began_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// At most [`MAX_ACCESS_METHOD_BYTES`]; empty where there was no request.
    pub method: String,
    /// What was asked for, in canonical form without credentials; at most
    /// [`MAX_ACCESS_TARGET_BYTES`]; empty where that was not known.
    pub target: String,
    /// Of the response; 0 where none was sent.
    pub status: u16,
    /// Content from the client, in bytes.
    pub received: u64,
    /// Content to the client, in bytes.
    pub sent: u64,
    /// The server's address, where there was a connection.
    pub server: Option<IpAddr>,
    /// The connection to the server had been used before.
    pub reused: bool,
    /// How it went.
    pub outcome: AccessOutcome,
}
