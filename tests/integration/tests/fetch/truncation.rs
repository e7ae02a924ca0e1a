//! What came before the connection broke is kept, and never called whole.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

#[test]
fn the_part_that_came_is_kept() {
    let folder = TempDir::new().unwrap();
    for (name, answer) in [
        (
            "length",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        ),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n12345",
        ),
    ] {
        let server = Server::start(vec![Script::answer(answer)]);
        let file = folder.join(name);
        let finished = Fetch::new(server.url("/")).arg("-o").arg(&file).run();
        finished.assert_failed(18, "partial", "peer");
        assert_eq!(std::fs::read(&file).unwrap(), b"12345", "{name}");
    }
}

#[test]
fn nothing_that_came_is_no_file() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::new().request()]);
    let file = folder.join("nothing");
    let finished = Fetch::new(server.url("/")).arg("-o").arg(&file).run();
    finished.assert_failed(52, "empty-reply", "peer");
    assert!(!file.exists());
}

#[test]
fn the_content_before_a_broken_chunk_is_kept() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n";
    let server = Server::start(vec![Script::answer(answer)]);
    let finished = Fetch::new(server.url("/")).run();
    finished.assert_failed(8, "weird-reply", "peer");
    assert_eq!(finished.stdout, b"hello");
}
