//! Patterns that rules match hosts with, as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DnsName, Host, HostError, IpNet, NetError};

/// Which hosts a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// `example.com`: that name alone.
    Name(DnsName),
    /// `*.example.com`: every name under it, at any depth, not itself.
    Under(DnsName),
    /// `192.0.2.1`, `10.0.0.0/8`, `[::1]`, `fc00::/7`: literals in it and
    /// names that resolve into it.
    Net(IpNet),
}

/// A host that may be dialled although its address is not public.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PrivateHost {
    /// Never [`HostPattern::Any`] when it was parsed.
    pub host: HostPattern,
    /// On this port alone, or on any.
    pub port: Option<u16>,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a host.
    #[error("the host pattern is refused: {0}")]
    Host(#[source] HostError),
    /// Not an address range.
    #[error("the host pattern {0}")]
    Net(#[source] NetError),
    /// `*` elsewhere than alone or before the first dot.
    #[error("a host pattern has \"*\" only alone or as in *.example.com")]
    Star,
    /// `*` where hosts are to be named.
    #[error("private hosts are allowed one by one: name a host or an address range, not \"*\"")]
    Everything,
    /// What follows the last colon is not a port.
    #[error("the port after the host pattern is not a number from 1 to 65535")]
    Port,
}

impl HostPattern {
    /// Of this host alone.
    #[must_use]
    pub fn exactly(host: &Host) -> Self {
        match host {
            Host::Name(name) => HostPattern::Name(name.clone()),
            Host::V4(it) => HostPattern::Net(IpNet::of((*it).into())),
            Host::V6(it) => HostPattern::Net(IpNet::of((*it).into())),
        }
    }

    /// Whether it holds for this host by its name or as a literal.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Name(wanted), Host::Name(name)) => name == wanted,
            (HostPattern::Under(parent), Host::Name(name)) => name.is_under(parent),
            (HostPattern::Net(net), host) => host.address().is_some_and(|it| net.contains(it)),
            (HostPattern::Name(_) | HostPattern::Under(_), Host::V4(_) | Host::V6(_)) => false,
        }
    }

    /// Whether it is a range that holds this address.
    #[must_use]
    pub fn matches_address(&self, address: IpAddr) -> bool {
        matches!(self, HostPattern::Net(net) if net.contains(address))
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    /// IPv6 with brackets or without.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
            .unwrap_or(text);
        if bare.contains('/') {
            return bare
                .parse()
                .map(HostPattern::Net)
                .map_err(PatternError::Net);
        }
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Ok(HostPattern::Net(IpNet::of(address.into())));
        }
        let (name, under) = match text.strip_prefix("*.") {
            Some(parent) => (parent, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(PatternError::Star);
        }
        match Host::parse(name).map_err(PatternError::Host)? {
            Host::Name(name) if under => Ok(HostPattern::Under(name)),
            Host::Name(name) => Ok(HostPattern::Name(name)),
            _ if under => Err(PatternError::Star),
            Host::V4(it) => Ok(HostPattern::Net(IpNet::of(it.into()))),
            Host::V6(it) => Ok(HostPattern::Net(IpNet::of(it.into()))),
        }
    }
}

/// As it is parsed; a single address without its prefix length.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Any => f.write_str("*"),
            HostPattern::Name(name) => name.fmt(f),
            HostPattern::Under(parent) => write!(f, "*.{parent}"),
            HostPattern::Net(net) => match net.single() {
                Some(address) => Host::from(address).fmt(f),
                None => net.fmt(f),
            },
        }
    }
}

impl FromStr for PrivateHost {
    type Err = PatternError;

    /// Reads `HOST[:PORT]`: `localhost`, `127.0.0.1:8080`, `10.0.0.0/8`,
    /// `[::1]:443`, `[fc00::/7]:80`. IPv6 with a port stands in brackets.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let digits = !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
                let port = port.parse().ok().filter(|it| digits && *it != 0);
                (host, Some(port.ok_or(PatternError::Port)?))
            }
            _ => (text, None),
        };
        match host.parse()? {
            HostPattern::Any => Err(PatternError::Everything),
            host => Ok(PrivateHost { host, port }),
        }
    }
}

impl fmt::Display for PrivateHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, &self.host) {
            (None, host) => host.fmt(f),
            (Some(port), HostPattern::Net(net)) if net.single().is_none() => {
                write!(f, "[{net}]:{port}")
            }
            (Some(port), host) => write!(f, "{host}:{port}"),
        }
    }
}
