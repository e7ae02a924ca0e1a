//! Requests with content.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{End, Script, Server, Step};
use fumehood_tests::temp::TempDir;

const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

#[test]
fn bytes_go_with_their_length() {
    let server = Server::start(vec![Script::answers(&[DONE])]);
    let finished = Fetch::new(server.url("/form"))
        .args(["-d", "a=b", "-d", "c=d"])
        .run();
    assert_eq!(finished.content(), b"done");
    let request = server.only_request();
    assert_eq!(request.method, "POST");
    assert_eq!(request.content, b"a=b&c=d");
    assert_eq!(request.field("content-length"), Some("7"));
    assert_eq!(request.field("transfer-encoding"), None);
    let form = "application/x-www-form-urlencoded";
    assert_eq!(request.field("content-type"), Some(form));
    assert_eq!(finished.report()["bytes"]["sent"], 7);
}

#[test]
fn files_are_streamed_with_their_length() {
    let folder = TempDir::new().unwrap();
    let content: Vec<u8> = (0..=255).cycle().take(3_000_001).collect();
    let file = folder.write("content", &content).unwrap();
    let server = Server::start(vec![Script::answers(&[DONE])]);
    let finished = Fetch::new(server.url("/"))
        .args(["-X", "PUT", "--data-binary"])
        .arg(format!("@{}", file.display()))
        .run();
    assert_eq!(finished.content(), b"done");
    let request = server.only_request();
    assert_eq!(request.method, "PUT");
    assert_eq!(request.field("content-length"), Some("3000001"));
    assert!(request.content == content);
}

#[test]
fn standard_input_is_sent_in_chunks() {
    let content: Vec<u8> = (0..=255).rev().cycle().take(1_000_003).collect();
    let server = Server::start(vec![Script::answers(&[DONE, DONE])]);
    let finished = Fetch::new(server.url("/"))
        .args(["--data-binary", "@-"])
        .stdin(content.clone())
        .run();
    assert_eq!(finished.content(), b"done");
    let request = server.only_request();
    assert_eq!(request.field("transfer-encoding"), Some("chunked"));
    assert_eq!(request.field("content-length"), None);
    assert!(request.content == content);
    assert_eq!(finished.report()["connection_kept"], true);
}

#[test]
fn empty_standard_input_is_an_empty_content() {
    let server = Server::start(vec![Script::answers(&[DONE])]);
    let finished = Fetch::new(server.url("/"))
        .args(["--data-binary", "@-"])
        .stdin("")
        .run();
    assert_eq!(finished.content(), b"done");
    assert_eq!(server.only_request().content, b"");
}

#[test]
fn an_early_answer_to_a_large_upload_is_heard() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nconnection: close\r\n\
                   content-length: 3\r\n\r\nno!";
    // The server reads no content at all. It answers, and then drops what
    // still comes (close) or breaks the connection (reset).
    for end in [End::Close, End::Truncate] {
        let script = Script::new()
            .step(Step::RequestHead)
            .send(refusal)
            .then(end);
        let server = Server::start(vec![script]);
        let finished = Fetch::new(server.url("/"))
            .args(["--data-binary", "@-"])
            .stdin(vec![b'x'; 8 << 20])
            .run();
        assert_eq!(finished.content(), b"no!", "{end:?}");
        assert_eq!(finished.report()["status"], 413);
    }
}

#[test]
fn an_early_answer_is_an_error_for_those_who_ask() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nno!";
    let script = Script::new().step(Step::RequestHead).send(refusal);
    let server = Server::start(vec![script]);
    let finished = Fetch::new(server.url("/"))
        .args(["-f", "--data-binary", "@-"])
        .stdin(vec![b'x'; 8 << 20])
        .run();
    finished.assert_failed(22, "http-error", "peer");
}

#[test]
fn a_peer_that_breaks_off_an_upload_is_an_error() {
    let script = Script::new().step(Step::RequestHead).then_reset();
    let server = Server::start(vec![script]);
    let finished = Fetch::new(server.url("/"))
        .args(["--data-binary", "@-"])
        .stdin(vec![b'x'; 8 << 20])
        .run();
    finished.assert_failed(56, "receive", "network");
}

#[test]
fn a_peer_that_stops_reading_ends_with_the_time_given() {
    // Nothing is read, so the sockets' buffers fill; the end drains only
    // after the test has gone past the gate.
    let gate = fumehood_tests::hostile::Gate::new();
    let script = Script::new().step(Step::RequestHead).gate(&gate);
    let server = Server::start(vec![script]);
    let finished = Fetch::new(server.url("/"))
        .args(["--max-time", "0.5", "--data-binary", "@-"])
        .stdin(vec![b'x'; 64 << 20])
        .run();
    gate.open();
    finished.assert_failed(28, "timeout", "network");
}

#[test]
fn a_file_that_is_not_there_is_told_before_anything_is_sent() {
    let server = Server::start(vec![Script::answers(&[DONE])]);
    let finished = Fetch::new(server.url("/"))
        .args(["--data-binary", "@/nonexistent/file"])
        .run();
    finished.assert_failed(26, "read", "caller");
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_would_smuggle_is_refused_before_anything_is_sent() {
    let server = Server::start(vec![Script::answers(&[DONE])]);
    for field in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "x: a\r\ny: b",
        "x y: a",
    ] {
        let finished = Fetch::new(server.url("/")).args(["-H", field]).run();
        assert_eq!(finished.code(), 2, "{field:?}: {finished:?}");
    }
    let method = Fetch::new(server.url("/"))
        .args(["-X", "GET /evil HTTP/1.1\r\nx: "])
        .run();
    assert_eq!(method.code(), 2, "{method:?}");
    assert_eq!(server.connections(), 0);
}
