//! What can go wrong, split by blame: the guest's faults and the host's refusals.

/// An operation's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The guest did what no honest guest does. It is to be ended.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// An answer the guest is told.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What no honest guest does: a defect in it, or an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A handle of another connection, or a freed or made-up one.
    #[error("the guest used a key handle that this connection does not have")]
    UnknownHandle,
    /// A secret was used for what it is not for.
    #[error("the guest used a secret for what it is not for")]
    WrongKind,
    /// An HkdfLabel that cannot be parsed or does not belong to the secret.
    #[error("the guest asked for a key under a label that does not belong to the secret")]
    BadLabel,
    /// A length that is out of bounds or does not fit the algorithm.
    #[error("the guest asked for a length that does not fit")]
    BadLength,
    /// More secrets, exchanges or random bytes than a handshake needs.
    #[error("the guest asked for more secrets than a handshake needs")]
    Exhausted,
    /// What can be done once a connection was done again.
    #[error("the guest repeated a step that a connection has once")]
    Repeated,
    /// The random number generator or a primitive failed.
    #[error("the cryptographic library failed")]
    Library,
}

/// What an honest guest may run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer's key share is not a valid one for the group.
    #[error("the peer's key share is not valid")]
    InvalidKeyShare,
    /// The record does not authenticate.
    #[error("a record does not authenticate")]
    BadRecord,
    /// Application keys before the peer was authenticated, or put to a use
    /// that is the host's alone.
    #[error("the peer is not authenticated")]
    NotAuthenticated,
    /// A sequence number that is not the next one.
    #[error("a sequence number is not the next one")]
    OutOfSequence,
}
