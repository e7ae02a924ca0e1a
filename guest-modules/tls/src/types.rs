//! What goes in and out, as in `wit/tls/client.wit`.

use crate::imports::{AeadAlgorithm, ProtocolVersion, Secret};

/// How to begin.
#[derive(Clone, Debug)]
pub struct Config {
    /// DNS name in lower-case ASCII without a trailing dot, or an IP address
    /// in its canonical form.
    pub server_name: String,
    /// In order of preference; each 1 to 255 bytes.
    pub alpn: Vec<Vec<u8>>,
    /// Oldest version accepted.
    pub min_version: ProtocolVersion,
    /// Newest version offered.
    pub max_version: ProtocolVersion,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// A finished handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// The version agreed on.
    pub version: ProtocolVersion,
    /// IANA "TLS Cipher Suites" code point.
    pub cipher_suite: u16,
    /// The suite's AEAD.
    pub aead: AeadAlgorithm,
    /// IANA "TLS Supported Groups" code point.
    pub group: u16,
    /// The protocol chosen.
    pub alpn: Option<Vec<u8>>,
    /// Protects what the host sends.
    pub outbound: Secret,
    /// Protects what the host receives.
    pub inbound: Secret,
}

/// The outcome of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whole records, ready for the socket.
    pub send: Vec<u8>,
    /// Present once, at the end of the handshake.
    pub established: Option<Established>,
}

/// What a post-handshake message asks of the host, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Replace the inbound keys.
    pub inbound: Option<Secret>,
    /// Send this message under the present outbound keys…
    pub reply: Option<Vec<u8>>,
    /// …then replace the outbound keys.
    pub outbound: Option<Secret>,
}
