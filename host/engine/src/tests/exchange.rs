//! A request as the tests send it, and the broker that dials for it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;

use fumehood_control::{DialReply, DialRequest, Exchange, GrantId};
use fumehood_policy::{Host, Scheme, Target};
use fumehood_sandbox::Channel;

/// A GET from a loopback port, over a connection of its own if it is to be `fresh`.
pub(crate) fn request(scheme: Scheme, server: SocketAddr, path: &str, fresh: bool) -> Exchange {
    let target = Target {
        scheme,
        host: Host::V4(Ipv4Addr::LOCALHOST),
        port: server.port(),
    };
    let grant = GrantId(target.port.into());
    Exchange {
        fresh_connection: fresh,
        ..Exchange::get(target, grant, path)
    }
}

/// A broker that dials the loopback port that a grant is called.
pub(crate) fn broker() -> Channel<DialRequest, DialReply> {
    let (engine, broker) = Channel::<DialRequest, DialReply>::pair().unwrap();
    std::thread::spawn(move || {
        while let Ok((DialRequest::Dial { id, grant, .. }, _)) = broker.recv() {
            let peer = (Ipv4Addr::LOCALHOST, u16::try_from(grant.0).unwrap()).into();
            let stream = TcpStream::connect(peer).unwrap();
            stream.set_nonblocking(true).unwrap();
            let reply = DialReply::Connected {
                id,
                peer,
                refused: Vec::new(),
                attempts: Vec::new(),
                resolve_us: 0,
                connect_us: 1,
            };
            broker.send(&reply, &[stream.as_fd()]).unwrap();
        }
    });
    engine
}
