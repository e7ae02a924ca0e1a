//! Clients that mean harm.

use std::io::Read;
use std::time::Instant;

use fumehood_tests::hostile::{Canary, Script, Server, Step};

use crate::support::{HELLO, Proxy};

/// A second request hides in each of them, for whoever reads the first one
/// differently. None reaches a server.
#[test]
fn nothing_is_smuggled() {
    let canary = Canary::start();
    let proxy = Proxy::start(&[]);
    let port = canary.port();
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    for fields in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 4\r\ncontent-length: 5",
        "content-length: 4, 4",
        "content-length: +4",
        "content-length: 0x4",
        "content-length: 4\r\n ",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "transfer-encoding:\x0bchunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        " transfer-encoding: chunked",
        "x: y\nx-z: 1",
        "x: y\rx-z: 1",
        "x: \0",
        "x y: z",
        "host: other",
    ] {
        let ask = format!(
            "POST http://127.0.0.1:{port}/ HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n{hidden}"
        );
        let mut client = proxy.connect();
        client.say(ask);
        let reply = client.reply().unwrap();
        assert!(matches!(reply.status, 400 | 501), "{fields:?}: {reply:?}");
        assert!(reply.head.contains("connection: close"), "{fields:?}");
        assert!(client.is_ended(), "{fields:?}");
    }
    canary.assert_alive();
}

#[test]
fn targets_that_hide_another_are_refused() {
    let canary = Canary::start();
    let proxy = Proxy::start(&[]);
    let port = canary.port();
    for line in [
        format!("GET http://user@127.0.0.1:{port}/"),
        format!("GET http://a.example\\@127.0.0.1:{port}/"),
        format!("GET http://127.0.0.1:{port}/#/"),
        format!("GET http:///127.0.0.1:{port}/"),
        format!("GET //127.0.0.1:{port}/"),
        format!("GET 127.0.0.1:{port}"),
        "GET /".to_owned(),
        format!("GET https://127.0.0.1:{port}/"),
        format!("GET ftp://127.0.0.1:{port}/"),
        format!("TRACE http://127.0.0.1:{port}/"),
        format!("CONNECT http://127.0.0.1:{port}"),
        format!("CONNECT user@127.0.0.1:{port}"),
        "CONNECT 127.0.0.1".to_owned(),
        "CONNECT 127.0.0.1:99999".to_owned(),
    ] {
        let reply = proxy.ask(format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert!(matches!(reply.status, 400 | 405 | 501), "{line}: {reply:?}");
        assert!(
            reply.head.contains("error=http_request"),
            "{line}: {reply:?}"
        );
    }
    canary.assert_alive();
}

#[test]
fn a_head_that_does_not_end_is_cut_off() {
    let proxy = Proxy::start(&["--head-timeout", "0.3", "--keep-alive-timeout", "0.3"]);
    let begun = Instant::now();
    // Begun, and never ended.
    let mut slow = proxy.connect();
    slow.say("GET http://a.example/ HTTP/1.1\r\nx");
    let reply = slow.reply().unwrap();
    assert_eq!(reply.status, 408);
    assert!(slow.is_ended());
    // Not a byte.
    assert!(proxy.connect().is_ended());
    assert!(begun.elapsed() < crate::support::PATIENCE);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let proxy = Proxy::start(&[]);
    let huge = format!(
        "GET http://a.example/ HTTP/1.1\r\nx: {}",
        "y".repeat(300_000)
    );
    assert_eq!(proxy.ask(huge).status, 431);
    let many = format!(
        "GET http://a.example/ HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(257)
    );
    assert_eq!(proxy.ask(many).status, 431);
}

/// The time is the head's, and not that between two bytes of it.
#[test]
fn a_head_that_drips_is_cut_off() {
    let proxy = Proxy::start(&["--head-timeout", "0.5"]);
    let head = format!("GET http://a.example/ HTTP/1.1\r\nx: {}", "y".repeat(200));
    let mut client = proxy.connect();
    assert!(client.drips_until_answered(head.as_bytes()));
    assert_eq!(client.reply().unwrap().status, 408);
    assert!(client.is_ended());
    assert_eq!(proxy.log(1)[0]["status"], 408);
}

#[test]
fn other_protocols_are_not_answered() {
    let proxy = Proxy::start(&[]);
    let tls = proxy.ask(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert_eq!(tls.status, 400);
}

#[test]
fn connections_beyond_the_bound_wait_and_are_served_then() {
    let server = Server::start(vec![Script::answers(&[HELLO; 12])]);
    let proxy = Proxy::start(&["--max-connections", "2"]);
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    let mut held = [proxy.connect(), proxy.connect()];
    for client in &mut held {
        client.say(&get);
        assert_eq!(client.reply().unwrap().status, 200);
    }
    let mut waits = proxy.connect();
    waits.say(&get);
    // Were it taken, it would be served amid these.
    for _ in 0..10 {
        held[0].say(&get);
        assert_eq!(held[0].reply().unwrap().status, 200);
    }
    assert_eq!(server.connections(), 2);
    drop(held);
    assert_eq!(waits.reply().unwrap().content, b"hello");
}

#[test]
fn one_address_cannot_have_them_all() {
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let proxy = Proxy::start(&["--max-connections-per-address", "1"]);
    let mut first = proxy.connect();
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    first.say(&get);
    assert_eq!(first.reply().unwrap().status, 200);
    assert!(proxy.connect().is_ended());
    first.say(&get);
    assert_eq!(first.reply().unwrap().status, 200);
}

/// A server that is retried must not have cost the client a byte: what is left of
/// a chunk's size is another size.
#[test]
fn a_request_of_which_something_was_read_is_not_sent_again() {
    let dies = Script::answers(&[HELLO]).step(Step::RequestHead);
    let server = Server::start(vec![dies, Script::answers(&[HELLO, HELLO])]);
    let proxy = Proxy::start(&[]);
    let mut client = proxy.connect();
    let head = |method: &str, fields: &str| {
        let url = server.url("/");
        format!("{method} {url} HTTP/1.1\r\nhost: x\r\n{fields}\r\n")
    };
    client.say(head("GET", ""));
    assert_eq!(client.reply().unwrap().content, b"hello");
    client.say(head("PUT", "transfer-encoding: chunked\r\n") + "1");
    let reply = client.reply().unwrap();
    assert_eq!(reply.status, 502, "{reply:?}");
    // Sixteen bytes, that was to be. Read from here on it is the last chunk, and
    // what comes behind it another request.
    client.say(format!("0\r\nx\r\n\r\n{}", head("GET", "")));
    assert!(client.is_ended());
    assert_eq!(server.connections(), 1);
}

/// Whoever has a server's codec in hand could answer for the next server, if the
/// client were sent more or less than it was promised.
#[test]
fn a_codec_in_wrong_hands_cannot_answer_for_another_server() {
    let lies = |what: &str, length: u32, content: &str| {
        Script::answer(format!(
            "HTTP/1.1 200 OK\r\nx-fumehood-fault: {what}\r\ncontent-length: {length}\r\n\r\n\
             {content}"
        ))
    };
    for script in [lies("more", 5, "helloEVIL!"), lies("less", 9, "hello")] {
        let proxy = Proxy::with_module("http1", "http1-faulty");
        let server = Server::start(vec![script]);
        let mut client = proxy.connect();
        let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
        client.say(get);
        assert!(client.head().unwrap().starts_with("http/1.1 200"));
        let mut content = String::new();
        // Its end is the connection's, for nothing may follow it.
        client.socket.read_to_string(&mut content).unwrap();
        assert_eq!(content, "hello");
        assert_eq!(proxy.log(1)[0]["reason"], "http_protocol_error");
    }
}

/// The version before goes on in the place of one that traps, on the same socket.
#[test]
fn a_codec_that_traps_costs_no_client_its_response() {
    let traps = "HTTP/1.1 200 OK\r\nx-fumehood-fault: trap\r\ncontent-length: 5\r\n\r\nhello";
    let proxy = Proxy::with_module("http1", "http1-faulty");
    let server = Server::start(vec![Script::answers(&[traps, HELLO])]);
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    let mut client = proxy.connect();
    client.say(&get);
    let reply = client.reply().unwrap();
    assert_eq!((reply.status, &reply.content[..]), (200, &b"hello"[..]));
    // Neither side's connection was lost by it.
    client.say(&get);
    assert_eq!(client.reply().unwrap().content, b"hello");
    assert_eq!(server.connections(), 1, "the peer noticed");
    for record in proxy.log(2) {
        assert_eq!(record["outcome"], "served", "{record}");
        assert_eq!(record["status"], 200, "{record}");
        assert_eq!(record["sent"], 5, "{record}");
    }
}

#[test]
fn a_response_that_has_no_room_for_another_field_is_refused() {
    let fields = "x: y\r\n".repeat(255);
    let full = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 5\r\n\r\nhello");
    let server = Server::start(vec![Script::answer(full.clone()), Script::answer(full)]);
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    let reply = Proxy::start(&[]).ask(&get);
    assert_eq!(reply.status, 502);
    assert!(
        reply
            .head
            .contains("error=http_response_header_section_size"),
        "{reply:?}"
    );
    // Without a field of ours it goes through.
    assert_eq!(Proxy::start(&["--via", ""]).ask(&get).content, b"hello");
}
