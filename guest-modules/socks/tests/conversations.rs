//! Both roles against each other, and against who lies.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_guest_socks::{
    Address, Client, Endpoint, Error, Event, Login, MAX_WANTED, Next, Outcome, Piece, Request,
    Server, Step, Version, Violation,
};
use proptest::prelude::*;

const NAME: &[u8] = b"alice";
const PASSWORD: &[u8] = b"secret";

fn request(version: Version, address: Address, login: bool) -> Request {
    let password = match version {
        Version::V5 => u8::try_from(PASSWORD.len()).unwrap(),
        Version::V4 | Version::V4a => 0,
    };
    let name = u8::try_from(NAME.len()).unwrap();
    Request {
        version,
        destination: Endpoint { address, port: 443 },
        login: login.then_some(Login { name, password }),
    }
}

fn v5(login: bool) -> Request {
    request(Version::V5, Address::Name("a.test".to_owned()), login)
}

/// What the host would send.
fn sent(step: &Step) -> Vec<u8> {
    let piece = |piece: &'_ Piece| match piece {
        Piece::Bytes(bytes) => bytes.clone(),
        Piece::Name => NAME.to_vec(),
        Piece::Password => PASSWORD.to_vec(),
    };
    step.send.iter().flat_map(piece).collect()
}

/// Shows a client bytes piece by piece, to its end or theirs.
fn fed(request: Request, mut stream: &[u8]) -> Result<Step, Error> {
    let mut client = Client::new();
    let mut step = client.begin(request)?;
    while let Next::Bytes(count) = step.next {
        let Some((piece, rest)) = stream.split_at_checked(count.into()) else {
            break;
        };
        stream = rest;
        step = client.receive(piece)?;
    }
    Ok(step)
}

#[test]
fn a_proxy_that_breaks_the_protocol_is_found_out() {
    for (stream, violation) in [
        (&b"\x04\x00"[..], Violation::BadVersion),
        (b"HTTP/1.1 400", Violation::BadVersion),
        (b"\x05\x01", Violation::BadMethod),
        // A login that nobody offered.
        (b"\x05\x02", Violation::BadMethod),
        (b"\x05\x00\x04\x00\x00\x01\x00", Violation::BadVersion),
        (b"\x05\x00\x05\x09\x00\x01\x00", Violation::BadReply),
        (b"\x05\x00\x05\x00\x01\x01\x00", Violation::BadReserved),
        (b"\x05\x00\x05\x00\x00\x02\x00", Violation::BadAddress),
        (b"\x05\x00\x05\x00\x00\x03\x00", Violation::BadAddress),
        (
            b"\x05\x00\x05\x00\x00\x03\x01\r\x00\x00",
            Violation::BadAddress,
        ),
    ] {
        assert_eq!(
            fed(v5(false), stream),
            Err(Error::Peer(violation)),
            "{stream:?}"
        );
    }
    assert_eq!(
        fed(v5(true), b"\x05\x02\x05\x00"),
        Err(Error::Peer(Violation::BadVersion))
    );
    let v4 = |stream| {
        fed(
            request(Version::V4, Address::V4([1, 2, 3, 4].into()), false),
            stream,
        )
    };
    assert_eq!(
        v4(b"\x04\x5a\0\0\0\0\0\0"),
        Err(Error::Peer(Violation::BadVersion))
    );
    assert_eq!(
        v4(b"\x00\x5e\0\0\0\0\0\0"),
        Err(Error::Peer(Violation::BadReply))
    );
}

#[test]
fn a_no_is_told_as_it_was_said() {
    assert_eq!(fed(v5(false), b"\x05\xff"), Err(Error::NoMethod));
    assert_eq!(fed(v5(true), b"\x05\x02\x01\x01"), Err(Error::Login));
    for code in 1..=8 {
        let stream = [5, 0, 5, code, 0, 1, 0];
        assert_eq!(fed(v5(false), &stream), Err(Error::Refused(code)));
    }
    let v4 = request(Version::V4a, Address::Name("a.test".to_owned()), false);
    assert_eq!(fed(v4, b"\x00\x5b\0\0\0\0\0\0"), Err(Error::Refused(91)));
}

#[test]
fn what_cannot_be_said_is_not_begun() {
    let name = |name: &str| Address::Name(name.to_owned());
    let misuse = |request: Request| {
        let begun = Client::new().begin(request);
        matches!(
            begun,
            Err(Error::Misuse(_) | Error::Peer(Violation::BadAddress))
        )
    };
    assert!(misuse(request(Version::V4, name("a.test"), false)));
    assert!(misuse(request(Version::V4a, Address::V6(1.into()), false)));
    for bad in ["", "a b", "a\0b", "\u{e4}", &"a".repeat(256)] {
        assert!(misuse(request(Version::V5, name(bad), false)), "{bad:?}");
        assert!(misuse(request(Version::V4a, name(bad), false)), "{bad:?}");
    }
    let mut nobody = v5(true);
    nobody.login = Some(Login {
        name: 0,
        password: 1,
    });
    assert!(misuse(nobody));
}

#[test]
fn a_client_that_breaks_the_protocol_is_sent_away() {
    for (stream, error, farewell) in [
        (
            &b"GET / HTTP/1.1"[..],
            Error::Peer(Violation::BadVersion),
            &b""[..],
        ),
        (b"\x05\x00", Error::Peer(Violation::BadLength), b""),
        (b"\x05\x01\x02", Error::NoMethod, b"\x05\xff"),
        (
            b"\x05\x01\x00\x05\x02\x00\x01\x00",
            Error::Command,
            b"\x05\x07\0\x01\0\0\0\0\0\0",
        ),
        (
            b"\x05\x01\x00\x05\x01\x00\x09\x00",
            Error::Peer(Violation::BadAddress),
            b"\x05\x08\0\x01\0\0\0\0\0\0",
        ),
        (
            b"\x05\x01\x00\x05\x01\x01\x01\x00",
            Error::Peer(Violation::BadReserved),
            b"",
        ),
        (
            b"\x05\x01\x00\x05\x01\x00\x03\x01\n\0\0",
            Error::Peer(Violation::BadAddress),
            b"\x05\x01\0\x01\0\0\0\0\0\0",
        ),
        (b"\x04\x02", Error::Command, b"\x00\x5b\0\0\0\0\0\0"),
    ] {
        let mut server = Server::new();
        let mut step = server.begin(false);
        let mut rest = stream;
        while let Ok(told) = &step {
            let (piece, after) = rest.split_at(told.want.into());
            rest = after;
            step = server.receive(piece);
        }
        assert_eq!(step.unwrap_err(), error, "{stream:?}");
        assert_eq!(server.farewell(), farewell, "{stream:?}");
        assert!(matches!(server.receive(b""), Err(Error::Misuse(_))));
    }
}

#[test]
fn a_name_without_end_ends() {
    for head in [
        &b"\x04\x01\x00\x50\x01\x02\x03\x04"[..],
        b"\x04\x01\x00\x50\x00\x00\x00\x01\0",
    ] {
        let mut server = Server::new();
        let mut step = server.begin(false).unwrap();
        let stream = [head, &[b'a'; 300]].concat();
        let mut rest = &stream[..];
        let error = loop {
            let (piece, after) = rest.split_at(step.want.into());
            rest = after;
            match server.receive(piece) {
                Ok(next) => step = next,
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::Peer(Violation::BadLength));
    }
}

/// Lets both roles talk; what the server was asked, and what the client got.
fn talk(
    request: Request,
    wants_login: bool,
    admit: bool,
    outcome: Outcome,
) -> (Option<Endpoint>, Result<Endpoint, Error>) {
    let (mut client, mut server) = (Client::new(), Server::new());
    let mut heard = server.begin(wants_login).unwrap();
    let mut said = client.begin(request).unwrap();
    let (mut to_server, mut to_client) = (sent(&said), Vec::new());
    let mut asked = None;
    loop {
        to_client.append(&mut heard.send);
        let stepped = match heard.event.take() {
            Some(Event::Login(who)) => {
                assert_eq!(who.name, NAME);
                Some(server.admit(admit))
            }
            Some(Event::Request(to)) => {
                asked = Some(to);
                let bound = Endpoint {
                    address: Address::V4([9; 4].into()),
                    port: 9,
                };
                to_client.extend(server.reply(outcome, Some(&bound)).unwrap());
                None
            }
            Some(Event::Associate(_)) => panic!("nobody asked for datagrams"),
            None if to_server.len() >= heard.want.into() && heard.want > 0 => {
                let piece: Vec<u8> = to_server.drain(..usize::from(heard.want)).collect();
                Some(server.receive(&piece))
            }
            None => None,
        };
        match stepped {
            Some(Ok(next)) => {
                heard = next;
                continue;
            }
            Some(Err(_)) => to_client.extend(server.farewell()),
            None => {}
        }
        let count = match &said.next {
            Next::Connected(bound) => return (asked, Ok(bound.clone())),
            Next::Bytes(count) => usize::from(*count),
        };
        if to_client.len() < count {
            panic!("both wait: {said:?} {heard:?}");
        }
        let piece: Vec<u8> = to_client.drain(..count).collect();
        match client.receive(&piece) {
            Ok(next) => said = next,
            Err(error) => return (asked, Err(error)),
        }
        to_server.extend(sent(&said));
    }
}

fn addresses() -> impl Strategy<Value = Address> {
    prop_oneof![
        "[!-~]{1,255}".prop_map(Address::Name),
        any::<[u8; 4]>().prop_map(|it| Address::V4(it.into())),
        any::<[u8; 16]>().prop_map(|it| Address::V6(it.into())),
    ]
}

proptest! {
    #[test]
    fn what_a_client_asks_a_server_hears(
        address in addresses(),
        version in prop_oneof![Just(Version::V4), Just(Version::V4a), Just(Version::V5)],
        (login, admit) in any::<(bool, bool)>(),
        granted in any::<bool>(),
    ) {
        let sayable = match (&address, version) {
            (_, Version::V5) => true,
            // Such an address says that a name follows.
            (Address::V4(it), _) => !matches!(it.octets(), [0, 0, 0, 1..=255]),
            (Address::Name(_), version) => version == Version::V4a,
            (Address::V6(_), _) => false,
        };
        prop_assume!(sayable);
        let outcome = if granted { Outcome::Granted } else { Outcome::NotAllowed };
        let request = request(version, address.clone(), login);
        let (asked, got) = talk(request, login, admit, outcome);
        if login && !admit {
            prop_assert!(asked.is_none() && got.is_err());
        } else {
            prop_assert_eq!(asked, Some(Endpoint { address, port: 443 }));
            prop_assert_eq!(got.is_ok(), granted, "{:?}", got);
        }
    }

    #[test]
    fn no_proxy_makes_a_client_panic_or_want_too_much(stream in proptest::collection::vec(any::<u8>(), 0..400), login in any::<bool>()) {
        if let Ok(Step { next: Next::Bytes(count), .. }) = fed(v5(login), &stream) {
            prop_assert!((1..=MAX_WANTED).contains(&count));
        }
    }

    #[test]
    fn no_client_makes_a_server_panic_or_want_too_much(
        stream in proptest::collection::vec(prop_oneof![Just(4_u8), Just(5), Just(1), Just(0), any::<u8>()], 0..600),
        wants_login in any::<bool>(),
    ) {
        let mut server = Server::new();
        let mut step = server.begin(wants_login).unwrap();
        let mut rest = &stream[..];
        loop {
            prop_assert!(step.want <= MAX_WANTED);
            let next = match step.event {
                Some(Event::Login(_)) => server.admit(true),
                Some(Event::Request(_) | Event::Associate(_)) => break,
                None => match rest.split_at_checked(step.want.into()) {
                    Some((piece, after)) => {
                        rest = after;
                        server.receive(piece)
                    }
                    None => break,
                },
            };
            match next {
                Ok(next) => step = next,
                Err(_) => break,
            }
        }
    }
}
