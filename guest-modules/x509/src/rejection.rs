//! Why a chain is not believed, out of webpki's words for it.

use webpki::{Error, InvalidNameContext};

/// Most of a certificate's names that are told.
pub const MAX_NAMES: usize = 16;

/// Longest name that is told, in bytes (RFC 1035 section 3.1).
const MAX_NAME_LENGTH: usize = 253;

/// Why a chain is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A certificate is not valid DER, or not a certificate.
    Malformed,
    /// A bound was reached.
    Limit,
    /// Past its end: seconds since the Unix epoch.
    Expired(u64),
    /// Before its beginning: seconds since the Unix epoch.
    NotYetValid(u64),
    /// No path leads to a trust anchor.
    UnknownIssuer,
    /// A signature in the chain is wrong or not of an accepted kind.
    BadSignature,
    /// It is for these other names, or more: printable ASCII.
    WrongName(Vec<String>),
    /// Not meant for servers.
    WrongPurpose,
    /// An issuer's constraints forbid the name.
    NameConstraint,
    /// Another rule is broken.
    Other(String),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        match error {
            Error::BadDer
            | Error::BadDerTime
            | Error::InvalidCertValidity
            | Error::InvalidSerialNumber
            | Error::ExtensionValueInvalid
            | Error::MalformedDnsIdentifier
            | Error::MalformedExtensions
            | Error::MalformedNameConstraint
            | Error::InvalidNetworkMaskConstraint
            | Error::TrailingData(_) => Rejection::Malformed,
            Error::MaximumNameConstraintComparisonsExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumSignatureChecksExceeded => Rejection::Limit,
            Error::CertExpired { not_after, .. } => Rejection::Expired(not_after.as_secs()),
            Error::CertNotValidYet { not_before, .. } => {
                Rejection::NotYetValid(not_before.as_secs())
            }
            Error::UnknownIssuer => Rejection::UnknownIssuer,
            Error::InvalidSignatureForPublicKey
            | Error::SignatureAlgorithmMismatch
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Rejection::BadSignature,
            Error::CertNotValidForName(context) => Rejection::WrongName(names(&context)),
            Error::CaUsedAsEndEntity
            | Error::EndEntityUsedAsCa
            | Error::EmptyEkuExtension
            | Error::RequiredEkuNotFoundContext(_) => Rejection::WrongPurpose,
            Error::NameConstraintViolation => Rejection::NameConstraint,
            // These name webpki's rules and nothing that a peer chose.
            other => Rejection::Other(other.to_string()),
        }
    }
}

/// The names a certificate has, as far as they can be shown to people.
fn names(context: &InvalidNameContext) -> Vec<String> {
    context
        .presented
        .iter()
        .filter_map(|name| plain(name))
        .take(MAX_NAMES)
        .collect()
}

/// webpki writes `DnsName("…")` and `IpAddress(…)`.
fn plain(presented: &str) -> Option<String> {
    let dns = presented
        .strip_prefix("DnsName(\"")
        .and_then(|rest| rest.strip_suffix("\")"));
    let ip = presented
        .strip_prefix("IpAddress(")
        .and_then(|rest| rest.strip_suffix(')'));
    let name = dns.or(ip)?;
    let showable = !name.is_empty()
        && name.len() <= MAX_NAME_LENGTH
        && name.bytes().all(|byte| byte.is_ascii_graphic());
    showable.then(|| name.to_owned())
}
