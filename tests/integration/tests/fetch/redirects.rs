//! `-L`: where redirects lead, what goes along, and where they end.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Canary, Script, Server};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 4\r\n\r\nmove")
}

#[test]
fn relative_ones_stay_on_the_connection() {
    let first = redirect(302, "../c?d#e");
    let server = Server::start(vec![Script::answers(&[&first, HELLO])]);
    let finished = Fetch::new(server.url("/a/b")).arg("-L").run();
    assert_eq!(finished.content(), b"hello");
    let requests = server.requests().remove(0);
    assert_eq!(requests[1].target, "/c?d");
    let report = finished.report();
    assert_eq!(report["redirects"].as_array().unwrap().len(), 1);
    assert_eq!(report["effective_url"], server.url("/c?d"));
}

#[test]
fn without_l_a_redirect_is_an_answer() {
    let first = redirect(302, "/elsewhere");
    let server = Server::start(vec![Script::answers(&[&first, HELLO])]);
    let finished = Fetch::new(server.url("/")).run();
    assert_eq!(finished.content(), b"move");
    assert_eq!(finished.report()["status"], 302);
}

#[test]
fn credentials_stay_with_their_origin() {
    let other = Server::start(vec![Script::answers(&[HELLO])]);
    let first = redirect(307, &other.url("/there"));
    let server = Server::start(vec![Script::answers(&[&first])]);
    let finished = Fetch::new(server.url("/"))
        .args([
            "-L",
            "-u",
            "me:secret",
            "-H",
            "Cookie: a=b",
            "-H",
            "X-Own: kept",
        ])
        .run();
    assert_eq!(finished.content(), b"hello");
    let first = server.only_request();
    assert!(first.field("authorization").is_some() && first.field("cookie").is_some());
    let second = other.only_request();
    assert_eq!(second.field("authorization"), None);
    assert_eq!(second.field("cookie"), None);
    assert_eq!(second.field("x-own"), Some("kept"));
    assert_eq!(
        second.field("host"),
        Some(&*format!("127.0.0.1:{}", other.port()))
    );
}

#[test]
fn credentials_stay_on_their_origin_too() {
    let first = redirect(302, "/there");
    let server = Server::start(vec![Script::answers(&[&first, HELLO])]);
    let finished = Fetch::new(server.url("/"))
        .args(["-L", "-u", "me:secret"])
        .run();
    assert_eq!(finished.content(), b"hello");
    let requests = server.requests().remove(0);
    assert_eq!(
        requests[0].field("authorization"),
        requests[1].field("authorization")
    );
    assert!(requests[1].field("authorization").is_some());
}

#[test]
fn methods_and_content_follow_the_status() {
    for (status, method, content) in [
        (303, "GET", ""),
        (301, "GET", ""),
        (307, "POST", "x=y"),
        (308, "POST", "x=y"),
    ] {
        let first = redirect(status, "/there");
        let server = Server::start(vec![Script::answers(&[&first, HELLO])]);
        let finished = Fetch::new(server.url("/")).args(["-L", "-d", "x=y"]).run();
        assert_eq!(finished.content(), b"hello", "{status}");
        let second = server.requests().remove(0).remove(1);
        assert_eq!(second.method, method, "{status}");
        assert_eq!(second.content, content.as_bytes(), "{status}");
        assert_eq!(
            second.field("content-type").is_some(),
            !content.is_empty(),
            "{status}"
        );
    }
}

#[test]
fn loops_end() {
    let again = redirect(302, "/");
    let answers: Vec<&str> = vec![&again; 30];
    let server = Server::start(vec![Script::answers(&answers)]);
    let finished = Fetch::new(server.url("/")).arg("-L").run();
    finished.assert_failed(47, "redirects", "caller");
    assert_eq!(server.requests().concat().len(), 21);

    let server = Server::start(vec![Script::answers(&answers)]);
    let finished = Fetch::new(server.url("/"))
        .args(["-L", "--max-redirs", "2"])
        .run();
    finished.assert_failed(47, "redirects", "caller");
    assert_eq!(server.requests().concat().len(), 3);
}

#[test]
fn a_redirect_opens_no_door() {
    let canary = Canary::start();
    let port = canary.port();
    // Leave was given for one port only.
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ] {
        let first = redirect(302, &format!("http://{host}:{port}/"));
        let server = Server::start(vec![Script::answers(&[&first])]);
        let finished = Fetch::plain()
            .args(["--json", "--silent", "-L", "--allow-private"])
            .arg(format!("127.0.0.1:{}", server.port()))
            .arg(server.url("/"))
            .run();
        finished.assert_failed(110, "policy", "policy");
        assert_eq!(finished.stdout, b"");
    }
    assert_eq!(canary.connections(), 0);
    canary.assert_alive();
}

#[test]
fn unusable_locations_end_it() {
    for location in [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://[::1",
        "\u{1}",
    ] {
        let first = redirect(302, location);
        let server = Server::start(vec![Script::answers(&[&first, HELLO])]);
        let finished = Fetch::new(server.url("/")).arg("-L").run();
        assert_ne!(finished.code(), 0, "{location:?}: {finished:?}");
        assert_eq!(finished.stdout, b"", "{location:?}");
        assert_eq!(server.requests().concat().len(), 1, "{location:?}");
    }
}

#[test]
fn content_of_a_redirect_is_not_written() {
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let first = redirect(302, "/there");
    let server = Server::start(vec![Script::answers(&[&first, HELLO])]);
    let file = folder.join("file");
    let finished = Fetch::new(server.url("/"))
        .arg("-L")
        .arg("-o")
        .arg(&file)
        .run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(std::fs::read(file).unwrap(), b"hello");
}
