//! `wasi:sockets` and `fumehood:dns/secure`, as far as the guest uses them: a function
//! that is not here it cannot be linked to.

use std::net::SocketAddr;
use std::sync::Arc;

use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut, format_err};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{Pollable, subscribe};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::network::{Datagrams, Deed, Kind, Line, Point, Post, Standing, Way};
use super::state::State;
use super::streams::{Reader, Writer, until};
use super::types::Server;
use super::{Error, ErrorCode};
use crate::driver::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use crate::driver::bindings::wasi::sockets::udp::{IncomingDatagram, OutgoingDatagram};
use crate::driver::{from_wasi, to_wasi};

/// What a call gives the guest, unless it ends the guest.
type Answer<T> = Result<(std::result::Result<T, ErrorCode>,)>;

/// The same of what is encrypted, once it is there.
type Settled<T> = Result<(Option<std::result::Result<T, Error>>,)>;

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

/// Most datagrams that the guest may send at once.
const LEAVE: u64 = 16;

/// `wasi:sockets/network.network`, which says nothing.
struct Nets;

/// A socket for datagrams.
struct UdpSocket {
    way: Arc<Way>,
    binding: bool,
    bound: bool,
}

struct Incoming(Arc<Way>);

struct Outgoing {
    way: Arc<Way>,
    to: Option<SocketAddr>,
    leave: u64,
}

/// A connection by TCP, or by TLS: each is asked for in its own way.
struct Connecting(Arc<Way>);

struct Posting(Arc<Way>);

#[async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        let number = self.0.number;
        until(&self.0.network, |network| {
            network
                .datagrams(number)
                .is_none_or(|it| !it.inbound.is_empty() || it.failed.is_some() || it.false_alarm)
        })
        .await;
    }
}

#[async_trait]
impl Pollable for Connecting {
    async fn ready(&mut self) {
        let number = self.0.number;
        until(&self.0.network, |network| {
            network.line(number).is_none_or(|it| it.is_settled())
        })
        .await;
    }
}

#[async_trait]
impl Pollable for Posting {
    async fn ready(&mut self) {
        let number = self.0.number;
        until(&self.0.network, |network| {
            let settled = |it: &mut Post| it.outcome.is_some() || it.false_alarm;
            network.post(number).is_none_or(settled)
        })
        .await;
    }
}

/// Links them.
pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    let mut it = linker.instance("wasi:sockets/network@0.2.12")?;
    resource::<Nets>(&mut it, "network")?;
    let mut it = linker.instance("wasi:sockets/instance-network@0.2.12")?;
    it.func_wrap("instance-network", |mut store: Store<'_>, (): ()| {
        Ok((store.data_mut().table.push(Nets)?,))
    })?;
    udp(linker)?;
    tcp(linker)?;
    secure(linker)
}

type Store<'a> = StoreContextMut<'a, State>;

/// A resource that the guest may drop.
fn resource<T: Send + 'static>(it: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    it.resource(name, ResourceType::host::<T>(), |mut store, index| {
        let resource = Resource::<T>::new_own(index);
        store.data_mut().table.delete(resource)?;
        Ok(())
    })
}

fn udp(linker: &mut Linker<State>) -> Result<()> {
    let mut it = linker.instance("wasi:sockets/udp@0.2.12")?;
    resource::<UdpSocket>(&mut it, "udp-socket")?;
    resource::<Incoming>(&mut it, "incoming-datagram-stream")?;
    resource::<Outgoing>(&mut it, "outgoing-datagram-stream")?;
    it.func_wrap(
        "[method]udp-socket.start-bind",
        |mut store: Store<'_>,
         (this, _, _): (Resource<UdpSocket>, Resource<Nets>, IpSocketAddress)| {
            store.data_mut().start_bind(&this)
        },
    )?;
    it.func_wrap(
        "[method]udp-socket.finish-bind",
        |mut store: Store<'_>, (this,): (Resource<UdpSocket>,)| store.data_mut().finish_bind(&this),
    )?;
    it.func_wrap(
        "[method]udp-socket.stream",
        |mut store: Store<'_>, (this, to): (Resource<UdpSocket>, Option<IpSocketAddress>)| {
            store.data_mut().stream(&this, to.map(from_wasi))
        },
    )?;
    it.func_wrap(
        "[method]incoming-datagram-stream.receive",
        |mut store: Store<'_>, (this, most): (Resource<Incoming>, u64)| {
            store.data_mut().receive(&this, most)
        },
    )?;
    it.func_wrap(
        "[method]incoming-datagram-stream.subscribe",
        |mut store: Store<'_>, (this,): (Resource<Incoming>,)| {
            Ok((subscribe(&mut store.data_mut().table, this)?,))
        },
    )?;
    it.func_wrap(
        "[method]outgoing-datagram-stream.check-send",
        |mut store: Store<'_>, (this,): (Resource<Outgoing>,)| store.data_mut().check_send(&this),
    )?;
    it.func_wrap(
        "[method]outgoing-datagram-stream.send",
        |mut store: Store<'_>, (this, datagrams): (Resource<Outgoing>, Vec<OutgoingDatagram>)| {
            store.data_mut().send(&this, datagrams)
        },
    )?;
    let mut it = linker.instance("wasi:sockets/udp-create-socket@0.2.12")?;
    it.func_wrap(
        "create-udp-socket",
        |mut store: Store<'_>, (_,): (IpAddressFamily,)| store.data_mut().create_udp_socket(),
    )
}

fn tcp(linker: &mut Linker<State>) -> Result<()> {
    let mut it = linker.instance("wasi:sockets/tcp@0.2.12")?;
    resource::<Connecting>(&mut it, "tcp-socket")?;
    it.func_wrap(
        "[method]tcp-socket.start-connect",
        |mut store: Store<'_>,
         (this, _, to): (Resource<Connecting>, Resource<Nets>, IpSocketAddress)| {
            store.data_mut().start_connect(&this, from_wasi(to))
        },
    )?;
    it.func_wrap(
        "[method]tcp-socket.finish-connect",
        |mut store: Store<'_>, (this,): (Resource<Connecting>,)| {
            store.data_mut().finish_connect(&this)
        },
    )?;
    it.func_wrap(
        "[method]tcp-socket.subscribe",
        |mut store: Store<'_>, (this,): (Resource<Connecting>,)| {
            Ok((subscribe(&mut store.data_mut().table, this)?,))
        },
    )?;
    let mut it = linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    it.func_wrap(
        "create-tcp-socket",
        |mut store: Store<'_>, (_,): (IpAddressFamily,)| store.data_mut().create_tcp_socket(),
    )
}

fn secure(linker: &mut Linker<State>) -> Result<()> {
    let mut it = linker.instance("fumehood:dns/secure@0.1.0")?;
    resource::<Connecting>(&mut it, "connecting")?;
    resource::<Posting>(&mut it, "posting")?;
    it.func_wrap(
        "[constructor]connecting",
        |mut store: Store<'_>, (server,): (Server,)| store.data_mut().connecting(server),
    )?;
    it.func_wrap(
        "[method]connecting.subscribe",
        |mut store: Store<'_>, (this,): (Resource<Connecting>,)| {
            Ok((subscribe(&mut store.data_mut().table, this)?,))
        },
    )?;
    it.func_wrap(
        "[method]connecting.finish",
        |mut store: Store<'_>, (this,): (Resource<Connecting>,)| {
            store.data_mut().finish_connecting(&this)
        },
    )?;
    it.func_wrap(
        "[constructor]posting",
        |mut store: Store<'_>, (server, message): (Server, Vec<u8>)| {
            store.data_mut().posting(server, message)
        },
    )?;
    it.func_wrap(
        "[method]posting.subscribe",
        |mut store: Store<'_>, (this,): (Resource<Posting>,)| {
            Ok((subscribe(&mut store.data_mut().table, this)?,))
        },
    )?;
    it.func_wrap(
        "[method]posting.finish",
        |mut store: Store<'_>, (this,): (Resource<Posting>,)| {
            store.data_mut().finish_posting(&this)
        },
    )
}

fn refuse<T>(code: ErrorCode) -> Answer<T> {
    Ok((Err(code),))
}

/// Datagrams.
impl State {
    fn create_udp_socket(&mut self) -> Answer<Resource<UdpSocket>> {
        let way = self.network.open(Kind::Datagrams(Datagrams::default()));
        if let Some((_, code)) = way.refused(&[Point::Create]) {
            return refuse(code);
        }
        let socket = UdpSocket {
            way,
            binding: false,
            bound: false,
        };
        Ok((Ok(self.table.push(socket)?),))
    }

    fn start_bind(&mut self, this: &Resource<UdpSocket>) -> Answer<()> {
        let socket = self.table.get_mut(this)?;
        if socket.binding || socket.bound {
            return refuse(ErrorCode::InvalidState);
        }
        if let Some((_, code)) = socket.way.refused(&[Point::Bind]) {
            return refuse(code);
        }
        socket.binding = true;
        Ok((Ok(()),))
    }

    fn finish_bind(&mut self, this: &Resource<UdpSocket>) -> Answer<()> {
        let socket = self.table.get_mut(this)?;
        if !std::mem::take(&mut socket.binding) {
            return refuse(ErrorCode::NotInProgress);
        }
        socket.bound = true;
        Ok((Ok(()),))
    }

    fn stream(
        &mut self,
        this: &Resource<UdpSocket>,
        to: Option<SocketAddr>,
    ) -> Answer<(Resource<Incoming>, Resource<Outgoing>)> {
        let socket = self.table.get(this)?;
        if !socket.bound {
            return refuse(ErrorCode::InvalidState);
        }
        if let Some((_, code)) = socket.way.refused(&[Point::Stream]) {
            return refuse(code);
        }
        let way = Arc::clone(&socket.way);
        let outgoing = Outgoing {
            way: Arc::clone(&way),
            to,
            leave: 0,
        };
        let incoming = self.table.push_child(Incoming(way), this)?;
        let outgoing = self.table.push_child(outgoing, this)?;
        Ok((Ok((incoming, outgoing)),))
    }

    fn receive(&mut self, this: &Resource<Incoming>, most: u64) -> Answer<Vec<IncomingDatagram>> {
        let way = &self.table.get(this)?.0;
        let mut network = way.network.lock();
        let Some(socket) = network.datagrams(way.number) else {
            return refuse(ErrorCode::InvalidState);
        };
        socket.false_alarm = false;
        if socket.inbound.is_empty()
            && let Some(code) = socket.failed.take()
        {
            return refuse(code);
        }
        let count = usize::try_from(most)?.min(socket.inbound.len());
        let received = socket.inbound.drain(..count);
        let received = received.map(|(from, data)| IncomingDatagram {
            data,
            remote_address: to_wasi(from),
        });
        Ok((Ok(received.collect()),))
    }

    fn check_send(&mut self, this: &Resource<Outgoing>) -> Answer<u64> {
        let stream = self.table.get_mut(this)?;
        stream.leave = match stream.way.refused(&[Point::CheckSend, Point::NoLeave]) {
            None => LEAVE,
            Some((Point::NoLeave, _)) => 0,
            Some((_, code)) => return refuse(code),
        };
        Ok((Ok(stream.leave),))
    }

    fn send(&mut self, this: &Resource<Outgoing>, datagrams: Vec<OutgoingDatagram>) -> Answer<u64> {
        let stream = self.table.get_mut(this)?;
        let count = datagrams.len() as u64;
        if count > std::mem::take(&mut stream.leave) {
            return Err(format_err!("a guest sent more than it had leave to"));
        }
        match stream.way.refused(&[Point::Send, Point::NoneSent]) {
            None => {}
            Some((Point::NoneSent, _)) => return Ok((Ok(0),)),
            Some((_, code)) => return refuse(code),
        }
        for datagram in datagrams {
            let Some(to) = stream.to.or(datagram.remote_address.map(from_wasi)) else {
                return refuse(ErrorCode::InvalidArgument);
            };
            let sent = Deed::Datagram(stream.way.number, to, datagram.data);
            stream.way.network.lock().deeds.push(sent);
        }
        Ok((Ok(count),))
    }
}

/// Connections, and exchanges of DNS over HTTPS.
impl State {
    fn create_tcp_socket(&mut self) -> Answer<Resource<Connecting>> {
        let way = self.network.open(Kind::Line(Line::default()));
        if let Some((_, code)) = way.refused(&[Point::Create]) {
            return refuse(code);
        }
        Ok((Ok(self.table.push(Connecting(way))?),))
    }

    fn start_connect(&mut self, this: &Resource<Connecting>, to: SocketAddr) -> Answer<()> {
        const BEHIND: [Point; 6] = [
            Point::Bind,
            Point::Stream,
            Point::CheckSend,
            Point::NoLeave,
            Point::Send,
            Point::NoneSent,
        ];
        let way = &self.table.get(this)?.0;
        if let Some((_, code)) = way.refused(&BEHIND) {
            return refuse(code);
        }
        let asked = Deed::Connect(way.number, to);
        way.network.lock().deeds.push(asked);
        Ok((Ok(()),))
    }

    fn finish_connect(&mut self, this: &Resource<Connecting>) -> Answer<Streams> {
        let way = Arc::clone(&self.table.get(this)?.0);
        match told(&way)? {
            Standing::Asked => refuse(ErrorCode::WouldBlock),
            Standing::Unconnected(code) => refuse(code),
            Standing::Stands => {
                let input: DynInputStream = Box::new(Reader(Arc::clone(&way)));
                let output: DynOutputStream = Box::new(Writer(way));
                let input = self.table.push_child(input, this)?;
                let output = self.table.push_child(output, this)?;
                Ok((Ok((input, output)),))
            }
            Standing::Unsecured(_) | Standing::Told => refuse(ErrorCode::NotInProgress),
        }
    }

    fn connecting(&mut self, server: Server) -> Result<(Resource<Connecting>,)> {
        let way = self.network.open(Kind::Line(Line::default()));
        let asked = Deed::Secure(way.number, server);
        self.network.lock().deeds.push(asked);
        Ok((self.table.push(Connecting(way))?,))
    }

    fn finish_connecting(&mut self, this: &Resource<Connecting>) -> Settled<Streams> {
        let way = Arc::clone(&self.table.get(this)?.0);
        match told(&way)? {
            Standing::Asked => Ok((None,)),
            Standing::Unsecured(error) => Ok((Some(Err(error)),)),
            Standing::Stands => {
                let input: DynInputStream = Box::new(Reader(Arc::clone(&way)));
                let output: DynOutputStream = Box::new(Writer(way));
                let streams = (self.table.push(input)?, self.table.push(output)?);
                Ok((Some(Ok(streams)),))
            }
            Standing::Unconnected(_) | Standing::Told => Err(format_err!(
                "a guest asked again for what it had been given"
            )),
        }
    }

    fn posting(&mut self, server: Server, message: Vec<u8>) -> Result<(Resource<Posting>,)> {
        let way = self.network.open(Kind::Post(Post::default()));
        let asked = Deed::Post(way.number, server, message);
        self.network.lock().deeds.push(asked);
        Ok((self.table.push(Posting(way))?,))
    }

    fn finish_posting(&mut self, this: &Resource<Posting>) -> Settled<Vec<u8>> {
        let way = &self.table.get(this)?.0;
        let mut network = way.network.lock();
        let Some(post) = network.post(way.number) else {
            return Err(format_err!("a guest asked for what is over"));
        };
        post.false_alarm = false;
        Ok((post.outcome.take(),))
    }
}

/// Where a connection stands; what has come of it is told once.
fn told(way: &Way) -> Result<Standing> {
    let mut network = way.network.lock();
    let Some(line) = network.line(way.number) else {
        return Err(format_err!("a guest asked for what is over"));
    };
    line.false_alarm = false;
    Ok(match line.standing {
        Standing::Asked => Standing::Asked,
        _ => std::mem::replace(&mut line.standing, Standing::Told),
    })
}
