//! The socks guest, both roles and datagrams, and the http1 guest's reading of
//! challenges: what a proxy and its clients say is survived, and never makes them
//! want too much.
//!
//! An input is a byte for the role and its [`option`]s, and the stream.

mod told;

use std::net::{Ipv4Addr, Ipv6Addr};

use fumehood_engine::fuzz::Codec;
use fumehood_engine::fuzz::socks::SocksInstance;
use fumehood_guest_http1::{bounds, challenges};
use fumehood_guest_socks::{
    Address, Client, Endpoint, Event, Login, MAX_DATAGRAM_HEADER_BYTES, MAX_WANTED,
    MIN_DATAGRAM_HEADER_BYTES, Next, Outcome, Request, Server, ServerStep, Version, measure, read,
    write,
};

use crate::glass::{Guests, Shadow};

/// What the first byte says, beside the role in its lowest two bits: a client of SOCKS 5
/// or 4a, a server, or the reader of a field.
pub mod option {
    /// With a login.
    pub const LOGIN: u8 = 4;
    /// No role: a datagram.
    pub const DATAGRAM: u8 = 8;
    /// Of a client: SOCKS 4 in the place of 4a.
    pub const V4: u8 = 16;
    /// The first of two bits that choose a client's destination: a name, an IPv4 or an
    /// IPv6 address.
    pub const DESTINATION: u8 = 32;
    /// The first of three bits that choose what came of what a server was asked for.
    pub const OUTCOME: u8 = 16;
    /// Of a server: it does not say where it is bound.
    pub const UNBOUND: u8 = 128;
}

/// Plays a role against the stream, or reads it as a field.
pub fn run(data: &[u8]) {
    drive(data, Shadow::none, Shadow::none);
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    drive(data, || guests.socks(), || guests.http1());
}

fn drive(
    data: &[u8],
    shadow: impl FnOnce() -> Shadow<SocksInstance>,
    http1: impl FnOnce() -> Shadow<Codec>,
) {
    let Some((options, stream)) = data.split_first() else {
        return;
    };
    if options & option::DATAGRAM != 0 {
        return datagram(stream, shadow());
    }
    match options % 4 {
        0 | 1 => client(request(*options), stream, shadow()),
        2 => server(*options, stream, shadow()),
        _ => field(stream, http1()),
    }
}

fn request(options: u8) -> Request {
    let version = match (options & 1, options & option::V4) {
        (0, _) => Version::V5,
        (_, 0) => Version::V4a,
        _ => Version::V4,
    };
    let address = match options / option::DESTINATION % 4 {
        1 => Address::V4(Ipv4Addr::new(192, 0, 2, 1)),
        2 => Address::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        _ => Address::Name("origin.test".to_owned()),
    };
    let password = if version == Version::V5 { 6 } else { 0 };
    Request {
        version,
        destination: Endpoint { address, port: 443 },
        login: (options & option::LOGIN != 0).then_some(Login { name: 5, password }),
    }
}

fn client(request: Request, mut stream: &[u8], mut shadow: Shadow<SocksInstance>) {
    let mut client = Client::new();
    shadow.ask(|it| it.ask(&told::wire_request(&request)));
    let mut step = client.begin(request);
    for _ in 0..8 {
        shadow.compare(|| told::step(&step));
        let Ok(said) = step else { return };
        let Next::Bytes(count) = said.next else {
            return;
        };
        assert!(
            (1..=MAX_WANTED).contains(&count),
            "{count} bytes are wanted"
        );
        let Some((piece, rest)) = stream.split_at_checked(count.into()) else {
            return;
        };
        stream = rest;
        shadow.ask(|it| it.hear_proxy(piece));
        step = client.receive(piece);
    }
    panic!("a conversation without end");
}

fn server(options: u8, stream: &[u8], mut shadow: Shadow<SocksInstance>) {
    let mut server = Server::new();
    let wants_login = options & option::LOGIN != 0;
    let Some(asked) = converse(&mut server, wants_login, stream, &mut shadow) else {
        return;
    };
    if let Address::Name(name) = &asked.address {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    let outcome = OUTCOMES[usize::from(options / option::OUTCOME) % OUTCOMES.len()];
    let bound = Some(asked).filter(|_| options & option::UNBOUND == 0);
    shadow.ask(|it| {
        let bound = bound.as_ref().map(told::wire_endpoint);
        it.reply(told::wire_outcome(outcome), bound.as_ref())
    });
    let reply = server.reply(outcome, bound.as_ref());
    shadow.compare(|| format!("{reply:?}"));
    assert!(reply.is_ok(), "what was asked can be answered");
}

const OUTCOMES: [Outcome; 8] = [
    Outcome::Granted,
    Outcome::Failure,
    Outcome::NotAllowed,
    Outcome::NetworkUnreachable,
    Outcome::HostUnreachable,
    Outcome::ConnectionRefused,
    Outcome::TimedOut,
    Outcome::NotSupported,
];

/// What the client asks for, if it comes to that.
fn converse(
    server: &mut Server,
    wants_login: bool,
    mut stream: &[u8],
    shadow: &mut Shadow<SocksInstance>,
) -> Option<Endpoint> {
    shadow.ask(|it| it.serve(wants_login));
    let mut step = server.begin(wants_login);
    loop {
        shadow.compare(|| told::server_step(&step));
        let Ok(said) = step else {
            shadow.ask(SocksInstance::farewell);
            let farewell = server.farewell();
            shadow.compare(|| format!("{farewell:?}"));
            assert!(farewell.len() <= 300);
            return None;
        };
        let ServerStep { event, want, .. } = said;
        assert!(want <= MAX_WANTED, "{want} bytes are wanted");
        step = match event {
            Some(Event::Login(_)) => {
                let admitted = stream.len().is_multiple_of(2);
                shadow.ask(|it| it.admit(admitted));
                server.admit(admitted)
            }
            Some(Event::Request(to) | Event::Associate(to)) => return Some(to),
            None => {
                let (piece, rest) = stream.split_at_checked(want.into())?;
                assert!(want > 0, "neither an event nor a want");
                stream = rest;
                shadow.ask(|it| it.hear_client(piece));
                server.receive(piece)
            }
        };
    }
}

/// A client's datagram: a header that is read is the one way to write what it says.
fn datagram(datagram: &[u8], mut shadow: Shadow<SocksInstance>) {
    let Some(start) = datagram.first_chunk() else {
        return;
    };
    shadow.ask(|it| it.measure(start));
    let length = measure(*start);
    shadow.compare(|| format!("{:?}", length.map_err(|it| it.to_string())));
    let Ok(length) = length.map(usize::from) else {
        return;
    };
    assert!((MIN_DATAGRAM_HEADER_BYTES..=MAX_DATAGRAM_HEADER_BYTES).contains(&length));
    let Some(header) = datagram.get(..length) else {
        return;
    };
    shadow.ask(|it| it.read(header));
    let to = read(header);
    shadow.compare(|| told::destination(&to));
    if let Ok(to) = to {
        shadow.ask(|it| it.write(&told::wire_endpoint(&to)));
        let written = write(&to);
        shadow.compare(|| format!("{written:?}"));
        assert_eq!(written.as_deref(), Ok(header), "{to:?}");
    }
}

fn field(value: &[u8], mut shadow: Shadow<Codec>) {
    shadow.ask(|it| it.challenges(value));
    let all = challenges(value);
    shadow.compare(|| format!("{all:?}"));
    assert!(all.len() <= bounds::MAX_CHALLENGES);
    for it in all {
        assert!(!it.scheme.is_empty() && it.parameters.len() <= bounds::MAX_PARAMETERS);
    }
}
