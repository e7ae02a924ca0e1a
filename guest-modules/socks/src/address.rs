//! Where a tunnel or a datagram leads, and how that is written.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::{V5_DOMAIN, V5_IPV4, V5_IPV6};
use crate::{Error, Violation};

/// Longest name, in bytes: its length is one byte.
pub const MAX_NAME_BYTES: usize = 255;

/// Where, and on which port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub address: Address,
    /// On which port.
    pub port: u16,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// 1 to [`MAX_NAME_BYTES`], visible ASCII.
    Name(String),
    /// IPv4.
    V4(Ipv4Addr),
    /// IPv6.
    V6(Ipv6Addr),
}

/// A name that can be one: what is in it cannot end it, and nobody has to guess.
pub(crate) fn check_name(name: &[u8]) -> Result<String, Violation> {
    let visible = name.iter().all(u8::is_ascii_graphic);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !visible {
        return Err(Violation::BadAddress);
    }
    String::from_utf8(name.to_vec()).map_err(|_| Violation::BadAddress)
}

impl Endpoint {
    /// As version 5 has it: type, address, port (RFC 1928 section 5).
    pub(crate) fn write_v5(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match &self.address {
            Address::Name(name) => {
                let name = check_name(name.as_bytes()).map_err(|_| NO_NAME)?;
                out.push(V5_DOMAIN);
                out.push(u8::try_from(name.len()).map_err(|_| NO_NAME)?);
                out.extend_from_slice(name.as_bytes());
            }
            Address::V4(it) => {
                out.push(V5_IPV4);
                out.extend_from_slice(&it.octets());
            }
            Address::V6(it) => {
                out.push(V5_IPV6);
                out.extend_from_slice(&it.octets());
            }
        }
        out.extend_from_slice(&self.port.to_be_bytes());
        Ok(())
    }
}

const NO_NAME: Error = Error::Misuse("a name has 1 to 255 visible ASCII characters");

/// Reads the address and the port behind a type of version 5; what is shown is
/// as long as [`length_v5`] says.
pub(crate) fn read_v5(kind: u8, data: &[u8]) -> Result<Endpoint, Error> {
    let (address, port) = data
        .split_last_chunk::<2>()
        .ok_or(Error::Misuse("not the wanted bytes"))?;
    let address = match kind {
        V5_IPV4 => {
            let octets: [u8; 4] = address.try_into().map_err(|_| Violation::BadAddress)?;
            Address::V4(octets.into())
        }
        V5_IPV6 => {
            let octets: [u8; 16] = address.try_into().map_err(|_| Violation::BadAddress)?;
            Address::V6(octets.into())
        }
        _ => Address::Name(check_name(address)?),
    };
    Ok(Endpoint {
        address,
        port: u16::from_be_bytes(*port),
    })
}

/// How many bytes follow a type of version 5 and the byte behind it, given
/// that byte: a name's length, or an address's first.
pub(crate) fn length_v5(kind: u8, first: u8) -> Result<u16, Violation> {
    match kind {
        V5_IPV4 => Ok(4 - 1 + 2),
        V5_IPV6 => Ok(16 - 1 + 2),
        V5_DOMAIN if first > 0 => Ok(u16::from(first) + 2),
        _ => Err(Violation::BadAddress),
    }
}
