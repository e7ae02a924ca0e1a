//! Functions that calculate with addresses in their written form.

use std::net::{IpAddr, Ipv4Addr};

use boa_engine::{Context, JsResult, JsValue, js_string};

use super::{ascii, text};

/// What Microsoft's functions say they are.
const CLIENT_VERSION: &str = "1.0";

/// An IPv4 address as PAC scripts write it: four decimal numbers, of at most
/// three digits each, in which a leading zero means nothing.
pub(super) fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        *octet = digits.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then(|| octets.into())
}

pub(super) fn is_in_net_v4(address: Ipv4Addr, network: Ipv4Addr, mask: Ipv4Addr) -> bool {
    let mask = u32::from(mask);
    u32::from(address) & mask == u32::from(network) & mask
}

/// True where an address (no name is resolved) is in a network given as
/// `address/bits`, both of one family.
pub(super) fn is_in_net_ex(_: &JsValue, args: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let inside = || {
        let address = address(&ascii(args, 0)?)?;
        let prefix = ascii(args, 1)?;
        let (network, bits) = prefix.split_once('/')?;
        let digits = (1..=3).contains(&bits.len()) && bits.bytes().all(|b| b.is_ascii_digit());
        let bits: u32 = digits.then(|| bits.parse().ok())??;
        same_prefix(address, self::address(network)?, bits)
    };
    Ok(inside().unwrap_or(false).into())
}

/// `None` where the families differ or there are not so many bits.
fn same_prefix(one: IpAddr, other: IpAddr, bits: u32) -> Option<bool> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) if bits <= 32 => {
            let rest = 32 - bits;
            Some(u32::from(one).checked_shr(rest) == u32::from(other).checked_shr(rest))
        }
        (IpAddr::V6(one), IpAddr::V6(other)) if bits <= 128 => {
            let rest = 128 - bits;
            Some(u128::from(one).checked_shr(rest) == u128::from(other).checked_shr(rest))
        }
        _ => None,
    }
}

/// Sorts addresses between semicolons: IPv6 before IPv4, each from the lowest
/// up, in the words they came in. False where one of them is none.
pub(super) fn sort_ip_address_list(
    _: &JsValue,
    args: &[JsValue],
    _: &mut Context,
) -> JsResult<JsValue> {
    let sorted = ascii(args, 0).and_then(|list| sorted(&list));
    Ok(sorted.map_or_else(|| false.into(), |list| js_string!(&*list).into()))
}

fn sorted(list: &str) -> Option<String> {
    let mut addresses = list
        .split(';')
        .map(|text| {
            let text = text.trim();
            Some((address(text)?, text))
        })
        .collect::<Option<Vec<_>>>()?;
    addresses.sort_by_key(|(address, _)| (address.is_ipv4(), *address));
    let texts: Vec<&str> = addresses.iter().map(|(_, text)| *text).collect();
    Some(texts.join(";"))
}

fn address(text: &str) -> Option<IpAddr> {
    ipv4(text).map(IpAddr::V4).or_else(|| text.parse().ok())
}

/// The four numbers of an address as one, in JavaScript's 32 bits with sign.
/// What is missing or no number counts as 0.
pub(super) fn convert_addr(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let address = text(args, 0, context)?.to_std_string_lossy();
    let mut parts = address.split('.');
    let octets = [(); 4].map(|()| {
        let part = parts
            .next()
            .and_then(|part| part.trim().parse::<u64>().ok());
        part.unwrap_or(0).to_le_bytes()[0]
    });
    Ok(i32::from_be_bytes(octets).into())
}

pub(super) fn get_client_version(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(js_string!(CLIENT_VERSION).into())
}
