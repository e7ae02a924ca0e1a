//! Sockets, as an ordinary program uses them.

use crate::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::wasi::sockets::instance_network::instance_network;
use crate::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use crate::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::wasi::sockets::udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};
use crate::wasi::sockets::udp_create_socket::create_udp_socket;

/// Streams first: they must be gone before their socket.
pub(crate) struct Tcp {
    pub(crate) input: InputStream,
    pub(crate) output: OutputStream,
    pub(crate) socket: TcpSocket,
}

impl Tcp {
    pub(crate) fn connect(to: IpSocketAddress) -> Result<Tcp, ErrorCode> {
        let socket = create_tcp_socket(family(to))?;
        socket.start_connect(&instance_network(), to)?;
        loop {
            match socket.finish_connect() {
                Ok((input, output)) => {
                    return Ok(Tcp {
                        input,
                        output,
                        socket,
                    });
                }
                Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
                Err(code) => return Err(code),
            }
        }
    }

    /// Writes as `std` does: as much as there is leave for, then waits.
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let leave = self.output.check_write()? as usize;
            if leave == 0 {
                self.output.subscribe().block();
                continue;
            }
            let (now, rest) = bytes.split_at(leave.min(bytes.len()));
            self.output.write(now)?;
            bytes = rest;
        }
        self.output.blocking_flush()
    }

    pub(crate) fn end(&self) -> Result<(), ErrorCode> {
        self.socket.shutdown(ShutdownType::Send)
    }

    /// All until the peer closes, so many bytes at a time.
    pub(crate) fn read_to_end(&self, at_a_time: u64) -> Result<Vec<u8>, StreamError> {
        let mut all = Vec::new();
        loop {
            match self.input.read(at_a_time) {
                Ok(bytes) if bytes.is_empty() => self.input.subscribe().block(),
                Ok(bytes) => all.extend(bytes),
                Err(StreamError::Closed) => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }
}

pub(crate) struct Udp {
    pub(crate) incoming: IncomingDatagramStream,
    pub(crate) outgoing: OutgoingDatagramStream,
    pub(crate) _socket: UdpSocket,
}

impl Udp {
    /// Bound, and connected where an address is given.
    pub(crate) fn open(
        family: IpAddressFamily,
        to: Option<IpSocketAddress>,
    ) -> Result<Udp, ErrorCode> {
        let socket = create_udp_socket(family)?;
        let any = match family {
            IpAddressFamily::Ipv4 => IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: 0,
                address: (0, 0, 0, 0),
            }),
            IpAddressFamily::Ipv6 => IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: 0,
                flow_info: 0,
                address: (0, 0, 0, 0, 0, 0, 0, 0),
                scope_id: 0,
            }),
        };
        socket.start_bind(&instance_network(), any)?;
        socket.finish_bind()?;
        let (incoming, outgoing) = socket.stream(to)?;
        Ok(Udp {
            incoming,
            outgoing,
            _socket: socket,
        })
    }
}

/// All addresses of a name.
pub(crate) fn look_up(name: &str) -> Result<Vec<IpAddress>, ErrorCode> {
    let lookup = resolve_addresses(&instance_network(), name)?;
    let mut all = Vec::new();
    loop {
        match lookup.resolve_next_address() {
            Ok(Some(address)) => all.push(address),
            Ok(None) => return Ok(all),
            Err(ErrorCode::WouldBlock) => lookup.subscribe().block(),
            Err(code) => return Err(code),
        }
    }
}

pub(crate) fn at(address: IpAddress, port: u16) -> IpSocketAddress {
    match address {
        IpAddress::Ipv4(address) => IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }),
        IpAddress::Ipv6(address) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port,
            flow_info: 0,
            address,
            scope_id: 0,
        }),
    }
}

/// Reads `1.2.3.4:5` or `[::1]:5`.
pub(crate) fn parse(text: &str) -> Option<IpSocketAddress> {
    Some(match text.parse().ok()? {
        std::net::SocketAddr::V4(it) => {
            let [a, b, c, d] = it.ip().octets();
            at(IpAddress::Ipv4((a, b, c, d)), it.port())
        }
        std::net::SocketAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.ip().segments();
            at(IpAddress::Ipv6((a, b, c, d, e, f, g, h)), it.port())
        }
    })
}

pub(crate) fn family(address: IpSocketAddress) -> IpAddressFamily {
    match address {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    }
}
