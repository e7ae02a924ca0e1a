//! What scripts learn of this machine: its addresses and its local time.
//!
//! Addresses come from the kernel's tables under `/proc/net`: this process asks
//! for no socket, not even to find out what it is called.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_control::PacSurroundings;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Most own addresses that are told.
const MAX_ADDRESSES: usize = 64;

/// Changes of the clock that are told: two a year, for a lifetime.
const MAX_TRANSITIONS: usize = 200;

/// How long before now they begin, in hours: scripts look at today.
const ZONE_SINCE_HOURS: i64 = 2 * 366 * 24;

/// Largest table that is read, in bytes. A router's has thousands of lines.
const MAX_TABLE_BYTES: usize = 4 << 20;

/// A local time. The default is the system's.
#[derive(Clone, Debug)]
pub struct PacZone(TimeZone);

/// There is no such zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no time zone called {0:?} on this machine; names are as in Europe/Berlin, or UTC"
)]
pub struct ZoneError(String);

impl Default for PacZone {
    fn default() -> Self {
        PacZone(TimeZone::system())
    }
}

impl std::str::FromStr for PacZone {
    type Err = ZoneError;

    /// A name of the system's zone database.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let found = TimeZone::get(name);
        found
            .map(PacZone)
            .map_err(|_| ZoneError(name.chars().take(64).collect()))
    }
}

impl PacZone {
    /// From when on, and how far from UTC, both in seconds.
    fn transitions(&self, now: Timestamp) -> Vec<(i64, i32)> {
        let since = SignedDuration::from_hours(ZONE_SINCE_HOURS);
        let since = now.checked_sub(since).unwrap_or(Timestamp::MIN);
        let before = (since.as_second(), self.0.to_offset(since).seconds());
        let after = self.0.following(since);
        let after = after.map(|it| (it.timestamp().as_second(), it.offset().seconds()));
        let all = std::iter::once(before).chain(after);
        all.take(MAX_TRANSITIONS).collect()
    }
}

/// What a script is told, where its caller says nothing else.
pub(super) fn surroundings(addresses: Option<Vec<IpAddr>>, zone: &PacZone) -> PacSurroundings {
    let mut addresses = addresses.unwrap_or_else(own_addresses);
    addresses.truncate(MAX_ADDRESSES);
    PacSurroundings {
        addresses,
        zone: zone.transitions(Timestamp::now()),
    }
}

/// Of all interfaces but loopback: IPv4, that of the default route first, then IPv6.
fn own_addresses() -> Vec<IpAddr> {
    let v4 = own_v4(&table("/proc/net/route"), &table("/proc/net/fib_trie"));
    let v6 = own_v6(&table("/proc/net/if_inet6"));
    let v4 = v4.into_iter().map(IpAddr::from);
    v4.chain(v6.into_iter().map(IpAddr::from)).collect()
}

/// Empty where it cannot be read: a script is then told of no address.
fn table(path: &str) -> String {
    let mut text = fs::read_to_string(path).unwrap_or_default();
    text.truncate(text.floor_char_boundary(MAX_TABLE_BYTES));
    text
}

/// Addresses that the local table routes to this machine, those of the default
/// route's interface first.
fn own_v4(routes: &str, trie: &str) -> Vec<Ipv4Addr> {
    let mut own: Vec<Ipv4Addr> = Vec::new();
    let mut leaf = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if let (true, Some(address)) = (line == "/32 host LOCAL", leaf)
            && !address.is_loopback()
            && !own.contains(&address)
        {
            own.push(address);
        }
    }
    let preferred = preferred(routes);
    let is_other = |address: &Ipv4Addr| {
        let address = u32::from(*address);
        !preferred
            .iter()
            .any(|(network, mask)| address & mask == *network)
    };
    // Stable, and `false` comes first.
    own.sort_by_key(is_other);
    own
}

/// The networks on the interface that the default route leaves by.
fn preferred(routes: &str) -> Vec<(u32, u32)> {
    let row = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (interface, network) = (words.next()?.to_owned(), number(words.next()?)?);
        // Gateway, flags, references, uses and metric come before the mask.
        let (metric, mask) = (words.nth(4)?.parse::<u32>().ok()?, number(words.next()?)?);
        Some((interface, network, mask, metric))
    };
    let rows: Vec<_> = routes.lines().skip(1).filter_map(row).collect();
    let default = rows.iter().filter(|(_, _, mask, _)| *mask == 0);
    let Some((out, ..)) = default.min_by_key(|(.., metric)| *metric) else {
        return Vec::new();
    };
    let on_it = rows
        .iter()
        .filter(|(it, _, mask, _)| it == out && *mask != 0);
    on_it
        .map(|(_, network, mask, _)| (*network, *mask))
        .collect()
}

/// The kernel writes the bytes of an address as one number of its own order.
fn number(text: &str) -> Option<u32> {
    let number = u32::from_str_radix(text, 16).ok()?;
    Some(u32::from_be_bytes(number.to_ne_bytes()))
}

/// Addresses of global scope.
fn own_v6(table: &str) -> Vec<Ipv6Addr> {
    const GLOBAL: &str = "00";
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        // The interface's number and the prefix length come before the scope.
        let scope = words.nth(2)?;
        (scope == GLOBAL).then(|| Ipv6Addr::from(address))
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    const TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
        +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 10.9.0.7
           /32 host LOCAL
        |-- 10.9.0.255
           /32 link BROADCAST
     |-- 192.168.1.5
        /32 host LOCAL
";

    #[cfg(target_endian = "little")]
    #[test]
    fn the_default_routes_address_comes_first() {
        let routes =
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
tun0\t0000090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
";
        let own = own_v4(routes, TRIE);
        assert_eq!(own, [[192, 168, 1, 5].into(), Ipv4Addr::new(10, 9, 0, 7)]);
        let own = own_v4("", TRIE);
        assert_eq!(own, [[10, 9, 0, 7].into(), Ipv4Addr::new(192, 168, 1, 5)]);
    }

    #[test]
    fn link_local_and_loopback_are_not_told() {
        let table = "\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000021122fffe334455 02 40 20 80     eth0
20010db8000000000000000000000005 02 40 00 80     eth0
";
        let own: Vec<String> = own_v6(table).iter().map(ToString::to_string).collect();
        assert_eq!(own, ["2001:db8::5"]);
    }

    #[test]
    fn tables_of_another_form_are_empty() {
        assert!(own_v4("x\n\ny z", "|-- x\n/32 host LOCAL\n").is_empty());
        assert!(own_v6("zz\n\n0 0 0").is_empty());
    }

    #[test]
    fn a_zone_is_told_with_its_changes() {
        let now: Timestamp = "2026-09-21T14:13:20Z".parse().unwrap();
        let utc: PacZone = "UTC".parse().unwrap();
        assert_eq!(utc.transitions(now).len(), 1);
        assert!("Nowhere/At_All".parse::<PacZone>().is_err());
        let rules = "CET-1CEST,M3.5.0,M10.5.0/3";
        let central = PacZone(TimeZone::posix(rules).unwrap());
        let changes = central.transitions(now);
        assert_eq!(changes.len(), MAX_TRANSITIONS);
        // 2026-10-25, 01:00 UTC.
        assert!(changes.contains(&(1_792_890_000, 3600)), "{changes:?}");
    }
}
