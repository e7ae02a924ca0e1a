//! Address spaces: how near to the user's own things an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use AddressSpace::{Forbidden, Local, Loopback};

/// How near an address is (Local Network Access, section 2.1), from the most
/// open to the strictest, so that the greatest wins where several apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AddressSpace {
    /// Anyone may be met there. Also what no list knows.
    Public,
    /// A network of the user's: private, link-local, shared, set apart.
    Local,
    /// The user's own machine.
    Loopback,
    /// No place for a TCP connection: multicast, broadcast, unspecified.
    /// Dialled under no policy.
    Forbidden,
}

/// An address's space, and the entry of the registries that put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The strictest space that applies to it or to what it embeds.
    pub space: AddressSpace,
    /// The range's name for people; empty for [`AddressSpace::Public`].
    pub range: &'static str,
}

const PUBLIC: Standing = Standing {
    space: AddressSpace::Public,
    range: "",
};

/// The IPv4 ranges that are not public (RFC 6890 and its registry, and one
/// cloud's platform address, which is public in form only).
#[rustfmt::skip]
const V4: [(Ipv4Addr, u32, AddressSpace, &str); 17] = [
    // Linux connects to 0.0.0.0 as to loopback.
    (Ipv4Addr::new(0, 0, 0, 0),       8,  Forbidden, "an address of \"this network\" (0.0.0.0/8, RFC 791)"),
    (Ipv4Addr::new(10, 0, 0, 0),      8,  Local,     "a private address (10.0.0.0/8, RFC 1918)"),
    (Ipv4Addr::new(100, 64, 0, 0),    10, Local,     "a carrier's shared address (100.64.0.0/10, RFC 6598)"),
    (Ipv4Addr::new(127, 0, 0, 0),     8,  Loopback,  "a loopback address (127.0.0.0/8, RFC 1122)"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Local,     "a cloud platform's own address (168.63.129.16)"),
    // Where clouds keep their metadata services.
    (Ipv4Addr::new(169, 254, 0, 0),   16, Local,     "a link-local address (169.254.0.0/16, RFC 3927)"),
    (Ipv4Addr::new(172, 16, 0, 0),    12, Local,     "a private address (172.16.0.0/12, RFC 1918)"),
    (Ipv4Addr::new(192, 0, 0, 0),     24, Local,     "set apart for protocols (192.0.0.0/24, RFC 6890)"),
    (Ipv4Addr::new(192, 0, 2, 0),     24, Local,     "a documentation address (192.0.2.0/24, RFC 5737)"),
    (Ipv4Addr::new(192, 88, 99, 0),   24, Local,     "a 6to4 relay's address (192.88.99.0/24, RFC 7526)"),
    (Ipv4Addr::new(192, 168, 0, 0),   16, Local,     "a private address (192.168.0.0/16, RFC 1918)"),
    (Ipv4Addr::new(198, 18, 0, 0),    15, Local,     "a benchmark address (198.18.0.0/15, RFC 2544)"),
    (Ipv4Addr::new(198, 51, 100, 0),  24, Local,     "a documentation address (198.51.100.0/24, RFC 5737)"),
    (Ipv4Addr::new(203, 0, 113, 0),   24, Local,     "a documentation address (203.0.113.0/24, RFC 5737)"),
    (Ipv4Addr::new(224, 0, 0, 0),     4,  Forbidden, "a multicast address (224.0.0.0/4, RFC 1112)"),
    (Ipv4Addr::new(240, 0, 0, 0),     4,  Local,     "a reserved address (240.0.0.0/4, RFC 1112)"),
    (Ipv4Addr::BROADCAST,             32, Forbidden, "the broadcast address (RFC 919)"),
];

/// The IPv6 ranges that are not public.
#[rustfmt::skip]
const V6: [(Ipv6Addr, u32, AddressSpace, &str); 16] = [
    (Ipv6Addr::UNSPECIFIED,                         128, Forbidden, "the unspecified address (::, RFC 4291)"),
    (Ipv6Addr::LOCALHOST,                           128, Loopback,  "the loopback address (::1, RFC 4291)"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0),         96,  Local,     "an IPv4-compatible address (::/96, RFC 4291)"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48,  Local,     "a local translator's address (64:ff9b:1::/48, RFC 8215)"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0),     64,  Local,     "a discard address (100::/64, RFC 6666)"),
    (Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 0),     64,  Local,     "a dummy address (100:0:0:1::/64, RFC 9780)"),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0),    48,  Local,     "a benchmark address (2001:2::/48, RFC 5180)"),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28,  Local,     "a hash identifier (2001:10::/28, RFC 4843)"),
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28,  Local,     "a hash identifier (2001:20::/28, RFC 7343)"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Local,     "a documentation address (2001:db8::/32, RFC 3849)"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),    20,  Local,     "a documentation address (3fff::/20, RFC 9637)"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0),    16,  Local,     "a segment identifier (5f00::/16, RFC 9602)"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),    7,   Local,     "a unique local address (fc00::/7, RFC 4193)"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),    10,  Local,     "a link-local address (fe80::/10, RFC 4291)"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0),    10,  Local,     "a site-local address (fec0::/10, RFC 3879)"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),    8,   Forbidden, "a multicast address (ff00::/8, RFC 4291)"),
];

/// The space of an address.
#[must_use]
pub fn space_of(address: IpAddr) -> AddressSpace {
    standing_of(address).space
}

/// The space of an address and why. An IPv6 address that embeds an IPv4 one is
/// judged by both, since a translator or tunnel on the way may unwrap it.
#[must_use]
pub fn standing_of(address: IpAddr) -> Standing {
    let mut strictest = match address {
        IpAddr::V4(it) => v4_standing(it),
        IpAddr::V6(it) => v6_standing(it),
    };
    for inner in embedded(address).into_iter().flatten() {
        let standing = v4_standing(inner);
        if standing.space > strictest.space {
            strictest = standing;
        }
    }
    strictest
}

fn v4_standing(address: Ipv4Addr) -> Standing {
    let bits = address.to_bits();
    strictest(V4.iter().filter_map(|&(network, prefix, space, range)| {
        let within = (bits ^ network.to_bits()) >> (32 - prefix) == 0;
        within.then_some(Standing { space, range })
    }))
}

fn v6_standing(address: Ipv6Addr) -> Standing {
    let bits = address.to_bits();
    strictest(V6.iter().filter_map(|&(network, prefix, space, range)| {
        let within = (bits ^ network.to_bits()) >> (128 - prefix) == 0;
        within.then_some(Standing { space, range })
    }))
}

fn strictest(standings: impl Iterator<Item = Standing>) -> Standing {
    standings.fold(PUBLIC, |a, b| if b.space > a.space { b } else { a })
}

/// The IPv4 addresses that an IPv6 address embeds; at most two.
pub(crate) fn embedded(address: IpAddr) -> [Option<Ipv4Addr>; 2] {
    let IpAddr::V6(address) = address else {
        return [None, None];
    };
    let joined = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // Compatible (RFC 4291, 2.5.5.1), mapped (2.5.5.2), translated (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => {
            [Some(joined(a, b)), None]
        }
        // NAT64 (RFC 6052, 2.1), and a local NAT64 as it is set up in practice (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x64, 0xff9b, 1, _, _, _, a, b] => {
            [Some(joined(a, b)), None]
        }
        // 6to4 (RFC 3056).
        [0x2002, a, b, ..] => [Some(joined(a, b)), None],
        // Teredo (RFC 4380, 4): the server, and the client with its bits flipped.
        [0x2001, 0, a, b, _, _, c, d] => [Some(joined(a, b)), Some(joined(!c, !d))],
        _ => [None, None],
    }
}
