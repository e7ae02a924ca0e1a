//! Which targets need no proxy.
//!
//! ```text
//! list  = entry *( ( "," / ";" ) entry )
//! entry = [ scheme "://" ] pattern [ ":" port ]    pattern with any number of "*"
//!       / "." suffix [ ":" port ]                  the same as *.suffix
//!       / address / address "/" bits
//!       / "<local>"                                names without a dot
//!       / "<-loopback>"                            loopback is proxied as any other
//! ```
//!
//! It is Chromium's list. Of several entries that say something of a target,
//! the last one decides. Loopback and link-local addresses, `localhost` and what
//! is under it need no proxy unless `<-loopback>` says so: a proxy would mean
//! another machine by them.

use std::net::IpAddr;

use crate::{Host, IpNet, Target, authority};

/// Most entries of a list. Real ones have under a hundred.
pub const MAX_BYPASS_ENTRIES: usize = 1024;

/// Longest pattern, in bytes: a name, and stars.
const MAX_PATTERN_BYTES: usize = 512;

/// Which targets need no proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bypass {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Of this scheme alone.
    scheme: Option<String>,
    hosts: Hosts,
    /// On this port alone.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// In lower case, with stars.
    Pattern(String),
    /// This name, and what is under it.
    Tree(String),
    Net(IpNet),
    /// Names without a dot.
    Local,
    /// Takes back what holds without any entry.
    NotLoopback,
}

/// Why an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BypassError {
    /// None of the forms; at most 64 characters of it.
    #[error(
        "{0:?} says of no host that it needs no proxy: write a name, *.name, an address, \
         address/bits, <local> or <-loopback>"
    )]
    Entry(String),
    /// Over [`MAX_BYPASS_ENTRIES`].
    #[error("a list of hosts that need no proxy has more than {MAX_BYPASS_ENTRIES} entries")]
    TooMany,
}

impl Bypass {
    /// Reads a list, with commas or semicolons between entries.
    ///
    /// # Errors
    /// [`BypassError`], for the first entry that is none.
    pub fn parse(list: &str) -> Result<Self, BypassError> {
        Self::collect(list.split([',', ';']), entry)
    }

    /// Reads what `no_proxy` says:
    ///
    /// ```text
    /// list  = "*" / entry *( ( "," / SP ) entry )
    /// entry = name [ ":" port ]                    that host, and those under it
    ///       / ( "." / "*." ) name [ ":" port ]     those under it, not itself
    ///       / address [ ":" port ] / address "/" bits
    /// ```
    ///
    /// # Errors
    /// [`BypassError`], for the first entry that is none.
    pub fn parse_no_proxy(list: &str) -> Result<Self, BypassError> {
        Self::collect(list.split([',', ' ', '\t']), no_proxy_entry)
    }

    fn collect<'a>(
        list: impl Iterator<Item = &'a str>,
        read: impl Fn(&str) -> Option<Entry>,
    ) -> Result<Self, BypassError> {
        let mut entries = Vec::new();
        for text in list.map(str::trim).filter(|text| !text.is_empty()) {
            if entries.len() == MAX_BYPASS_ENTRIES {
                return Err(BypassError::TooMany);
            }
            let short = || BypassError::Entry(text.chars().take(64).collect());
            entries.push(read(text).ok_or_else(short)?);
        }
        Ok(Bypass { entries })
    }

    /// Whether a target is reached without a proxy.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        let said = self.entries.iter().rev().find_map(|it| it.says(target));
        said.unwrap_or_else(|| is_loopback(&target.host))
    }
}

impl Entry {
    /// Whether the target needs no proxy; nothing where it is about others.
    fn says(&self, target: &Target) -> Option<bool> {
        let scheme = self.scheme.as_deref();
        if scheme.is_some_and(|it| it != target.scheme.name())
            || self.port.is_some_and(|it| it != target.port)
        {
            return None;
        }
        let host = &target.host;
        let about = match &self.hosts {
            Hosts::NotLoopback => return is_loopback(host).then_some(false),
            Hosts::Pattern(pattern) => glob(pattern.as_bytes(), text(host).as_bytes()),
            Hosts::Tree(root) => is_in_tree(host, root),
            Hosts::Net(net) => host.address().is_some_and(|it| net.contains(it)),
            Hosts::Local => matches!(host, Host::Name(name) if !name.as_str().contains('.')),
        };
        about.then_some(true)
    }
}

/// As patterns are held against it: IPv6 without brackets.
fn text(host: &Host) -> String {
    match host.address() {
        Some(address) => address.to_string(),
        None => host.to_string(),
    }
}

fn is_in_tree(host: &Host, root: &str) -> bool {
    let Host::Name(name) = host else { return false };
    let above = name.as_str().strip_suffix(root);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Name(name) => name.is_localhost(),
        Host::V4(it) => it.is_loopback() || it.is_link_local(),
        Host::V6(it) => it.is_loopback() || it.is_unicast_link_local(),
    }
}

/// One entry of Chromium's list.
fn entry(text: &str) -> Option<Entry> {
    let special = |hosts| {
        Some(Entry {
            scheme: None,
            hosts,
            port: None,
        })
    };
    match text.to_ascii_lowercase().as_str() {
        "<local>" => return special(Hosts::Local),
        "<-loopback>" => return special(Hosts::NotLoopback),
        _ => {}
    }
    let (scheme, place) = match text.split_once("://") {
        Some((scheme, place)) => (Some(scheme.to_ascii_lowercase()), place),
        None => (None, text),
    };
    let plain = |it: &String| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric());
    if !scheme.as_ref().is_none_or(plain) {
        return None;
    }
    let (hosts, port) = hosts_and_port(place, |name| {
        let pattern = match name.strip_prefix('.') {
            Some(suffix) => format!("*.{suffix}"),
            None => name.to_owned(),
        };
        Some(Hosts::Pattern(pattern))
    })?;
    Some(Entry {
        scheme,
        hosts,
        port,
    })
}

/// One entry of `no_proxy`.
fn no_proxy_entry(text: &str) -> Option<Entry> {
    let (hosts, port) = hosts_and_port(text, |name| {
        let under = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
        match under {
            _ if name == "*" => Some(Hosts::Pattern("*".to_owned())),
            _ if under.unwrap_or(name).contains('*') => None,
            Some(root) => Some(Hosts::Pattern(format!("*.{root}"))),
            None => Some(Hosts::Tree(name.to_owned())),
        }
    })?;
    Some(Entry {
        scheme: None,
        hosts,
        port,
    })
}

/// A range, or a host with or without a port; names in lower case.
fn hosts_and_port(
    text: &str,
    named: impl Fn(&str) -> Option<Hosts>,
) -> Option<(Hosts, Option<u16>)> {
    if text.contains('/') {
        return Some((Hosts::Net(text.parse().ok()?), None));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((Hosts::Net(IpNet::of(address)), None));
    }
    let (place, port) = authority::split_port(text);
    let port = match port {
        Some(digits) => Some(authority::port_of(digits)?),
        None => None,
    };
    let bare = place.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(place).parse::<IpAddr>() {
        return Some((Hosts::Net(IpNet::of(address)), port));
    }
    let name = place.strip_suffix('.').unwrap_or(place);
    let allowed = |it: u8| it.is_ascii_alphanumeric() || b"-_.*".contains(&it);
    let sound = !name.is_empty() && name.len() <= MAX_PATTERN_BYTES && name.bytes().all(allowed);
    if !sound || name.contains("..") || name == "." {
        return None;
    }
    Some((named(&name.to_ascii_lowercase())?, port))
}

/// Whether a pattern with stars is the whole of a text. Goes back to the latest
/// star alone, so it takes at most one length times the other.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    seen = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}
