//! A listening socket: of TCP, or of one machine's users.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The two kinds.
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    /// Where it came from; a Unix socket's have no address.
    pub(super) peer: Option<SocketAddr>,
}

impl Socket {
    /// `None` where the descriptor is no listening socket of either kind.
    pub(super) fn of(descriptor: OwnedFd) -> Option<Socket> {
        match socket_domain(&descriptor).ok()? {
            AddressFamily::UNIX => {
                let listener = UnixListener::from_std(descriptor.into());
                listener.ok().map(Socket::Unix)
            }
            _ => TcpListener::from_std(descriptor.into())
                .ok()
                .map(Socket::Tcp),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Socket::Tcp(socket) => socket.poll_accept(cx).map_ok(|(stream, peer)| {
                // Latency is worth more than a packet; one that is gone is found out.
                let _gone = stream.set_nodelay(true);
                let peer = Some(peer);
                Accepted { stream, peer }
            }),
            Socket::Unix(socket) => socket.poll_accept(cx).map(|accepted| local(accepted?.0)),
        }
    }
}

/// A stream socket is read, written and shut alike whatever its family, and what
/// follows does nothing else with it. Whose it is cannot be told here: in the
/// engine's user namespace there is but one user.
fn local(stream: UnixStream) -> io::Result<Accepted> {
    let stream = OwnedFd::from(stream.into_std()?);
    let stream = TcpStream::from_std(stream.into())?;
    Ok(Accepted { stream, peer: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[tokio::test]
    async fn what_is_written_to_a_client_is_not_held_back() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let socket = Socket::of(listener.into()).unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), socket.accept());
        let (client, accepted) = (client.unwrap(), accepted.unwrap());
        assert!(accepted.stream.nodelay().unwrap());
        assert_eq!(accepted.peer, client.local_addr().ok());
        // It is no system's default.
        assert!(!client.nodelay().unwrap());
    }
}
