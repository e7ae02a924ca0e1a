//! `wasi:sockets/tcp`: sockets that the broker connects.

use std::future::poll_fn;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use fumehood_policy::Transport;
use tokio::net::TcpStream;
use wasmtime::Result;
use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::access::{Access, Connecting, Counted, Work};
use super::address::{any, check_local, check_remote, from_wasi, to_wasi};
use super::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::{tcp, tcp_create_socket};
use super::errors::{SocketError, of_io};
use super::link::{Network, View};
use super::options::Options;
use super::stream::{Reader, Stream, Writer};

type Answer<T> = std::result::Result<T, SocketError>;

/// A socket as the guest has it; the kernel's is made when it is connected.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TcpSocket {
    family: IpAddressFamily,
    options: Options,
    state: State,
}

/// Where a socket stands. Each state but the last holds its place among the
/// guest's sockets.
#[derive(Debug)]
enum State {
    /// May be bound or connected.
    Fresh(Counted),
    /// `start-bind` was called; nothing is left to do.
    Binding(Counted),
    /// May be connected.
    Bound(Counted),
    /// The broker is asked.
    Connecting(Connecting, Counted),
    /// Its streams are the guest's.
    Connected(Arc<Stream>),
    /// Of no further use.
    Closed,
}

impl TcpSocket {
    fn start_bind(&mut self, local: SocketAddr) -> std::result::Result<(), ErrorCode> {
        check_local(self.family, local)?;
        self.step(|state| match state {
            State::Fresh(counted) => Ok(State::Binding(counted)),
            State::Binding(_) | State::Connecting(..) => {
                Err((state, ErrorCode::ConcurrencyConflict))
            }
            other => Err((other, ErrorCode::InvalidState)),
        })
    }

    fn finish_bind(&mut self) -> std::result::Result<(), ErrorCode> {
        self.step(|state| match state {
            State::Binding(counted) => Ok(State::Bound(counted)),
            other => Err((other, ErrorCode::NotInProgress)),
        })
    }

    fn start_connect(
        &mut self,
        remote: SocketAddr,
        access: &Access,
    ) -> std::result::Result<(), ErrorCode> {
        check_remote(self.family, remote)?;
        self.step(|state| match state {
            State::Fresh(counted) | State::Bound(counted) => {
                let connecting = access.connect(remote, Transport::Tcp);
                Ok(State::Connecting(connecting, counted))
            }
            State::Binding(_) | State::Connecting(..) => {
                Err((state, ErrorCode::ConcurrencyConflict))
            }
            other => Err((other, ErrorCode::InvalidState)),
        })
    }

    /// The connection, once it stands.
    fn finish_connect(&mut self, access: &Access) -> std::result::Result<Arc<Stream>, ErrorCode> {
        self.step(|state| match state {
            State::Connecting(mut connecting, counted) => {
                if connecting.now().is_none() {
                    let waits = State::Connecting(connecting, counted);
                    return Err((waits, ErrorCode::WouldBlock));
                }
                match connecting {
                    Work::Done(Ok(socket)) => TcpStream::from_std(socket.into())
                        .map(|tcp| {
                            State::Connected(Stream::new(tcp, Arc::clone(access.log()), counted))
                        })
                        .map_err(|error| (State::Closed, of_io(&error))),
                    Work::Done(Err(code)) => Err((State::Closed, code)),
                    Work::Running(_) => Err((State::Closed, ErrorCode::Unknown)),
                }
            }
            other => Err((other, ErrorCode::NotInProgress)),
        })?;
        let stream = Arc::clone(self.connected()?);
        self.options
            .apply(stream.tcp())
            .map_err(|error| of_io(&error))?;
        Ok(stream)
    }

    /// Goes to the next state, or to the one that comes with an error.
    fn step(
        &mut self,
        next: impl FnOnce(State) -> std::result::Result<State, (State, ErrorCode)>,
    ) -> std::result::Result<(), ErrorCode> {
        match next(std::mem::replace(&mut self.state, State::Closed)) {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err((state, code)) => {
                self.state = state;
                Err(code)
            }
        }
    }

    fn connected(&self) -> std::result::Result<&Arc<Stream>, ErrorCode> {
        match &self.state {
            State::Connected(stream) => Ok(stream),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// Changes an option, of the kernel's socket too where there is one.
    fn set(
        &mut self,
        change: impl FnOnce(&mut Options) -> std::result::Result<(), ErrorCode>,
    ) -> Answer<()> {
        change(&mut self.options)?;
        if let State::Connected(stream) = &self.state {
            let applied = self.options.apply(stream.tcp());
            applied.map_err(|error| of_io(&error))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        if let State::Connecting(connecting, _) = &mut self.state {
            poll_fn(|cx| connecting.poll(cx)).await;
        }
    }
}

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Answer<Resource<TcpSocket>> {
        let counted = self.access.socket()?;
        Ok(self.table.push(TcpSocket {
            family,
            options: Options::default(),
            state: State::Fresh(counted),
        })?)
    }
}

impl tcp::Host for View<'_> {}

impl tcp::HostTcpSocket for View<'_> {
    fn start_bind(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> Answer<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        Ok(socket.start_bind(from_wasi(local_address))?)
    }

    fn finish_bind(&mut self, this: Resource<TcpSocket>) -> Answer<()> {
        Ok(self.table.get_mut(&this)?.finish_bind()?)
    }

    fn start_connect(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<Network>,
        remote_address: IpSocketAddress,
    ) -> Answer<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        Ok(socket.start_connect(from_wasi(remote_address), self.access)?)
    }

    fn finish_connect(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> Answer<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let stream = self.table.get_mut(&this)?.finish_connect(self.access)?;
        let input: DynInputStream = Box::new(Reader::new(Arc::clone(&stream)));
        let output: DynOutputStream = Box::new(Writer::new(stream));
        let input = self.table.push_child(input, &this)?;
        let output = self.table.push_child(output, &this)?;
        Ok((input, output))
    }

    /// No guest listens: nobody but the broker could have made it so.
    fn start_listen(&mut self, _: Resource<TcpSocket>) -> Answer<()> {
        Err(ErrorCode::AccessDenied.into())
    }

    fn finish_listen(&mut self, _: Resource<TcpSocket>) -> Answer<()> {
        Err(ErrorCode::NotInProgress.into())
    }

    fn accept(
        &mut self,
        _: Resource<TcpSocket>,
    ) -> Answer<(
        Resource<TcpSocket>,
        Resource<DynInputStream>,
        Resource<DynOutputStream>,
    )> {
        Err(ErrorCode::InvalidState.into())
    }

    fn local_address(&mut self, this: Resource<TcpSocket>) -> Answer<IpSocketAddress> {
        let socket = self.table.get(&this)?;
        if let State::Bound(_) = socket.state {
            return Ok(to_wasi(any(socket.family)));
        }
        let local = socket.connected()?.tcp().local_addr();
        Ok(to_wasi(local.map_err(|error| of_io(&error))?))
    }

    fn remote_address(&mut self, this: Resource<TcpSocket>) -> Answer<IpSocketAddress> {
        let remote = self.table.get(&this)?.connected()?.tcp().peer_addr();
        Ok(to_wasi(remote.map_err(|error| of_io(&error))?))
    }

    fn is_listening(&mut self, _: Resource<TcpSocket>) -> Result<bool> {
        Ok(false)
    }

    fn address_family(&mut self, this: Resource<TcpSocket>) -> Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family)
    }

    fn set_listen_backlog_size(&mut self, _: Resource<TcpSocket>, _: u64) -> Answer<()> {
        Err(ErrorCode::NotSupported.into())
    }

    fn keep_alive_enabled(&mut self, this: Resource<TcpSocket>) -> Answer<bool> {
        Ok(self.table.get(&this)?.options.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, this: Resource<TcpSocket>, value: bool) -> Answer<()> {
        self.table.get_mut(&this)?.set(|options| {
            options.set_keep_alive(value);
            Ok(())
        })
    }

    fn keep_alive_idle_time(&mut self, this: Resource<TcpSocket>) -> Answer<u64> {
        Ok(nanoseconds(self.table.get(&this)?.options.idle))
    }

    fn set_keep_alive_idle_time(&mut self, this: Resource<TcpSocket>, value: u64) -> Answer<()> {
        self.table.get_mut(&this)?.set(|it| it.set_idle(value))
    }

    fn keep_alive_interval(&mut self, this: Resource<TcpSocket>) -> Answer<u64> {
        Ok(nanoseconds(self.table.get(&this)?.options.interval))
    }

    fn set_keep_alive_interval(&mut self, this: Resource<TcpSocket>, value: u64) -> Answer<()> {
        self.table.get_mut(&this)?.set(|it| it.set_interval(value))
    }

    fn keep_alive_count(&mut self, this: Resource<TcpSocket>) -> Answer<u32> {
        Ok(self.table.get(&this)?.options.count)
    }

    fn set_keep_alive_count(&mut self, this: Resource<TcpSocket>, value: u32) -> Answer<()> {
        self.table.get_mut(&this)?.set(|it| it.set_count(value))
    }

    fn hop_limit(&mut self, _: Resource<TcpSocket>) -> Answer<u8> {
        Err(ErrorCode::NotSupported.into())
    }

    fn set_hop_limit(&mut self, _: Resource<TcpSocket>, _: u8) -> Answer<()> {
        Err(ErrorCode::NotSupported.into())
    }

    fn receive_buffer_size(&mut self, this: Resource<TcpSocket>) -> Answer<u64> {
        Ok(self.table.get(&this)?.options.receive_buffer)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> Answer<()> {
        let socket = self.table.get_mut(&this)?;
        socket.set(|options| options.set_receive_buffer(value))
    }

    fn send_buffer_size(&mut self, this: Resource<TcpSocket>) -> Answer<u64> {
        Ok(self.table.get(&this)?.options.send_buffer)
    }

    fn set_send_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> Answer<()> {
        let socket = self.table.get_mut(&this)?;
        socket.set(|options| options.set_send_buffer(value))
    }

    fn subscribe(&mut self, this: Resource<TcpSocket>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn shutdown(&mut self, this: Resource<TcpSocket>, how: tcp::ShutdownType) -> Answer<()> {
        let stream = self.table.get(&this)?.connected()?;
        stream.shut_down(match how {
            tcp::ShutdownType::Receive => Shutdown::Read,
            tcp::ShutdownType::Send => Shutdown::Write,
            tcp::ShutdownType::Both => Shutdown::Both,
        });
        Ok(())
    }

    fn drop(&mut self, this: Resource<TcpSocket>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
