//! A request and its response's head, as they cross the process boundary.

use fumehood_policy::Target;
use serde::{Deserialize, Serialize};

use crate::{GrantId, Hop};

/// Resolving and connecting, in milliseconds: as long as browsers wait.
const CONNECT_MS: u32 = 30_000;

/// The TLS handshake, in milliseconds: as long as browsers wait.
const TLS_MS: u32 = 30_000;

/// From request to response head, in milliseconds: as long as browsers wait.
const HEAD_MS: u32 = 300_000;

/// Between two bytes of payload, in milliseconds: a stalled peer is given up
/// on after as long as browsers wait for a head.
const IDLE_MS: u32 = 300_000;

/// Names one exchange on one engine; chosen by the embedder, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExchangeId(pub u64);

/// A field line (RFC 9110 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// A token, as it is sent.
    pub name: String,
    /// Bytes without surrounding white space.
    pub value: Vec<u8>,
}

/// How long a request's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadLength {
    /// No content, and no source descriptor.
    None,
    /// Exactly so many bytes are read from the source.
    Known(u64),
    /// All until the source ends; sent chunked.
    Unknown,
}

/// How the end of a source is known from its owner's death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceEnd {
    /// It is not: a file or a pipe ends where it ends.
    EndOfFile,
    /// The source is a socket that its owner shuts down for writing at the end
    /// and keeps open until the engine closes. One that is closed without
    /// that is an error, so that a body cut short by a crash is never sent as whole.
    Shutdown,
}

/// TLS versions spoken, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246 with the extended master secret and AEAD suites only.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// Whether the server's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verification {
    /// Against the engine's anchors, for the target's host.
    Full,
    /// Not at all: what the user asked for with `--insecure`. The peer still
    /// proves that it holds the key of whatever certificate it shows.
    None,
}

/// How TLS is spoken on an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TlsOptions {
    /// Whether the certificate is verified.
    pub verification: Verification,
    /// Oldest version accepted.
    pub min_version: TlsVersion,
    /// Newest version offered.
    pub max_version: TlsVersion,
}

impl Default for TlsOptions {
    /// TLS 1.2 and 1.3, the certificate verified.
    fn default() -> TlsOptions {
        TlsOptions {
            verification: Verification::Full,
            min_version: TlsVersion::V1_2,
            max_version: TlsVersion::V1_3,
        }
    }
}

/// How long each phase may take, in milliseconds. Zero is not "for ever": it is at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// Resolving and connecting together.
    pub connect_ms: u32,
    /// The TLS handshake.
    pub tls_ms: u32,
    /// From the request sent to the response's head.
    pub head_ms: u32,
    /// Between two bytes of payload in either direction.
    pub idle_ms: u32,
    /// The whole exchange; `u32::MAX` (49 days) where the user set none.
    pub total_ms: u32,
}

impl Default for Deadlines {
    /// 30 s to connect, 30 s for TLS, 300 s for the head and between bytes,
    /// none in all.
    fn default() -> Deadlines {
        Deadlines {
            connect_ms: CONNECT_MS,
            tls_ms: TLS_MS,
            head_ms: HEAD_MS,
            idle_ms: IDLE_MS,
            total_ms: u32::MAX,
        }
    }
}

/// What the embedder asks of the engine: one request to one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Where to, in canonical form. The broker dials what the *grant* names;
    /// this copy serves TLS and connection reuse and cannot widen it.
    pub target: Target,
    /// The broker's leave to dial.
    pub grant: GrantId,
    /// A token.
    pub method: String,
    /// The request target (RFC 9112 section 3.2).
    pub path: String,
    /// `host` among them; framing fields are the codec's to add.
    pub fields: Vec<Field>,
    /// What the source descriptor holds.
    pub payload: PayloadLength,
    /// How it ends.
    pub source_end: SourceEnd,
    /// For https.
    pub tls: TlsOptions,
    /// When to give up.
    pub deadlines: Deadlines,
    /// Do not take an idle connection.
    pub fresh_connection: bool,
    /// The embedder's leave that it runs under, if it needs one.
    pub leave: Option<Leave>,
    /// Proxies on the way, in order, at most [`crate::MAX_HOPS`]. The first is
    /// what the grant has dialled.
    pub via: Vec<Hop>,
}

impl Exchange {
    /// A GET with no field but `host`, under the default terms: what a caller
    /// that needs more starts from.
    #[must_use]
    pub fn get(target: Target, grant: GrantId, path: &str) -> Exchange {
        let host = Field {
            name: "host".to_owned(),
            value: target.authority().into_bytes(),
        };
        Exchange {
            target,
            grant,
            method: "GET".to_owned(),
            path: path.to_owned(),
            fields: vec![host],
            payload: PayloadLength::None,
            source_end: SourceEnd::EndOfFile,
            tls: TlsOptions::default(),
            deadlines: Deadlines::default(),
            fresh_connection: false,
            leave: None,
            via: Vec::new(),
        }
    }
}

/// Leave of the embedder's that exchanges run under. [`crate::ToEngine::Revoke`]
/// ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {
    /// By which it is revoked; never reused.
    pub id: u64,
    /// Payload that may move under it in both directions together, in bytes,
    /// counted from the first exchange that names it; of a driver's scheme all that
    /// its sockets move, and of each exchange what the driver hands over.
    pub bytes: u64,
}

/// The head of a response, informational or final, or its trailers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// 0 or 1, of HTTP/1.
    pub minor_version: u8,
    /// 100–999.
    pub status: u16,
    /// As sent.
    pub reason: Vec<u8>,
    /// In the order received.
    pub fields: Vec<Field>,
}
