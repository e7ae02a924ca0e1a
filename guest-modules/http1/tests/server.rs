//! The server's role: what is taken, what is refused, what is passed on.
#![allow(clippy::unwrap_used, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fumehood_guest_http1::bounds::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_LINE_BYTES};
use fumehood_guest_http1::{
    Answer, Demand, Ending, Error, Field, Limit, Misuse, PayloadLength, Request, RequestTarget,
    Server, ServerEvent, Truncation, Violation,
};
use proptest::prelude::*;

const GET: &str = "GET http://a.example/b?c HTTP/1.1\r\nhost: a.example\r\n\r\n";

fn ask(head: &str) -> Result<Request, Error> {
    ask_of(&mut Server::new(), head)
}

fn ask_of(server: &mut Server, head: &str) -> Result<Request, Error> {
    let progress = server.receive(head.as_bytes())?;
    match progress.events.into_iter().next() {
        Some(ServerEvent::Request(request)) => Ok(request),
        other => panic!("no request: {other:?}"),
    }
}

fn field(name: &str, value: &str) -> Field {
    Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    }
}

fn answer(status: u16, payload: PayloadLength, fields: &[(&str, &str)]) -> Answer {
    Answer {
        status,
        reason: b"R".to_vec(),
        fields: fields.iter().map(|(n, v)| field(n, v)).collect(),
        payload,
        last: false,
        challenge: false,
    }
}

/// What a server answers to a request, as text, and whether another may follow.
fn answered(head: &str, answer: &Answer) -> (String, bool) {
    let mut server = Server::new();
    ask_of(&mut server, head).unwrap();
    let head = server.encode_head(answer).unwrap();
    let Ending { persists, .. } = server.end_payload(&[]).unwrap();
    (String::from_utf8(head).unwrap(), persists)
}

#[test]
fn a_request_is_told_as_it_may_be_passed_on() {
    let request = ask(
        "POST http://a.example:8080/b?c=d HTTP/1.1\r\nHost: other.example\r\nA: 1\r\n\
         Connection: x-mine, keep-alive\r\nX-Mine: 2\r\nKeep-Alive: 3\r\nTE: trailers\r\n\
         Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\n\
         Content-Length: 5\r\nB: 4\r\n\r\n",
    )
    .unwrap();
    assert_eq!(
        request,
        Request {
            method: "POST".to_owned(),
            minor_version: 1,
            target: RequestTarget::Absolute {
                origin: "http://a.example:8080".to_owned(),
                path: "/b?c=d".to_owned(),
            },
            fields: vec![field("A", "1"), field("B", "4")],
            payload: PayloadLength::Known(5),
            upgrade: false,
            login: None,
        }
    );
}

/// What one `proxy-authorization` with this value says.
fn login(value: &str) -> Option<(String, String)> {
    let head = format!("GET http://a/ HTTP/1.1\r\nhost: a\r\nproxy-authorization: {value}\r\n\r\n");
    let login = ask(&head).unwrap().login?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some((text(login.name), text(login.password)))
}

#[test]
fn a_client_says_who_it_is_in_one_way() {
    let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
    // RFC 7617 section 2, and its section 2.1.
    let known = pair("Aladdin", "open sesame");
    assert_eq!(login("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), known);
    assert_eq!(login("bASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), known);
    assert_eq!(login("Basic dGVzdDoxMjPCow=="), pair("test", "123£"));
    assert_eq!(login("Basic Og=="), pair("", ""));
    assert_eq!(login("Basic YTpiOmM="), pair("a", "b:c"));
    let long = format!("Basic {}", "YWFh".repeat(171));
    for broken in [
        "Basic",
        "Basic ",
        "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==,",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",
        "Basic QWxh=GRpbjpvcGVuIHNlc2FtZQ==",
        "Basic YT==Yjpj",
        "Basic Y===",
        "Basic ====",
        "Basic YTpi YTpi",
        "Basic YTpi\r\nproxy-authorization: Basic YTpi",
        // No colon.
        "Basic YQ==",
        &long,
    ] {
        assert_eq!(login(broken), None, "{broken}");
    }
}

#[test]
fn it_alone_asks_who_the_client_is() {
    let get = "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n";
    let of_server = [("proxy-authenticate", "Basic realm=\"theirs\"")];
    let mut theirs = answer(407, PayloadLength::None, &of_server);
    assert!(!answered(get, &theirs).0.contains("proxy-authenticate"));
    theirs.challenge = true;
    let (head, persists) = answered(get, &theirs);
    let field = "proxy-authenticate: Basic realm=\"fumehood\", charset=\"UTF-8\"\r\n";
    assert!(head.contains(field) && persists, "{head}");
    assert_eq!(head.matches("proxy-authenticate").count(), 1, "{head}");
}

#[test]
fn targets_come_in_the_form_of_their_method() {
    let absolute = |target: &str| match ask(&format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")) {
        Ok(Request {
            target: RequestTarget::Absolute { origin, path },
            ..
        }) => (origin, path),
        other => panic!("{target}: {other:?}"),
    };
    let pair = |origin: &str, path: &str| (origin.to_owned(), path.to_owned());
    assert_eq!(absolute("http://a"), pair("http://a", "/"));
    assert_eq!(absolute("http://a?b"), pair("http://a", "/?b"));
    assert_eq!(absolute("http://[::1]:80/x"), pair("http://[::1]:80", "/x"));
    assert_eq!(absolute("HTTP://a/%0d%0a"), pair("HTTP://a", "/%0d%0a"));
    let target =
        |line: &str| ask(&format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n")).map(|it| it.target);
    assert_eq!(
        target("CONNECT a.example:443"),
        Ok(RequestTarget::Authority("a.example:443".to_owned()))
    );
    assert_eq!(target("GET /"), Ok(RequestTarget::Local("/".to_owned())));
    assert_eq!(
        target("OPTIONS *"),
        Ok(RequestTarget::Local("*".to_owned()))
    );
    for bad in [
        "GET *",
        "GET a",
        "GET a:80",
        "GET http://",
        "GET http:///b",
        "GET http://u@a/",
        "GET http://u:p@a/",
        "GET http://a\\@b/",
        "GET 1http://a/",
        "GET ://a/",
        "GET http://a/#b",
        "GET http://a/\u{e9}",
        "CONNECT a",
        "CONNECT a:",
        "CONNECT :443",
        "CONNECT a:443a",
        "CONNECT a:443/",
        "CONNECT u@a:443",
        "CONNECT http://a:443",
        "CONNECT /",
        "CONNECT *",
        "CONNECT a:123456",
    ] {
        let outcome = target(bad);
        assert!(
            matches!(
                outcome,
                Err(Error::Peer(
                    Violation::BadTarget | Violation::BadRequestLine
                ))
            ),
            "{bad}: {outcome:?}"
        );
    }
}

/// What has been used to smuggle a request past an intermediary.
#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let with = |fields: &str| format!("POST http://a/ HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
    for (fields, violation) in [
        (
            "content-length: 5\r\ntransfer-encoding: chunked",
            Violation::AmbiguousLength,
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 5",
            Violation::AmbiguousLength,
        ),
        (
            "content-length: 5\r\ncontent-length: 5",
            Violation::BadContentLength,
        ),
        (
            "content-length: 5\r\ncontent-length: 6",
            Violation::BadContentLength,
        ),
        ("content-length: 5, 5", Violation::BadContentLength),
        ("content-length: +5", Violation::BadContentLength),
        ("content-length: -5", Violation::BadContentLength),
        ("content-length: 0x5", Violation::BadContentLength),
        ("content-length: 5 5", Violation::BadContentLength),
        ("content-length: ", Violation::BadContentLength),
        (
            "content-length: 18446744073709551616",
            Violation::BadContentLength,
        ),
        (
            "transfer-encoding: gzip, chunked",
            Violation::BadTransferEncoding,
        ),
        (
            "transfer-encoding: chunked, identity",
            Violation::BadTransferEncoding,
        ),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            Violation::BadTransferEncoding,
        ),
        (
            "transfer-encoding: xchunked",
            Violation::BadTransferEncoding,
        ),
        (
            "transfer-encoding: chunked;a=b",
            Violation::BadTransferEncoding,
        ),
        (
            "transfer-encoding: \"chunked\"",
            Violation::BadTransferEncoding,
        ),
        ("transfer-encoding : chunked", Violation::BadField),
        (" transfer-encoding: chunked", Violation::ObsoleteFolding),
        ("a: b\r\n c", Violation::ObsoleteFolding),
        ("a: b\r\n\tc", Violation::ObsoleteFolding),
        ("a: b\nc: d", Violation::BareLineEnding),
        ("a: b\rc: d", Violation::BareLineEnding),
        ("a: b\0c", Violation::Nul),
        ("transfer-encoding: \x0bchunked", Violation::BadField),
        ("a b: c", Violation::BadField),
        (": c", Violation::BadField),
        ("a", Violation::BadField),
        ("host: b", Violation::BadHost),
        ("host: a", Violation::BadHost),
    ] {
        assert_eq!(ask(&with(fields)), Err(violation.into()), "{fields:?}");
    }
    for (line, violation) in [
        ("GET  http://a/ HTTP/1.1", Violation::BadRequestLine),
        ("GET http://a/  HTTP/1.1", Violation::BadRequestLine),
        ("GET http://a/ b HTTP/1.1", Violation::BadRequestLine),
        (" GET http://a/ HTTP/1.1", Violation::BadRequestLine),
        ("G@T http://a/ HTTP/1.1", Violation::BadRequestLine),
        ("GET http://a/ HTTP/1.2", Violation::BadVersion),
        ("GET http://a/ HTTP/2.0", Violation::BadVersion),
        ("GET http://a/ http/1.1", Violation::BadVersion),
    ] {
        let outcome = ask(&format!("{line}\r\nhost: a\r\n\r\n"));
        let Err(Error::Peer(found)) = outcome else {
            panic!("{line:?}: {outcome:?}");
        };
        // What exactly is wrong with a request line is a matter of taste.
        let alike = [
            Violation::BadVersion,
            Violation::BadRequestLine,
            Violation::BadTarget,
        ];
        assert!(
            found == violation || alike.contains(&found),
            "{line:?}: {found:?}"
        );
    }
    let old = "POST http://a/ HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(ask(old), Err(Violation::AmbiguousLength.into()));
    let no_host = "GET http://a/ HTTP/1.1\r\n\r\n";
    assert_eq!(ask(no_host), Err(Violation::BadHost.into()));
    for host in ["a b", "a/b", "u@a", "a,b", "a\\b"] {
        let head = format!("GET http://a/ HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(ask(&head), Err(Violation::BadHost.into()), "{host}");
    }
    let tunnel = "CONNECT a:443 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(ask(tunnel), Err(Violation::BadTarget.into()));
}

#[test]
fn what_is_over_a_bound_is_refused() {
    let long = "x".repeat(MAX_LINE_BYTES);
    let head = format!("GET http://a/ HTTP/1.1\r\nhost: a\r\na: {long}\r\n\r\n");
    assert_eq!(ask(&head), Err(Limit::LineBytes.into()));
    let many = "a: b\r\n".repeat(MAX_FIELDS);
    let head = format!("GET http://a/ HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    assert_eq!(ask(&head), Err(Limit::FieldCount.into()));
    let huge = "x".repeat(MAX_HEAD_BYTES);
    assert_eq!(
        Server::new().receive(huge.as_bytes()),
        Err(Limit::HeadBytes.into())
    );
    // A target may be longer than a field.
    let path = "x".repeat(MAX_LINE_BYTES);
    let head = format!("GET http://a/{path} HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(ask(&head).is_ok());
}

#[test]
fn content_is_demanded_and_never_seen() {
    let mut server = Server::new();
    let head = "POST http://a/ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(
        ask_of(&mut server, head).unwrap().payload,
        PayloadLength::Unknown
    );
    let progress = server.receive(b"5\r\n").unwrap();
    assert_eq!(progress.demand, Demand::Payload(5));
    assert!(progress.then.is_some());
    server.receive(b"\r\n0\r\n").unwrap();
    let progress = server.receive(b"x-trailer: dropped\r\n\r\n").unwrap();
    assert_eq!(progress.events, [ServerEvent::RequestEnd]);
    assert_eq!(progress.demand, Demand::Nothing);

    let mut server = Server::new();
    let head = "PUT http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n";
    let progress = server.receive(head.as_bytes()).unwrap();
    assert_eq!(progress.demand, Demand::Payload(7));
    assert_eq!(
        server.payload_moved(8),
        Err(Misuse::UndemandedPayload.into())
    );
}

#[test]
fn one_refusal_can_be_told_after_an_error() {
    let mut server = Server::new();
    assert!(ask_of(&mut server, "GET http://a/ HTTP/1.1\r\n\r\n").is_err());
    let refusal = answer(400, PayloadLength::Known(2), &[]);
    let head = String::from_utf8(server.encode_head(&refusal).unwrap()).unwrap();
    assert!(
        head.contains("content-length: 2\r\nconnection: close\r\n"),
        "{head}"
    );
    assert!(!server.end_payload(&[]).unwrap().persists);
    assert!(server.receive(GET.as_bytes()).is_err());

    // Chunks are judged too.
    let mut server = Server::new();
    let head = "POST http://a/ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    ask_of(&mut server, head).unwrap();
    assert_eq!(
        server.receive(b"5;a\x00\r\n"),
        Err(Violation::BadChunk.into())
    );
    assert!(server.encode_head(&refusal).is_ok());
}

#[test]
fn requests_follow_each_other() {
    let mut server = Server::new();
    for _ in 0..3 {
        ask_of(&mut server, GET).unwrap();
        assert_eq!(server.demand(), Demand::Nothing);
        server
            .encode_head(&answer(200, PayloadLength::Known(3), &[]))
            .unwrap();
        assert!(server.end_payload(&[]).unwrap().persists);
        assert!(matches!(server.demand(), Demand::EmptyLine(_)));
    }
    // One empty line may precede a request (RFC 9112 section 2.2), not two.
    assert!(server.receive(b"\r\n").unwrap().events.is_empty());
    assert!(server.receive(b"\r\n").is_err());
    // What was not demanded is not read: the host holds it back.
    let mut server = Server::new();
    ask_of(&mut server, GET).unwrap();
    assert_eq!(
        server.receive(GET.as_bytes()),
        Err(Misuse::NotTheDemandedPiece.into())
    );
}

#[test]
fn a_response_before_the_end_of_its_request_is_the_last() {
    let mut server = Server::new();
    let head = "POST http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n";
    ask_of(&mut server, head).unwrap();
    server
        .encode_head(&answer(413, PayloadLength::None, &[]))
        .unwrap();
    assert!(!server.end_payload(&[]).unwrap().persists);
}

#[test]
fn responses_are_framed_for_the_client() {
    let (head, persists) = answered(
        GET,
        &answer(
            200,
            PayloadLength::Unknown,
            &[
                ("Connection", "x-a, close"),
                ("X-A", "1"),
                ("Keep-Alive", "2"),
                ("B", "3"),
                ("Transfer-Encoding", "chunked"),
                ("Proxy-Authenticate", "Basic"),
                ("Upgrade", "h2c"),
            ],
        ),
    );
    assert_eq!(
        head,
        "HTTP/1.1 200 R\r\nB: 3\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert!(persists);
    let old = "GET http://a/ HTTP/1.0\r\n\r\n";
    let (head, persists) = answered(old, &answer(200, PayloadLength::Unknown, &[]));
    assert_eq!(head, "HTTP/1.1 200 R\r\nconnection: close\r\n\r\n");
    assert!(!persists);
    let old = "GET http://a/ HTTP/1.0\r\nproxy-connection: keep-alive\r\n\r\n";
    let (head, persists) = answered(old, &answer(200, PayloadLength::Known(1), &[]));
    assert_eq!(
        head,
        "HTTP/1.1 200 R\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n"
    );
    assert!(persists);
    let (head, persists) = answered(
        "GET http://a/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        &answer(204, PayloadLength::None, &[("content-length", "5")]),
    );
    assert_eq!(head, "HTTP/1.1 204 R\r\nconnection: close\r\n\r\n");
    assert!(!persists);
    for (request, status) in [(GET, 304), (&GET.replacen("GET", "HEAD", 1)[..], 200)] {
        let length = [("content-length", "77")];
        let (head, _) = answered(request, &answer(status, PayloadLength::None, &length));
        assert!(head.contains("content-length: 77\r\n"), "{head}");
    }
}

#[test]
fn it_is_known_when_nothing_more_is_to_be_framed() {
    let framed = |head: &str, status: u16, payload: PayloadLength| {
        let mut server = Server::new();
        assert!(!server.is_framed());
        ask_of(&mut server, head).unwrap();
        assert!(!server.is_framed());
        server.encode_head(&answer(status, payload, &[])).unwrap();
        server.is_framed()
    };
    let get = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    assert!(framed(get, 200, PayloadLength::Known(5)));
    assert!(framed(get, 304, PayloadLength::None));
    assert!(!framed(get, 200, PayloadLength::Unknown));
    assert!(!framed(get, 100, PayloadLength::None));
    assert!(!framed(post, 200, PayloadLength::Known(5)));
}

#[test]
fn informational_responses_and_trailers_pass() {
    let mut server = Server::new();
    ask_of(&mut server, GET).unwrap();
    let early = answer(103, PayloadLength::None, &[("link", "<a>")]);
    for _ in 0..2 {
        let head = server.encode_head(&early).unwrap();
        assert_eq!(head, b"HTTP/1.1 103 R\r\nlink: <a>\r\n\r\n");
    }
    server
        .encode_head(&answer(200, PayloadLength::Unknown, &[]))
        .unwrap();
    assert_eq!(server.encode_head(&early), Err(Misuse::BadAnswer.into()));
    let frame = server.frame_payload(16).unwrap();
    assert_eq!(
        (&frame.before[..], &frame.after[..]),
        (&b"10\r\n"[..], &b"\r\n"[..])
    );
    let ending = server.end_payload(&[field("x-sum", "1")]).unwrap();
    assert_eq!(ending.bytes, b"0\r\nx-sum: 1\r\n\r\n");
    assert!(ending.persists);
}

#[test]
fn only_what_was_offered_is_switched_to() {
    let offer = |upgrade: &str| {
        format!(
            "GET http://a/ HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: {upgrade}\r\n\
             sec-websocket-key: x\r\n\r\n"
        )
    };
    let switch = answer(101, PayloadLength::None, &[("upgrade", "websocket")]);
    let request = ask(&offer("WebSocket")).unwrap();
    assert!(request.upgrade);
    assert_eq!(request.fields, [field("sec-websocket-key", "x")]);
    let (head, persists) = answered(&offer("websocket"), &switch);
    assert!(
        head.contains("connection: upgrade\r\nupgrade: websocket\r\n"),
        "{head}"
    );
    assert!(!persists);
    for other in ["h2c", "websocket, h2c", "TLS/1.0"] {
        assert!(!ask(&offer(other)).unwrap().upgrade, "{other}");
    }
    let mut server = Server::new();
    ask_of(&mut server, GET).unwrap();
    assert_eq!(server.encode_head(&switch), Err(Misuse::BadAnswer.into()));
}

#[test]
fn what_cannot_be_answered_is_misuse() {
    let mut server = Server::new();
    let ok = answer(200, PayloadLength::None, &[]);
    assert_eq!(server.encode_head(&ok), Err(Misuse::NoExchange.into()));
    ask_of(&mut server, GET).unwrap();
    for bad in [
        answer(99, PayloadLength::None, &[]),
        answer(1000, PayloadLength::None, &[]),
        answer(103, PayloadLength::Known(1), &[]),
        answer(204, PayloadLength::Known(1), &[]),
        answer(200, PayloadLength::None, &[("a b", "c")]),
        answer(200, PayloadLength::None, &[("a", "b\r\nc: d")]),
    ] {
        assert!(
            matches!(server.encode_head(&bad), Err(Error::Misuse(_))),
            "{bad:?}"
        );
    }
    assert!(server.end_payload(&[]).is_err());
}

#[test]
fn a_client_that_leaves_is_told_from_one_that_is_done() {
    assert!(Server::new().end_of_stream(0).unwrap().events.is_empty());
    assert_eq!(
        Server::new().end_of_stream(1),
        Err(Truncation::InHead.into())
    );
    let mut server = Server::new();
    let head = "PUT http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n";
    ask_of(&mut server, head).unwrap();
    assert_eq!(server.end_of_stream(0), Err(Truncation::InPayload.into()));
    // Half closed, it still reads.
    let mut server = Server::new();
    ask_of(&mut server, GET).unwrap();
    server.end_of_stream(0).unwrap();
    server
        .encode_head(&answer(200, PayloadLength::Known(1), &[]))
        .unwrap();
}

proptest! {
    /// Whatever comes, it is refused or understood, and the codec stands.
    #[test]
    fn nothing_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..5)) {
        let mut server = Server::new();
        for piece in pieces {
            let mut head = piece;
            head.extend_from_slice(b"\r\n\r\n");
            let _refused = server.receive(&head);
            let _refused = server.payload_moved(head.len() as u64);
        }
        let _refused = server.end_of_stream(3);
    }

    /// Who it says it is, whatever that is, is read as it was written.
    #[test]
    fn a_login_is_read_as_written(name in "[^:]{0,40}", password in ".{0,40}") {
        let token = STANDARD.encode(format!("{name}:{password}"));
        prop_assert_eq!(login(&format!("Basic {token}")), Some((name, password)));
    }

    /// What is passed on says nothing of framing, and fits in its fields.
    #[test]
    fn what_is_passed_on_frames_nothing(
        names in prop::collection::vec("[a-zA-Z-]{1,12}", 0..8),
        value in "[ -~]{0,20}",
    ) {
        let value = value.trim();
        let fields: String = names.iter().map(|name| format!("{name}: {value}\r\n")).collect();
        let head = format!("GET http://a/ HTTP/1.1\r\nhost: a\r\n{fields}connection: {value}\r\n\r\n");
        if let Ok(request) = ask(&head) {
            for field in &request.fields {
                let name = field.name.to_ascii_lowercase();
                prop_assert!(
                    !["connection", "content-length", "transfer-encoding", "host", "upgrade"]
                        .contains(&&name[..])
                );
            }
        }
    }
}
