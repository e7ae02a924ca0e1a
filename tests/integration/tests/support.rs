//! The support library itself: servers that lie would make every other test lie.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use fumehood_tests::certs::{Flaw, TestCa};
use fumehood_tests::peers::{Nginx, Service, Site};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, Stream};

fn site() -> Site {
    Site::new()
        .file("hello.txt", "hello\n")
        .zeros("big.bin", 100_000)
}

fn request(path: &str) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// Sends `request` in the clear and reads to the end.
fn talk(nginx: &Nginx, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", nginx.port(Service::Http))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Fetches `hello.txt` with rustls, trusting `ca` and the name `localhost`.
fn talk_tls(nginx: &Nginx, service: Service, ca: &TestCa) -> Result<ProtocolVersion, String> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().clone()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", nginx.port(service))).unwrap();
    let mut stream = Stream::new(&mut connection, &mut socket);
    let sent = stream.write_all(request("hello.txt").as_bytes());
    sent.map_err(|error| error.to_string())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    Ok(connection.protocol_version().unwrap())
}

#[test]
fn files_come_with_a_length_and_through_the_proxy_in_chunks() {
    let nginx = Nginx::start(&TestCa::new().issue(), &site()).unwrap();
    let whole = talk(&nginx, &request("hello.txt")).to_lowercase();
    assert!(whole.contains("content-length: 6"), "{whole}");
    assert!(whole.ends_with("\r\n\r\nhello\n"), "{whole}");

    let chunked = talk(&nginx, &request("chunked/hello.txt")).to_lowercase();
    assert!(chunked.contains("transfer-encoding: chunked"), "{chunked}");
    assert!(
        chunked.ends_with("0\r\nx-trailer: end\r\n\r\n"),
        "{chunked}"
    );

    let targets: Vec<_> = nginx
        .wait_for_requests(2)
        .into_iter()
        .map(|request| (request.target, request.status, request.tls))
        .collect();
    let logged = |target: &str| (target.to_owned(), 200, "-".to_owned());
    assert_eq!(
        targets,
        [logged("/hello.txt"), logged("/chunked/hello.txt")]
    );
}

#[test]
fn other_paths_answer_as_documented() {
    let nginx = Nginx::start(&TestCa::new().issue(), &site()).unwrap();
    let status = |request: &str| talk(&nginx, request).split(' ').nth(1).unwrap().to_owned();
    assert_eq!(status(&request("empty")), "204");
    assert_eq!(status(&request("redirect/hello.txt")), "302");
    assert_eq!(status(&request("close/hello.txt")), "200");
    assert_eq!(status(&request("slow/hello.txt")), "200");
    assert_eq!(status(&request("absent")), "404");
    let put = "PUT /upload/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
               Content-Length: 3\r\n\r\nabc";
    assert_eq!(status(put), "201");
    assert_eq!(nginx.uploaded("a").unwrap(), b"abc");
}

#[test]
fn each_tls_service_speaks_its_own_version() {
    let ca = TestCa::new();
    let nginx = Nginx::start(&ca.subordinate().issue(), &site()).unwrap();
    let version = |service| talk_tls(&nginx, service, &ca).unwrap();
    assert_eq!(version(Service::Tls12), ProtocolVersion::TLSv1_2);
    assert_eq!(version(Service::Tls13), ProtocolVersion::TLSv1_3);
    let log = nginx.wait_for_requests(2);
    assert_eq!(log[1].cipher, "TLS_AES_128_GCM_SHA256");
    assert_ne!(log[0].connection, log[1].connection);
}

#[test]
fn every_flaw_is_one() {
    let ca = TestCa::new();
    for flaw in Flaw::ALL {
        let nginx = Nginx::start(&ca.issue_flawed(flaw), &site()).unwrap();
        let refusal = talk_tls(&nginx, Service::Tls13, &ca).unwrap_err();
        assert!(
            refusal.contains("invalid peer certificate"),
            "{flaw:?}: {refusal}"
        );
    }
}

#[test]
fn a_stopped_server_is_gone() {
    let nginx = Nginx::start(&TestCa::new().issue(), &site()).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", nginx.port(Service::Http))).unwrap();
    drop(nginx);
    // Its end, or a reset: nobody is left to answer.
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}
