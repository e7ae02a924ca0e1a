//! What may not be reached, however it is spelt. A canary counts connections.

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Canary, Script, Server};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn fetch(url: &str, allowed: &[&str]) -> Finished {
    let allow = allowed.iter().flat_map(|host| ["--allow-private", host]);
    Fetch::plain()
        .args(["--json", "--silent"])
        .args(allow)
        .arg(url)
        .run()
}

#[test]
fn loopback_is_denied_in_every_spelling() {
    let canary = Canary::start();
    let port = canary.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "017700000001",
        "\u{ff11}27.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "x.localhost",
    ] {
        let finished = fetch(&format!("http://{host}:{port}/"), &[]);
        finished.assert_failed(110, "policy", "policy");
        let message = finished.report()["error"]["message"].to_string();
        assert!(
            message.contains("--allow-private") || message.contains("allow"),
            "no remedy: {message}"
        );
    }
    assert_eq!(canary.connections(), 0);
    canary.assert_alive();
}

#[test]
fn private_ranges_are_denied() {
    for host in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fc00::1]",
        "[fe80::1]",
        "[ff02::1]",
    ] {
        fetch(&format!("http://{host}/"), &[]).assert_failed(110, "policy", "policy");
    }
}

#[test]
fn what_is_not_a_host_is_not_a_url() {
    for host in [
        "%31%32%37.0.0.1",
        "127.0.0.1.evil@127.0.0.256",
        "[::1",
        "1.2.3.4.5",
        "0x7f.0.0.0.1",
        "a b",
        "a%00b",
        "256.0.0.1",
        "999999999999",
    ] {
        let finished = fetch(&format!("http://{host}/"), &[]);
        finished.assert_failed(3, "url", "caller");
    }
}

#[test]
fn leave_is_for_what_was_named() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let port = server.port();
    let url = server.url("/");
    let own = format!("127.0.0.1:{port}");
    let other = format!("127.0.0.1:{}", port ^ 1);
    for allowed in ["127.0.0.1", &own, "127.0.0.0/8"] {
        assert_eq!(fetch(&url, &[allowed]).content(), b"hello", "{allowed}");
    }
    let before = server.connections();
    for allowed in [&*other, "127.0.0.2", "10.0.0.0/8", "[::1]", "localhost"] {
        fetch(&url, &[allowed]).assert_failed(110, "policy", "policy");
    }
    assert_eq!(server.connections(), before);
}

#[test]
fn leave_for_an_address_holds_for_its_spellings() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    for host in ["2130706433", "0x7f.1"] {
        let finished = fetch(&server.url_at(host, "/"), &["127.0.0.1"]);
        assert_eq!(finished.content(), b"hello", "{host}");
    }
    // What the server is told is the canonical form, as in the certificate's check.
    let hosts: Vec<_> = server.requests().concat();
    let expected = format!("127.0.0.1:{}", server.port());
    assert!(
        hosts
            .iter()
            .all(|request| request.field("host") == Some(&expected)),
        "{hosts:?}"
    );
}

#[test]
fn localhost_by_name() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let finished = fetch(&server.url_at("localhost", "/"), &["localhost"]);
    assert_eq!(finished.content(), b"hello");
}

#[test]
fn everything_cannot_be_allowed_at_once() {
    assert_eq!(fetch("http://127.0.0.1/", &["*"]).code(), 2);
}

#[test]
fn ports_of_other_services_are_blocked_whatever_is_allowed() {
    for port in [0, 1, 22, 25, 111, 2049, 6000, 6667, 10080] {
        let finished = fetch(&format!("http://127.0.0.1:{port}/"), &["127.0.0.1"]);
        finished.assert_failed(110, "policy", "policy");
    }
}

#[test]
fn other_schemes_are_not_spoken() {
    for url in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ws://127.0.0.1/",
    ] {
        let finished = fetch(url, &["127.0.0.1"]);
        finished.assert_failed(3, "url", "caller");
    }
}
