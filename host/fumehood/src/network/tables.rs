//! What the kernel's tables under `/proc/net` say: own addresses, default routes.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Largest table that is read, in bytes. A router's has thousands of lines.
const MAX_TABLE_BYTES: u64 = 4 << 20;

/// By which a network is told from another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    addresses: Vec<IpAddr>,
    /// Interface and gateway of each, as the tables have them.
    default_routes: Vec<(String, String)>,
}

impl Look {
    /// As it is now. Microseconds, but on a router.
    pub(super) fn now() -> Self {
        let routes = table("/proc/net/route");
        let v4 = default_v4(&routes);
        let v6 = default_v6(&table("/proc/net/ipv6_route"));
        Look {
            addresses: addresses(&routes),
            default_routes: v4.into_iter().chain(v6).collect(),
        }
    }
}

/// Of each default route interface and gateway.
fn default_v4(table: &str) -> Vec<(String, String)> {
    const ANY: &str = "00000000";
    let route = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_default = *words.get(1)? == ANY && *words.get(7)? == ANY;
        is_default.then(|| (words[0].to_owned(), words[2].to_owned()))
    };
    table.lines().filter_map(route).collect()
}

/// The same. Where there is none, the kernel has one on `lo` that refuses.
fn default_v6(table: &str) -> Vec<(String, String)> {
    const NO_PREFIX: &str = "00";
    let route = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (gateway, interface) = (*words.get(4)?, *words.get(9)?);
        let is_default = words[1] == NO_PREFIX && interface != "lo";
        is_default.then(|| (interface.to_owned(), gateway.to_owned()))
    };
    table.lines().filter_map(route).collect()
}

/// Of all interfaces but loopback: IPv4, that of the default route first, then IPv6.
pub(crate) fn own_addresses() -> Vec<IpAddr> {
    addresses(&table("/proc/net/route"))
}

/// The same, where the routes have been read.
fn addresses(routes: &str) -> Vec<IpAddr> {
    let v4 = own_v4(routes, &table("/proc/net/fib_trie"));
    let v6 = own_v6(&table("/proc/net/if_inet6"));
    let v4 = v4.into_iter().map(IpAddr::from);
    v4.chain(v6.into_iter().map(IpAddr::from)).collect()
}

/// Empty where it cannot be read: a script is then told of no address.
fn table(path: &str) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|it| it.take(MAX_TABLE_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
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
    fn default_routes_are_told_and_no_others() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
";
        assert_eq!(default_v4(v4), [("eth0".into(), "0101A8C0".into())]);
        let v6 = "\
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0
20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
        let gateway = "fe800000000000000000000000000001";
        assert_eq!(default_v6(v6), [("eth0".into(), gateway.into())]);
        assert!(default_v4("a b\n\n").is_empty() && default_v6("a b\n\n").is_empty());
    }
}
