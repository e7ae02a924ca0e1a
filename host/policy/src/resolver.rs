//! How this machine resolves names, by its own files: `resolv.conf(5)` and
//! `hosts(5)`. Pure functions of a file's text; reading it is the embedder's.
//!
//! Both files are the administrator's and trusted. They are still read within
//! bounds, and what is passed over is told, with its line.

mod hosts;
mod resolv_conf;

use std::fmt;

pub use hosts::{
    HostEntry, MAX_HOST_ENTRIES, MAX_HOST_NAMES, MAX_HOST_TABLE_NAMES, MAX_HOSTS_BYTES, parse_hosts,
};
pub use resolv_conf::{
    MAX_NAME_SERVERS, MAX_RESOLV_CONF_BYTES, MAX_SEARCH_DOMAINS, ResolvConf, parse_resolv_conf,
};

/// Most lines that are told of having been passed over; there may be more.
pub const MAX_IGNORED: usize = 64;

/// Something in a file that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: WhyIgnored,
}

/// Why something in a file was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyIgnored {
    /// Not an IP address.
    Address,
    /// An IPv6 address with a zone, which means nothing outside this machine.
    Zone,
    /// Not a host name.
    Name,
    /// An option or keyword that is not known, or has no effect here.
    Option,
    /// An option's number is none, or the line says nothing after its keyword.
    Value,
    /// One more than is read; see the bounds.
    TooMany,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            WhyIgnored::Address => "not an IP address",
            WhyIgnored::Zone => "an address with a zone, which is not supported",
            WhyIgnored::Name => "not a host name",
            WhyIgnored::Option => "an option without effect here",
            WhyIgnored::Value => "a value that is missing or no number",
            WhyIgnored::TooMany => "more than is read",
        };
        write!(f, "line {}: {why}", self.line)
    }
}

/// The file is longer than it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file has {bytes} bytes; {most} are read at most")]
pub struct FileTooLong {
    /// How long it is.
    pub bytes: usize,
    /// How long it may be.
    pub most: usize,
}

fn check_length(text: &str, most: usize) -> Result<(), FileTooLong> {
    let bytes = text.len();
    if bytes > most {
        return Err(FileTooLong { bytes, most });
    }
    Ok(())
}

fn ignore(ignored: &mut Vec<Ignored>, line: usize, why: WhyIgnored) {
    if ignored.len() < MAX_IGNORED {
        ignored.push(Ignored { line, why });
    }
}

fn parse_address(text: &str) -> Result<std::net::IpAddr, WhyIgnored> {
    if text.contains('%') {
        return Err(WhyIgnored::Zone);
    }
    text.parse().map_err(|_| WhyIgnored::Address)
}

/// A name as these files have it, possibly with a trailing dot.
fn parse_name(text: &str) -> Result<crate::DnsName, WhyIgnored> {
    match crate::Host::parse(text) {
        Ok(crate::Host::Name(name)) => Ok(name),
        _ => Err(WhyIgnored::Name),
    }
}
