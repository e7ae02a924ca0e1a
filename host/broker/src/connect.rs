//! One connection to exactly one address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

/// Makes connections; tests put a simulated network in its place.
pub(crate) trait Connect: Send + Sync + 'static {
    /// Connects to this address and no other. Dropping the future closes the
    /// attempt.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = Result<OwnedFd, Errno>> + Send;

    /// A UDP socket that sends to this address and hears no other. No packet
    /// is sent.
    fn associate(&self, address: SocketAddr)
    -> impl Future<Output = Result<OwnedFd, Errno>> + Send;
}

/// Most attempts to connect under way at once; more wait, within the deadlines
/// of their dials. With as many sockets, one for each of [`crate::MAX_DIALS`]
/// waiting to be handed over, and three for each of [`crate::MAX_LOOKUPS`], the
/// broker stays under its 1024 descriptors.
pub const MAX_CONNECTING: usize = 256;

/// The kernel's TCP and UDP.
#[derive(Debug)]
pub(crate) struct Tcp {
    places: Semaphore,
}

impl Tcp {
    /// With all places free.
    pub(crate) fn new() -> Self {
        Self {
            places: Semaphore::new(MAX_CONNECTING),
        }
    }
}

impl Connect for Tcp {
    async fn connect(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        // It is never closed; were it, nothing could be connected.
        let _place = self.places.acquire().await.map_err(|_| Errno::CANCELED)?;
        connect(address).await.map_err(|why| errno(&why))
    }

    async fn associate(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        associate(address).await.map_err(|why| errno(&why))
    }
}

/// A connection, non-blocking as the engine wants it.
async fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let mut stream = begun(address)?;
    let peer = match stream.peer_addr() {
        Err(why) if why.kind() == io::ErrorKind::NotConnected => {
            stream = answered(stream).await?;
            stream.peer_addr()?
        }
        // A near server has answered already, and need not be waited for.
        peer => peer?,
    };
    // What was checked is what is handed on, whatever lay between. The
    // scope and flow label are the kernel's to fill in.
    if (peer.ip(), peer.port()) != (address.ip(), address.port()) {
        return Err(Errno::PROTO.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream.into())
}

/// A connection that is on its way.
fn begun(address: SocketAddr) -> io::Result<std::net::TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(why) => Err(why.into()),
    }
}

/// Waits for the server's answer.
async fn answered(stream: std::net::TcpStream) -> io::Result<std::net::TcpStream> {
    let stream = TcpStream::from_std(stream)?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(why) => Err(why),
        None => stream.into_std(),
    }
}

/// A connected UDP socket on a port of the kernel's choice.
async fn associate(address: SocketAddr) -> io::Result<OwnedFd> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    let peer = socket.peer_addr()?;
    if (peer.ip(), peer.port()) != (address.ip(), address.port()) {
        return Err(Errno::PROTO.into());
    }
    socket.into_std().map(OwnedFd::from)
}

fn errno(why: &io::Error) -> Errno {
    Errno::from_io_error(why).unwrap_or(Errno::IO)
}
