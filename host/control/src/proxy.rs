//! The local forward proxy: listeners, leave for their clients, and what was served.

use std::net::{IpAddr, SocketAddr};

use fumehood_policy::{ClientName, Reason};
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

/// Most bytes of a user's name, and of a password (RFC 1929 section 2 has no
/// room for more). Longer ones are of nobody.
pub const MAX_LOGIN_BYTES: usize = 255;

/// Most logins that wait to be judged at once.
pub const MAX_LOGINS: usize = 64;

/// Most users of one listener.
pub const MAX_USERS: usize = 256;

/// Most standing grants of one broker: each listener's users, and whoever else.
pub const MAX_STANDING_GRANTS: usize = MAX_LISTENERS * (MAX_USERS + 1);

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
    /// What its clients get.
    pub serves: Serves,
    /// Who may ask.
    pub admission: Admission,
    /// The name in `Via` (RFC 9110 section 7.6.3); none adds no such field.
    pub via: Option<String>,
    /// How servers are waited for.
    pub deadlines: Deadlines,
    /// What clients may take.
    pub bounds: ListenerBounds,
    /// Tell of every request ([`crate::ToEmbedder::Access`]).
    pub records: bool,
    /// The broker has bound it, and can receive datagrams beside it.
    pub datagrams: bool,
}

/// What a listener's clients get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Serves {
    /// Requests forwarded, and tunnels.
    Requests,
    /// Names: clients speak DNS over a stream (RFC 7766), and what comes to the
    /// embedder in datagrams is asked with [`crate::ToEngine::Question`]. Nothing is
    /// dialled for them, so the leave in [`Admission`] is one to ask.
    Names,
}

/// Most bytes of a question about a name: one has a name of 255 at most, and some
/// options. A longer message is not read, and a stream that announces one ends.
pub const MAX_QUESTION_BYTES: usize = 4096;

/// Most bytes of a reply to a datagram: what no path fragments (DNS Flag Day 2020).
pub const MAX_REPLY_DATAGRAM_BYTES: usize = 1232;

/// Who may ask a listener for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// Whoever connects, by this leave.
    Anyone(StandingGrant),
    /// Whoever the embedder knows by name and password
    /// ([`crate::ToEmbedder::Login`]), by the leave that comes with its answer.
    Login,
}

/// Who a client says it is (RFC 1929, RFC 7617).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// At most [`MAX_LOGIN_BYTES`].
    pub name: Vec<u8>,
    /// The same.
    pub password: Vec<u8>,
}

/// Keeps them out of logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(..)")
    }
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ClientProtocol {
    /// HTTP/1.
    Http,
    /// SOCKS 4 or 4a.
    Socks4,
    /// SOCKS 5 (RFC 1928).
    Socks5,
    /// DNS (RFC 1035). In a record the method is the type that was asked for, the
    /// target the name alone, and the status 0.
    Dns,
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
    /// Where who asked is; none on a Unix socket.
    pub client: Option<SocketAddr>,
    /// What the policy's rules knew it by.
    pub user: Option<ClientName>,
    /// What it spoke.
    pub protocol: ClientProtocol,
    /// When it came, in milliseconds since 1970.
    pub began_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// At most [`MAX_ACCESS_METHOD_BYTES`]; empty where there was no request.
    pub method: String,
    /// What was asked for, in canonical form without credentials; at most
    /// [`MAX_ACCESS_TARGET_BYTES`]; empty where that was not known.
    pub target: String,
    /// Of the response; 0 where none was sent. In SOCKS what HTTP would have had.
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

/// Requests of listeners' clients that are over, since the last time this was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTally {
    /// Requests that a server answered.
    pub served: u64,
    /// Tunnels that stood.
    pub tunnelled: u64,
    /// What the proxy refused or gave up, denials left out.
    pub failed: u64,
    /// Content from clients, in bytes.
    pub received: u64,
    /// Content to clients, in bytes.
    pub sent: u64,
    /// Why the policy said no, each time; at most [`MAX_TALLIED_DENIALS`].
    pub denied: Vec<Reason>,
    /// Datagrams of clients.
    pub datagrams: DatagramTally,
}

/// Datagrams of a listener's clients (RFC 1928 section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatagramTally {
    /// Passed on from clients.
    pub received: u64,
    /// Passed on to clients.
    pub sent: u64,
    /// Dropped: the header is none.
    pub malformed: u64,
    /// Dropped: fragments, which are not put together.
    pub fragments: u64,
    /// Dropped: longer than a datagram may be, with its header.
    pub oversize: u64,
    /// Dropped: from another port than the client's.
    pub strangers: u64,
    /// Dropped: the policy says no to where they go.
    pub denied: u64,
    /// Dropped: where they go was not found or reached.
    pub unreached: u64,
    /// Dropped: too many wait already.
    pub overflow: u64,
}

/// Most denials of a tally, which a packet holds also where each names a rule
/// with the longest path of its file. So many are told at once.
pub const MAX_TALLIED_DENIALS: usize = 3;
