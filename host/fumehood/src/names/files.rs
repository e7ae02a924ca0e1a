//! `resolv.conf` and `hosts`: read here, since no other process reads a file.

use std::path::Path;

use fumehood_policy::resolver::{
    HostEntry, MAX_HOSTS_BYTES, MAX_RESOLV_CONF_BYTES, ResolvConf, parse_hosts, parse_resolv_conf,
};

use super::ResolveError;
use super::config::Dns;
use crate::store::{Stamp, read_file, stamp};

/// What both files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) resolv_conf: ResolvConf,
    pub(super) hosts: Vec<HostEntry>,
}

/// By which a file is known to be the one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps([Option<Stamp>; 2]);

impl Stamps {
    /// Of the files as they are now.
    pub(super) fn of(dns: &Dns) -> Stamps {
        Stamps([stamp(&dns.resolv_conf), stamp(&dns.hosts)])
    }
}

/// Reads both. Blocks, for as long as small files take.
pub(super) fn read(dns: &Dns) -> Result<Files, ResolveError> {
    let (conf, hosts) = (&dns.resolv_conf, &dns.hosts);
    let text = text(conf, MAX_RESOLV_CONF_BYTES)?;
    let resolv_conf = parse_resolv_conf(&text).map_err(|e| refused(conf, e.to_string()))?;
    for ignored in &resolv_conf.ignored {
        tracing::info!(file = %conf.display(), %ignored, "passed over");
    }
    let text = self::text(hosts, MAX_HOSTS_BYTES)?;
    let (hosts, ignored) = parse_hosts(&text).map_err(|e| refused(hosts, e.to_string()))?;
    for ignored in ignored {
        tracing::info!(file = %dns.hosts.display(), %ignored, "passed over");
    }
    Ok(Files { resolv_conf, hosts })
}

/// A file's text, empty where there is no such file. What is not UTF-8 in it
/// is in comments, or names nothing.
fn text(path: &Path, most: usize) -> Result<String, ResolveError> {
    let bytes = read_file(path, most as u64).map_err(|why| refused(path, why))?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

fn refused(path: &Path, why: String) -> ResolveError {
    ResolveError::File {
        path: path.display().to_string(),
        why,
    }
}
