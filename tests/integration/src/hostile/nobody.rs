//! A port where nobody is.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

/// A port of `127.0.0.1` where nobody listens, nor can while this lives: it is
/// bound, and connections to it are refused.
#[derive(Debug)]
pub struct Nobody {
    _held: OwnedFd,
    address: SocketAddr,
}

impl Nobody {
    /// Finds one.
    ///
    /// # Panics
    /// If there is no free port on loopback.
    #[must_use]
    pub fn here() -> Self {
        let held = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let bound = getsockname(&held).expect("the name of a bound socket");
        let address = SocketAddr::try_from(bound).expect("an IPv4 address");
        Self {
            _held: held,
            address,
        }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}
