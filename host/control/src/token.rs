//! Tokens by which an HTTP proxy learns who asks, for a whole connection (RFC 4559,
//! and NTLM): made by the embedder, leg by leg. The engine passes them on, and what
//! is in them is nobody's business in between.

use fumehood_policy::ProxyServer;
use serde::{Deserialize, Serialize};

/// Most tokens that a proxy is told for one connection. NTLM takes two, Negotiate
/// one to four.
pub const MAX_TOKEN_LEGS: usize = 8;

/// Longest token that is made, in bytes: Kerberos tickets with many groups have up
/// to 48,000, and what proxies take of a head is less than twice that.
pub const MAX_TOKEN_BYTES: usize = 48 * 1024;

/// Most bytes of the sentence that says why there is no token.
pub const MAX_TOKEN_REFUSAL_BYTES: usize = 512;

/// By which rules tokens are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenScheme {
    /// RFC 4559: SPNEGO, which is Kerberos in most places.
    Negotiate,
    /// The older one of the same makers.
    Ntlm,
}

impl TokenScheme {
    /// As it is written in a field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TokenScheme::Negotiate => "Negotiate",
            TokenScheme::Ntlm => "NTLM",
        }
    }
}

/// What the engine wants of the embedder for a connection to a proxy. The answer is
/// a [`TokenAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenQuestion {
    /// The connection: all its legs have the same number, which is never reused.
    pub conversation: u64,
    /// Which proxy.
    pub server: ProxyServer,
    /// The [`crate::Hop::partition`] of those who go through it.
    pub partition: u64,
    /// How far it is.
    pub step: TokenStep,
}

/// How far a conversation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenStep {
    /// It begins: what is the first token?
    Begin,
    /// The proxy answered with this token68, of at most
    /// [`crate::MAX_CHALLENGE_BYTES`]: what is the next?
    Challenge(String),
    /// The proxy is satisfied, and said this for its own part, or nothing: is that
    /// good enough? Nothing is told any more after it.
    End(Option<String>),
}

/// The value of `proxy-authorization`, and nothing for [`TokenStep::End`].
pub type TokenAnswer = Result<Vec<u8>, TokenFault>;

/// Why a proxy was not told who asks by tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TokenFault {
    /// Whoever makes them says so; at most [`MAX_TOKEN_REFUSAL_BYTES`].
    #[error("whoever makes the tokens says no: {0}")]
    Refused(String),
    /// Whoever makes them took too long.
    #[error("no token was made in time")]
    Late,
    /// One is longer than [`MAX_TOKEN_BYTES`].
    #[error("a token was made that has more than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Nobody makes tokens for this proxy any more, or too many are being made.
    #[error("nobody makes tokens for it now")]
    Nobody,
    /// What the proxy sent for a token is none.
    #[error("what it sent for a token is not base64")]
    Malformed,
    /// The proxy ended a connection that it was learning who asks on.
    #[error("it does not keep the connection on which it learns who asks")]
    Unbound,
    /// It goes on asking who it is, without a token of its own.
    #[error("it does not take what it was told for an answer (407, by {0})")]
    Denied(
        /// The schemes that it names, with commas between; at most
        /// [`crate::MAX_CHALLENGE_BYTES`] and those.
        String,
    ),
    /// It goes on asking, token for token.
    #[error("it wants more than {MAX_TOKEN_LEGS} tokens for a connection")]
    TooManyLegs,
}
