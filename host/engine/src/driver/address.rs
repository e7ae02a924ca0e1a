//! Addresses between WASI and std, and which of them a guest may name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};

/// As std has it.
pub(crate) fn from_wasi(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port,
            address: (a, b, c, d),
        }) => SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port).into(),
        IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port,
            flow_info,
            address: (a, b, c, d, e, f, g, h),
            scope_id,
        }) => {
            let ip = Ipv6Addr::new(a, b, c, d, e, f, g, h);
            SocketAddrV6::new(ip, port, flow_info, scope_id).into()
        }
    }
}

/// As WASI has it.
pub(crate) fn to_wasi(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(it) => {
            let [a, b, c, d] = it.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: it.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: it.port(),
                flow_info: it.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: it.scope_id(),
            })
        }
    }
}

/// A local address that the guest may name: any, on any port. Which ones there
/// are is no guest's to know, and the kernel chooses better.
pub(super) fn check_local(family: IpAddressFamily, address: SocketAddr) -> Result<(), ErrorCode> {
    check_family(family, address)?;
    if address.ip().is_unspecified() && address.port() == 0 {
        Ok(())
    } else {
        Err(ErrorCode::AccessDenied)
    }
}

/// A remote address that can be one.
pub(super) fn check_remote(family: IpAddressFamily, address: SocketAddr) -> Result<(), ErrorCode> {
    check_family(family, address)?;
    let mapped = matches!(address.ip(), IpAddr::V6(it) if it.to_ipv4_mapped().is_some());
    if address.ip().is_unspecified() || address.port() == 0 || mapped {
        Err(ErrorCode::InvalidArgument)
    } else {
        Ok(())
    }
}

fn check_family(family: IpAddressFamily, address: SocketAddr) -> Result<(), ErrorCode> {
    match (family, address) {
        (IpAddressFamily::Ipv4, SocketAddr::V4(_)) | (IpAddressFamily::Ipv6, SocketAddr::V6(_)) => {
            Ok(())
        }
        _ => Err(ErrorCode::InvalidArgument),
    }
}

/// What a socket that is bound but not connected is bound to.
pub(super) fn any(family: IpAddressFamily) -> SocketAddr {
    match family {
        IpAddressFamily::Ipv4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddressFamily::Ipv6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
