//! A configuration within its bounds, its names read.

use std::time::Duration;

use hickory_proto::rr::Name;

use crate::bounds::{
    MAX_ATTEMPTS, MAX_NDOTS, MAX_SEARCH_DOMAINS, MAX_SERVERS, MAX_TIMEOUT, MIN_TIMEOUT,
};
use crate::host_table::HostTable;
use crate::names::Asked;
use crate::types::{Config, Server};

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) servers: Vec<Server>,
    pub(crate) search: Vec<Name>,
    pub(crate) ndots: u8,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u8,
    pub(crate) rotate: bool,
    pub(crate) edns: bool,
    pub(crate) trust_authentic: bool,
    /// Whether answers are validated.
    pub(crate) dnssec: bool,
    pub(crate) hosts: HostTable,
}

impl Settings {
    /// Cuts off what is over a bound, and leaves out search domains that are
    /// no names.
    pub(crate) fn new(config: &Config) -> Self {
        Settings {
            servers: config.servers.iter().take(MAX_SERVERS).cloned().collect(),
            search: config
                .search
                .iter()
                .take(MAX_SEARCH_DOMAINS)
                .filter_map(|domain| Asked::parse(domain).ok())
                .map(|asked| asked.name)
                .collect(),
            ndots: config.ndots.min(MAX_NDOTS),
            timeout: config.timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT),
            attempts: config.attempts.clamp(1, MAX_ATTEMPTS),
            rotate: config.rotate,
            edns: config.edns,
            trust_authentic: config.trust_authentic,
            dnssec: config.dnssec.is_some(),
            hosts: HostTable::new(&config.hosts),
        }
    }
}
