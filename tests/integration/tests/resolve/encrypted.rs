//! DNS over TLS against unbound, and DNS over HTTPS against a server of the tests.

use fumehood_tests::certs::{Flaw, Identity, TestCa};
use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Script, Server, server_config};
use fumehood_tests::peers::Unbound;
use fumehood_tests::temp::TempDir;

use crate::{at, data, found, steps};

/// An authority, and the file with its certificate.
fn authority() -> (TestCa, TempDir, std::path::PathBuf) {
    let (ca, folder) = (TestCa::new(), TempDir::new().unwrap());
    let file = folder.write("ca.pem", ca.pem()).unwrap();
    (ca, folder, file)
}

fn ask(server: &str, ca: &std::path::Path) -> Fetch {
    at(server).arg("--cacert").arg(ca).args([
        "--json",
        "--private-answers",
        "www.fumehood.test",
        "a",
    ])
}

#[test]
fn unbound_answers_over_tls_to_those_who_verify_it() {
    let (ca, _folder, file) = authority();
    let unbound = Unbound::start_tls(&ca.issue()).unwrap();
    let port = unbound.tls_address().port();
    for server in [
        format!("tls://fumehood.test:{port}#127.0.0.1"),
        format!("tls://127.0.0.1:{port}"),
    ] {
        let report = found(&ask(&server, &file).run());
        assert_eq!(data(&report), ["192.0.2.10"]);
        assert!(report.to_string().contains("over TLS"), "{report}");
    }
    // A large answer needs no other way.
    let server = format!("tls://127.0.0.1:{port}");
    let big = at(&server).arg("--cacert").arg(&file);
    let report = found(&big.args(["--json", "big.fumehood.test", "txt"]).run());
    assert_eq!(steps(&report), ["sent", "received"]);
}

#[test]
fn a_certificate_that_is_not_believed_gets_no_question() {
    let (ca, _folder, file) = authority();
    for flaw in [Flaw::WrongHost, Flaw::Expired, Flaw::ForgedIssuer] {
        let unbound = Unbound::start_tls(&ca.issue_flawed(flaw)).unwrap();
        let port = unbound.tls_address().port();
        let server = format!("tls://fumehood.test:{port}#127.0.0.1");
        let finished = ask(&server, &file).run();
        let report = finished.report();
        assert_eq!(
            (finished.code(), &report["cause"]),
            (6, &"unreachable".into())
        );
        let message = report["message"].as_str().unwrap();
        assert!(message.contains("certificate is refused"), "{message}");
    }
}

/// A reply to the question for the A record of `www.fumehood.test` with the ID 0,
/// which is what HTTPS has (RFC 8484 section 4.1).
fn message() -> Vec<u8> {
    let mut message = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in ["www", "fumehood", "test", ""] {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 1, 0, 1]);
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 10]);
    message
}

fn answer(status: &str, media_type: &str, content: &[u8]) -> Script {
    let length = content.len();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend(content);
    Script::answer(bytes)
}

fn https(identity: &Identity, script: Script) -> Server {
    Server::start_tls(server_config(identity, rustls::ALL_VERSIONS), vec![script])
}

#[test]
fn a_question_is_posted_and_its_answer_read() {
    let (ca, _folder, file) = authority();
    let script = answer("200 OK", "application/dns-message", &message());
    let server = https(&ca.issue(), script);
    let port = server.port();
    let url = format!("https://fumehood.test:{port}/dns-query#127.0.0.1");
    let report = found(&ask(&url, &file).run());
    assert_eq!(data(&report), ["192.0.2.10"]);
    let request = server.only_request();
    assert_eq!(
        (&request.method[..], &request.target[..]),
        ("POST", "/dns-query")
    );
    assert_eq!(
        request.field("content-type"),
        Some("application/dns-message")
    );
    assert_eq!(request.field("accept"), Some("application/dns-message"));
    let host = format!("fumehood.test:{port}");
    assert_eq!(request.field("host"), Some(&host[..]));
    // Padded to a block (RFC 8467 section 4.1).
    assert_eq!(request.content.len() % 128, 0, "{}", request.content.len());
}

#[test]
fn what_is_no_dns_message_is_no_answer() {
    let (ca, _folder, file) = authority();
    for (status, media_type, content) in [
        ("404 Not Found", "application/dns-message", message()),
        ("200 OK", "text/html", message()),
        ("200 OK", "application/dns-message", b"<html>".to_vec()),
        ("200 OK", "application/dns-message", vec![0; 65_536]),
    ] {
        let server = https(&ca.issue(), answer(status, media_type, &content));
        let url = format!("https://127.0.0.1:{}/dns-query", server.port());
        let finished = ask(&url, &file).run();
        assert_eq!(finished.code(), 6, "{status} {media_type}: {finished:?}");
    }
}
