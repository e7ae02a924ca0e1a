//! `hosts(5)`: an address and its names a line.

use std::net::IpAddr;

use super::{FileTooLong, Ignored, WhyIgnored, check_length, ignore, parse_address, parse_name};
use crate::DnsName;

/// Longest file that is read, in bytes.
pub const MAX_HOSTS_BYTES: usize = 4 << 20;

/// Entries that are read. Block lists in host tables are larger; they are a
/// matter for rules.
pub const MAX_HOST_ENTRIES: usize = 4096;

/// Names of one entry that are read.
pub const MAX_HOST_NAMES: usize = 64;

/// Names of all entries that are read.
pub const MAX_HOST_TABLE_NAMES: usize = 16_384;

/// One line of a host table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// What the names stand for.
    pub address: IpAddr,
    /// 1 to [`MAX_HOST_NAMES`], the canonical one first.
    pub names: Vec<DnsName>,
}

/// Reads the text of a host table: its entries in order (at most
/// [`MAX_HOST_ENTRIES`]), and what was passed over.
///
/// # Errors
/// When it is longer than [`MAX_HOSTS_BYTES`].
pub fn parse_hosts(text: &str) -> Result<(Vec<HostEntry>, Vec<Ignored>), FileTooLong> {
    check_length(text, MAX_HOSTS_BYTES)?;
    let (mut entries, mut ignored) = (Vec::new(), Vec::new());
    let mut left = MAX_HOST_TABLE_NAMES;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else {
            continue;
        };
        if entries.len() == MAX_HOST_ENTRIES || left == 0 {
            ignore(&mut ignored, number, WhyIgnored::TooMany);
            break;
        }
        match parse_address(address) {
            Err(why) => ignore(&mut ignored, number, why),
            Ok(address) => {
                let most = left.min(MAX_HOST_NAMES);
                let names = names(words, most, number, &mut ignored);
                left -= names.len();
                if !names.is_empty() {
                    entries.push(HostEntry { address, names });
                }
            }
        }
    }
    Ok((entries, ignored))
}

fn names<'a>(
    words: impl Iterator<Item = &'a str>,
    most: usize,
    line: usize,
    ignored: &mut Vec<Ignored>,
) -> Vec<DnsName> {
    let mut names = Vec::new();
    for word in words {
        match parse_name(word) {
            Err(why) => ignore(ignored, line, why),
            Ok(_) if names.len() == most => {
                ignore(ignored, line, WhyIgnored::TooMany);
                break;
            }
            Ok(name) => names.push(name),
        }
    }
    names
}
