//! RFC 9112 by the table: how responses are framed, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

mod driver;

use driver::{Peer, answer, drive, sent};
use fumehood_guest_http1::{Error, Event, Limit, Truncation, Violation};

/// Stands for "the answer is whole": payload bytes, and whether the
/// connection is reusable.
type Whole = (&'static str, bool);

fn whole(method: &str, stream: &str, peer: Peer, (payload, reusable): Whole) {
    let seen = drive(&mut sent(method), [stream.as_bytes()], peer);
    assert_eq!(seen.error, None, "{stream:?}");
    assert_eq!(seen.payload, payload.as_bytes(), "{stream:?}");
    assert_eq!(seen.completion().reusable, reusable, "{stream:?}");
}

fn refused(stream: &[u8], error: impl Into<Error>) {
    let text = String::from_utf8_lossy(&stream[..stream.len().min(200)]);
    assert_eq!(
        answer(stream, Peer::Closes).error,
        Some(error.into()),
        "{text:?}"
    );
}

#[test]
fn content_length_frames() {
    use Peer::Stays;
    whole(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Stays,
        ("hello", true),
    );
    whole(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Stays,
        ("", true),
    );
    whole(
        "GET",
        "HTTP/1.1 200 OK\r\ncontent-length: 005\r\n\r\nhello",
        Stays,
        ("hello", true),
    );
    // One value, said twice (section 6.3, rule 5).
    whole(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi",
        Stays,
        ("hi", true),
    );
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length:2\r\n\r\nhi";
    whole("GET", twice, Stays, ("hi", true));
    // An empty reason, with and without its space.
    whole(
        "GET",
        "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
        Stays,
        ("", true),
    );
    whole(
        "GET",
        "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        Stays,
        ("", true),
    );
}

#[test]
fn content_length_that_is_not_one_number() {
    for value in [
        "",
        "+5",
        "-5",
        "5,6",
        "5, 6",
        "0x5",
        "5 5",
        "5,",
        "five",
        "18446744073709551616",
    ] {
        let stream = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\nhello");
        refused(stream.as_bytes(), Violation::BadContentLength);
    }
    let two = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!";
    refused(two, Violation::BadContentLength);
}

#[test]
fn responses_without_content() {
    use Peer::Stays;
    whole(
        "HEAD",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        Stays,
        ("", true),
    );
    whole(
        "HEAD",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Stays,
        ("", true),
    );
    whole("HEAD", "HTTP/1.1 200 OK\r\n\r\n", Stays, ("", true));
    whole(
        "GET",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        Stays,
        ("", true),
    );
    whole("GET", "HTTP/1.1 204 No Content\r\n\r\n", Stays, ("", true));
    whole(
        "GET",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        Stays,
        ("", true),
    );
    // It may yet send what it announced: not to be taken for the next response.
    whole(
        "GET",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        Stays,
        ("", false),
    );
    // The method's name is case-sensitive.
    whole(
        "head",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        Stays,
        ("hi", true),
    );
}

#[test]
fn persistence() {
    let case = |version: &str, connection: &str, reusable| {
        let stream =
            format!("HTTP/{version} 200 OK\r\nContent-Length: 2\r\n{connection}\r\n\r\nhi");
        whole("GET", &stream, Peer::Stays, ("hi", reusable));
    };
    case("1.1", "X: y", true);
    case("1.1", "Connection: keep-alive", true);
    case("1.1", "Connection: close", false);
    case("1.1", "Connection: foo, CLOSE", false);
    case("1.1", "Connection: keep-alive\r\nconnection: close", false);
    case("1.1", "Connection: closed", true);
    case("1.0", "X: y", false);
    case("1.0", "Connection: Keep-Alive", true);
    case("1.0", "Connection: keep-alive, close", false);
}

#[test]
fn content_until_close() {
    whole(
        "GET",
        "HTTP/1.1 200 OK\r\n\r\nall of\r\n\r\nthis",
        Peer::Closes,
        ("all of\r\n\r\nthis", false),
    );
    whole("GET", "HTTP/1.0 200 OK\r\n\r\n", Peer::Closes, ("", false));
    whole(
        "GET",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx",
        Peer::Closes,
        ("x", false),
    );
}

#[test]
fn chunked_frames() {
    let chunked = |body: &str, payload: &'static str| {
        let stream = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{body}");
        whole("GET", &stream, Peer::Stays, (payload, true));
    };
    chunked("0\r\n\r\n", "");
    chunked("5\r\nhello\r\n0\r\n\r\n", "hello");
    chunked(
        "5\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
        "hello0123456789",
    );
    chunked("5;a=b;c=\"d;e\"\r\nhello\r\n0;last\r\n\r\n", "hello");
    chunked("5 ;a\r\nhello\r\n0  \r\n\r\n", "hello");
    // Content that looks like framing.
    chunked("b\r\n\r\n0\r\n\r\nHTTP\r\n0\r\n\r\n", "\r\n0\r\n\r\nHTTP");
}

#[test]
fn trailers() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let stream = format!("{head}2\r\nhi\r\n0\r\nX-Sum: abc \r\nx-more:\r\n\r\n");
    let seen = answer(stream.as_bytes(), Peer::Stays);
    let fields = vec![driver::field("X-Sum", "abc"), driver::field("x-more", "")];
    assert_eq!(seen.events[1], Event::Trailers(fields));
    assert!(seen.completion().reusable);

    for name in [
        "Content-Length",
        "transfer-encoding",
        "HOST",
        "Set-Cookie",
        "Authorization",
        "Trailer",
    ] {
        let stream = format!("{head}0\r\n{name}: 1\r\n\r\n");
        refused(stream.as_bytes(), Violation::ForbiddenTrailer);
    }
    let case = |trailers: &str, error: Violation| {
        refused(format!("{head}0\r\n{trailers}\r\n\r\n").as_bytes(), error);
    };
    case(" folded", Violation::ObsoleteFolding);
    case("a: b\r\n\tc", Violation::ObsoleteFolding);
    case("a: b\nc: d", Violation::BareLineEnding);
    case("a: b\rc", Violation::BareLineEnding);
    case("a: \0", Violation::Nul);
    case("a b: c", Violation::BadField);
    case("no colon", Violation::BadField);
}

#[test]
fn bad_chunks() {
    let case = |body: &str, error: Violation| {
        let stream = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        refused(stream.as_bytes(), error);
    };
    use Violation::{BadChunk, BadChunkEnd, BareLineEnding};
    for line in [
        "",
        " 5",
        "5x",
        "-5",
        "+5",
        "0x5",
        "5 5",
        ";a",
        "5\u{b};a",
        "5;a\0",
        "5;a\rb",
        "11111111111111111",
    ] {
        case(&format!("{line}\r\nhello\r\n0\r\n\r\n"), BadChunk);
        case(&format!("1\r\nx\r\n{line}\r\nhello\r\n0\r\n\r\n"), BadChunk);
    }
    case("5\nhello\r\n0\r\n\r\n", BareLineEnding);
    case("5\r\nhello\n0\r\n\r\n", BareLineEnding);
    case("5\r\nhello\r\n0\n\r\n", BareLineEnding);
    case("5\r\nhello\r\n0\r\n\n", BareLineEnding);
    case("5\r\nhello!\r\n0\r\n\r\n", BadChunkEnd);
    case("5\r\nhello\r0\r\n\r\n", BadChunkEnd);
    case("5\r\nhello0\r\n\r\n", BadChunkEnd);
}

#[test]
fn ambiguous_and_unknown_codings() {
    let case = |version: &str, status: u16, fields: &str, error: Violation| {
        let stream = format!("HTTP/{version} {status} X\r\n{fields}\r\n\r\n0\r\n\r\n");
        refused(stream.as_bytes(), error);
    };
    use Violation::{AmbiguousLength, BadTransferEncoding};
    case(
        "1.1",
        200,
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        AmbiguousLength,
    );
    case(
        "1.1",
        200,
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        AmbiguousLength,
    );
    case("1.0", 200, "Transfer-Encoding: chunked", AmbiguousLength);
    case("1.1", 204, "Transfer-Encoding: chunked", AmbiguousLength);
    case("1.1", 103, "Transfer-Encoding: chunked", AmbiguousLength);
    for coding in [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "xchunked",
        "chunked;q=1",
        "",
        "chunked,",
        "\u{b}chunked",
    ] {
        let error = if coding.starts_with('\u{b}') {
            Violation::BadField
        } else {
            BadTransferEncoding
        };
        case("1.1", 200, &format!("Transfer-Encoding: {coding}"), error);
    }
    case(
        "1.1",
        200,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        BadTransferEncoding,
    );
}

#[test]
fn bad_heads() {
    use Violation::{BadField, BadStatusLine, BadVersion, BareLineEnding, Nul, ObsoleteFolding};
    let cases: [(&str, Violation); 34] = [
        ("\r\n", BadStatusLine),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", BadStatusLine),
        ("ICY 200 OK\r\n\r\n", BadStatusLine),
        ("SSH-2.0-OpenSSH\r\n\r\n", BadStatusLine),
        ("http/1.1 200 OK\r\n\r\n", BadStatusLine),
        (" HTTP/1.1 200 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1 2x0 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1  200 OK\r\n\r\n", BadStatusLine),
        ("HTTP/1.1\t200 OK\r\n\r\n", BadVersion),
        ("HTTP/1.1 200 O\u{7}K\r\n\r\n", BadStatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", BadVersion),
        ("HTTP/1.2 200 OK\r\n\r\n", BadVersion),
        ("HTTP/0.9 200 OK\r\n\r\n", BadVersion),
        ("HTTP/1.10 200 OK\r\n\r\n", BadVersion),
        ("HTTP/1.1 200 OK\nA: b\r\n\r\n", BareLineEnding),
        ("HTTP/1.1 200 OK\r\nA: b\n\r\n", BareLineEnding),
        ("HTTP/1.1 200 OK\r\nA: b\r\n\n", BareLineEnding),
        ("HTTP/1.1 200 OK\n\n", BareLineEnding),
        ("HTTP/1.1 200 O\rK\r\n\r\n", BareLineEnding),
        ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", BareLineEnding),
        ("HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", BareLineEnding),
        ("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", Nul),
        ("HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n", Nul),
        ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", ObsoleteFolding),
        ("HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n", ObsoleteFolding),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", BadField),
        ("HTTP/1.1 200 OK\r\n: b\r\n\r\n", BadField),
        ("HTTP/1.1 200 OK\r\nA\r\n\r\n", BadField),
        ("HTTP/1.1 200 OK\r\nA: \u{7f}\r\n\r\n", BadField),
        ("HTTP/1.1 200 OK\r\n\u{e4}: b\r\n\r\n", BadField),
    ];
    for (stream, error) in cases {
        refused(stream.as_bytes(), error);
    }
}

#[test]
fn a_head_is_told_as_sent() {
    let stream = b"HTTP/1.1 404 Nicht gef\xfcnden \r\nA:b\r\nX-Y:\t c d\t \r\na: \xff\r\ncontent-length: 0\r\n\r\n";
    let seen = answer(stream, Peer::Stays);
    let head = seen.head();
    assert_eq!((head.minor_version, head.status), (1, 404));
    assert_eq!(head.reason, b"Nicht gef\xfcnden ");
    let fields: Vec<(&str, &[u8])> = head
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.value.as_slice()))
        .collect();
    let want: [(&str, &[u8]); 4] = [
        ("A", b"b"),
        ("X-Y", b"c d"),
        ("a", b"\xff"),
        ("content-length", b"0"),
    ];
    assert_eq!(fields, want);
}

#[test]
fn informational_responses() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let seen = answer(
        format!("HTTP/1.1 100 Continue\r\n\r\n{early}{last}").as_bytes(),
        Peer::Stays,
    );
    let statuses: Vec<u16> = seen
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Informational(head) | Event::Head(head) => Some(head.status),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [100, 103, 200]);
    assert!(seen.completion().reusable);

    let most = format!("{}{last}", early.repeat(16));
    assert_eq!(answer(most.as_bytes(), Peer::Stays).events.len(), 18);
    refused(
        format!("{}{last}", early.repeat(17)).as_bytes(),
        Limit::InformationalCount,
    );

    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    refused(upgrade.as_bytes(), Violation::UnsolicitedUpgrade);
}

#[test]
fn truncated_places() {
    use Truncation::{BeforeHead, InHead, InPayload};
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(b"", BeforeHead);
    for stream in [
        "H",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n\r",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        refused(stream.as_bytes(), InHead);
    }
    refused(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        InPayload,
    );
    for body in [
        "",
        "5",
        "5\r\n",
        "5\r\nhell",
        "5\r\nhello",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n",
        "0\r\nA: b\r\n",
    ] {
        refused(format!("{chunked}{body}").as_bytes(), InPayload);
    }
}

#[test]
fn bounds() {
    const LINE: usize = 16 * 1024;
    let line = |bytes: usize| format!("a: {}\r\n", "x".repeat(bytes - "a: \r\n".len()));
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
    let accepted = |stream: &str| {
        assert!(answer(stream.as_bytes(), Peer::Stays).completion().reusable);
    };

    accepted(&head(&line(LINE)));
    refused(head(&line(LINE + 1)).as_bytes(), Limit::LineBytes);
    accepted(&head(&"a:\r\n".repeat(255)));
    refused(head(&"a:\r\n".repeat(256)).as_bytes(), Limit::FieldCount);

    let empty = head("").len();
    let fill = |total: usize| {
        head(&format!(
            "{}{}",
            line(LINE).repeat(15),
            line(total - empty - 15 * LINE)
        ))
    };
    accepted(&fill(16 * LINE));
    refused(fill(16 * LINE + 1).as_bytes(), Limit::HeadBytes);
    refused("x".repeat(20 * LINE).as_bytes(), Limit::HeadBytes);

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let size = |bytes: usize| format!("0;{}\r\n", "x".repeat(bytes - "0;\r\n".len()));
    accepted(&format!("{chunked}{}\r\n", size(LINE)));
    accepted(&format!("{chunked}1\r\nx\r\n{}\r\n", size(LINE)));
    refused(
        format!("{chunked}{}\r\n", size(LINE + 1)).as_bytes(),
        Limit::LineBytes,
    );
    refused(
        format!("{chunked}1\r\nx\r\n{}\r\n", size(LINE + 1)).as_bytes(),
        Limit::LineBytes,
    );
    refused(
        format!("{chunked}1\r\n{}", "x".repeat(2 * LINE)).as_bytes(),
        Violation::BadChunkEnd,
    );
    refused(
        format!("{chunked}0\r\n{}\r\n", "a:\r\n".repeat(257)).as_bytes(),
        Limit::FieldCount,
    );
    refused(
        format!("{chunked}0\r\n{}\r\n", line(LINE).repeat(16)).as_bytes(),
        Limit::HeadBytes,
    );
}

#[test]
fn the_largest_sizes_are_taken() {
    use fumehood_guest_http1::Demand;
    let mut client = sent("GET");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
    assert_eq!(
        client.receive(head).unwrap().demand,
        Demand::Payload(u64::MAX)
    );
    assert_eq!(
        client.payload_moved(5).unwrap().demand,
        Demand::Payload(u64::MAX - 5)
    );

    let mut client = sent("GET");
    client
        .receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let progress = client.receive(b"FFFFffffFFFFffff\r\n").unwrap();
    assert_eq!(progress.demand, Demand::Payload(u64::MAX));
}
