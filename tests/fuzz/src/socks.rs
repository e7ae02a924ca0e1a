//! The socks guest, both roles and datagrams, and the http1 guest's reading of
//! challenges: what a proxy and its clients say is survived, and never makes them
//! want too much.
//!
//! An input is a byte for the role and its options, and the stream.

use fumehood_guest_http1::{bounds, challenges};
use fumehood_guest_socks::{
    Address, Client, Endpoint, Event, Login, MAX_DATAGRAM_HEADER_BYTES, MAX_WANTED,
    MIN_DATAGRAM_HEADER_BYTES, Next, Outcome, Request, Server, Version, measure, read, write,
};

/// Plays a role against the stream, or reads it as a field.
pub fn run(data: &[u8]) {
    let Some((options, stream)) = data.split_first() else {
        return;
    };
    let flag = options & 4 != 0;
    if options & 8 != 0 {
        return datagram(stream);
    }
    match options % 4 {
        0 => client(Version::V5, flag, stream),
        1 => client(Version::V4a, flag, stream),
        2 => server(flag, stream),
        _ => field(stream),
    }
}

fn client(version: Version, login: bool, mut stream: &[u8]) {
    let mut client = Client::new();
    let address = Address::Name("origin.test".to_owned());
    let password = if version == Version::V5 { 6 } else { 0 };
    let begun = client.begin(Request {
        version,
        destination: Endpoint { address, port: 443 },
        login: login.then_some(Login { name: 5, password }),
    });
    let mut step = begun;
    for _ in 0..8 {
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
        step = client.receive(piece);
    }
    panic!("a conversation without end");
}

fn server(wants_login: bool, mut stream: &[u8]) {
    let mut server = Server::new();
    let mut step = server.begin(wants_login);
    let asked = loop {
        let Ok(said) = step else {
            assert!(server.farewell().len() <= 300);
            return;
        };
        assert!(said.want <= MAX_WANTED, "{} bytes are wanted", said.want);
        step = match said.event {
            Some(Event::Login(_)) => server.admit(stream.len().is_multiple_of(2)),
            Some(Event::Request(to) | Event::Associate(to)) => {
                break to;
            }
            None => {
                let Some((piece, rest)) = stream.split_at_checked(said.want.into()) else {
                    return;
                };
                assert!(said.want > 0, "neither an event nor a want");
                stream = rest;
                server.receive(piece)
            }
        };
    };
    if let Address::Name(name) = &asked.address {
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    let reply = server.reply(Outcome::Granted, Some(&asked));
    assert!(reply.is_ok(), "what was asked can be answered");
}

/// A client's datagram: a header that is read is the one way to write what it says.
fn datagram(datagram: &[u8]) {
    let Some(Ok(length)) = datagram.first_chunk().map(|start| measure(*start)) else {
        return;
    };
    let length = usize::from(length);
    assert!((MIN_DATAGRAM_HEADER_BYTES..=MAX_DATAGRAM_HEADER_BYTES).contains(&length));
    let Some(header) = datagram.get(..length) else {
        return;
    };
    if let Ok(to) = read(header) {
        assert_eq!(write(&to).as_deref(), Ok(header), "{to:?}");
    }
}

fn field(value: &[u8]) {
    let all = challenges(value);
    assert!(all.len() <= bounds::MAX_CHALLENGES);
    for it in all {
        assert!(!it.scheme.is_empty() && it.parameters.len() <= bounds::MAX_PARAMETERS);
    }
}
