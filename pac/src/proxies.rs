//! A script's answer, parsed once into the list of what to try.
//!
//! ```text
//! answer = entry *( ";" entry )
//! entry  = "DIRECT" / kind SP host [ ":" port ]
//! kind   = "PROXY" / "HTTP" / "HTTPS" / "SOCKS" / "SOCKS4" / "SOCKS5"
//! ```
//!
//! Kinds are compared without case. An entry that is none of this is left
//! out and told of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bounds::{MAX_NAME_BYTES, MAX_PROXIES};
use crate::text::bounded;

/// Longest entry that is told of, in bytes.
const MAX_TOLD_BYTES: usize = 128;

/// One way to the target, in the order the script gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Without a proxy.
    Direct,
    /// An HTTP proxy reached in the clear: `PROXY`, `HTTP`.
    Http(Endpoint),
    /// An HTTP proxy reached over TLS.
    Https(Endpoint),
    /// SOCKS version 4; what a bare `SOCKS` means.
    Socks4(Endpoint),
    /// SOCKS version 5 (RFC 1928).
    Socks5(Endpoint),
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name in lower-case ASCII, or an IP address in its canonical form
    /// without brackets.
    pub host: String,
    /// Never 0. Where the script gives none: 80, 443 or 1080, by kind.
    pub port: u16,
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// To be tried in this order; the first that works is used.
    pub proxies: Vec<Proxy>,
    /// Entries that are none, printable and cut; at most [`MAX_PROXIES`].
    pub skipped: Vec<String>,
}

impl Answer {
    /// Parses an answer that is ASCII. Nothing but blanks and semicolons
    /// means DIRECT, as in browsers. At most [`MAX_PROXIES`] are taken, and each once.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut answer = Self::default();
        for entry in text.split(';').map(str::trim).filter(|e| !e.is_empty()) {
            match parse_entry(entry) {
                Some(proxy) if answer.proxies.contains(&proxy) => {}
                Some(proxy) if answer.proxies.len() < MAX_PROXIES => answer.proxies.push(proxy),
                _ if answer.skipped.len() < MAX_PROXIES => {
                    answer.skipped.push(bounded(entry, MAX_TOLD_BYTES));
                }
                _ => {}
            }
        }
        if answer == Self::default() {
            answer.proxies.push(Proxy::Direct);
        }
        answer
    }
}

fn parse_entry(entry: &str) -> Option<Proxy> {
    let mut words = entry.split_ascii_whitespace();
    let kind = words.next()?.to_ascii_uppercase();
    let place = words.next();
    if words.next().is_some() {
        return None;
    }
    if kind == "DIRECT" {
        return place.is_none().then_some(Proxy::Direct);
    }
    let place = place?;
    match kind.as_str() {
        "PROXY" | "HTTP" => Endpoint::parse(place, 80).map(Proxy::Http),
        "HTTPS" => Endpoint::parse(place, 443).map(Proxy::Https),
        "SOCKS" | "SOCKS4" => Endpoint::parse(place, 1080).map(Proxy::Socks4),
        "SOCKS5" => Endpoint::parse(place, 1080).map(Proxy::Socks5),
        _ => None,
    }
}

impl Endpoint {
    /// `host`, `host:port`, `[address]` or `[address]:port`.
    fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                let port = match rest {
                    "" => None,
                    _ => Some(rest.strip_prefix(':')?),
                };
                (IpAddr::V6(address).to_string(), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host_name(host)?, Some(port)),
                None => (host_name(text)?, None),
            },
        };
        let port = match port {
            Some(port) => parse_port(port)?,
            None => default_port,
        };
        Some(Self { host, port })
    }
}

/// A name or an IPv4 address in dotted decimal.
fn host_name(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(allowed) {
        return None;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or(name);
    if name
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63)
    {
        return None;
    }
    // What ends in a number is an address, and in one notation only.
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return name.parse::<Ipv4Addr>().ok().map(|ip| ip.to_string());
    }
    Some(name.to_ascii_lowercase())
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = digits.then(|| text.parse().ok())??;
    (port != 0).then_some(port)
}
