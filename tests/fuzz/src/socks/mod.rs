//! The socks guest, both roles and datagrams, and the http1 guest's reading of
//! challenges: what a proxy and its clients say is survived, and never makes them
//! want too much.
//!
//! An input is a byte for the role and its options, and the stream.

mod told;

use fumehood_engine::fuzz::socks::{self as wire, SocksInstance};
use fumehood_guest_http1::{bounds, challenges};
use fumehood_guest_socks::{
    Address, Client, Endpoint, Event, Login, MAX_DATAGRAM_HEADER_BYTES, MAX_WANTED,
    MIN_DATAGRAM_HEADER_BYTES, Next, Outcome, Request, Server, ServerStep, Version, measure, read,
    write,
};

use crate::glass::{Guests, Shadow};

/// Plays a role against the stream, or reads it as a field.
pub fn run(data: &[u8]) {
    drive(data, Shadow::none);
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    drive(data, || guests.socks());
}

fn drive(data: &[u8], shadow: impl FnOnce() -> Shadow<SocksInstance>) {
    let Some((options, stream)) = data.split_first() else {
        return;
    };
    let flag = options & 4 != 0;
    if options & 8 != 0 {
        return datagram(stream, shadow());
    }
    match options % 4 {
        0 => client(Version::V5, flag, stream, shadow()),
        1 => client(Version::V4a, flag, stream, shadow()),
        2 => server(flag, stream, shadow()),
        _ => field(stream),
    }
}

fn client(version: Version, login: bool, mut stream: &[u8], mut shadow: Shadow<SocksInstance>) {
    let mut client = Client::new();
    let address = Address::Name("origin.test".to_owned());
    let password = if version == Version::V5 { 6 } else { 0 };
    let request = Request {
        version,
        destination: Endpoint { address, port: 443 },
        login: login.then_some(Login { name: 5, password }),
    };
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

fn server(wants_login: bool, stream: &[u8], mut shadow: Shadow<SocksInstance>) {
    let mut server = Server::new();
    let Some(asked) = converse(&mut server, wants_login, stream, &mut shadow) else {
        return;
    };
    if let Address::Name(name) = &asked.address {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    shadow.ask(|it| it.reply(wire::Outcome::Granted, Some(&told::wire_endpoint(&asked))));
    let reply = server.reply(Outcome::Granted, Some(&asked));
    shadow.compare(|| format!("{reply:?}"));
    assert!(reply.is_ok(), "what was asked can be answered");
}

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

fn field(value: &[u8]) {
    let all = challenges(value);
    assert!(all.len() <= bounds::MAX_CHALLENGES);
    for it in all {
        assert!(!it.scheme.is_empty() && it.parameters.len() <= bounds::MAX_PARAMETERS);
    }
}
