//! Proxies that an exchange goes through, and what they are asked.

use fumehood_policy::{Naming, ProxyServer};
use serde::{Deserialize, Serialize};

use crate::{Cause, Field, TlsOptions, TokenFault, TokenScheme};

/// Most proxies in a row. A chain of two is rare; each costs a round trip, and
/// the last ones see who asked.
pub const MAX_HOPS: usize = 4;

/// A proxy on the way to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Where it is, and how it is spoken to.
    pub server: ProxyServer,
    /// What it is asked.
    pub ask: HopAsk,
    /// For one that is spoken to in TLS.
    pub tls: TlsOptions,
    /// By which connections made with some credentials are told from those with
    /// others, so that nobody is served on another's; 0 for none.
    pub partition: u64,
    /// By which tokens it learns who asks, of the embedder's making; only for HTTP
    /// proxies. It learns so before anything of the request is sent, and the
    /// connection is good for those alone whose requests go this way by the same rules.
    pub tokens: Option<TokenScheme>,
}

/// What a proxy is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HopAsk {
    /// The request itself, in absolute-form (RFC 9112 section 3.2.2); only of the
    /// last one.
    Request {
        /// A 407 ends the exchange with [`ProxyFault::Refused`], and its content
        /// goes nowhere.
        hold_challenge: bool,
        /// The request has content that cannot be sent again, and what the proxy
        /// wants to be told is not known: it is asked for that first, by an OPTIONS.
        ahead: bool,
    },
    /// A tunnel, by CONNECT with these fields beside `host` (RFC 9110 section 9.3.6).
    Connect {
        /// `proxy-authorization`, perhaps.
        fields: Vec<Field>,
    },
    /// A tunnel, by SOCKS.
    Socks {
        /// Who asks, where it has to be said.
        login: Option<SocksLogin>,
    },
}

/// User name and password (RFC 1929); SOCKS 4 has the name alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocksLogin {
    /// At most 255 bytes.
    pub name: Vec<u8>,
    /// At most 255 bytes.
    pub password: Vec<u8>,
}

/// Keeps them out of logs.
impl std::fmt::Debug for SocksLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SocksLogin(..)")
    }
}

/// Dial this proxy in the target's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstHop {
    /// Which.
    pub server: ProxyServer,
    /// By whom it was named.
    pub naming: Naming,
    /// The target's name is resolved by the last proxy of the way, so its
    /// addresses are not seen here.
    pub unseen: bool,
}

/// What went wrong at a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyFault {
    /// As it goes wrong with a server.
    Cause(Cause),
    /// It answered CONNECT, or a request it was to pass on, with this.
    Refused {
        /// 100-999.
        status: u16,
        /// What it wants to be told, by the guest's reading of its
        /// `proxy-authenticate` fields; at most [`MAX_CHALLENGES`].
        challenges: Vec<Challenge>,
        /// Its `proxy-status` (RFC 9209), at most [`MAX_PROXY_STATUS_BYTES`] of it.
        proxy_status: Vec<u8>,
    },
    /// It answered in SOCKS with this: a reply of version 5 (RFC 1928 section 6),
    /// or of version 4, which has 90 to 93.
    Socks {
        /// The reply's code.
        code: u8,
    },
    /// It broke SOCKS: the rule's name.
    Violation(String),
    /// It takes none of the ways to say who asks that were offered.
    NoMethod,
    /// It does not know the name or the password.
    Login,
    /// It was not told who asks by tokens.
    Token(TokenFault),
    /// It has as many connections of ours as it may, and none was given back in time.
    Full {
        /// How many that is.
        most: u32,
        /// How long was waited, in milliseconds.
        milliseconds: u32,
    },
}

impl From<Cause> for ProxyFault {
    fn from(cause: Cause) -> Self {
        ProxyFault::Cause(cause)
    }
}

/// A challenge (RFC 9110 section 11.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// In lower case.
    pub scheme: String,
    /// What follows it where that is a token68; else empty.
    pub token: String,
    /// Names in lower case, values unquoted, in the order they came.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Length of all its text, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| name.len() + value.len());
        self.scheme.len() + self.token.len() + parameters.sum::<usize>()
    }

    /// The parameter of that name; the first where there are several.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter();
        let found = all.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Most challenges that are passed on; proxies make one to three.
pub const MAX_CHALLENGES: usize = 8;

/// Most parameters of one; Digest has up to nine (RFC 7616 section 3.3).
pub const MAX_CHALLENGE_PARAMETERS: usize = 16;

/// Most that their text may take together, in bytes, so that a message holds it: a Negotiate token is the
/// longest, at some kilobytes.
pub const MAX_CHALLENGE_BYTES: usize = 8 * 1024;

/// Most of a `proxy-status` that is passed on, in bytes.
pub const MAX_PROXY_STATUS_BYTES: usize = 1024;
