//! How names are to be resolved: by whom, with which servers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use fumehood_control::{NameServer, ServerProtocol};
use fumehood_policy::{DnsName, Host, RequestUrl};
use serde::Deserialize;

use super::anchors::DnsAnchor;

/// Port of DNS over UDP and TCP.
pub(super) const PLAIN_PORT: u16 = 53;

/// Port of DNS over TLS (RFC 7858 section 3.1).
const TLS_PORT: u16 = 853;

/// Who resolves the names of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DnsMode {
    /// The C library's `getaddrinfo`, in the broker. It follows the whole of the
    /// system's configuration (`nsswitch.conf`), and the engine has no socket
    /// to a name server.
    #[default]
    System,
    /// The `dns` guest, in the engine. No native code parses what name servers
    /// send; an engine gone rogue could tell a name server things.
    Guest,
}

impl DnsMode {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DnsMode::System => "system",
            DnsMode::Guest => "guest",
        }
    }
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Who resolves the names of requests. [`crate::Engine::resolve`] always
    /// asks the guest.
    pub mode: DnsMode,
    /// The guest's servers, at most 8; empty for those of `resolv.conf`.
    pub servers: Vec<DnsServer>,
    /// Search domains, in place of those of `resolv.conf`.
    pub search: Option<Vec<DnsName>>,
    /// Whether [`crate::Engine::resolve`] answers private addresses of any name.
    /// Default no.
    pub private_answers: bool,
    /// Whether the guest validates what it finds (RFC 4035), and answers nothing
    /// that is bogus. Default no. What [`DnsMode::System`] finds is not
    /// validated.
    pub dnssec: bool,
    /// Where it begins to believe, beside the root's keys, which are built in; a
    /// zone's own replace those. At most 32.
    pub trust_anchors: Vec<DnsAnchor>,
    /// Default `/etc/resolv.conf`. One that is not there stands for a server on
    /// this machine.
    pub resolv_conf: PathBuf,
    /// Default `/etc/hosts`. One that is not there is empty.
    pub hosts: PathBuf,
}

impl Default for Dns {
    fn default() -> Self {
        Dns {
            mode: DnsMode::System,
            servers: Vec::new(),
            search: None,
            private_answers: false,
            dnssec: false,
            trust_anchors: Vec::new(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
        }
    }
}

/// A server of names as people write it:
///
/// ```text
/// 9.9.9.9    [2620:fe::fe]:5353    over UDP and TCP; port 53
/// tls://9.9.9.9                    over TLS; its certificate has the address
/// tls://dns.quad9.net#9.9.9.9      its certificate has the name; port 853
/// https://dns.quad9.net/dns-query#9.9.9.9    over HTTPS, likewise; port 443
/// ```
///
/// A name is verified and never looked up, so the address stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsServer(pub(crate) NameServer);

/// Why a text is no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsServerError {
    /// Neither an address nor a URL.
    #[error(
        "a name server is an address such as 9.9.9.9 or [2620:fe::fe]:53, or \
         tls://NAME#ADDRESS, or https://NAME/dns-query#ADDRESS"
    )]
    Syntax,
    /// A name without an address.
    #[error("the server's address is missing: write it behind the name, as in tls://NAME#ADDRESS")]
    NoAddress,
    /// Nobody can be there.
    #[error("a name server's address is not 0.0.0.0, ::, or on port 0")]
    Nowhere,
}

impl FromStr for DnsServer {
    type Err = DnsServerError;

    fn from_str(text: &str) -> Result<Self, DnsServerError> {
        let server = match text.split_once("://") {
            None => NameServer {
                address: plain(text)?,
                protocol: ServerProtocol::Plain,
            },
            Some(("tls", rest)) => {
                let (address, name) = secured(rest, TLS_PORT)?;
                NameServer {
                    address,
                    protocol: ServerProtocol::Tls(name),
                }
            }
            Some(("https", _)) => {
                let (url, address) = split_address(text)?;
                let parsed = RequestUrl::parse(url).map_err(|_| DnsServerError::Syntax)?;
                let target = &parsed.target;
                let address = address.or(target.host.address());
                let address = address.ok_or(DnsServerError::NoAddress)?;
                let url = format!("{target}{}", parsed.path_and_query);
                NameServer {
                    address: (address, target.port).into(),
                    protocol: ServerProtocol::Https(url),
                }
            }
            Some(_) => return Err(DnsServerError::Syntax),
        };
        let nowhere = server.address.ip().is_unspecified() || server.address.port() == 0;
        match nowhere {
            true => Err(DnsServerError::Nowhere),
            false => Ok(DnsServer(server)),
        }
    }
}

impl From<NameServer> for DnsServer {
    fn from(server: NameServer) -> Self {
        DnsServer(server)
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.address;
        match &self.0.protocol {
            ServerProtocol::Plain => address.fmt(f),
            ServerProtocol::Tls(name) => {
                write!(f, "tls://{name}:{}#{}", address.port(), address.ip())
            }
            ServerProtocol::Https(url) => write!(f, "{url}#{}", address.ip()),
        }
    }
}

/// `ADDRESS[:PORT]`, IPv6 in brackets where a port follows.
fn plain(text: &str) -> Result<SocketAddr, DnsServerError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address, PLAIN_PORT).into());
    }
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Some(Ok(address)) = bare.map(str::parse::<IpAddr>) {
        return Ok((address, PLAIN_PORT).into());
    }
    text.parse().map_err(|_| DnsServerError::Syntax)
}

/// What stands before `#`, and the address behind it.
fn split_address(text: &str) -> Result<(&str, Option<IpAddr>), DnsServerError> {
    match text.split_once('#') {
        Some((place, address)) => {
            let address = address.parse().map_err(|_| DnsServerError::Syntax)?;
            Ok((place, Some(address)))
        }
        None => Ok((text, None)),
    }
}

/// `HOST[:PORT][#ADDRESS]`: where it is, and what its certificate has.
fn secured(text: &str, port: u16) -> Result<(SocketAddr, String), DnsServerError> {
    let (place, address) = split_address(text)?;
    let (host, port) = match place.rsplit_once(':') {
        Some((host, digits)) if !host.contains(':') || host.ends_with(']') => {
            let plain = digits.bytes().all(|it| it.is_ascii_digit());
            let read = digits.parse().ok().filter(|_| plain);
            (host, read.ok_or(DnsServerError::Syntax)?)
        }
        _ => (place, port),
    };
    let host = Host::parse(host).map_err(|_| DnsServerError::Syntax)?;
    let address = address
        .or(host.address())
        .ok_or(DnsServerError::NoAddress)?;
    Ok(((address, port).into(), host.to_string()))
}
