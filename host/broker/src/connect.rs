//! One connection to exactly one address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
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
        let stream = TcpStream::connect(address)
            .await
            .map_err(|why| errno(&why))?;
        // What was checked is what is handed on, whatever lay between. The
        // scope and flow label are the kernel's to fill in.
        let peer = stream.peer_addr().map_err(|why| errno(&why))?;
        if (peer.ip(), peer.port()) != (address.ip(), address.port()) {
            return Err(Errno::PROTO);
        }
        stream.set_nodelay(true).map_err(|why| errno(&why))?;
        // Stays non-blocking, as the engine wants it.
        stream
            .into_std()
            .map(OwnedFd::from)
            .map_err(|why| errno(&why))
    }

    async fn associate(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        associate(address).await.map_err(|why| errno(&why))
    }
}

/// A connected UDP socket on a port of the kernel's choice.
async fn associate(address: SocketAddr) -> std::io::Result<OwnedFd> {
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

fn errno(why: &std::io::Error) -> Errno {
    Errno::from_io_error(why).unwrap_or(Errno::IO)
}
