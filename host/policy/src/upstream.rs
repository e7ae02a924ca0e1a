//! Proxies that connections go through: scheme, host and port, parsed once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Host, HostError, Scheme, Target, UserInfo, authority, host, url};

/// Longest text of a proxy accepted, in bytes: credentials of 255 bytes each,
/// percent-encoded, and a host.
pub const MAX_PROXY_BYTES: usize = 4096;

/// How a proxy is spoken to. The text forms are curl's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProxyScheme {
    /// `http`: absolute-form for http targets, CONNECT for others (RFC 9112
    /// section 3.2). PAC's `PROXY` and `HTTP`. Port 80 by default.
    Http,
    /// `https`: the same inside TLS. PAC's `HTTPS`. Port 443 by default.
    Https,
    /// `socks4`: it is told an IPv4 address, so names are resolved here. PAC's
    /// `SOCKS4`, and its bare `SOCKS`. Port 1080 by default, as all of SOCKS.
    Socks4,
    /// `socks4a`: it is told names, too.
    Socks4a,
    /// `socks5` (RFC 1928), told addresses: names are resolved here.
    Socks5,
    /// `socks5h` (RFC 1928), told names as they are. What PAC's `SOCKS5` means
    /// in Chromium.
    Socks5h,
}

/// By whom a proxy was named, which says how far it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Naming {
    /// By the user. That is leave to connect to it wherever it is, unless a rule
    /// denies it; and credentials go to such a proxy alone.
    User,
    /// By a PAC script. It is judged as any target.
    Script,
}

/// A proxy. Credentials are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProxyServer {
    /// How to speak to it.
    pub scheme: ProxyScheme,
    /// Where it is, in canonical form.
    pub host: Host,
    /// On which port of TCP.
    pub port: u16,
}

/// Why a proxy's text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Over [`MAX_PROXY_BYTES`].
    #[error("the proxy's URL is longer than {MAX_PROXY_BYTES} bytes")]
    TooLong,
    /// A control character, or a space.
    #[error("the proxy's URL has the character {0:?}")]
    Character(char),
    /// None of [`ProxyScheme`]; at most 32 characters of it.
    #[error("the proxy's scheme {0:?} is none of http, https, socks4, socks4a, socks5 and socks5h")]
    Scheme(String),
    /// The host was refused.
    #[error("the proxy is refused: {0}")]
    Host(#[source] HostError),
    /// Not a number from 1 to 65535.
    #[error("the proxy's port is not a number from 1 to 65535")]
    Port,
    /// A path, a query or a fragment.
    #[error("after the proxy's host and port nothing may follow")]
    Path,
    /// Two `@`, or credentials that no proxy can be sent.
    #[error("the proxy's user name or password has a character that must not be there")]
    UserInfo,
}

impl ProxyScheme {
    /// All, as people write them.
    const NAMES: [(&'static str, ProxyScheme); 7] = [
        ("http", ProxyScheme::Http),
        ("https", ProxyScheme::Https),
        ("socks4", ProxyScheme::Socks4),
        ("socks4a", ProxyScheme::Socks4a),
        ("socks5", ProxyScheme::Socks5),
        ("socks5h", ProxyScheme::Socks5h),
        // As curl has it.
        ("socks", ProxyScheme::Socks4),
    ];

    /// As it stands in a URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks4 => "socks4",
            ProxyScheme::Socks4a => "socks4a",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        }
    }

    /// The scheme of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.into_iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, scheme)| scheme)
    }

    /// The port where none is named.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            _ => 1080,
        }
    }

    /// Whether HTTP is spoken to it, inside TLS or not.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, ProxyScheme::Http | ProxyScheme::Https)
    }

    /// Whether it is told addresses alone, so that names are resolved here,
    /// where the policy sees what they resolve to.
    #[must_use]
    pub fn wants_address(self) -> bool {
        matches!(self, ProxyScheme::Socks4 | ProxyScheme::Socks5)
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ProxyServer {
    /// Reads `[scheme://][user[:password]@]host[:port][/]`. Without a scheme
    /// it is an http proxy; without a port, the scheme's own.
    ///
    /// # Errors
    /// One of [`ProxyError`].
    pub fn parse(text: &str) -> Result<(Self, Option<UserInfo>), ProxyError> {
        if text.len() > MAX_PROXY_BYTES {
            return Err(ProxyError::TooLong);
        }
        let odd = |it: &char| it.is_control() || it.is_whitespace() || *it == '\\';
        if let Some(odd) = text.chars().find(odd) {
            return Err(ProxyError::Character(odd));
        }
        let (scheme, authority) = match text.split_once("://") {
            Some((name, rest)) => {
                let short = || name.chars().take(32).collect();
                let scheme = ProxyScheme::from_name(name);
                (scheme.ok_or_else(|| ProxyError::Scheme(short()))?, rest)
            }
            None => (ProxyScheme::Http, text),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains(['/', '?', '#']) {
            return Err(ProxyError::Path);
        }
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains('@') => return Err(ProxyError::UserInfo),
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let server = Self::at(scheme, place)?;
        let user = user.map(url::user_info_of).transpose();
        Ok((server, user.map_err(|_| ProxyError::UserInfo)?))
    }

    /// A proxy at `host[:port]`, IPv6 in brackets, as PAC scripts and the part
    /// of a URL after `@` write it.
    ///
    /// # Errors
    /// [`ProxyError::Host`] or [`ProxyError::Port`].
    pub fn at(scheme: ProxyScheme, place: &str) -> Result<Self, ProxyError> {
        let (name, port) = authority::split_port(place);
        host::check_text(name).map_err(ProxyError::Host)?;
        let port = match port {
            None => scheme.default_port(),
            Some(digits) => authority::port_of(digits).ok_or(ProxyError::Port)?,
        };
        let host = Host::parse(name).map_err(ProxyError::Host)?;
        Ok(ProxyServer { scheme, host, port })
    }

    /// What rules about hosts, ports and schemes take it for: an https proxy
    /// for an https target, any other for an http one.
    #[must_use]
    pub fn as_target(&self) -> Target {
        let scheme = match self.scheme {
            ProxyScheme::Https => Scheme::Https,
            _ => Scheme::Http,
        };
        Target {
            scheme,
            host: self.host.clone(),
            port: self.port,
        }
    }
}

/// `socks5://localhost:1080`, always with the port. Parsing it gives the same.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// Without credentials: a text that has some is refused.
impl FromStr for ProxyServer {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        match Self::parse(text)? {
            (server, None) => Ok(server),
            (_, Some(_)) => Err(ProxyError::UserInfo),
        }
    }
}
