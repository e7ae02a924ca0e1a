//! Sockets that listen where the embedder said, kept while engines come and go.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use fumehood_control::{ListenerId, MAX_LISTENERS};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::sockopt::socket_domain;
use rustix::net::{AddressFamily, getsockname};
use tokio::net::TcpSocket;

/// Connections that wait to be accepted, at most; the kernel has a bound of its
/// own besides. Long enough for what comes while an engine is started anew.
pub const BACKLOG: u32 = 4096;

/// The listening sockets.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    held: BTreeMap<ListenerId, Held>,
}

#[derive(Debug)]
struct Held {
    socket: Arc<OwnedFd>,
    /// Where it was bound by a broker, and so in this process's network. One that was
    /// given may be of another.
    here: Option<SocketAddr>,
}

impl Listeners {
    /// Listens at an address; says where, as port 0 is any.
    pub(crate) fn bind(
        &mut self,
        listener: ListenerId,
        address: SocketAddr,
    ) -> Result<SocketAddr, i32> {
        let socket = listen(address).map_err(|why| errno(&why))?;
        let bound = socket.local_addr().map_err(|why| errno(&why))?;
        self.hold(listener, socket.into(), Some(bound))?;
        Ok(bound)
    }

    /// Takes a socket that listens already, made by a broker or not. A Unix socket has
    /// no address.
    pub(crate) fn adopt(
        &mut self,
        listener: ListenerId,
        socket: OwnedFd,
        made_here: bool,
    ) -> Result<Option<SocketAddr>, i32> {
        let bound = match socket_domain(&socket) {
            Ok(AddressFamily::UNIX) => None,
            Ok(_) => {
                let name = getsockname(&socket).map_err(Errno::raw_os_error)?;
                Some(name.try_into().map_err(Errno::raw_os_error)?)
            }
            Err(why) => return Err(why.raw_os_error()),
        };
        ioctl_fionbio(&socket, true).map_err(Errno::raw_os_error)?;
        self.hold(listener, socket, bound.filter(|_| made_here))?;
        Ok(bound)
    }

    fn hold(
        &mut self,
        listener: ListenerId,
        socket: OwnedFd,
        here: Option<SocketAddr>,
    ) -> Result<(), i32> {
        if self.held.len() >= MAX_LISTENERS {
            return Err(Errno::MFILE.raw_os_error());
        }
        let socket = Arc::new(socket);
        self.held.insert(listener, Held { socket, here });
        Ok(())
    }

    /// Closes one; engines have duplicates.
    pub(crate) fn close(&mut self, listener: ListenerId) {
        self.held.remove(&listener);
    }

    /// One of them.
    pub(crate) fn get(&self, listener: ListenerId) -> Option<Arc<OwnedFd>> {
        let held = self.held.get(&listener)?;
        Some(Arc::clone(&held.socket))
    }

    /// An address that a client may send its datagrams to: one at which a listener
    /// of this process's own listens. `None` for any other.
    pub(crate) fn beside(&self, listener: ListenerId, at: IpAddr) -> Option<IpAddr> {
        let here = self.held.get(&listener)?.here?.ip().to_canonical();
        let at = at.to_canonical();
        // One of IPv6 hears both families, one of IPv4 its own; nobody sends to none.
        let everywhere = here.is_unspecified() && (here.is_ipv6() || at.is_ipv4());
        (!at.is_unspecified() && (here == at || everywhere)).then_some(at)
    }

    /// All of them, for an engine that is new.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ListenerId, Arc<OwnedFd>)> {
        self.held
            .iter()
            .map(|(id, held)| (*id, Arc::clone(&held.socket)))
    }

    /// Where they are, those that have an address.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let names = self.held.values().map(|held| getsockname(&held.socket));
        names.filter_map(|it| it.ok()?.try_into().ok()).collect()
    }
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A proxy that is started again finds connections of its former life.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn errno(why: &std::io::Error) -> i32 {
    why.raw_os_error().unwrap_or(Errno::IO.raw_os_error())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[tokio::test]
    async fn datagrams_are_received_where_a_listener_listens() {
        let mut listeners = Listeners::default();
        let addresses =
            |it: &[&str]| -> Vec<IpAddr> { it.iter().map(|it| it.parse().unwrap()).collect() };
        let rows = [
            (
                "127.0.0.1:0",
                "127.0.0.1",
                &["127.0.0.2", "0.0.0.0", "::1"][..],
            ),
            ("0.0.0.0:0", "127.0.0.1", &["0.0.0.0", "::", "::1"][..]),
        ];
        for (number, (listens, good, bad)) in (0..).zip(rows) {
            let id = ListenerId(number);
            listeners.bind(id, listens.parse().unwrap()).unwrap();
            for it in addresses(&[good]) {
                assert_eq!(listeners.beside(id, it), Some(it), "{listens}");
            }
            for it in addresses(bad) {
                assert_eq!(listeners.beside(id, it), None, "{listens} {it}");
            }
        }
        assert_eq!(listeners.beside(ListenerId(9), [127, 0, 0, 1].into()), None);
    }
}
