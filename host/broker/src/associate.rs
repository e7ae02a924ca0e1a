//! The socket that a listener's client sends its datagrams to (RFC 1928 section 7).
//!
//! The engine must not come by a socket that anybody can send to, or that can send
//! anywhere. So it is connected before it is handed over, to whoever sent the first
//! datagram from the client's address: an engine that names another as its client
//! gets a socket only once that has written to it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use tokio::net::UdpSocket;

/// A socket for one client's datagrams, of which none has come.
#[derive(Debug)]
pub(crate) struct Association {
    socket: UdpSocket,
    /// Where it says that it sends from; port 0 is any.
    client: SocketAddr,
}

impl Association {
    /// At an address of a listener's, on a port of the kernel's choice. Port 0 of
    /// the client is any.
    pub(crate) async fn bind(at: IpAddr, client: SocketAddr) -> Result<Self, Errno> {
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let bound = async {
            let socket = UdpSocket::bind((at, 0)).await?;
            // So the kernel drops what comes from another address.
            socket.connect((client.ip(), 0)).await?;
            Ok(socket)
        };
        let socket = bound.await.map_err(|why| errno(&why))?;
        Ok(Association { socket, client })
    }

    /// Where it receives.
    pub(crate) fn address(&self) -> Result<SocketAddr, Errno> {
        self.socket.local_addr().map_err(|why| errno(&why))
    }

    /// The socket, connected to the client, once that has sent a datagram. Its sender
    /// is looked at, and the datagram left where it is.
    pub(crate) async fn connected(self) -> Result<(SocketAddr, OwnedFd), Errno> {
        let connected = async {
            let sender = loop {
                let sender = self.socket.peek_sender().await?;
                if self.is_client(sender) {
                    break sender;
                }
                // From another port, or before the address was known to the kernel.
                let _dropped = self.socket.try_recv(&mut []);
            };
            self.socket.connect(sender).await?;
            Ok((sender, self.socket.into_std()?.into()))
        };
        connected.await.map_err(|why: io::Error| errno(&why))
    }

    fn is_client(&self, sender: SocketAddr) -> bool {
        let port = self.client.port();
        sender.ip().to_canonical() == self.client.ip() && (port == 0 || port == sender.port())
    }
}

fn errno(why: &io::Error) -> Errno {
    Errno::from_io_error(why).unwrap_or(Errno::IO)
}
