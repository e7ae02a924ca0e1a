//! Where a request goes: scheme, host and port.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Host, ServedScheme};

/// The schemes that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scheme {
    /// Plain HTTP (RFC 9110 section 4.2.1), port 80 by default.
    Http,
    /// HTTP over TLS (RFC 9110 section 4.2.2), port 443 by default.
    Https,
    /// What a driver module serves.
    Served(ServedScheme),
    /// Datagrams of a proxy's client, whatever is in them. It has no port by
    /// default, and a rule allows it only where its schemes name it.
    Udp,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Served(served) => served.name(),
            Scheme::Udp => "udp",
        }
    }

    /// The port where a URL names none; 0 where one has to be named.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Served(served) => served.default_port(),
            Scheme::Udp => 0,
        }
    }

    /// The scheme of the web of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|it| name.eq_ignore_ascii_case(it.name()))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An origin: what a grant is given for and what the broker dials.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// How to speak.
    pub scheme: Scheme,
    /// To whom, in canonical form.
    pub host: Host,
    /// On which port: of TCP, unless the scheme or a driver's grant says otherwise.
    pub port: u16,
}

impl Target {
    /// Datagrams to there.
    #[must_use]
    pub fn datagrams(to: SocketAddr) -> Self {
        Target {
            scheme: Scheme::Udp,
            host: Host::from(to.ip()),
            port: to.port(),
        }
    }

    /// The `Host` field and `:authority`: the port only where it is not the
    /// scheme's own (RFC 9110 section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            self.host_and_port()
        }
    }

    /// The host with its port, always.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// An origin as URLs write it: `https://example.com`, `http://[::1]:8080`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}
