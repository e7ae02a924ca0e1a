//! Peers that let one wait. The deadlines here are short, and nothing else waits.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Nobody, Script, Server};

#[test]
fn stalled_peers_end_with_the_time_given() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    for (name, script) in [
        ("before the head", Script::new().request()),
        ("in the head", Script::answer("HTTP/1.1 200 OK\r\nx: ")),
        (
            "after an informational head",
            Script::answer("HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        ("in the body", Script::answer(length)),
        (
            "until close",
            Script::answer("HTTP/1.1 200 OK\r\n\r\nhello"),
        ),
        (
            "in a chunk line",
            Script::answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5"),
        ),
    ] {
        let server = Server::start(vec![script.then_stall()]);
        let finished = Fetch::new(server.url("/"))
            .args(["--max-time", "0.3"])
            .run();
        let message = finished.report()["error"]["message"].to_string();
        assert!(message.contains("total"), "{name}: {message}");
        finished.assert_failed(28, "timeout", "network");
    }
}

#[test]
fn a_dripping_peer_ends_with_the_time_given() {
    // A byte of a chunk at a time keeps it busy for ever.
    let script = Script::answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .repeat("1\r\na\r\n", 200_000_000);
    let server = Server::start(vec![script]);
    let finished = Fetch::new(server.url("/"))
        .args(["--max-time", "0.5", "-o", "/dev/null"])
        .run();
    finished.assert_failed(28, "timeout", "network");
}

#[test]
fn connecting_has_a_time_of_its_own() {
    // A listener whose queue is full drops what comes: as an address behind
    // a firewall does.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let full = (0..64).any(|_| {
        let filled = TcpStream::connect_timeout(&address, std::time::Duration::from_millis(100));
        let refused = filled.is_err();
        queue.push(filled);
        refused
    });
    assert!(full, "the queue takes everybody");
    let finished = Fetch::new(format!("http://{address}/"))
        .args(["--connect-timeout", "0.3"])
        .run();
    finished.assert_failed(28, "timeout", "network");
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    let nobody = Nobody::here();
    let finished = Fetch::new(format!("http://{}/", nobody.address())).run();
    finished.assert_failed(7, "connect", "network");
}
