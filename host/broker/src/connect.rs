//! One TCP connection to exactly one address.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Makes connections; tests put a simulated network in its place.
pub(crate) trait Connect: Send + Sync + 'static {
    /// Connects to this address and no other. Dropping the future closes the
    /// attempt.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = Result<OwnedFd, Errno>> + Send;
}

/// Most attempts to connect under way at once; more wait, within the deadlines
/// of their dials. With as many sockets, one for each of [`crate::MAX_DIALS`]
/// waiting to be handed over, and three for each of [`crate::MAX_LOOKUPS`], the
/// broker stays under its 1024 descriptors.
pub const MAX_CONNECTING: usize = 256;

/// The kernel's TCP.
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
}

fn errno(why: &std::io::Error) -> Errno {
    Errno::from_io_error(why).unwrap_or(Errno::IO)
}
