//! One connection over `wasi:sockets`.

use super::exports::fumehood::driver::client::Failure;
use super::wasi::io::streams::{InputStream, OutputStream, StreamError};
use super::wasi::sockets::instance_network::{Network, instance_network};
use super::wasi::sockets::ip_name_lookup::resolve_addresses;
use super::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use super::wasi::sockets::tcp::TcpSocket;
use super::wasi::sockets::tcp_create_socket::create_tcp_socket;

/// Most bytes that may be written and flushed in one call.
const WRITE_BYTES: usize = 4096;

/// Streams first: they must be gone before their socket.
pub(super) struct Connection {
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
}

impl Connection {
    /// To the first address of a host that answers.
    pub(super) fn open(host: &str, port: u16) -> Result<Connection, Failure> {
        let network = instance_network();
        let lookup = resolve_addresses(&network, host).map_err(|_| Failure::Network)?;
        loop {
            match lookup.resolve_next_address() {
                Ok(Some(address)) => {
                    if let Ok(connection) = connect(&network, address, port) {
                        return Ok(connection);
                    }
                }
                Err(ErrorCode::WouldBlock) => lookup.subscribe().block(),
                Ok(None) | Err(_) => return Err(Failure::Network),
            }
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        for piece in bytes.chunks(WRITE_BYTES) {
            self.output
                .blocking_write_and_flush(piece)
                .map_err(|_| Failure::Network)?;
        }
        Ok(())
    }

    /// At least one byte, or `None` where the peer has closed.
    pub(super) fn receive(&self, at_most: u64) -> Result<Option<Vec<u8>>, Failure> {
        match self.input.blocking_read(at_most) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(_)) => Err(Failure::Network),
        }
    }
}

fn connect(network: &Network, address: IpAddress, port: u16) -> Result<Connection, ErrorCode> {
    let (family, remote) = match address {
        IpAddress::Ipv4(address) => (
            IpAddressFamily::Ipv4,
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }),
        ),
        IpAddress::Ipv6(address) => (
            IpAddressFamily::Ipv6,
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port,
                flow_info: 0,
                address,
                scope_id: 0,
            }),
        ),
    };
    let socket = create_tcp_socket(family)?;
    socket.start_connect(network, remote)?;
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => {
                return Ok(Connection {
                    input,
                    output,
                    _socket: socket,
                });
            }
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(code),
        }
    }
}
