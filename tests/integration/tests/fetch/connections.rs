//! Connections that are kept, and those that must not be.

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{End, Script, Server, Step};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// Fetches from the server twice in one command.
fn twice(server: &Server, arguments: &[&str]) -> Finished {
    Fetch::new(server.url("/1"))
        .arg(server.url("/2"))
        .args(arguments)
        .run()
}

fn reused(finished: &Finished) -> Vec<bool> {
    let reports = finished.reports();
    reports
        .iter()
        .map(|report| report["connection_reused"] == true)
        .collect()
}

#[test]
fn several_urls_share_a_connection() {
    let script = Script::answers(&[HELLO, HELLO, HELLO]);
    let server = Server::start(vec![script]);
    let finished = Fetch::new(server.url("/1"))
        .arg(server.url("/2"))
        .arg(server.url("/3"))
        .run();
    assert_eq!(finished.content(), b"hellohellohello");
    assert_eq!(reused(&finished), [false, true, true]);
    assert_eq!(server.connections(), 1);
    let targets: Vec<_> = server.requests()[0]
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(targets, ["/1", "/2", "/3"]);
}

#[test]
fn a_connection_is_not_kept_where_either_side_said_so() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ] {
        // The server would go on; it is the client who must not.
        let server = Server::start(vec![Script::answers(&[answer, answer])]);
        let finished = twice(&server, &[]);
        assert_eq!(finished.content(), b"hellohello", "{answer}");
        assert_eq!(server.connections(), 2, "{answer}");
    }
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let finished = twice(&server, &["-H", "Connection: close"]);
    assert_eq!(finished.content(), b"hellohello");
    assert_eq!(server.connections(), 2);
}

#[test]
fn http_1_0_keeps_alive_when_it_says_so() {
    let answer = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello";
    let server = Server::start(vec![Script::answers(&[answer, answer])]);
    assert_eq!(twice(&server, &[]).content(), b"hellohello");
    assert_eq!(server.connections(), 1);
}

#[test]
fn bytes_after_a_response_are_nobodys_response() {
    for garbage in [
        "garbage",
        "\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ] {
        let first = format!("{HELLO}{garbage}");
        let scripts = vec![Script::answers(&[&first, HELLO]), Script::answers(&[HELLO])];
        let server = Server::start(scripts);
        let finished = twice(&server, &[]);
        assert_eq!(finished.content(), b"hellohello", "{garbage:?}");
        assert_eq!(server.connections(), 2, "{garbage:?}");
    }
}

#[test]
fn more_content_than_promised_is_not_content() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhello";
    let server = Server::start(vec![Script::answers(&[answer])]);
    assert_eq!(Fetch::new(server.url("/")).run().content(), b"he");
}

#[test]
fn a_get_on_a_stale_connection_goes_out_again() {
    // The server takes the second request and closes without a word, as one
    // does whose keep-alive ran out at that moment.
    for end in [End::Close, End::Reset] {
        let stale = Script::answers(&[HELLO]).step(Step::RequestHead).then(end);
        let server = Server::start(vec![stale, Script::answers(&[HELLO])]);
        let finished = twice(&server, &["-v"]);
        assert_eq!(finished.content(), b"hellohello", "{end:?}");
        assert_eq!(server.connections(), 2, "{end:?}");
        assert!(
            finished.stderr.contains("kept connection was dead"),
            "{finished:?}"
        );
    }
}

#[test]
fn a_post_on_a_stale_connection_does_not() {
    let stale = Script::answers(&[HELLO]).request();
    let server = Server::start(vec![stale, Script::answers(&[HELLO])]);
    let finished = twice(&server, &["-d", "x=y"]);
    assert_eq!(finished.code(), 52, "{finished:?}");
    let reports = finished.reports();
    assert_eq!(reports[0]["error"], serde_json::Value::Null);
    assert_eq!(reports[1]["error"]["code"], "empty-reply");
    assert_eq!(reports[1]["error"]["retryable"], false);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_new_connection_that_dies_is_not_tried_again() {
    let server = Server::start(vec![Script::new().request(), Script::answers(&[HELLO])]);
    let finished = Fetch::new(server.url("/")).run();
    finished.assert_failed(52, "empty-reply", "peer");
    assert_eq!(server.connections(), 1);
}

#[test]
fn retry_is_for_those_who_ask() {
    let server = Server::start(vec![
        Script::new().request().then_reset(),
        Script::answers(&[HELLO]),
    ]);
    let finished = Fetch::new(server.url("/")).args(["--retry", "1"]).run();
    assert_eq!(finished.content(), b"hello");
    assert_eq!(finished.report()["retries"], 1);
}

#[test]
fn a_closed_connection_is_not_tried_first() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let other = Server::start(vec![Script::answers(&[HELLO])]);
    let finished = Fetch::new(server.url("/1"))
        .arg(other.url("/between"))
        .arg(server.url("/2"))
        .run();
    assert_eq!(finished.content(), b"hellohellohello");
    assert_eq!(server.connections(), 2);
}
