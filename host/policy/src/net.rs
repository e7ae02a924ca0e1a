//! A range of addresses: an address and a prefix length.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range in CIDR notation (RFC 4632). The bits after the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(IpAddr, u8)", into = "(IpAddr, u8)")]
pub struct IpNet {
    address: IpAddr,
    prefix: u8,
}

/// Why a range was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Not `ADDRESS/BITS`.
    #[error("is not an address range such as 10.0.0.0/8 or fc00::/7")]
    Syntax,
    /// More bits than the family has.
    #[error("has a prefix of {prefix} bits where its family has {most}")]
    Prefix {
        /// What was asked for.
        prefix: u8,
        /// 32 or 128.
        most: u8,
    },
    /// Bits after the prefix are set, so one of the two is a mistake.
    #[error("has bits set after its prefix; did you mean {0}?")]
    HostBits(IpNet),
}

impl IpNet {
    /// A range.
    ///
    /// # Errors
    /// When the prefix is longer than the family's addresses, or when bits
    /// after it are set.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetError> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most {
            return Err(NetError::Prefix { prefix, most });
        }
        let network = IpNet {
            address: masked(address, prefix),
            prefix,
        };
        if network.address == address {
            Ok(network)
        } else {
            Err(NetError::HostBits(network))
        }
    }

    /// The range of one address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        IpNet {
            address,
            prefix: if address.is_ipv4() { 32 } else { 128 },
        }
    }

    /// The range of this length, at most the family's, that holds an address.
    pub(crate) fn around(address: IpAddr, prefix: u8) -> Self {
        IpNet {
            address: masked(address, prefix),
            prefix,
        }
    }

    /// Whether it is of IPv4, and its length.
    pub(crate) fn family_and_prefix(&self) -> (bool, u8) {
        (self.address.is_ipv4(), self.prefix)
    }

    /// Whether an address of the same family lies within.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// The one address it holds, if it holds one.
    #[must_use]
    pub fn single(&self) -> Option<IpAddr> {
        (*self == IpNet::of(self.address)).then_some(self.address)
    }
}

/// Clears all bits after the first `prefix`.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(it) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv4Addr::from_bits(it.to_bits() & mask).into()
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv6Addr::from_bits(it.to_bits() & mask).into()
        }
    }
}

impl TryFrom<(IpAddr, u8)> for IpNet {
    type Error = NetError;

    fn try_from((address, prefix): (IpAddr, u8)) -> Result<Self, NetError> {
        IpNet::new(address, prefix)
    }
}

impl From<IpNet> for (IpAddr, u8) {
    fn from(net: IpNet) -> Self {
        (net.address, net.prefix)
    }
}

impl FromStr for IpNet {
    type Err = NetError;

    /// Reads `10.0.0.0/8` or `fc00::/7`; the address in its plain form only.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let (address, prefix) = text.split_once('/').ok_or(NetError::Syntax)?;
        if prefix.is_empty() || !prefix.bytes().all(|it| it.is_ascii_digit()) {
            return Err(NetError::Syntax);
        }
        let address = address.parse().map_err(|_| NetError::Syntax)?;
        IpNet::new(address, prefix.parse().map_err(|_| NetError::Syntax)?)
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
