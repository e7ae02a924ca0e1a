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

/// What the C library reads, whatever file is configured here.
const SYSTEM_RESOLV_CONF: &str = "/etc/resolv.conf";

/// What this machine is called. It is there: processes are started by way of `/proc`.
const MACHINE: &str = "/proc/sys/kernel/hostname";

/// Longest name that it can have, with its end of line: 64 bytes, as in uname(2).
const MAX_MACHINE_BYTES: usize = 65;

/// What the C library may put behind a name. Blocks, for as long as a small file takes.
pub(super) fn system_search() -> Result<Vec<String>, ResolveError> {
    let text = text(Path::new(SYSTEM_RESOLV_CONF), MAX_RESOLV_CONF_BYTES)?;
    let machine = self::text(Path::new(MACHINE), MAX_MACHINE_BYTES)?;
    Ok(put_behind(&text, machine.trim_end()))
}

/// The same by this text on a machine of this name (resolv.conf(5)): each word as it
/// stands, as nothing is asked for under these.
fn put_behind(resolv_conf: &str, machine: &str) -> Vec<String> {
    let mut said = Vec::new();
    for line in resolv_conf.lines() {
        // A keyword is at the line's start.
        let words: Vec<&str> = match line.strip_prefix("search") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.split_whitespace().collect(),
            _ => match line.strip_prefix("domain") {
                Some(rest) if rest.starts_with([' ', '\t']) => {
                    rest.split_whitespace().take(1).collect()
                }
                _ => continue,
            },
        };
        if !words.is_empty() {
            said = words;
        }
    }
    if said.is_empty() {
        let domain = machine.split_once('.').map(|(_, domain)| domain);
        said.extend(domain);
    }
    let domains = said.iter().map(|it| it.trim_end_matches('.'));
    let named = domains.filter(|it| !it.is_empty());
    named.map(str::to_ascii_lowercase).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_c_library_puts_behind_a_name_is_known() {
        let rows: [(&str, &str, &[&str]); 9] = [
            // The last counts, and all of it.
            (
                "search a.test b.test\nsearch c.test d.test e.test f.test g.test h.test CO.UK.\n",
                "host.example.com",
                &[
                    "c.test", "d.test", "e.test", "f.test", "g.test", "h.test", "co.uk",
                ],
            ),
            ("domain corp.test other\n", "host.com", &["corp.test"]),
            ("search\tcorp.test\ndomain lan\n", "host.com", &["lan"]),
            // Names that ours does not take.
            ("search odd_name.com #\n", "host", &["odd_name.com", "#"]),
            // No search domain at all.
            ("search .\n", "host.com", &[]),
            ("nameserver 127.0.0.1\n", "host", &[]),
            // The machine's own, where nothing is said.
            ("nameserver 127.0.0.1\n", "example.com", &["com"]),
            (
                "#search a.test\n searching b\nsearch \n",
                "h.co.uk",
                &["co.uk"],
            ),
            ("", "host.corp.test", &["corp.test"]),
        ];
        for (text, machine, behind) in rows {
            assert_eq!(put_behind(text, machine), behind, "{text:?} {machine}");
        }
    }
}
