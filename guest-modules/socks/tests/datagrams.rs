//! Associations: how one is asked for, and the header of its datagrams.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_guest_socks::{
    Address, DATAGRAM_START_BYTES, Endpoint, Event, Flaw, MAX_DATAGRAM_HEADER_BYTES,
    MIN_DATAGRAM_HEADER_BYTES, Outcome, Server, measure, read, write,
};
use proptest::prelude::*;

/// Reads a datagram as the host does: no byte more than its header is shown.
fn header_of(datagram: &[u8]) -> Result<(Endpoint, &[u8]), Flaw> {
    let start = datagram.first_chunk().ok_or(Flaw::Malformed)?;
    let length = usize::from(measure(*start)?);
    let (header, payload) = datagram.split_at_checked(length).ok_or(Flaw::Malformed)?;
    Ok((read(header)?, payload))
}

fn endpoint(address: Address, port: u16) -> Endpoint {
    Endpoint { address, port }
}

#[test]
fn a_client_may_ask_for_an_association() {
    let name = Address::Name("0".to_owned());
    for (stream, from) in [
        (
            &b"\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"[..],
            endpoint(Address::V4([0; 4].into()), 0),
        ),
        (
            b"\x05\x01\x00\x05\x03\x00\x01\x7f\x00\x00\x01\x04\x38",
            endpoint(Address::V4([127, 0, 0, 1].into()), 1080),
        ),
        (
            b"\x05\x01\x00\x05\x03\x00\x03\x010\x00\x00",
            endpoint(name, 0),
        ),
    ] {
        let mut server = Server::new();
        let mut step = server.begin(false).unwrap();
        let mut rest = stream;
        while step.event.is_none() {
            let (piece, after) = rest.split_at(step.want.into());
            rest = after;
            step = server.receive(piece).unwrap();
        }
        assert_eq!(step.event, Some(Event::Associate(from)), "{stream:?}");
        assert!(rest.is_empty());
        let at = endpoint(Address::V4([127, 0, 0, 1].into()), 258);
        let reply = server.reply(Outcome::Granted, Some(&at)).unwrap();
        assert_eq!(reply, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x01\x02");
    }
}

#[test]
fn what_is_not_done_has_a_reply_of_its_own() {
    let mut server = Server::new();
    server.begin(false).unwrap();
    for piece in [&b"\x05\x01"[..], b"\0", b"\x05\x03\0\x01\0", b"\0\0\0\0\0"] {
        server.receive(piece).unwrap();
    }
    let reply = server.reply(Outcome::NotSupported, None).unwrap();
    assert_eq!(reply, b"\x05\x07\x00\x01\0\0\0\0\0\0");
}

/// SOCKS 4 has no datagrams.
#[test]
fn the_version_before_knows_none() {
    let mut server = Server::new();
    server.begin(false).unwrap();
    assert!(server.receive(b"\x04\x03").is_err());
    assert_eq!(server.farewell(), b"\x00\x5b\0\0\0\0\0\0");
}

#[test]
fn what_is_no_header_is_found_out() {
    for (datagram, flaw) in [
        (&b""[..], Flaw::Malformed),
        (b"\0\0\0\x01", Flaw::Malformed),
        // Reserved bytes.
        (b"\x01\0\0\x01\x7f\0\0\x01\0\x50", Flaw::Malformed),
        (b"\0\x01\0\x01\x7f\0\0\x01\0\x50", Flaw::Malformed),
        // Fragments: the first, one in between, the last of them.
        (b"\0\0\x01\x01\x7f\0\0\x01\0\x50", Flaw::Fragment),
        (b"\0\0\x7f\x01\x7f\0\0\x01\0\x50", Flaw::Fragment),
        (b"\0\0\x80\x01\x7f\0\0\x01\0\x50", Flaw::Fragment),
        // No such type, and a name of no length.
        (b"\0\0\0\x00\x7f\0\0\x01\0\x50", Flaw::Malformed),
        (b"\0\0\0\x02\x7f\0\0\x01\0\x50", Flaw::Malformed),
        (b"\0\0\0\xff\x7f\0\0\x01\0\x50", Flaw::Malformed),
        (b"\0\0\0\x03\0\0\x50", Flaw::Malformed),
        // It ends before its header does.
        (b"\0\0\0\x01\x7f\0\0\x01\0", Flaw::Malformed),
        (b"\0\0\0\x03\x09example\0\x50", Flaw::Malformed),
        (b"\0\0\0\x04\x7f\0\0\x01\0\x50", Flaw::Malformed),
        // Names that none is.
        (b"\0\0\0\x03\x03a b\0\x50", Flaw::Malformed),
        (b"\0\0\0\x03\x03a\0b\0\x50", Flaw::Malformed),
        (b"\0\0\0\x03\x02\xc3\xa4\0\x50", Flaw::Malformed),
    ] {
        assert_eq!(header_of(datagram), Err(flaw), "{datagram:?}");
    }
    let whole = b"\0\0\0\x01\x7f\0\0\x01\0\x50";
    assert!(read(whole).is_ok());
    assert_eq!(read(&whole[..9]), Err(Flaw::Malformed));
    assert_eq!(read(&[&whole[..], b"x"].concat()), Err(Flaw::Malformed));
}

#[test]
fn the_shortest_and_the_longest_are_as_long_as_is_said() {
    let of = |length: usize| endpoint(Address::Name("a".repeat(length)), 53);
    assert_eq!(write(&of(1)).unwrap().len(), MIN_DATAGRAM_HEADER_BYTES);
    assert_eq!(write(&of(255)).unwrap().len(), MAX_DATAGRAM_HEADER_BYTES);
    assert!(write(&of(0)).is_err() && write(&of(256)).is_err());
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    let address = prop_oneof![
        "[!-~]{1,255}".prop_map(Address::Name),
        any::<[u8; 4]>().prop_map(|it| Address::V4(it.into())),
        any::<[u8; 16]>().prop_map(|it| Address::V6(it.into())),
    ];
    (address, any::<u16>()).prop_map(|(address, port)| Endpoint { address, port })
}

proptest! {
    #[test]
    fn what_is_written_is_read(to in endpoints(), payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        let header = write(&to).unwrap();
        let datagram = [&header[..], &payload].concat();
        prop_assert_eq!(header_of(&datagram), Ok((to, &payload[..])));
    }

    /// Whatever is read as a header is the only way to write it, so the same bytes
    /// mean the same each time, and other bytes something else.
    #[test]
    fn what_is_read_is_written_so(
        start in proptest::array::uniform5(prop_oneof![Just(0_u8), Just(1), Just(3), Just(4), any::<u8>()]),
        rest in proptest::collection::vec(prop_oneof![97_u8..123, any::<u8>()], 0..300),
    ) {
        let datagram = [&start[..], &rest].concat();
        if let Ok((to, payload)) = header_of(&datagram) {
            let header = &datagram[..datagram.len() - payload.len()];
            prop_assert_eq!(write(&to).unwrap(), header);
            prop_assert!((MIN_DATAGRAM_HEADER_BYTES..=MAX_DATAGRAM_HEADER_BYTES).contains(&header.len()));
            prop_assert!(header.len() >= DATAGRAM_START_BYTES);
        }
    }
}
