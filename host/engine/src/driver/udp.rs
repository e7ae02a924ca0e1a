//! `wasi:sockets/udp`: datagrams, each peer over a connected socket of its own.
//!
//! A kernel's unconnected socket sends anywhere, so no guest gets one. Where a
//! guest sends without connecting, the broker is asked for a socket for each
//! new address, as if it had connected; what comes from elsewhere never arrives.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use fumehood_policy::Transport;
use tokio::io::Interest;
use tokio::net::UdpSocket as Connected;
use wasmtime::component::Resource;
use wasmtime::{Result, format_err};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::access::{Access, Counted, Log};
use super::address::{any, check_local, check_remote, from_wasi, to_wasi};
use super::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::{udp, udp_create_socket};
use super::errors::{SocketError, of_io};
use super::link::{Network, View};
use super::options::Options;

type Answer<T> = std::result::Result<T, SocketError>;
type Code<T> = std::result::Result<T, ErrorCode>;

/// Most peers of one socket; a resolver has two or three servers.
const MAX_PEERS: usize = 8;

/// Most datagrams that one call sends or receives.
const MAX_DATAGRAMS: usize = 16;

/// Bytes after which one call receives no further datagram.
const RECEIVE_BYTES: usize = 64 * 1024;

/// Longest datagram, in bytes: what the 16 bits of UDP's length allow.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// What a guest waits for: datagrams, and the word that there is nobody (ICMP),
/// which the kernel tells of as an error alone.
const HEARD: Interest = Interest::READABLE.add(Interest::ERROR);

/// A socket as the guest has it.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct UdpSocket {
    family: IpAddressFamily,
    options: Options,
    state: State,
    peers: Peers,
    _counted: Counted,
}

/// Where a socket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// `start-bind` was called; nothing is left to do.
    Binding,
    /// Its streams send to whom they are told.
    Bound,
    /// Its streams send to this peer.
    Connected(SocketAddr),
}

/// Addresses that are sent to, each with its socket.
#[derive(Clone, Debug, Default)]
struct Peers(Arc<Mutex<Vec<Peer>>>);

#[derive(Clone, Debug)]
struct Peer {
    address: SocketAddr,
    socket: Arc<Connected>,
    _counted: Arc<Counted>,
}

impl Peer {
    /// A datagram, or that there is nobody to send one.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = self.socket.try_recv(buffer);
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket
                    .try_io(Interest::ERROR, || match self.socket.take_error()? {
                        Some(error) => Err(error),
                        None => Err(io::ErrorKind::WouldBlock.into()),
                    })
            }
            received => received,
        }
    }
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, address: SocketAddr) -> Option<Arc<Connected>> {
        let peers = self.lock();
        let peer = peers.iter().find(|peer| peer.address == address)?;
        Some(Arc::clone(&peer.socket))
    }

    /// The socket for an address, from the broker if there is none.
    async fn reach(
        &self,
        address: SocketAddr,
        options: Options,
        access: &Access,
    ) -> Code<Arc<Connected>> {
        if let Some(socket) = self.find(address) {
            return Ok(socket);
        }
        if self.lock().len() >= MAX_PEERS {
            return Err(ErrorCode::NewSocketLimit);
        }
        let counted = Arc::new(access.socket()?);
        let mut work = access.connect(address, Transport::Udp);
        poll_fn(|cx| work.poll(cx)).await;
        let super::access::Work::Done(connected) = work else {
            return Err(ErrorCode::Unknown);
        };
        let socket = std::net::UdpSocket::from(connected?);
        let socket = Connected::from_std(socket).map_err(|error| of_io(&error))?;
        options.apply(&socket).map_err(|error| of_io(&error))?;
        let socket = Arc::new(socket);
        self.lock().push(Peer {
            address,
            socket: Arc::clone(&socket),
            _counted: counted,
        });
        Ok(socket)
    }
}

/// Where datagrams come in.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Incoming {
    peers: Peers,
}

/// Where they go out.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Outgoing {
    family: IpAddressFamily,
    options: Options,
    peers: Peers,
    connected: Option<SocketAddr>,
    permitted: usize,
}

#[async_trait]
impl Pollable for UdpSocket {
    async fn ready(&mut self) {}
}

#[async_trait]
impl Pollable for Incoming {
    /// While it waits the guest does nothing else, so no peer comes to it.
    async fn ready(&mut self) {
        let peers = self.peers.lock().clone();
        let mut waiting: Vec<_> = peers
            .iter()
            .map(|peer| Box::pin(peer.socket.ready(HEARD)))
            .collect();
        poll_fn(|cx| {
            let ready = waiting.iter_mut().map(|it| it.as_mut().poll(cx).is_ready());
            // All are asked, so that each wakes us.
            match ready.filter(|ready| *ready).count() {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
}

#[async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        let peers = self.peers.lock().clone();
        for peer in peers {
            // A failure is told by the next `send`.
            let _ = peer.socket.writable().await;
        }
    }
}

impl udp_create_socket::Host for View<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Answer<Resource<UdpSocket>> {
        let counted = self.access.socket()?;
        Ok(self.table.push(UdpSocket {
            family,
            options: Options::default(),
            state: State::Fresh,
            peers: Peers::default(),
            _counted: counted,
        })?)
    }
}

impl udp::Host for View<'_> {}

impl udp::HostUdpSocket for View<'_> {
    fn start_bind(
        &mut self,
        this: Resource<UdpSocket>,
        network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> Answer<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        check_local(socket.family, from_wasi(local_address))?;
        match socket.state {
            State::Fresh => socket.state = State::Binding,
            State::Binding => return Err(ErrorCode::ConcurrencyConflict.into()),
            State::Bound | State::Connected(_) => return Err(ErrorCode::InvalidState.into()),
        }
        Ok(())
    }

    fn finish_bind(&mut self, this: Resource<UdpSocket>) -> Answer<()> {
        let socket = self.table.get_mut(&this)?;
        if socket.state != State::Binding {
            return Err(ErrorCode::NotInProgress.into());
        }
        socket.state = State::Bound;
        Ok(())
    }

    async fn stream(
        &mut self,
        this: Resource<UdpSocket>,
        remote_address: Option<IpSocketAddress>,
    ) -> Answer<(Resource<Incoming>, Resource<Outgoing>)> {
        let has_streams = self
            .table
            .iter_children(&this)?
            .any(|child| child.is::<Incoming>() || child.is::<Outgoing>());
        if has_streams {
            return Err(SocketError::Trap(format_err!(
                "a guest asked for a UDP socket's streams while it had some"
            )));
        }
        let remote = remote_address.map(from_wasi);
        let socket = self.table.get_mut(&this)?;
        if !matches!(socket.state, State::Bound | State::Connected(_)) {
            return Err(ErrorCode::InvalidState.into());
        }
        // What is connected to before is heard no more.
        socket.peers = Peers::default();
        socket.state = State::Bound;
        if let Some(remote) = remote {
            check_remote(socket.family, remote)?;
            let (peers, options) = (socket.peers.clone(), socket.options);
            peers.reach(remote, options, self.access).await?;
            socket.state = State::Connected(remote);
        }
        let outgoing = Outgoing {
            family: socket.family,
            options: socket.options,
            peers: socket.peers.clone(),
            connected: remote,
            permitted: 0,
        };
        let incoming = Incoming {
            peers: socket.peers.clone(),
        };
        let incoming = self.table.push_child(incoming, &this)?;
        let outgoing = self.table.push_child(outgoing, &this)?;
        Ok((incoming, outgoing))
    }

    fn local_address(&mut self, this: Resource<UdpSocket>) -> Answer<IpSocketAddress> {
        let socket = self.table.get(&this)?;
        match socket.state {
            State::Bound => Ok(to_wasi(any(socket.family))),
            State::Connected(remote) => {
                let peer = socket.peers.find(remote).ok_or(ErrorCode::InvalidState)?;
                Ok(to_wasi(peer.local_addr().map_err(|error| of_io(&error))?))
            }
            State::Fresh | State::Binding => Err(ErrorCode::InvalidState.into()),
        }
    }

    fn remote_address(&mut self, this: Resource<UdpSocket>) -> Answer<IpSocketAddress> {
        match self.table.get(&this)?.state {
            State::Connected(remote) => Ok(to_wasi(remote)),
            _ => Err(ErrorCode::InvalidState.into()),
        }
    }

    fn address_family(&mut self, this: Resource<UdpSocket>) -> Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family)
    }

    fn unicast_hop_limit(&mut self, _: Resource<UdpSocket>) -> Answer<u8> {
        Err(ErrorCode::NotSupported.into())
    }

    fn set_unicast_hop_limit(&mut self, _: Resource<UdpSocket>, _: u8) -> Answer<()> {
        Err(ErrorCode::NotSupported.into())
    }

    fn receive_buffer_size(&mut self, this: Resource<UdpSocket>) -> Answer<u64> {
        Ok(self.table.get(&this)?.options.receive_buffer)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> Answer<()> {
        let socket = self.table.get_mut(&this)?;
        Ok(socket.options.set_receive_buffer(value)?)
    }

    fn send_buffer_size(&mut self, this: Resource<UdpSocket>) -> Answer<u64> {
        Ok(self.table.get(&this)?.options.send_buffer)
    }

    fn set_send_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> Answer<()> {
        let socket = self.table.get_mut(&this)?;
        Ok(socket.options.set_send_buffer(value)?)
    }

    fn subscribe(&mut self, this: Resource<UdpSocket>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<UdpSocket>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl udp::HostIncomingDatagramStream for View<'_> {
    fn receive(
        &mut self,
        this: Resource<Incoming>,
        max_results: u64,
    ) -> Answer<Vec<udp::IncomingDatagram>> {
        let most = usize::try_from(max_results).map_or(MAX_DATAGRAMS, |it| it.min(MAX_DATAGRAMS));
        let peers = self.table.get(&this)?.peers.lock().clone();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let (mut datagrams, mut bytes) = (Vec::new(), 0);
        for peer in peers {
            while datagrams.len() < most && bytes < RECEIVE_BYTES {
                match peer.receive(&mut buffer) {
                    Ok(count) => {
                        let log = self.access.log();
                        log.take_leave(count).map_err(|error| noted(log, &error))?;
                        bytes += count;
                        log.note_received(count);
                        datagrams.push(udp::IncomingDatagram {
                            data: buffer[..count].to_vec(),
                            remote_address: to_wasi(peer.address),
                        });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // What has come is told first; the error is not lost on a
                    // guest that waits for an answer in vain.
                    Err(_) if !datagrams.is_empty() => break,
                    Err(error) => return Err(noted(self.access.log(), &error).into()),
                }
            }
        }
        Ok(datagrams)
    }

    fn subscribe(&mut self, this: Resource<Incoming>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<Incoming>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl udp::HostOutgoingDatagramStream for View<'_> {
    fn check_send(&mut self, this: Resource<Outgoing>) -> Answer<u64> {
        let stream = self.table.get_mut(&this)?;
        stream.permitted = MAX_DATAGRAMS;
        Ok(MAX_DATAGRAMS as u64)
    }

    async fn send(
        &mut self,
        this: Resource<Outgoing>,
        datagrams: Vec<udp::OutgoingDatagram>,
    ) -> Answer<u64> {
        let stream = self.table.get_mut(&this)?;
        if datagrams.len() > std::mem::take(&mut stream.permitted) {
            return Err(SocketError::Trap(format_err!(
                "a guest sent more datagrams than it had leave to"
            )));
        }
        let mut sent = 0;
        for datagram in datagrams {
            match stream.send(datagram, self.access).await {
                Ok(()) => sent += 1,
                // Those that went out count; the guest sends this one again.
                Err(_) if sent > 0 => break,
                Err(code) => return Err(code.into()),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, this: Resource<Outgoing>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<Outgoing>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Outgoing {
    async fn send(&self, datagram: udp::OutgoingDatagram, access: &Access) -> Code<()> {
        let named = datagram.remote_address.map(from_wasi);
        let to = match (named, self.connected) {
            (None, Some(connected)) => connected,
            (Some(named), Some(connected)) if named == connected => named,
            (Some(named), None) => named,
            _ => return Err(ErrorCode::InvalidArgument),
        };
        check_remote(self.family, to)?;
        let socket = self.peers.reach(to, self.options, access).await?;
        let log = access.log();
        log.take_leave(datagram.data.len())
            .map_err(|error| noted(log, &error))?;
        // The kernel takes a datagram or drops it: there is hardly a wait.
        match socket.send(&datagram.data).await {
            Ok(count) => {
                log.note_sent(count);
                Ok(())
            }
            Err(error) => Err(noted(log, &error)),
        }
    }
}

/// What the guest is told of a failure, which is kept.
fn noted(log: &Log, error: &io::Error) -> ErrorCode {
    log.note_io(error);
    of_io(error)
}
