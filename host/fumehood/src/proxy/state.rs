//! One proxy, as it is set up again when its processes are others.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_control::{
    AccessRecord, Admission, ListenerSetup, Serves, StandingGrant, ToBroker, ToEngine,
};
use rustix::net::sockopt::{self, socket_type};
use rustix::net::{SocketType, getsockname};
use tokio::sync::{mpsc, watch};

use super::ProxyAddress;
use crate::admitted::Admitted;
use crate::error::ChannelError;
use crate::live::Running;
use crate::unix_socket::SocketFile;

/// One proxy, to whoever sets it up again.
#[derive(Debug)]
pub(super) struct State {
    pub(super) setup: ListenerSetup,
    pub(super) address: ProxyAddress,
    /// Of a Unix socket, until the proxy is drained.
    pub(super) unix: Mutex<Option<(Arc<OwnedFd>, SocketFile)>>,
    /// What a broker has made, for the next one, until the proxy is drained.
    pub(super) made: Mutex<Option<Arc<OwnedFd>>>,
    pub(super) admitted: Arc<Admitted>,
    /// Where the broker listens, or why it does not.
    pub(super) bound: watch::Sender<Option<Result<Option<SocketAddr>, i32>>>,
    /// It is to end: nothing launches it again.
    pub(super) draining: AtomicBool,
    pub(super) drained: watch::Sender<bool>,
    pub(super) records: mpsc::Sender<Vec<AccessRecord>>,
    pub(super) lost: AtomicU64,
}

impl State {
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) async fn listen(&self, running: &Running) -> Result<(), ChannelError> {
        let channel = &running.broker.channel;
        let listener = self.setup.id;
        for leave in self.all_leaves() {
            channel.send(&ToBroker::StandingGrant(leave), &[]).await?;
        }
        let given = match &self.address {
            ProxyAddress::Socket(socket) => Some(Arc::clone(socket)),
            ProxyAddress::Bind(_) => self.made().clone(),
            ProxyAddress::Unix(_) => self.unix().as_ref().map(|(socket, _)| Arc::clone(socket)),
        };
        match (&self.address, given) {
            (of, Some(socket)) => {
                let message = ToBroker::Listener {
                    listener,
                    made_here: matches!(of, ProxyAddress::Bind(_)),
                };
                channel.send(&message, &[socket.as_fd()]).await?;
            }
            (&ProxyAddress::Bind(address), None) => {
                let message = ToBroker::Listen { listener, address };
                channel.send(&message, &[]).await?;
            }
            // They come with a socket.
            (ProxyAddress::Socket(_) | ProxyAddress::Unix(_), None) => {}
        }
        Ok(())
    }

    /// Keeps a socket that a broker has made as it was asked to.
    pub(super) fn keep(&self, address: SocketAddr, socket: OwnedFd) -> Result<(), ChannelError> {
        let ProxyAddress::Bind(asked) = self.address else {
            return Err(ChannelError::OutOfOrder);
        };
        if !is_as_asked(asked, address, &socket) {
            return Err(ChannelError::OutOfOrder);
        }
        let mut made = self.made();
        // One that drains is to listen no more, and what is there was made for the port.
        if !self.is_draining() && made.is_none() {
            *made = Some(Arc::new(socket));
        }
        Ok(())
    }

    pub(super) fn made(&self) -> MutexGuard<'_, Option<Arc<OwnedFd>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unix(&self) -> MutexGuard<'_, Option<(Arc<OwnedFd>, SocketFile)>> {
        self.unix.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever connects has, or users that have been here. For who asks for names
    /// nothing is dialled.
    pub(super) fn all_leaves(&self) -> Vec<StandingGrant> {
        match &self.setup.admission {
            Admission::Anyone(_) if self.setup.serves == Serves::Names => Vec::new(),
            Admission::Anyone(leave) => vec![leave.clone()],
            Admission::Login => self.admitted.leaves(),
        }
    }

    pub(super) async fn serve(&self, running: &Running) -> Result<(), ChannelError> {
        let setup = ToEngine::Listener(self.setup.clone());
        Ok(running.engine.channel.send(&setup, &[]).await?)
    }
}

/// Whether a socket listens where a broker says that it does, and should.
fn is_as_asked(asked: SocketAddr, told: SocketAddr, socket: &OwnedFd) -> bool {
    let is = getsockname(socket).ok().and_then(|it| it.try_into().ok());
    let port = match asked.port() {
        0 => told.port(),
        port => port,
    };
    let listens = socket_type(socket) == Ok(SocketType::STREAM)
        && sockopt::socket_acceptconn(socket) == Ok(true);
    listens && is == Some(told) && told == SocketAddr::new(asked.ip(), port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use rustix::net::AddressFamily;

    use super::*;

    #[test]
    fn a_broker_does_not_choose_where_the_next_one_listens() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = socket.local_addr().unwrap();
        let socket = OwnedFd::from(socket);
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let elsewhere = SocketAddr::new(there.ip(), there.port() ^ 1);
        for (asked, told, good) in [
            (there, there, true),
            (at("127.0.0.1:0"), there, true),
            (at("127.0.0.1:0"), elsewhere, false),
            (elsewhere, there, false),
            (elsewhere, elsewhere, false),
            (at("127.0.0.2:0"), there, false),
            (at("[::1]:0"), there, false),
        ] {
            assert_eq!(is_as_asked(asked, told, &socket), good, "{asked} {told}");
        }
        let (other, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!is_as_asked(there, there, &OwnedFd::from(other)));
        // Where nobody can connect.
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = datagrams.local_addr().unwrap();
        assert!(!is_as_asked(there, there, &OwnedFd::from(datagrams)));
        let mute = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&mute, &at("127.0.0.1:0")).unwrap();
        let there = getsockname(&mute).unwrap().try_into().unwrap();
        assert!(!is_as_asked(there, there, &mute));
    }
}
