//! `resolv.conf(5)`: servers, search domains, options.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{FileTooLong, Ignored, WhyIgnored, check_length, ignore, parse_address, parse_name};
use crate::DnsName;

/// Longest file that is read, in bytes. Real ones have a few hundred.
pub const MAX_RESOLV_CONF_BYTES: usize = 64 << 10;

/// Name servers that are read. glibc reads three.
pub const MAX_NAME_SERVERS: usize = 8;

/// Search domains that are read.
pub const MAX_SEARCH_DOMAINS: usize = 32;

/// Greatest `ndots` (`resolv.conf(5)` caps it there).
const MAX_NDOTS: u64 = 15;

/// Greatest `timeout` in seconds, likewise.
const MAX_TIMEOUT_SECONDS: u64 = 30;

/// Greatest `attempts`, likewise.
const MAX_ATTEMPTS: u64 = 5;

/// What `resolv.conf` says, its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// In order; at most [`MAX_NAME_SERVERS`]. Port 53. Without any the file
    /// stands for a server on this machine.
    pub servers: Vec<IpAddr>,
    /// At most [`MAX_SEARCH_DOMAINS`]. The last `search` or `domain` counts.
    pub search: Vec<DnsName>,
    /// 0 to 15; default 1.
    pub ndots: u8,
    /// 1 to 30 s; default 5 s.
    pub timeout: Duration,
    /// 1 to 5; default 2.
    pub attempts: u8,
    /// Whether to begin at another server each time.
    pub rotate: bool,
    /// Whether the AD bit of the servers is believed.
    pub trust_ad: bool,
    /// What was passed over; at most [`super::MAX_IGNORED`].
    pub ignored: Vec<Ignored>,
}

impl Default for ResolvConf {
    /// What an empty file stands for.
    fn default() -> Self {
        ResolvConf {
            servers: vec![Ipv4Addr::LOCALHOST.into()],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            trust_ad: false,
            ignored: Vec::new(),
        }
    }
}

/// Reads the text of a `resolv.conf`. `edns0` changes nothing, as questions
/// carry EDNS anyway; other options that are not in [`ResolvConf`] are told
/// among what was ignored.
///
/// # Errors
/// When it is longer than [`MAX_RESOLV_CONF_BYTES`].
pub fn parse_resolv_conf(text: &str) -> Result<ResolvConf, FileTooLong> {
    check_length(text, MAX_RESOLV_CONF_BYTES)?;
    let mut conf = ResolvConf {
        servers: Vec::new(),
        ..ResolvConf::default()
    };
    for (index, line) in text.lines().enumerate() {
        conf.read_line(index + 1, line);
    }
    if conf.servers.is_empty() {
        conf.servers = ResolvConf::default().servers;
    }
    Ok(conf)
}

impl ResolvConf {
    fn read_line(&mut self, number: usize, line: &str) {
        let is_comment = |word: &&str| word.starts_with(['#', ';']);
        let mut words = line.split_whitespace().take_while(|word| !is_comment(word));
        let Some(keyword) = words.next() else {
            return;
        };
        match keyword {
            "nameserver" => match words
                .next()
                .ok_or(WhyIgnored::Value)
                .and_then(parse_address)
            {
                Err(why) => ignore(&mut self.ignored, number, why),
                Ok(_) if self.servers.len() == MAX_NAME_SERVERS => {
                    ignore(&mut self.ignored, number, WhyIgnored::TooMany);
                }
                Ok(address) => self.servers.push(address),
            },
            "domain" => self.read_search(number, words.take(1)),
            "search" => self.read_search(number, words),
            "options" => {
                for option in words {
                    if let Err(why) = self.read_option(option) {
                        ignore(&mut self.ignored, number, why);
                    }
                }
            }
            _ => ignore(&mut self.ignored, number, WhyIgnored::Option),
        }
    }

    fn read_search<'a>(&mut self, number: usize, words: impl Iterator<Item = &'a str>) {
        self.search.clear();
        // The root alone means: none.
        for word in words.filter(|word| *word != ".") {
            match parse_name(word) {
                Err(why) => ignore(&mut self.ignored, number, why),
                Ok(_) if self.search.len() == MAX_SEARCH_DOMAINS => {
                    ignore(&mut self.ignored, number, WhyIgnored::TooMany);
                }
                Ok(name) => self.search.push(name),
            }
        }
    }

    fn read_option(&mut self, option: &str) -> Result<(), WhyIgnored> {
        let (name, value) = match option.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let number = |least: u64, most: u64| {
            let value = value.and_then(|it| it.parse::<u64>().ok());
            value
                .map(|it| it.clamp(least, most))
                .ok_or(WhyIgnored::Value)
        };
        let small = |least, most| {
            // At most 15.
            number(least, most).map(|it| u8::try_from(it).unwrap_or(u8::MAX))
        };
        match name {
            "ndots" => self.ndots = small(0, MAX_NDOTS)?,
            "timeout" => self.timeout = Duration::from_secs(number(1, MAX_TIMEOUT_SECONDS)?),
            "attempts" => self.attempts = small(1, MAX_ATTEMPTS)?,
            "rotate" => self.rotate = true,
            "trust-ad" => self.trust_ad = true,
            "edns0" => {}
            _ => return Err(WhyIgnored::Option),
        }
        Ok(())
    }
}
