//! What is done, by name.

use crate::Body;
use crate::exports::fumehood::driver::client::{Failure, Request};
use crate::net::{self, Tcp, Udp};
use crate::wasi::clocks::monotonic_clock;
use crate::wasi::io::streams::StreamError;
use crate::wasi::random::random::get_random_bytes;
use crate::wasi::sockets::instance_network::instance_network;
use crate::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::wasi::sockets::udp::OutgoingDatagram;

/// How often something is tried that should end by itself.
const MANY: usize = 10_000;

type Outcome = Result<(u16, Body), Failure>;

pub(crate) fn perform(request: &Request) -> Outcome {
    let path = request.path.trim_start_matches('/');
    let (action, argument) = path.split_once('/').unwrap_or((path, ""));
    match action {
        "echo" => echo(request, argument),
        "late" => late(request),
        "ask" => ask(request),
        "write" => write(request, argument),
        "flood" => flood(request),
        "udp" => udp(request, true),
        "udp-to" => udp(request, false),
        "udp-outside" => udp_outside(argument),
        "connect" => connect(argument),
        "lookup" => text(match net::look_up(argument) {
            Ok(all) => format!("{all:?}"),
            Err(code) => name(code),
        }),
        "names" => names(argument),
        "sockets" => sockets(),
        "connections" => connections(request),
        "listen" => listen(),
        "options" => options(request),
        "clock" => clock(),
        "wait" => loop {
            monotonic_clock::subscribe_duration(u64::MAX).block();
        },
        "hang" => loop {
            std::hint::black_box(0);
        },
        "trap" => panic!("a trap of its own"),
        "many" => Ok((200, Body::Many(argument.parse().unwrap_or(0)))),
        "too-much" => Ok((200, Body::TooMuch)),
        "trap-later" => Ok((200, Body::Trap)),
        "cut" => Ok((200, Body::Cut(b"so far".to_vec()))),
        "status" => Ok((argument.parse().unwrap_or(0), Body::Bytes(Vec::new()))),
        "lie" => Err(Failure::Network),
        "protocol" => Err(Failure::Protocol(
            "the peer \u{7} spoke nonsense".to_owned(),
        )),
        "unsupported" => Err(Failure::Unsupported("not this".to_owned())),
        _ => Err(Failure::Unsupported(format!("no action {action}"))),
    }
}

fn text(said: impl Into<String>) -> Outcome {
    Ok((200, Body::Bytes(said.into().into_bytes())))
}

fn name(code: ErrorCode) -> String {
    code.name().to_owned()
}

/// The granted host and port.
fn home(request: &Request) -> Result<IpSocketAddress, Failure> {
    let addresses = net::look_up(&request.host).map_err(|_| Failure::Network)?;
    let first = addresses.first().ok_or(Failure::Network)?;
    Ok(net::at(*first, request.port))
}

fn dial(request: &Request) -> Result<Tcp, Failure> {
    Tcp::connect(home(request)?).map_err(|_| Failure::Network)
}

/// Says something, ends its side, and reads to the end: so many bytes at a time.
fn echo(request: &Request, argument: &str) -> Outcome {
    let tcp = dial(request)?;
    let said = b"an echo, please ".repeat(4096);
    tcp.write_all(&said).map_err(|_| Failure::Network)?;
    tcp.end().map_err(|_| Failure::Network)?;
    // The side that has ended takes no more.
    if !matches!(tcp.output.check_write(), Err(StreamError::Closed)) {
        return text("the stream takes more after its end");
    }
    let heard = tcp
        .read_to_end(argument.parse().unwrap_or(65536))
        .map_err(|_| Failure::Network)?;
    text(if heard == said { "the same" } else { "another" })
}

/// Reads to the end, and only then says something.
fn late(request: &Request) -> Outcome {
    let tcp = dial(request)?;
    let heard = tcp.read_to_end(7).map_err(|_| Failure::Network)?;
    tcp.write_all(b"late").map_err(|_| Failure::Network)?;
    Ok((200, Body::Bytes(heard)))
}

/// Says something, and reads to the end.
fn ask(request: &Request) -> Outcome {
    let tcp = dial(request)?;
    tcp.write_all(b"ask").map_err(|_| Failure::Network)?;
    let heard = tcp.read_to_end(7).map_err(|_| Failure::Network)?;
    Ok((200, Body::Bytes(heard)))
}

/// Says so many bytes to a peer that may not read them, then its end.
fn write(request: &Request, argument: &str) -> Outcome {
    let tcp = dial(request)?;
    let bytes = vec![b'w'; argument.parse().unwrap_or(0)];
    let mut waited = 0;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let leave = tcp.output.check_write().map_err(|_| Failure::Network)? as usize;
        if leave == 0 {
            waited += 1;
            tcp.output.subscribe().block();
            continue;
        }
        let (now, more) = rest.split_at(leave.min(rest.len()));
        tcp.output.write(now).map_err(|_| Failure::Network)?;
        rest = more;
    }
    // Without a flush: what was taken is still sent, and the end behind it.
    tcp.end().map_err(|_| Failure::Network)?;
    text(if waited > 0 { "waited" } else { "did not wait" })
}

/// Says something without an end.
fn flood(request: &Request) -> Outcome {
    let tcp = dial(request)?;
    loop {
        tcp.write_all(&[0xff; 4096]).map_err(|_| Failure::Network)?;
    }
}

fn udp(request: &Request, connected: bool) -> Outcome {
    let home = home(request)?;
    let to = connected.then_some(home);
    let udp = Udp::open(net::family(home), to).map_err(|_| Failure::Network)?;
    udp.outgoing.check_send().map_err(|_| Failure::Network)?;
    let datagrams: Vec<OutgoingDatagram> = ["one", "two"]
        .iter()
        .map(|data| OutgoingDatagram {
            data: data.as_bytes().to_vec(),
            remote_address: (!connected).then_some(home),
        })
        .collect();
    let sent = udp
        .outgoing
        .send(&datagrams)
        .map_err(|_| Failure::Network)?;
    let mut heard = format!("{sent}:");
    let mut count = 0;
    while count < 2 {
        udp.incoming.subscribe().block();
        for datagram in udp.incoming.receive(16).map_err(|_| Failure::Network)? {
            count += 1;
            heard.push_str(&String::from_utf8_lossy(&datagram.data));
        }
    }
    text(heard)
}

/// Sends where it has no leave to, connected and not.
fn udp_outside(argument: &str) -> Outcome {
    let Some(to) = net::parse(argument) else {
        return Err(Failure::Unsupported("no address".to_owned()));
    };
    let connected = Udp::open(net::family(to), Some(to)).err().map(name);
    let loose = Udp::open(net::family(to), None).and_then(|udp| {
        udp.outgoing.check_send()?;
        udp.outgoing.send(&[OutgoingDatagram {
            data: b"outside".to_vec(),
            remote_address: Some(to),
        }])
    });
    text(format!("{connected:?} {:?}", loose.map_err(name)))
}

fn connect(argument: &str) -> Outcome {
    match net::parse(argument).map(Tcp::connect) {
        None => text("no address"),
        Some(Ok(_)) => text("connected"),
        Some(Err(code)) => text(name(code)),
    }
}

/// Looks up one name after the other below this one, until it may not.
fn names(argument: &str) -> Outcome {
    for count in 0..MANY {
        if let Err(code) = net::look_up(&format!("n{count}.{argument}")) {
            return text(format!("{count} {}", name(code)));
        }
    }
    text("without end")
}

/// Opens sockets until it may not.
fn sockets() -> Outcome {
    let mut all = Vec::new();
    for count in 0..MANY {
        match create_tcp_socket(IpAddressFamily::Ipv4) {
            Ok(socket) => all.push(socket),
            Err(code) => return text(format!("{count} {}", name(code))),
        }
    }
    text("without end")
}

/// Connects until it may not.
fn connections(request: &Request) -> Outcome {
    let home = home(request)?;
    let mut all = Vec::new();
    for count in 0..MANY {
        match Tcp::connect(home) {
            Ok(tcp) => all.push(tcp),
            Err(code) => return text(format!("{count} {}", name(code))),
        }
    }
    text("without end")
}

/// Asks for local addresses, and to listen.
fn listen() -> Outcome {
    let network = instance_network();
    let mut said = Vec::new();
    for local in ["127.0.0.1:0", "0.0.0.0:8080", "0.0.0.0:0"] {
        let Some(local) = net::parse(local) else {
            continue;
        };
        let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(|_| Failure::Network)?;
        let bound = socket
            .start_bind(&network, local)
            .and_then(|()| socket.finish_bind());
        said.push(format!("{:?}", bound.map_err(name)));
        said.push(format!("{:?}", socket.start_listen().map_err(name)));
    }
    text(said.join(" "))
}

/// Sets and reads options, before connecting and after.
fn options(request: &Request) -> Outcome {
    let home = home(request)?;
    let socket = create_tcp_socket(net::family(home)).map_err(|_| Failure::Network)?;
    let set = |value: u64| {
        socket.set_keep_alive_enabled(true)?;
        socket.set_keep_alive_idle_time(value * 1_000_000_000)?;
        socket.set_keep_alive_interval(value * 1_000_000_000)?;
        socket.set_keep_alive_count(3)?;
        socket.set_receive_buffer_size(value * 65536)?;
        socket.set_send_buffer_size(value * 65536)
    };
    set(2).map_err(|code| Failure::Unsupported(name(code)))?;
    socket
        .start_connect(&instance_network(), home)
        .map_err(|_| Failure::Network)?;
    socket.subscribe().block();
    let streams = socket.finish_connect().map_err(|_| Failure::Network)?;
    set(3).map_err(|code| Failure::Unsupported(name(code)))?;
    let told = format!(
        "{:?} {:?} {:?} {}",
        socket.keep_alive_idle_time(),
        socket.receive_buffer_size(),
        socket.set_hop_limit(3).map_err(name),
        socket.remote_address().is_ok() && socket.local_address().is_ok(),
    );
    drop(streams);
    text(told)
}

fn clock() -> Outcome {
    let before = monotonic_clock::now();
    monotonic_clock::subscribe_duration(2_000_000).block();
    let waited = monotonic_clock::now() - before >= 2_000_000;
    let differ = get_random_bytes(16) != get_random_bytes(16);
    text(format!("{waited} {differ}"))
}
