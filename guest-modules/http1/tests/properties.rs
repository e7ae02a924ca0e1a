//! Properties: no stream can break the codec, and it tells valid ones exactly.
#![allow(clippy::unwrap_used, reason = "a test")]

mod driver;

use driver::{Peer, Transcript, answer, cut, drive, request, sent};
use fumehood_guest_http1::{Client, Error, Event, Field, PayloadLength, RequestHead, ResponseHead};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A valid response, by its parts.
#[derive(Clone, Debug)]
struct Response {
    informational: Vec<ResponseHead>,
    head: ResponseHead,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Empty,
    Length(Vec<u8>),
    Chunked {
        chunks: Vec<(Vec<u8>, String)>,
        trailers: Vec<Field>,
    },
    UntilClose(Vec<u8>),
}

/// A response on the wire: what is framing, what is payload, and both as sent.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    framing: Vec<u8>,
    payload: Vec<u8>,
}

impl Wire {
    fn of(response: &Response) -> Self {
        let mut wire = Self::default();
        for head in response.informational.iter().chain([&response.head]) {
            wire.frame(format!("HTTP/1.{} {} ", head.minor_version, head.status).as_bytes());
            wire.frame(&head.reason);
            wire.frame(b"\r\n");
            wire.fields(&head.fields);
        }
        match &response.content {
            Content::Empty => {}
            Content::Length(payload) | Content::UntilClose(payload) => wire.pay(payload),
            Content::Chunked { chunks, trailers } => {
                for (chunk, extension) in chunks {
                    wire.frame(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                    wire.pay(chunk);
                    wire.frame(b"\r\n");
                }
                wire.frame(b"0\r\n");
                wire.fields(trailers);
            }
        }
        wire
    }

    fn fields(&mut self, fields: &[Field]) {
        for field in fields {
            self.frame(field.name.as_bytes());
            self.frame(b": ");
            self.frame(&field.value);
            self.frame(b"\r\n");
        }
        self.frame(b"\r\n");
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.framing.extend_from_slice(bytes);
        self.bytes.extend_from_slice(bytes);
    }

    fn pay(&mut self, bytes: &[u8]) {
        self.payload.extend_from_slice(bytes);
        self.bytes.extend_from_slice(bytes);
    }
}

/// What the codec must say of it.
fn events(response: &Response) -> Vec<Event> {
    let informational = response
        .informational
        .iter()
        .cloned()
        .map(Event::Informational);
    let mut events: Vec<Event> = informational
        .chain([Event::Head(response.head.clone())])
        .collect();
    if let Content::Chunked { trailers, .. } = &response.content
        && !trailers.is_empty()
    {
        events.push(Event::Trailers(trailers.clone()));
    }
    events
}

fn field_list() -> impl Strategy<Value = Vec<Field>> {
    // `x-` keeps the names clear of those that mean something here.
    let name = "x-[!#$%&'*+.^_`|~0-9a-zA-Z-]{0,12}";
    let value = vec(prop_oneof![0x21..=0x7e_u8, 0x80..=0xff_u8], 0..20);
    let field = (name, value).prop_map(|(name, value)| Field { name, value });
    vec(field, 0..6)
}

fn head(status: impl Strategy<Value = u16>) -> impl Strategy<Value = ResponseHead> {
    let reason = vec(
        prop_oneof![Just(b' '), Just(b'\t'), 0x21..=0x7e_u8, 0x80..=0xff_u8],
        0..12,
    );
    (status, reason, field_list()).prop_map(|(status, reason, fields)| ResponseHead {
        minor_version: 1,
        status,
        reason,
        fields,
    })
}

fn content() -> impl Strategy<Value = Content> {
    // Payload that likes to look like framing.
    let byte = || prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), any::<u8>()];
    let chunk = (vec(byte(), 1..40), "( ?;[ -~]{0,9})?");
    prop_oneof![
        Just(Content::Empty),
        vec(byte(), 0..200).prop_map(Content::Length),
        vec(byte(), 0..200).prop_map(Content::UntilClose),
        (vec(chunk, 0..6), field_list())
            .prop_map(|(chunks, trailers)| Content::Chunked { chunks, trailers }),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let informational = vec(head(prop_oneof![Just(100_u16), 102..=199_u16]), 0..3);
    let status = (200..=599_u16).prop_filter("has content", |status| !matches!(status, 204 | 304));
    (informational, head(status), content(), any::<Index>()).prop_map(
        |(informational, mut head, content, at)| {
            let framing = match &content {
                Content::Empty => Some(("Content-Length", "0".to_owned())),
                Content::Length(payload) => Some(("content-length", payload.len().to_string())),
                Content::Chunked { .. } => Some(("Transfer-Encoding", "chunked".to_owned())),
                Content::UntilClose(_) => None,
            };
            if let Some((name, value)) = framing {
                let at = at.index(head.fields.len() + 1);
                head.fields.insert(at, driver::field(name, &value));
            }
            Response {
                informational,
                head,
                content,
            }
        },
    )
}

/// What holds of every stream, whatever came of it.
fn check_sanity(seen: &Transcript, stream: &[u8]) {
    let heads = seen
        .events
        .iter()
        .filter(|event| matches!(event, Event::Head(_)))
        .count();
    assert!(heads <= 1);
    let completes = seen
        .events
        .iter()
        .filter(|event| matches!(event, Event::Complete(_)))
        .count();
    assert!(completes <= 1);
    if completes == 1 {
        assert!(matches!(seen.events.last(), Some(Event::Complete(_))));
        assert_eq!((heads, seen.error), (1, None));
    }
    assert_eq!(
        seen.shown.len() + seen.payload.len() + seen.leftover.len(),
        stream.len()
    );
}

/// Enough cases to meet every kind of stream; nothing is written to disk.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn valid_responses_are_told_exactly(response in response(), sizes in vec(1..60_usize, 1..8)) {
        let wire = Wire::of(&response);
        let peer = match response.content {
            Content::UntilClose(_) => Peer::Closes,
            _ => Peer::Stays,
        };
        let seen = drive(&mut sent("GET"), cut(&wire.bytes, &sizes), peer);
        prop_assert_eq!(seen.error, None);
        prop_assert_eq!(seen.completion().reusable, peer == Peer::Stays);
        prop_assert_eq!(&seen.events[..seen.events.len() - 1], events(&response));
        prop_assert_eq!(&seen.payload, &wire.payload);
        // The codec saw the framing, all of it, and not a byte of the payload.
        prop_assert_eq!(&seen.shown, &wire.framing);
        prop_assert_eq!(&seen.leftover, b"");
    }

    #[test]
    fn cuts_change_nothing(
        response in response(),
        damage in vec((any::<Index>(), any::<u8>()), 0..4),
        end in any::<Index>(),
        sizes in vec(1..60_usize, 1..8),
    ) {
        let mut stream = Wire::of(&response).bytes;
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        stream.truncate(end.index(stream.len() * 4).min(stream.len()));
        let in_one = answer(&stream, Peer::Closes);
        let in_pieces = drive(&mut sent("GET"), cut(&stream, &sizes), Peer::Closes);
        check_sanity(&in_one, &stream);
        prop_assert_eq!(&in_one.events, &in_pieces.events);
        prop_assert_eq!(in_one.error, in_pieces.error);
        prop_assert_eq!(&in_one.shown, &in_pieces.shown);
        prop_assert_eq!(&in_one.payload, &in_pieces.payload);
    }

    #[test]
    fn any_bytes_are_survived(
        stream in vec(any::<u8>(), 0..300),
        prefix in select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\n\r\n"]),
        sizes in vec(1..60_usize, 1..8),
    ) {
        let stream = [prefix.as_bytes(), &stream].concat();
        check_sanity(&drive(&mut sent("GET"), cut(&stream, &sizes), Peer::Closes), &stream);
    }

    #[test]
    fn any_calls_are_survived(calls in vec((0..7_u8, any::<u64>(), hostile_head()), 0..30)) {
        let mut client = Client::new();
        for (call, number, head) in calls {
            let outcome = match call {
                0 => client.encode_head(&request("PUT")).map(drop),
                1 => client.frame_payload(number).map(drop),
                2 => client.end_payload().map(drop),
                3 => client.receive(&head).map(drop),
                4 => client.payload_moved(number % 8).map(drop),
                5 => client.end_of_stream(number % 2).map(drop),
                _ => { client = sent("GET"); Ok(()) }
            };
            if outcome.is_err() {
                let again = client.encode_head(&request("GET"));
                prop_assert_eq!(again, Err(Error::Misuse(fumehood_guest_http1::Misuse::ConnectionOver)));
            }
        }
    }

    #[test]
    fn heads_are_read_as_httparse_reads_them(stream in hostile_head()) {
        let seen = answer(&stream, Peer::Stays);
        let Some(Event::Head(head) | Event::Informational(head)) = seen.events.first() else {
            return Ok(());
        };
        let mut headers = [httparse::EMPTY_HEADER; 300];
        let mut theirs = httparse::Response::new(&mut headers);
        let end = theirs.parse(&stream).unwrap().unwrap();
        if seen.calls == 1 {
            prop_assert_eq!(end, seen.shown.len());
        }
        prop_assert_eq!(theirs.version, Some(head.minor_version));
        prop_assert_eq!(theirs.code, Some(head.status));
        prop_assert_eq!(theirs.headers.len(), head.fields.len());
        for (theirs, ours) in theirs.headers.iter().zip(&head.fields) {
            prop_assert_eq!((theirs.name, theirs.value), (ours.name.as_str(), ours.value.as_slice()));
        }
    }

    #[test]
    fn chunk_sizes_are_read_as_httparse_reads_them(line in "[0-9a-fA-F]{0,17}[ \t;a=\"\0\r]{0,3}\r?\n") {
        let mut client = sent("GET");
        client.receive(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        let theirs = httparse::parse_chunk_size(line.as_bytes());
        if let Ok(progress) = client.receive(line.as_bytes()) {
            let size = match progress.demand {
                fumehood_guest_http1::Demand::Payload(size) => size,
                _ => 0,
            };
            prop_assert_eq!(theirs.unwrap(), httparse::Status::Complete((line.len(), size)));
        }
    }

    #[test]
    fn requests_are_read_back_as_given(
        method in "(PUT|[A-Z!a-z]{1,8})",
        target in "/[!-~]{0,12}",
        fields in vec(request_field(), 0..6),
        payload in prop_oneof![
            Just(PayloadLength::None),
            any::<u64>().prop_map(PayloadLength::Known),
            Just(PayloadLength::Unknown),
        ],
    ) {
        let mut head = RequestHead { method, target, payload, ..request("GET") };
        head.fields.extend(fields);
        let Ok(bytes) = Client::new().encode_head(&head) else {
            return Ok(());
        };
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut theirs = httparse::Request::new(&mut headers);
        prop_assert_eq!(theirs.parse(&bytes).unwrap(), httparse::Status::Complete(bytes.len()));
        prop_assert_eq!(theirs.method, Some(head.method.as_str()));
        prop_assert_eq!(theirs.path, Some(head.target.as_str()));
        let framing = usize::from(payload != PayloadLength::None || head.method == "PUT");
        prop_assert_eq!(theirs.headers.len(), head.fields.len() + framing);
        for (theirs, ours) in theirs.headers.iter().zip(&head.fields) {
            prop_assert_eq!((theirs.name, theirs.value), (ours.name.as_str(), ours.value.as_slice()));
        }
    }
}

/// A head put together from pieces that parsers may disagree about; about
/// every fourth is valid.
fn hostile_head() -> impl Strategy<Value = Vec<u8>> {
    let good_start = select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404\r\n",
        "HTTP/1.1 100 \r\n",
    ]);
    let bad_start = select(vec![
        "\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/2 200\r\n",
    ]);
    let line = select(vec![
        "a: b\r\n",
        "b:\t\r\n",
        "C!: \u{ff} , ;\t\"x\" \r\n",
        "content-length: 3\r\n",
        "Content-Length: 3, 3\r\n",
        "connection: close\r\n",
    ]);
    let fragment = select(vec![
        "a",
        ":",
        " ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "content-length: ",
        "1",
        ",",
        "\u{ff}",
        "transfer-encoding: chunked\r\n",
    ]);
    let start = prop_oneof![4 => good_start, 1 => bad_start];
    let piece = prop_oneof![6 => line, 1 => fragment];
    (start, vec(piece, 0..8), any::<bool>()).prop_map(|(start, pieces, ends)| {
        let end = if ends { "\r\n" } else { "\r\n\r\n" };
        format!("{start}{}{end}", pieces.concat()).into_bytes()
    })
}

/// A request field that can be sent, or now and then one that must not be.
fn request_field() -> impl Strategy<Value = Field> {
    let good = ("[a-z][a-z0-9!^_-]{0,8}", "([!-~]([ -~]{0,9}[!-~])?)?");
    let bad = ("[a-z :\r\n]{0,8}", "[ -~\r\n\t\0]{0,12}");
    prop_oneof![6 => good, 1 => bad].prop_map(|(name, value)| driver::field(&name, &value))
}
