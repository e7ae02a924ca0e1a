//! Why a conversation cannot go on.

/// Split by who has to change something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer broke the protocol.
    #[error("the peer broke SOCKS: {0}")]
    Peer(#[from] Violation),
    /// The proxy's reply is a no.
    #[error("the proxy replied {0}")]
    Refused(u8),
    /// The proxy takes none of the offered ways to say who asks.
    #[error("the proxy takes none of the offered methods")]
    NoMethod,
    /// The proxy does not know the name or the password.
    #[error("the proxy refused the login")]
    Login,
    /// The client asked for something else than CONNECT and UDP ASSOCIATE.
    #[error("the client asked for another command than CONNECT and UDP ASSOCIATE")]
    Command,
    /// Called out of order, or asked for what cannot be said.
    #[error("{0}")]
    Misuse(&'static str),
}

/// A rule that a peer can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Another version.
    #[error("bad-version")]
    BadVersion,
    /// A reply that is none of the protocol's.
    #[error("bad-reply")]
    BadReply,
    /// A method that was not offered.
    #[error("bad-method")]
    BadMethod,
    /// An address of no known type, or a name that is none.
    #[error("bad-address")]
    BadAddress,
    /// A reserved byte that is not zero.
    #[error("bad-reserved")]
    BadReserved,
    /// Something of no length, or too long.
    #[error("bad-length")]
    BadLength,
}
