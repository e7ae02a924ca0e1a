//! Hosts in canonical form: a DNS name or an address, never a string to guess at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Longest host accepted before it is made canonical, in bytes. A name of 253
/// bytes takes about a thousand when written in Unicode; the rest is slack.
pub const MAX_HOST_TEXT_BYTES: usize = 2048;

/// Longest name, in bytes, without a trailing dot (RFC 1035 section 2.3.4).
pub const MAX_NAME_BYTES: usize = 253;

/// Longest label, in bytes (RFC 1035 section 2.3.4).
pub const MAX_LABEL_BYTES: usize = 63;

/// A DNS name in canonical form: ASCII (IDNA applied), lower case, no trailing
/// dot, labels of 1 to 63 bytes of letters, digits, `-` and `_`, and nothing
/// that a resolver would take for an address. It names the same host as the
/// form with a trailing dot, so both have the same grants and rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Host {
    /// A name to resolve.
    Name(DnsName),
    /// An IPv4 literal.
    V4(Ipv4Addr),
    /// An IPv6 literal, without a zone.
    V6(Ipv6Addr),
}

/// Why a host was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing is there.
    #[error("the host is empty")]
    Empty,
    /// Over [`MAX_HOST_TEXT_BYTES`], or a name over [`MAX_NAME_BYTES`].
    #[error("the host is longer than a name can be ({MAX_NAME_BYTES} bytes)")]
    TooLong,
    /// A label over [`MAX_LABEL_BYTES`].
    #[error("a label of the host is longer than {MAX_LABEL_BYTES} bytes")]
    LabelTooLong,
    /// Two dots in a row, or one at the start.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// A character that no host name has.
    #[error("the host has the character {0:?}, which no host name has")]
    Character(char),
    /// A percent sign outside brackets.
    #[error("the host is percent-encoded; write it plainly")]
    PercentEncoded,
    /// An IPv6 address with a zone.
    #[error("the address has a zone (\"%\"), which means nothing to a server; leave it out")]
    Zone,
    /// Ends in a number but is no IPv4 address.
    #[error("the host ends in a number but is not an IPv4 address")]
    Ipv4,
    /// In brackets but no IPv6 address.
    #[error("what is in brackets is not an IPv6 address")]
    Ipv6,
    /// Not a valid internationalized name (UTS 46).
    #[error("the host is not a valid international name")]
    Idna,
    /// A name that is not in canonical form where only that is accepted.
    #[error("the name is not in canonical form")]
    NotCanonical,
}

impl Host {
    /// Reads a host as it stands in a URL, IPv6 in brackets, and makes it
    /// canonical by the WHATWG URL rules (section 3.5), after refusing what
    /// programs read differently.
    ///
    /// # Errors
    /// One of [`HostError`].
    pub fn parse(text: &str) -> Result<Self, HostError> {
        check_text(text)?;
        let parsed = url::Host::parse(text).map_err(|why| from_url_error(why, text))?;
        Self::from_url(parsed)
    }

    /// Takes over what the `url` crate parsed and checks what it lets pass.
    pub(crate) fn from_url<S: AsRef<str>>(host: url::Host<S>) -> Result<Self, HostError> {
        match host {
            url::Host::Domain(name) => DnsName::from_ascii(name.as_ref()).map(Host::Name),
            url::Host::Ipv4(it) => Ok(Host::V4(it)),
            url::Host::Ipv6(it) => Ok(Host::V6(it)),
        }
    }

    /// The address, if it is a literal.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(it) => Some((*it).into()),
            Host::V6(it) => Some((*it).into()),
        }
    }

    /// Whether it is `localhost` or under it, which never leaves the machine
    /// (RFC 6761 section 6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Host::Name(name) if name.is_localhost())
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(it) => Host::V4(it),
            IpAddr::V6(it) => Host::V6(it),
        }
    }
}

/// As it stands in a URL: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(it) => it.fmt(f),
            Host::V4(it) => it.fmt(f),
            Host::V6(it) => write!(f, "[{it}]"),
        }
    }
}

impl DnsName {
    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `localhost` or under it.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.0 == "localhost" || self.0.ends_with(".localhost")
    }

    /// Whether it lies under `parent`, which is not under itself.
    #[must_use]
    pub fn is_under(&self, parent: &DnsName) -> bool {
        self.0
            .strip_suffix(parent.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    }

    /// Checks a name that IDNA has already made ASCII and lower case.
    fn from_ascii(name: &str) -> Result<Self, HostError> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(HostError::TooLong);
        }
        for label in name.split('.') {
            if label.is_empty() {
                return Err(HostError::EmptyLabel);
            }
            if label.len() > MAX_LABEL_BYTES {
                return Err(HostError::LabelTooLong);
            }
            if let Some(odd) = label.chars().find(|it| !is_name_character(*it)) {
                return Err(HostError::Character(odd));
            }
        }
        Ok(DnsName(name.to_owned()))
    }
}

/// Letters, digits, hyphen (RFC 1123 section 2.1), and the underscore that is
/// met in practice.
fn is_name_character(it: char) -> bool {
    it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-' || it == '_'
}

impl TryFrom<String> for DnsName {
    type Error = HostError;

    /// Accepts the canonical form alone.
    fn try_from(text: String) -> Result<Self, HostError> {
        match Host::parse(&text)? {
            Host::Name(name) if name.0 == text => Ok(name),
            _ => Err(HostError::NotCanonical),
        }
    }
}

/// So that a name can be looked up by its text, which hashes the same.
impl std::borrow::Borrow<str> for DnsName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses, before anything is decoded or mapped, what could be read in two ways.
pub(crate) fn check_text(text: &str) -> Result<(), HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if text.len() > MAX_HOST_TEXT_BYTES {
        return Err(HostError::TooLong);
    }
    if text.contains('%') {
        let bracketed = text.starts_with('[');
        return Err(if bracketed {
            HostError::Zone
        } else {
            HostError::PercentEncoded
        });
    }
    match text
        .chars()
        .find(|it| it.is_control() || it.is_whitespace())
    {
        Some(odd) => Err(HostError::Character(odd)),
        None => Ok(()),
    }
}

/// Puts the `url` crate's error into our words.
pub(crate) fn from_url_error(why: url::ParseError, text: &str) -> HostError {
    match why {
        url::ParseError::EmptyHost => HostError::Empty,
        url::ParseError::InvalidIpv4Address => HostError::Ipv4,
        url::ParseError::InvalidIpv6Address => HostError::Ipv6,
        _ => {
            let odd = text.chars().find(|it| {
                it.is_ascii() && !it.is_ascii_alphanumeric() && !matches!(it, '-' | '_' | '.')
            });
            odd.map_or(HostError::Idna, HostError::Character)
        }
    }
}
