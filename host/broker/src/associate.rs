//! The socket that a listener's client sends its datagrams to (RFC 1928 section 7).
//!
//! The engine must not come by a socket that anybody can send to, or that can send
//! anywhere. So it is connected before it is handed over: to the client's address
//! from the start, and to its port once that is known. The kernel drops what comes
//! from elsewhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use tokio::net::UdpSocket;

/// A socket for one client's datagrams, whose port may not be known yet.
#[derive(Debug)]
pub(crate) struct Association {
    socket: UdpSocket,
    client: SocketAddr,
}

impl Association {
    /// At an address of a listener's, on a port of the kernel's choice. Port 0 of
    /// the client is any.
    pub(crate) async fn bind(at: IpAddr, client: SocketAddr) -> Result<Self, Errno> {
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let bound = async {
            let socket = UdpSocket::bind((at, 0)).await?;
            socket.connect(client).await?;
            Ok(socket)
        };
        let socket = bound.await.map_err(|why| errno(&why))?;
        Ok(Association { socket, client })
    }

    /// Where it receives.
    pub(crate) fn address(&self) -> Result<SocketAddr, Errno> {
        self.socket.local_addr().map_err(|why| errno(&why))
    }

    /// The socket, connected to the client, once the client's port is known. The
    /// sender of a first datagram is looked at, and the datagram left where it is.
    pub(crate) async fn connected(mut self) -> Result<(SocketAddr, OwnedFd), Errno> {
        while self.client.port() == 0 {
            let sender = self.socket.peek_sender().await;
            let sender = sender.map_err(|why| errno(&why))?;
            if sender.ip() == self.client.ip() {
                self.client = sender;
            } else {
                // It came before the socket was connected to the client's address.
                let _dropped = self.socket.try_recv(&mut []);
            }
        }
        let connected = async {
            self.socket.connect(self.client).await?;
            self.socket.into_std()
        };
        let socket = connected.await.map_err(|why: io::Error| errno(&why))?;
        Ok((self.client, socket.into()))
    }
}

fn errno(why: &io::Error) -> Errno {
    Errno::from_io_error(why).unwrap_or(Errno::IO)
}
