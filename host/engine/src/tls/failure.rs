//! What went wrong, for the embedder and for people.

use std::io;

use fumehood_control::Cause;
use fumehood_crypto::record::{RecordError, SealError};

use super::names;
use super::state::Judgement;
use super::verifier::Rejection;
use crate::instance::bounded;

/// A failed handshake: the certificate's fate says more than the guest can.
pub(super) fn cause_of(message: String, judgement: Judgement, server_name: &str) -> Cause {
    match judgement {
        Judgement::Nobody(cause) => cause,
        Judgement::Rejected(rejection) => rejected(rejection, server_name),
        Judgement::None | Judgement::Believed(_) => Cause::Tls(bounded(&message)),
    }
}

fn rejected(rejection: Rejection, server_name: &str) -> Cause {
    let (name, detail) = match rejection {
        Rejection::Malformed => (
            "malformed",
            "the server's certificate cannot be parsed".to_owned(),
        ),
        Rejection::Limit => (
            "limit",
            "the server's certificate chain is longer than 16 certificates or 128 KiB, or too \
             tangled to follow"
                .to_owned(),
        ),
        Rejection::Expired(at) => (
            "expired",
            format!(
                "the certificate of {server_name} expired on {}",
                names::date(at)
            ),
        ),
        Rejection::NotYetValid(at) => (
            "not-yet-valid",
            format!(
                "the certificate of {server_name} is valid only from {} on; is this machine's \
                 clock right?",
                names::date(at)
            ),
        ),
        Rejection::UnknownIssuer => (
            "unknown-issuer",
            format!("the certificate of {server_name} was issued by nobody this machine trusts"),
        ),
        Rejection::BadSignature => (
            "bad-signature",
            format!("a signature in the certificate chain of {server_name} is wrong"),
        ),
        Rejection::WrongName(names) => ("wrong-name", wrong_name(&names, server_name)),
        Rejection::WrongPurpose => (
            "wrong-purpose",
            format!("the certificate of {server_name} is not meant for a server"),
        ),
        Rejection::NameConstraint => (
            "name-constraint",
            format!("the issuer of the certificate of {server_name} may not issue for that name"),
        ),
        Rejection::Other(rule) => (
            "other",
            format!("the certificate of {server_name} is refused: {rule}"),
        ),
    };
    Cause::Certificate {
        rejection: name.to_owned(),
        detail: bounded(&detail),
    }
}

fn wrong_name(names: &[String], server_name: &str) -> String {
    if names.is_empty() {
        format!("the certificate is not for {server_name}: it names nobody")
    } else {
        format!(
            "the certificate is for {}, not for {server_name}",
            names.join(", ")
        )
    }
}

/// A cause inside an [`io::Error`], for a stream's traits.
#[derive(Debug)]
struct Inside(Cause);

impl std::fmt::Display for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Inside {}

/// Puts a cause into an error.
pub(super) fn wrap(cause: Cause) -> io::Error {
    let kind = match cause {
        Cause::Truncated { .. } => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, Inside(cause))
}

/// The typed cause that a [`super::TlsStream`] put into an error, if it did.
pub(crate) fn cause_inside(error: &io::Error) -> Option<Cause> {
    error
        .get_ref()?
        .downcast_ref::<Inside>()
        .map(|inside| inside.0.clone())
}

/// A broken connection.
pub(super) fn socket(error: &io::Error) -> Cause {
    // Of TLS to a proxy, inside which this one runs.
    if let Some(cause) = cause_inside(error) {
        return cause;
    }
    Cause::Socket {
        errno: error.raw_os_error().unwrap_or(0),
    }
}

pub(super) fn record(error: RecordError) -> Cause {
    Cause::Tls(error.to_string())
}

pub(super) fn seal(error: SealError) -> Cause {
    Cause::Tls(error.to_string())
}
