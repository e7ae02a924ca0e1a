//! Well-formed responses of every framing.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Script, Server};

#[track_caller]
fn fetched(arguments: &[&str], answer: impl Into<Vec<u8>>) -> Vec<u8> {
    let server = Server::start(vec![Script::answer(answer)]);
    let finished = Fetch::new(server.url("/")).args(arguments).run();
    finished.content().to_vec()
}

#[test]
fn by_length() {
    assert_eq!(
        fetched(&[], "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        b"hello"
    );
    assert_eq!(
        fetched(&[], "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"),
        b"hello"
    );
    assert_eq!(
        fetched(&[], "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        b""
    );
    assert_eq!(
        fetched(&[], "HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello"),
        b"hello"
    );
}

#[test]
fn until_close() {
    assert_eq!(fetched(&[], "HTTP/1.0 200 OK\r\n\r\nhello"), b"hello");
    assert_eq!(fetched(&[], "HTTP/1.1 200 OK\r\n\r\nhello"), b"hello");
    assert_eq!(
        fetched(&[], "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        b"hello"
    );
}

#[test]
fn in_chunks() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
    assert_eq!(
        fetched(&[], format!("{head}5\r\nhello\r\n0\r\n\r\n")),
        b"hello"
    );
    let odd = format!("{head}00002;x=\"y\"\r\nhe\r\n3 ;z\r\nllo\r\n000\r\n\r\n");
    assert_eq!(fetched(&[], odd), b"hello");
    assert_eq!(fetched(&[], format!("{head}0\r\n\r\n")), b"");
    // A hundred thousand chunks of one byte.
    let many = "1\r\na\r\n".repeat(100_000);
    let content = fetched(&[], format!("{head}{many}0\r\n\r\n"));
    assert_eq!(content, b"a".repeat(100_000));
}

#[test]
fn trailers_are_read_and_do_not_mix_with_content() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                  5\r\nhello\r\n0\r\nx-sum: 17\r\n\r\n";
    let server = Server::start(vec![Script::answers(&[answer, answer])]);
    let finished = Fetch::new(server.url("/"))
        .arg(server.url("/"))
        .arg("-v")
        .run();
    assert_eq!(finished.content(), b"hellohello");
    assert!(
        finished.stderr.contains("trailers came"),
        "{}",
        finished.stderr
    );
    assert_eq!(server.connections(), 1);
}

#[test]
fn responses_without_content_end_with_their_heads() {
    let next = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    for (arguments, answer) in [
        (&[][..], "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            &[],
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n",
        ),
        (
            &["-X", "HEAD"],
            "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n",
        ),
    ] {
        // The server keeps the connection open: only the head says where the end is.
        let server = Server::start(vec![Script::answer(answer).request().send(next)]);
        let finished = Fetch::new(server.url("/")).args(arguments).run();
        assert_eq!(finished.content(), b"", "{answer}");
        let report = finished.report();
        assert_eq!(report["bytes"]["received"], 0);
        assert_eq!(report["connection_kept"], true, "{answer}");
    }
}

#[test]
fn informational_heads_are_not_the_answer() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
                  HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let server = Server::start(vec![Script::answer(answer)]);
    let finished = Fetch::new(server.url("/")).arg("-v").run();
    assert_eq!(finished.content(), b"hello");
    assert!(
        finished.stderr.contains("< HTTP/1.1 103 Early Hints"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.report()["status"], 200);
}

#[test]
fn large_content_is_byte_exact_and_no_guest_sees_it() {
    let block: Vec<u8> = (0..=255).cycle().take(64 * 1024 - 17).collect();
    let times = 500;
    let total = block.len() * times;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n");
    let server = Server::start(vec![Script::answer(head).repeat(block.clone(), times)]);
    let finished = Fetch::new(server.url("/")).run();
    let content = finished.content();
    assert_eq!(content.len(), total);
    assert!(content.chunks(block.len()).all(|chunk| chunk == block));
    let bytes = &finished.report()["bytes"];
    assert_eq!(bytes["past_guests"], total);
    assert!(bytes["through_guests"].as_u64().unwrap() < 1000, "{bytes}");
}
