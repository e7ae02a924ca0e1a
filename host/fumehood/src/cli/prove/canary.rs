//! Who arrives: one listener a try, on every address, so that nothing that is
//! dialled can be missed or mistaken for another try.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::names::{ORIGIN, ORIGIN_V6};

/// What is read of one connection, in bytes: more than any try sends.
const MAX_READ_BYTES: usize = 16 * 1024;

/// How long a connection that has been answered is still listened to.
const DRAIN: Duration = Duration::from_secs(2);

/// How long the listener may take to see a connection of our own.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// A connection that arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// The address that was dialled.
    pub(super) at: IpAddr,
    peer: SocketAddr,
    /// What was said, in lower case.
    pub(super) said: Vec<u8>,
}

/// A listener, and what it saw.
#[derive(Debug)]
pub(super) struct Canary {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    arrivals: Mutex<Vec<Arrival>>,
    more: Notify,
}

impl Arrival {
    /// At the one host that may be reached.
    pub(super) fn is_allowed(&self) -> bool {
        self.at == IpAddr::V4(ORIGIN) || self.at == IpAddr::V6(ORIGIN_V6)
    }
}

impl Canary {
    /// Listens on a free port of every address.
    pub(super) async fn listen() -> io::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await?;
        let canary = Canary {
            port: listener.local_addr()?.port(),
            seen: Arc::new(Seen::default()),
        };
        Ok((canary, listener))
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Answers whoever comes, by sending them to `location` where there is
    /// one and the origin was asked for `/`.
    pub(super) fn serve(&self, listener: TcpListener, location: Option<Vec<u8>>) {
        let seen = Arc::clone(&self.seen);
        let location: Option<Arc<[u8]>> = location.map(Arc::from);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let Ok(at) = stream.local_addr() else {
                    continue;
                };
                let arrival = Arrival {
                    at: at.ip().to_canonical(),
                    peer,
                    said: Vec::new(),
                };
                let location = location.clone().filter(|_| arrival.is_allowed());
                let index = seen.add(arrival);
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    // Who breaks off has arrived nevertheless.
                    let _broken = answer(stream, location, &seen, index).await;
                });
            }
        });
    }

    /// What arrived so far, our own probes excepted.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.seen.lock().clone()
    }

    /// Connects to an address of it, and waits until it is seen there. The
    /// queue is in order: whoever connected before has then been seen too. The
    /// probe is forgotten.
    pub(super) async fn probe(&self, address: IpAddr) -> io::Result<()> {
        let stream = TcpStream::connect((address, self.port)).await?;
        let ours = stream.local_addr()?;
        let unseen = || {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("a connection to {address} was not seen"),
            )
        };
        timeout(SEEN_WITHIN, self.seen.wait_for(address, ours))
            .await
            .map_err(|_| unseen())
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, arrival: Arrival) -> SocketAddr {
        let peer = arrival.peer;
        self.lock().push(arrival);
        self.more.notify_waiters();
        peer
    }

    fn heard(&self, peer: SocketAddr, said: &[u8]) {
        let mut arrivals = self.lock();
        if let Some(arrival) = arrivals.iter_mut().find(|it| it.peer == peer) {
            arrival.said.extend(said.to_ascii_lowercase());
        }
    }

    async fn wait_for(&self, at: IpAddr, ours: SocketAddr) {
        loop {
            let more = self.more.notified();
            {
                let mut arrivals = self.lock();
                let is_ours = |it: &Arrival| {
                    it.at == at.to_canonical()
                        && it.peer.port() == ours.port()
                        && it.peer.ip().to_canonical() == ours.ip().to_canonical()
                };
                if let Some(index) = arrivals.iter().position(is_ours) {
                    arrivals.remove(index);
                    return;
                }
            }
            more.await;
        }
    }
}

/// Reads a head, answers it, and listens to what else is said.
async fn answer(
    mut stream: TcpStream,
    location: Option<Arc<[u8]>>,
    seen: &Seen,
    peer: SocketAddr,
) -> io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        if read == 0 || head.len() > MAX_READ_BYTES {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..read]);
        seen.heard(peer, &buffer[..read]);
    }
    let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
    if let Some(location) = location.filter(|_| head.starts_with(b"GET / ")) {
        response = [b"HTTP/1.1 302 Found\r\nlocation: ", &*location, b"\r\n"].concat();
    }
    response.extend(b"content-length: 2\r\nconnection: close\r\n\r\nok");
    stream.write_all(&response).await?;
    stream.shutdown().await?;
    let drained = timeout(DRAIN, async {
        let mut left = MAX_READ_BYTES;
        while left > 0 {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            seen.heard(peer, &buffer[..read]);
            left = left.saturating_sub(read);
        }
        io::Result::Ok(())
    });
    drained.await.unwrap_or(Ok(()))
}

/// Addresses of every kind that must not be reached: a connection to each has
/// to be seen before anything is tried.
pub(super) const WATCHED: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0x7f00, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
