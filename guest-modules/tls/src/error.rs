//! Why a handshake fails, and whose doing it is.

use rustls::Error;

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The peer sent a fatal alert.
    PeerAlert,
    /// The peer broke the protocol.
    PeerMisbehaved,
    /// There is no version, suite, group or protocol in common.
    Incompatible,
    /// The certificate was refused, or the signature that should prove its possession.
    Certificate,
    /// The host called out of order or with values that cannot be.
    Misuse,
}

/// A failed handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Who is to blame.
    pub blame: Blame,
    /// One sentence for people, without peer-chosen text.
    pub message: String,
    /// An alert record to send before closing; possibly empty.
    pub alert: Vec<u8>,
}

impl Failure {
    /// A call that cannot be answered; there is nothing to tell the peer.
    pub(crate) fn misuse(message: &str) -> Self {
        Failure {
            blame: Blame::Misuse,
            message: message.to_owned(),
            alert: Vec::new(),
        }
    }

    /// The peer broke a rule that rustls did not see broken.
    pub(crate) fn peer(message: &str) -> Self {
        Failure {
            blame: Blame::PeerMisbehaved,
            message: message.to_owned(),
            alert: Vec::new(),
        }
    }

    /// What rustls found, with the alert it wants sent.
    pub(crate) fn of(error: &Error, alert: Vec<u8>) -> Self {
        let blame = match error {
            Error::AlertReceived(_) => Blame::PeerAlert,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Blame::Incompatible,
            Error::InvalidCertificate(_)
            | Error::NoCertificatesPresented
            | Error::UnsupportedNameType => Blame::Certificate,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidMessage(_)
            | Error::PeerMisbehaved(_)
            | Error::DecryptError
            | Error::PeerSentOversizedRecord => Blame::PeerMisbehaved,
            _ => Blame::Misuse,
        };
        Failure {
            blame,
            message: sentence(error),
            alert,
        }
    }
}

/// rustls's own words name variants of its enums: nothing a peer can choose.
fn sentence(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => {
            format!("the server ended the handshake with the alert {alert:?}")
        }
        Error::PeerIncompatible(why) => {
            format!("the server and this client have nothing in common: {why:?}")
        }
        Error::NoApplicationProtocol => {
            "the server speaks none of the application protocols offered".to_owned()
        }
        Error::InvalidCertificate(rustls::CertificateError::BadSignature) => {
            "the server did not prove that it holds its certificate's key".to_owned()
        }
        Error::InvalidCertificate(_) => "the server's certificate was refused".to_owned(),
        Error::DecryptError => "a record of the handshake does not authenticate".to_owned(),
        Error::PeerMisbehaved(why) => format!("the server broke the TLS protocol: {why:?}"),
        Error::InvalidMessage(why) => {
            format!("the server sent a TLS message that cannot be read: {why:?}")
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}
