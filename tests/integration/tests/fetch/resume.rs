//! `-C`: continuing a download where it stopped.

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

/// Continues a file of `hello` with this answer.
fn resumed(answer: &str) -> (Finished, Vec<u8>, Option<String>) {
    let folder = TempDir::new().unwrap();
    let file = folder.write("file", "hello").unwrap();
    let server = Server::start(vec![Script::answers(&[answer])]);
    let finished = Fetch::new(server.url("/"))
        .args(["-C", "-", "-o"])
        .arg(&file)
        .run();
    let range = server.only_request().field("range").map(str::to_owned);
    (finished, std::fs::read(file).unwrap(), range)
}

#[test]
fn the_rest_is_appended() {
    let answer = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-11/12\r\n\
                  content-length: 7\r\n\r\n, world";
    let (finished, content, range) = resumed(answer);
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(content, b"hello, world");
    assert_eq!(range.as_deref(), Some("bytes=5-"));
}

#[test]
fn a_whole_file_is_left_alone() {
    let answer = "HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */5\r\n\
                  content-length: 3\r\n\r\nno!";
    let (finished, content, _) = resumed(answer);
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(content, b"hello");
}

#[test]
fn nothing_else_is_appended() {
    for (answer, exit) in [
        // Another part than the one asked for.
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-4/12\r\ncontent-length: 5\r\n\r\nhello",
            33,
        ),
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\nhello",
            33,
        ),
        // All of it again.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello, world",
            33,
        ),
        // Of another length than the file here.
        (
            "HTTP/1.1 416 Range Not Satisfiable\r\ncontent-range: bytes */3\r\ncontent-length: 0\r\n\r\n",
            33,
        ),
        // An error page.
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nsorry",
            22,
        ),
    ] {
        let (finished, content, _) = resumed(answer);
        assert_eq!(finished.code(), exit, "{answer}: {finished:?}");
        assert_eq!(content, b"hello", "{answer}");
    }
}

#[test]
fn a_download_without_a_beginning_begins() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::answers(&[
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ])]);
    let file = folder.join("new");
    let finished = Fetch::new(server.url("/"))
        .args(["-C", "-", "-o"])
        .arg(&file)
        .run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(std::fs::read(file).unwrap(), b"hello");
    assert_eq!(server.only_request().field("range"), None);
}

#[test]
fn a_cut_download_is_finished_by_the_next() {
    let folder = TempDir::new().unwrap();
    let file = folder.join("file");
    let cut = Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello").then_reset();
    let rest = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-11/12\r\n\
                content-length: 7\r\n\r\n, world";
    let server = Server::start(vec![cut, Script::answers(&[rest])]);
    let fetch = || {
        Fetch::new(server.url("/"))
            .args(["-C", "-", "-o"])
            .arg(&file)
            .run()
    };
    fetch().assert_failed(56, "receive", "network");
    assert_eq!(fetch().code(), 0);
    assert_eq!(std::fs::read(&file).unwrap(), b"hello, world");
}
