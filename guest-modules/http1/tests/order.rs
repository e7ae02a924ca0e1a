//! The order of calls: what a host may do when, and what ends a connection.
#![allow(clippy::unwrap_used, reason = "a test")]

mod driver;

use driver::{Peer, drive, request, sent};
use fumehood_guest_http1::{
    Client, Completion, Demand, Error, Event, Misuse, PayloadLength, RequestHead, Truncation,
    Violation,
};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn posting(payload: PayloadLength) -> Client {
    let mut client = Client::new();
    client
        .encode_head(&RequestHead {
            payload,
            ..request("POST")
        })
        .unwrap();
    client
}

/// The call failed as said, and nothing more can be done with the codec.
fn ended_by<T: std::fmt::Debug>(
    client: &mut Client,
    outcome: Result<T, Error>,
    error: impl Into<Error>,
) {
    assert_eq!(outcome.unwrap_err(), error.into());
    let over = Error::Misuse(Misuse::ConnectionOver);
    assert_eq!(client.demand(), Demand::Nothing);
    assert_eq!(client.encode_head(&request("GET")).unwrap_err(), over);
    assert_eq!(client.frame_payload(1).unwrap_err(), over);
    assert_eq!(client.end_payload().unwrap_err(), over);
    assert_eq!(client.receive(EMPTY).unwrap_err(), over);
    assert_eq!(client.payload_moved(1).unwrap_err(), over);
    assert_eq!(client.end_of_stream(0).unwrap_err(), over);
}

#[test]
fn exchanges_follow_each_other() {
    let mut client = Client::new();
    for _ in 0..3 {
        assert_eq!(client.demand(), Demand::Nothing);
        client.encode_head(&request("GET")).unwrap();
        assert_eq!(client.demand(), Demand::EmptyLine(256 * 1024));
        assert!(
            drive(&mut client, [EMPTY], Peer::Stays)
                .completion()
                .reusable
        );
    }
    // The state of the one before does not colour the next.
    client.encode_head(&request("HEAD")).unwrap();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert!(
        drive(&mut client, [head.as_slice()], Peer::Stays)
            .completion()
            .reusable
    );
    client.encode_head(&request("GET")).unwrap();
    assert_eq!(client.receive(head).unwrap().demand, Demand::Payload(5));
}

#[test]
fn a_chunk_costs_one_call_where_what_follows_is_shown_right_after_it() {
    let chunked = |size_line: &[u8]| {
        let mut client = sent("GET");
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(client.receive(head).unwrap().then, None);
        let progress = client.receive(size_line).unwrap();
        (client, progress)
    };
    let (mut client, progress) = chunked(b"2\r\n");
    assert_eq!(progress.demand, Demand::Payload(2));
    let lines = progress.then.unwrap();
    assert_eq!(lines.count, 2);
    let progress = client.receive(b"\r\n5;a=b\r\n").unwrap();
    assert_eq!(progress.demand, Demand::Payload(5));
    assert_eq!(progress.then, Some(lines));
    // Telling of a part is no less right.
    let progress = client.payload_moved(3).unwrap();
    assert_eq!(progress.demand, Demand::Payload(2));
    assert_eq!(progress.then, Some(lines));
    let progress = client.receive(b"\r\n0\r\n").unwrap();
    assert_eq!(
        (progress.demand, progress.then),
        (Demand::EmptyLine(256 * 1024), None)
    );
    let progress = client.receive(b"\r\n").unwrap();
    assert_eq!(
        progress.events,
        [Event::Complete(Completion { reusable: true })]
    );

    // The rules are those of a chunk that was told of.
    for (piece, violation) in [
        (&b"x\r\n2\r\n"[..], Violation::BadChunkEnd),
        (b"\n2\r\n", Violation::BadChunkEnd),
        (b"\r\n2\n", Violation::BareLineEnding),
        (b"\r\ng\r\n", Violation::BadChunk),
    ] {
        let (mut client, _) = chunked(b"2\r\n");
        let shown = client.receive(piece);
        let (mut told, _) = chunked(b"2\r\n");
        told.payload_moved(2).unwrap();
        assert_eq!(told.receive(piece), shown, "{piece:?}");
        if piece.starts_with(b"\r\n") {
            ended_by(&mut client, shown, violation);
        } else {
            assert!(shown.is_err(), "{piece:?}");
        }
    }
    let (mut client, _) = chunked(b"2\r\n");
    let outcome = client.end_of_stream(1);
    ended_by(&mut client, outcome, Truncation::InPayload);
}

#[test]
fn a_chunk_costs_one_look_and_one_move() {
    let stream =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    let seen = drive(&mut sent("GET"), [stream.as_slice()], Peer::Stays);
    // Head, first size, two chunks at two each, trailers.
    assert_eq!(seen.calls, 1 + 1 + 2 * 2 + 1);
}

#[test]
fn uploads_are_framed_as_promised() {
    let mut client = posting(PayloadLength::Known(10));
    assert_eq!(client.frame_payload(4).unwrap().before, b"");
    assert_eq!(client.frame_payload(6).unwrap().after, b"");
    assert_eq!(client.end_payload().unwrap(), b"");
    assert!(
        drive(&mut client, [EMPTY], Peer::Stays)
            .completion()
            .reusable
    );

    let mut client = posting(PayloadLength::Unknown);
    let frame = client.frame_payload(0x1f40).unwrap();
    assert_eq!(
        (frame.before.as_slice(), frame.after.as_slice()),
        (&b"1f40\r\n"[..], &b"\r\n"[..])
    );
    assert_eq!(client.end_payload().unwrap(), b"0\r\n\r\n");
    assert!(
        drive(&mut client, [EMPTY], Peer::Stays)
            .completion()
            .reusable
    );

    // Nothing more is owed, though nobody said so.
    let mut client = posting(PayloadLength::Known(1));
    client.frame_payload(1).unwrap();
    assert!(
        drive(&mut client, [EMPTY], Peer::Stays)
            .completion()
            .reusable
    );
}

#[test]
fn an_early_answer_ends_the_connection() {
    for payload in [PayloadLength::Known(1), PayloadLength::Unknown] {
        let mut client = posting(payload);
        assert!(
            !drive(&mut client, [EMPTY], Peer::Stays)
                .completion()
                .reusable
        );
        let outcome = client.frame_payload(1);
        ended_by(&mut client, outcome, Misuse::ConnectionOver);
    }
    // The answer may begin before the request has ended, and end after it.
    let mut client = posting(PayloadLength::Unknown);
    client
        .receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        .unwrap();
    client.frame_payload(1).unwrap();
    client.end_payload().unwrap();
    assert!(
        drive(&mut client, [b"x".as_slice()], Peer::Stays)
            .completion()
            .reusable
    );
}

#[test]
fn a_request_that_asks_to_close_is_the_last() {
    let mut client = Client::new();
    let mut head = request("GET");
    head.fields.push(driver::field("Connection", "TE, Close"));
    client.encode_head(&head).unwrap();
    assert!(
        !drive(&mut client, [EMPTY], Peer::Stays)
            .completion()
            .reusable
    );
}

#[test]
fn uploads_that_break_their_promise() {
    let case = |payload, call: fn(&mut Client) -> Result<(), Error>, error: Misuse| {
        let mut client = posting(payload);
        let outcome = call(&mut client);
        ended_by(&mut client, outcome, error);
    };
    case(
        PayloadLength::Known(3),
        |c| c.frame_payload(4).map(drop),
        Misuse::OverPromised,
    );
    case(
        PayloadLength::None,
        |c| c.frame_payload(1).map(drop),
        Misuse::OverPromised,
    );
    case(
        PayloadLength::Known(3),
        |c| c.end_payload().map(drop),
        Misuse::UnderPromised,
    );
    case(
        PayloadLength::Unknown,
        |c| c.frame_payload(0).map(drop),
        Misuse::EmptyPiece,
    );
    let twice = |c: &mut Client| c.end_payload().and_then(|_| c.end_payload()).map(drop);
    case(PayloadLength::Unknown, twice, Misuse::PayloadEnded);
    let late = |c: &mut Client| c.end_payload().and_then(|_| c.frame_payload(1)).map(drop);
    case(PayloadLength::Unknown, late, Misuse::PayloadEnded);
}

#[test]
fn calls_out_of_order() {
    let case = |mut client: Client, call: fn(&mut Client) -> Result<(), Error>, error: Error| {
        let outcome = call(&mut client);
        ended_by(&mut client, outcome, error);
    };
    let idle = Client::new;
    let no_exchange = || Misuse::NoExchange.into();
    case(idle(), |c| c.frame_payload(1).map(drop), no_exchange());
    case(idle(), |c| c.end_payload().map(drop), no_exchange());
    case(idle(), |c| c.payload_moved(1).map(drop), no_exchange());
    case(
        idle(),
        |c| c.receive(b"").map(drop),
        Misuse::NotTheDemandedPiece.into(),
    );
    case(
        idle(),
        |c| c.receive(EMPTY).map(drop),
        Violation::UnsolicitedBytes.into(),
    );
    case(
        idle(),
        |c| c.end_of_stream(1).map(drop),
        Violation::UnsolicitedBytes.into(),
    );
    case(
        sent("GET"),
        |c| c.encode_head(&request("GET")).map(drop),
        Misuse::Pipelined.into(),
    );
    case(
        sent("GET"),
        |c| c.payload_moved(1).map(drop),
        Misuse::UndemandedPayload.into(),
    );
    case(
        sent("GET"),
        |c| c.end_of_stream(0).map(drop),
        Truncation::BeforeHead.into(),
    );

    let in_payload = || {
        let mut client = sent("GET");
        client
            .receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            .unwrap();
        client
    };
    case(
        in_payload(),
        |c| c.receive(b"hi").map(drop),
        Misuse::NotTheDemandedPiece.into(),
    );
    case(
        in_payload(),
        |c| c.payload_moved(3).map(drop),
        Misuse::UndemandedPayload.into(),
    );

    let until_close = || {
        let mut client = sent("GET");
        client.receive(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        client
    };
    case(
        until_close(),
        |c| c.payload_moved(1).map(drop),
        Misuse::UndemandedPayload.into(),
    );
    case(
        until_close(),
        |c| c.end_of_stream(1).map(drop),
        Misuse::NotTheDemandedPiece.into(),
    );
}

#[test]
fn only_the_demanded_piece_is_taken() {
    let pieces: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\n\r\n",
        &[b'x'; 256 * 1024 + 1],
    ];
    for piece in pieces {
        let mut client = sent("GET");
        let outcome = client.receive(piece);
        ended_by(&mut client, outcome, Misuse::NotTheDemandedPiece);
    }
}

#[test]
fn a_peer_may_close_an_idle_connection() {
    let mut client = Client::new();
    assert!(client.end_of_stream(0).unwrap().events.is_empty());
    let outcome = client.encode_head(&request("GET"));
    ended_by(&mut client, outcome, Misuse::ConnectionOver);
}

fn connect_to(target: &str) -> RequestHead {
    RequestHead {
        target: target.to_owned(),
        ..request("CONNECT")
    }
}

#[test]
fn a_tunnel_begins_right_behind_the_head_whatever_that_says_of_content() {
    for fields in [
        "",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: x\r\n",
    ] {
        let mut client = Client::new();
        let head = client.encode_head(&connect_to("example.com:443")).unwrap();
        assert!(head.starts_with(b"CONNECT example.com:443 HTTP/1.1\r\n"));
        let stream = format!("HTTP/1.1 200 Connection established\r\n{fields}\r\n\x16\x03tunnel");
        let transcript = drive(&mut client, [stream.as_bytes()], Peer::Stays);
        assert!(!transcript.completion().reusable);
        assert_eq!(transcript.leftover, b"\x16\x03tunnel");
        assert!(transcript.payload.is_empty());
        assert_eq!(client.demand(), Demand::Nothing);
    }
}

#[test]
fn a_tunnel_that_is_refused_is_a_response_as_any() {
    let mut client = Client::new();
    client.encode_head(&connect_to("[::1]:443")).unwrap();
    let stream = b"HTTP/1.1 407 Who?\r\nContent-Length: 4\r\n\r\nbody";
    let transcript = drive(&mut client, [stream.as_slice()], Peer::Stays);
    assert!(transcript.completion().reusable);
    assert_eq!(transcript.payload, b"body");
}

#[test]
fn the_next_request_says_that_the_payload_was_moved() {
    let mut client = sent("GET");
    for _ in 0..3 {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(client.receive(head).unwrap().demand, Demand::Payload(5));
        assert_eq!(client.completes(), Some(Completion { reusable: true }));
        client.encode_head(&request("GET")).unwrap();
        assert_eq!(client.completes(), None);
        assert_eq!(client.demand(), Demand::EmptyLine(256 * 1024));
    }
}

#[test]
fn payload_that_is_cut_short_is_no_end() {
    let mut client = sent("GET");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    client.receive(head).unwrap();
    assert_eq!(client.completes(), Some(Completion { reusable: true }));
    let cut = client.end_of_stream(0);
    ended_by(&mut client, cut, Truncation::InPayload);
    assert_eq!(client.completes(), None);
}

#[test]
fn an_end_is_foretold_only_where_nothing_can_change_it() {
    let told = |mut client: Client, fields: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        client.receive(head.as_bytes()).unwrap();
        (client.completes(), client.encode_head(&request("GET")))
    };
    let pipelined = || Err(Error::from(Misuse::Pipelined));
    let sized = "Content-Length: 5\r\n";
    for fields in ["", "Transfer-Encoding: chunked\r\n"] {
        assert_eq!(told(sent("GET"), fields), (None, pipelined()), "{fields}");
    }
    for payload in [PayloadLength::Known(3), PayloadLength::Unknown] {
        assert_eq!(told(posting(payload), sized), (None, pipelined()));
    }
    let last = Some(Completion { reusable: false });
    let closing = "Content-Length: 5\r\nConnection: close\r\n";
    assert_eq!(told(sent("GET"), closing), (last, pipelined()));
}
