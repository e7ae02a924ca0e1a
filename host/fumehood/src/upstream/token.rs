//! Tokens that the embedder makes: Negotiate and NTLM, of which this library knows
//! nothing but how they are passed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fumehood_control::TokenScheme;
use fumehood_policy::ProxyServer;

/// Makes the tokens by which HTTP proxies learn who asks, by Kerberos for one. Give
/// it to [`crate::UpstreamProxy::tokens`]. It runs in the embedder, where tickets and
/// passwords are; nothing of them is in an engine, and a token passes through it
/// unread.
pub trait TokenSource: Send + Sync {
    /// Begins with a connection to a proxy: one context (RFC 2743 section 1.1.3).
    /// The host in `proxy` is what a Kerberos name is made of: `HTTP@host`.
    fn begin(&self, proxy: &ProxyServer, scheme: TokenScheme) -> Box<dyn TokenConversation>;
}

/// What is said for one connection. It is dropped when that is over: when the proxy
/// is satisfied, says no, or is not waited for any longer.
pub trait TokenConversation: Send {
    /// The next token: at first without a challenge, then with what the proxy
    /// answered to the one before. At most [`fumehood_control::MAX_TOKEN_BYTES`],
    /// within 20 s, and [`fumehood_control::MAX_TOKEN_LEGS`] times. Base64 is not its
    /// concern. A future that is dropped is not asked again.
    fn token<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> TokenFuture<'a, Vec<u8>>;

    /// The proxy is satisfied, and said `last` for its own part, where it said
    /// anything: by that a context that was to be mutual is complete. Nothing of the
    /// request is sent before this is `Ok`, which it is by default.
    fn end<'a>(&'a mut self, last: Option<&'a [u8]>) -> TokenFuture<'a, ()> {
        let _unread = last;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A token on its way.
pub type TokenFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, TokenError>> + Send + 'a>>;

/// Why there is no token: one clause for people, such as "no ticket was found".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub String);

/// A source, told from every other by its number.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(super) scheme: TokenScheme,
    pub(super) source: Arc<dyn TokenSource>,
    number: u64,
}

impl Tokens {
    pub(super) fn new(scheme: TokenScheme, source: Arc<dyn TokenSource>) -> Tokens {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Tokens {
            scheme,
            source,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Tokens {}

impl std::hash::Hash for Tokens {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}
