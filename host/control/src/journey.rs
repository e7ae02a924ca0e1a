//! What happened on the way, for `-v`, `--json` and the curious.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Attempt, TlsVersion};

/// A guest instance that served an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Module name: `http1`, `tls`, `x509`.
    pub module: String,
    /// Module version.
    pub version: String,
    /// First 8 bytes of the module's SHA-256, in hexadecimal.
    pub digest: String,
    /// Counts instances since the engine began.
    pub number: u64,
}

/// A TLS connection as it was agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSummary {
    /// Version.
    pub version: TlsVersion,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// IANA name of the key exchange group.
    pub group: String,
    /// Protocol chosen by ALPN.
    pub alpn: Option<String>,
    /// The certificate was verified.
    pub verified: bool,
}

/// One step of an exchange, in the order they happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JourneyEvent {
    /// An idle connection was taken.
    Reused {
        /// Its peer.
        peer: SocketAddr,
    },
    /// The broker connected.
    Connected {
        /// The address that passed and answered.
        peer: SocketAddr,
        /// Addresses the policy refused.
        refused: Vec<SocketAddr>,
        /// Attempts that failed or were overtaken.
        attempts: Vec<Attempt>,
        /// Time to resolve, in microseconds.
        resolve_us: u64,
        /// Time to connect, in microseconds.
        connect_us: u64,
    },
    /// A guest instance was made for this connection.
    Instantiated(Instance),
    /// TLS stands.
    Tls(TlsSummary),
    /// The request's head and content are with the peer.
    Sent,
    /// A guest ended and another instance took its place on the same
    /// connection, at the same point of the stream.
    Resumed(Instance),
    /// The connection was found dead before any answer, or its TLS guest ended
    /// in the handshake, and the request goes out once more on a new one.
    Retried,
}
