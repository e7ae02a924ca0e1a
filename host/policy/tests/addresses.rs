//! Address spaces: every special range, its edges, and what hides inside.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_policy::AddressSpace::{self, Forbidden, Local, Loopback, Public};
use fumehood_policy::{BLOCKED_PORTS, IpNet, is_blocked, space_of, standing_of};
use proptest::prelude::*;

fn check(address: &str, space: AddressSpace) {
    assert_eq!(space_of(address.parse().unwrap()), space, "{address}");
}

#[test]
fn ranges_begin_and_end_where_the_registry_says() {
    for (address, space) in [
        ("0.0.0.0", Forbidden),
        ("0.255.255.255", Forbidden),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Local),
        ("10.255.255.255", Local),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Local),
        ("100.127.255.255", Local),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.0.0.1", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("168.63.129.15", Public),
        ("168.63.129.16", Local),
        ("168.63.129.17", Public),
        ("169.253.255.255", Public),
        ("169.254.169.254", Local),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Local),
        ("172.31.255.255", Local),
        ("172.32.0.0", Public),
        ("192.0.0.0", Local),
        ("192.0.0.192", Local),
        ("192.0.1.0", Public),
        ("192.0.2.1", Local),
        ("192.88.99.1", Local),
        ("192.167.255.255", Public),
        ("192.168.0.0", Local),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Local),
        ("198.19.255.255", Local),
        ("198.20.0.0", Public),
        ("198.51.100.7", Local),
        ("203.0.113.7", Local),
        ("223.255.255.255", Public),
        ("224.0.0.1", Forbidden),
        ("239.255.255.255", Forbidden),
        ("240.0.0.1", Local),
        ("255.255.255.254", Local),
        ("255.255.255.255", Forbidden),
        ("::", Forbidden),
        ("::1", Loopback),
        ("100::", Local),
        ("100:0:0:1::1", Local),
        ("2001:2::1", Local),
        ("2001:10::1", Local),
        ("2001:2f::1", Local),
        ("2001:db8::1", Local),
        ("2606:4700::1111", Public),
        ("3fff::1", Local),
        ("3fff:1000::1", Public),
        ("5f00::1", Local),
        ("fbff::1", Public),
        ("fc00::1", Local),
        ("fd00:ec2::254", Local),
        ("fdff:ffff::1", Local),
        ("fe80::1", Local),
        ("febf::1", Local),
        ("fec0::1", Local),
        ("ff02::1", Forbidden),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Forbidden),
    ] {
        check(address, space);
    }
}

#[test]
fn what_is_embedded_is_judged_too() {
    for (inner, space) in [
        ("127.0.0.1", Loopback),
        ("10.1.2.3", Local),
        ("169.254.169.254", Local),
        ("0.0.0.0", Forbidden),
        ("224.0.0.1", Forbidden),
        ("8.8.8.8", Public),
    ] {
        let v4: Ipv4Addr = inner.parse().unwrap();
        let [a, b, c, d] = v4.octets();
        let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
        let flipped = format!("{:02x}{:02x}:{:02x}{:02x}", !a, !b, !c, !d);
        check(&format!("::ffff:{inner}"), space);
        check(&format!("::ffff:0:{inner}"), space);
        check(&format!("64:ff9b::{inner}"), space);
        check(&format!("2002:{hex}::1"), space);
        check(&format!("2001:0:{hex}:0:0:f7f7:f7f7"), space);
        check(&format!("2001:0:808:808:0:0:{flipped}"), space);
        // These are not public even where what they embed is.
        check(&format!("64:ff9b:1::{inner}"), space.max(Local));
        if inner != "0.0.0.0" {
            check(&format!("::{inner}"), space.max(Local));
        }
    }
    check("::0.0.0.2", Forbidden);
}

#[test]
fn people_are_told_which_range() {
    let of = |text: &str| standing_of(text.parse().unwrap()).range;
    assert!(of("169.254.169.254").contains("169.254.0.0/16"));
    assert!(of("::ffff:10.0.0.1").contains("10.0.0.0/8"));
    assert!(of("255.255.255.255").contains("broadcast"));
    assert_eq!(of("8.8.8.8"), "");
}

#[test]
fn the_bad_ports_are_sorted_and_all_there() {
    assert!(BLOCKED_PORTS.is_sorted_by(|a, b| a < b));
    for port in 0..=u16::MAX {
        assert_eq!(is_blocked(port), BLOCKED_PORTS.contains(&port), "{port}");
    }
    for port in [80, 443, 8080, 8443, 3000, 5000] {
        assert!(!is_blocked(port), "{port}");
    }
}

proptest! {
    #[test]
    fn std_agrees_on_ipv4(bits: u32) {
        let it = Ipv4Addr::from_bits(bits);
        let space = space_of(it.into());
        prop_assert_eq!(space == Loopback, it.is_loopback());
        let forbidden = it.is_multicast() || it.is_broadcast() || it.octets()[0] == 0;
        prop_assert_eq!(space == Forbidden, forbidden);
        if it.is_private() || it.is_link_local() || it.is_documentation() {
            prop_assert_eq!(space, Local);
        }
    }

    #[test]
    fn a_mapped_address_is_its_inner_one(bits: u32) {
        let it = Ipv4Addr::from_bits(bits);
        prop_assert_eq!(space_of(it.to_ipv6_mapped().into()), space_of(it.into()));
    }

    #[test]
    fn a_range_holds_what_shares_its_prefix(bits: u128, other: u128, prefix in 0_u8..=128) {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        let net = IpNet::new(Ipv6Addr::from_bits(bits & mask).into(), prefix).unwrap();
        prop_assert!(net.contains(Ipv6Addr::from_bits(bits).into()));
        let within = (bits ^ other) & mask == 0;
        prop_assert_eq!(net.contains(Ipv6Addr::from_bits(other).into()), within);
        prop_assert_eq!(net.to_string().parse::<IpNet>(), Ok(net));
        prop_assert!(!net.contains(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
