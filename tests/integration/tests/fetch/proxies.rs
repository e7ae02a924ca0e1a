//! Through proxies: hostile ones, then the distribution's.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use fumehood_tests::certs::TestCa;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Nobody, Script, Server, Step, server_config};
use fumehood_tests::peers::{Kind, RealProxy, TlsFront};
use fumehood_tests::temp::TempDir;
use rustls::{ALL_VERSIONS, ServerConfig};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A target that nobody here resolves and nobody answers at.
const PLAIN: &str = "http://origin.test/path?q";
const SECURE: &str = "https://origin.test/path?q";

fn via(proxy: &str, url: &str) -> Fetch {
    Fetch::new(url).args(["--proxy", proxy, "--max-time", "20"])
}

fn http(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

fn socks(scheme: &str, server: &Server) -> String {
    format!("{scheme}://127.0.0.1:{}", server.port())
}

fn config(ca: &TestCa) -> Arc<ServerConfig> {
    server_config(&ca.issue_for(&["127.0.0.1", "localhost"]), ALL_VERSIONS)
}

fn assert_hello(finished: &Finished) {
    assert_eq!(finished.content(), b"hello", "{}", finished.stderr);
}

#[test]
fn a_tunnel_is_not_believed_in_before_it_stands() {
    for (answer, exit) in [
        ("HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nbody", 56),
        (
            "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n",
            56,
        ),
        (
            "HTTP/1.1 302 There\r\nlocation: http://evil.test/\r\ncontent-length: 0\r\n\r\n",
            56,
        ),
        // What comes with the head is not the target's.
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", 8),
        ("HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03", 8),
        ("HTTP/1.1 101 Switching\r\n\r\n", 8),
        ("HTTP/2 200\r\n\r\n", 8),
        ("SOCKS\r\n\r\n", 8),
        ("HTTP/1.1 200 OK\nx: y\n\n", 8),
        ("HTTP/1.1 200 OK\r\nx: ", 56),
        ("", 52),
    ] {
        let server = Server::start(vec![Script::new().request().send(answer)]);
        let finished = via(&http(&server), SECURE).run();
        assert_eq!(finished.code(), exit, "{answer:?}: {}", finished.stderr);
        assert!(finished.stdout.is_empty(), "{answer:?}");
        let asked = server.only_request();
        assert_eq!(
            (&*asked.method, &*asked.target),
            ("CONNECT", "origin.test:443")
        );
    }
}

#[test]
fn a_head_without_end_has_one() {
    let endless = Script::new()
        .request()
        .send("HTTP/1.1 200 OK\r\n")
        .repeat(format!("x: {}\r\n", "y".repeat(1000)), 400)
        .then_stall();
    let server = Server::start(vec![endless]);
    assert_eq!(via(&http(&server), SECURE).run().code(), 8);
    let progress = Script::new()
        .request()
        .repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100)
        .then_stall();
    let server = Server::start(vec![progress]);
    assert_eq!(via(&http(&server), SECURE).run().code(), 8);
}

#[test]
fn a_proxy_that_says_nothing_is_given_up_on() {
    for (proxy, first) in [
        ("http", Script::new().request()),
        ("socks5h", Script::new()),
    ] {
        let server = Server::start(vec![first.then_stall()]);
        let finished = via(&socks(proxy, &server), SECURE)
            .args(["--connect-timeout", "0.3"])
            .run();
        assert_eq!(finished.code(), 28, "{proxy}: {}", finished.stderr);
    }
}

#[test]
fn what_a_socks_proxy_gets_wrong_is_found_out() {
    for (answer, exit) in [
        (&b"HTTP/1.1 400 No\r\n\r\n"[..], 97),
        (b"\x05\xff", 97),
        (b"\x05\x02", 97),
        (b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0", 97),
        (b"\x05\x00\x05\x00\x00\x07\0\0\0\0\0\0", 97),
        (b"\x05\x00\x05\x00\x00", 56),
        (b"\x05", 56),
        (b"", 56),
    ] {
        let script = Script::new().step(Step::FirstBytes).send(answer);
        // Who closes with something unread resets.
        let script = match exit {
            97 => script.then_stall(),
            _ => script,
        };
        let server = Server::start(vec![script]);
        let finished = via(&socks("socks5h", &server), SECURE).run();
        assert_eq!(finished.code(), exit, "{answer:?}: {}", finished.stderr);
    }
}

/// Names and passwords of SOCKS 5 (RFC 1929), and what each side says around them.
#[test]
fn a_socks_proxy_is_told_who_asks() {
    let connect = b"\x05\x01\x00\x03\x0borigin.test\x00\x50";
    let login = b"\x01\x05alice\x06secret";
    for (admitted, exit) in [(true, 0), (false, 97)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!(
            "socks5h://127.0.0.1:{}",
            listener.local_addr().unwrap().port()
        );
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut hears = |expected: &[u8], answer: &[u8]| {
                let mut heard = vec![0; expected.len()];
                socket.read_exact(&mut heard).unwrap();
                assert_eq!(heard, expected);
                socket.write_all(answer).unwrap();
            };
            hears(b"\x05\x02\x00\x02", b"\x05\x02");
            hears(login, &[1, u8::from(!admitted)]);
            if admitted {
                hears(connect, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50");
                hears(b"GET /path?q HTTP/1.1\r\n", HELLO.as_bytes());
            }
            // To its end: one who closes with something unread resets.
            let mut rest = String::new();
            socket.read_to_string(&mut rest).unwrap();
            rest
        });
        let finished = via(&proxy, PLAIN).args(["-U", "alice:secret"]).run();
        assert_eq!(finished.code(), exit, "{}", finished.stderr);
        let rest = serving.join().unwrap();
        assert!(!rest.contains("authorization"), "{rest}");
        assert!(admitted || rest.is_empty(), "{rest}");
    }
}

#[test]
fn credentials_go_to_the_proxy_and_never_to_the_target() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let finished = via(&http(&server), PLAIN)
        .args(["-U", "alice:secret"])
        .run();
    assert_hello(&finished);
    let asked = server.only_request();
    assert_eq!(asked.target, PLAIN, "absolute-form");
    assert_eq!(
        asked.field("proxy-authorization"),
        Some("Basic YWxpY2U6c2VjcmV0")
    );
    assert_eq!(asked.field("host"), Some("origin.test"));
    // Without a proxy for it, nobody is told.
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let finished = via("http://127.0.0.1:9", &server.url("/"))
        .args(["-U", "alice:secret", "--noproxy", "127.0.0.1"])
        .run();
    assert_hello(&finished);
    assert_eq!(server.only_request().field("proxy-authorization"), None);
}

#[test]
fn a_challenge_is_answered_once() {
    let challenge = "HTTP/1.1 407 Who\r\nproxy-authenticate: Digest realm=\"r\", nonce=\"n\", \
                     qop=\"auth\", algorithm=SHA-256\r\ncontent-length: 4\r\n\r\nbody";
    let scripts = vec![Script::answers(&[challenge]), Script::answers(&[HELLO])];
    let server = Server::start(scripts);
    let finished = via(&http(&server), PLAIN)
        .args(["-U", "alice:secret", "--proxy-digest"])
        .run();
    assert_hello(&finished);
    let requests: Vec<_> = server.requests().into_iter().flatten().collect();
    assert_eq!(requests[0].field("proxy-authorization"), None);
    let answer = requests[1].field("proxy-authorization").unwrap().to_owned();
    assert!(
        answer.starts_with("Digest username=\"alice\", realm=\"r\""),
        "{answer}"
    );
    assert!(!answer.contains("secret"));

    let server = Server::start(vec![Script::answers(&[challenge])]);
    let finished = via(&http(&server), PLAIN)
        .args(["-U", "alice:secret", "--proxy-digest"])
        .run();
    assert_eq!(finished.code(), 56, "{}", finished.stderr);
    assert_eq!(server.connections(), 2, "asked again once, and no more");
}

#[test]
fn challenges_that_no_message_could_hold_are_left_out() {
    let field = format!("proxy-authenticate: Negotiate {}\r\n", "A".repeat(8000));
    let answer = format!(
        "HTTP/1.1 407 Who\r\n{}content-length: 0\r\n\r\n",
        field.repeat(3)
    );
    let server = Server::start(vec![Script::new().request().send(answer.as_str())]);
    let finished = via(&http(&server), SECURE).run();
    assert_eq!(finished.code(), 56, "{}", finished.stderr);
    assert!(finished.stderr.contains("407"), "{}", finished.stderr);
}

#[test]
fn a_name_that_only_its_addresses_could_allow_is_not_asked_for() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    for url in [
        "http://localhost/",
        "http://10.0.0.1/",
        "http://127.0.0.2/",
        "http://a.test:25/",
    ] {
        let finished = Fetch::plain()
            .args(["--json", "--silent", "--proxy", &http(&server), url])
            .run();
        assert_eq!(finished.code(), 110, "{url}: {}", finished.stderr);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_proxy_may_be_on_this_machine_though_no_target_may() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let finished = Fetch::plain()
        .args(["--json", "--silent", "--proxy", &http(&server)])
        .arg(PLAIN)
        .run();
    assert_hello(&finished);
}

#[test]
fn the_proxy_that_failed_is_named() {
    let finished = via("http://127.0.0.1:1", PLAIN).run();
    assert_eq!(finished.code(), 110, "a blocked port: {}", finished.stderr);
    let nobody = Nobody::here();
    let proxy = format!("http://{}", nobody.address());
    let finished = via(&proxy, PLAIN).arg("--show-error").run();
    assert_eq!(finished.code(), 7);
    assert!(finished.stderr.contains(&proxy), "{}", finished.stderr);
}

#[test]
fn an_https_proxy_is_asked_for_http_inside_its_tls() {
    let ca = TestCa::new();
    let folder = TempDir::new().unwrap();
    let anchors = folder.write("ca.pem", ca.pem()).unwrap();
    let server = Server::start_tls(config(&ca), vec![Script::answers(&[HELLO])]);
    let proxy = format!("https://127.0.0.1:{}", server.port());
    let finished = via(&proxy, PLAIN).arg("--cacert").arg(&anchors).run();
    assert_hello(&finished);
    assert_eq!(server.only_request().target, PLAIN);
    // One that nobody vouches for is told nothing.
    let stranger = config(&TestCa::new());
    let server = Server::start_tls(stranger, vec![Script::answers(&[HELLO])]);
    let proxy = format!("https://127.0.0.1:{}", server.port());
    let finished = via(&proxy, PLAIN).arg("--cacert").arg(&anchors).run();
    assert_eq!(finished.code(), 60, "{}", finished.stderr);
    assert!(server.requests().concat().is_empty());
}

#[test]
fn tls_runs_inside_tls_to_an_https_proxy() {
    let squid = RealProxy::start(Kind::Squid).unwrap();
    let (outer, inner) = (TestCa::new(), TestCa::new());
    let folder = TempDir::new().unwrap();
    let both = folder
        .write("both.pem", [outer.pem(), inner.pem()].concat())
        .unwrap();
    let proxys = folder.write("outer.pem", outer.pem()).unwrap();
    let secure = Server::start_tls(config(&inner), vec![Script::answers(&[HELLO])]);
    let fetch = |front: &TlsFront, anchors: &Path| {
        let fetch = via(&front.url(), &secure.url("/in-both"));
        fetch.arg("--cacert").arg(anchors).run()
    };
    let front = TlsFront::start(config(&outer), squid.address());
    assert_hello(&fetch(&front, &both));
    assert_eq!(secure.only_request().target, "/in-both", "origin-form");
    // The proxy saw the head of its own request, and records.
    let heard = front.heard();
    let end = heard.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let asked = format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", secure.port());
    assert!(heard.starts_with(asked.as_bytes()));
    assert_eq!(heard[end + 4..][..2], [22, 3], "a handshake");
    assert!(!heard.windows(7).any(|it| it == b"in-both"));
    // Each of the two is verified by itself: one is not the other's word.
    let front = TlsFront::start(config(&outer), squid.address());
    let finished = fetch(&front, &proxys);
    assert_eq!(finished.code(), 60, "{}", finished.stderr);
    assert!(front.heard().starts_with(asked.as_bytes()));
    let front = TlsFront::start(config(&TestCa::new()), squid.address());
    assert_eq!(fetch(&front, &both).code(), 60);
    assert!(front.heard().is_empty());
    assert_eq!(secure.requests().concat().len(), 1);
}

/// An origin with a certificate, and what to trust it by.
fn secure_origin() -> (Server, TempDir) {
    let ca = TestCa::new();
    let folder = TempDir::new().unwrap();
    folder.write("ca.pem", ca.pem()).unwrap();
    (
        Server::start_tls(config(&ca), vec![Script::answers(&[HELLO, HELLO])]),
        folder,
    )
}

#[test]
fn squid_leads_to_http_and_to_https_and_is_told_by_digest_who_asks() {
    for (kind, arguments) in [
        (Kind::Squid, &[][..]),
        (
            Kind::SquidDigest,
            &["-U", "alice:secret", "--proxy-digest"][..],
        ),
    ] {
        let running = RealProxy::start(kind).unwrap();
        let proxy = format!("http://{}", running.address());
        let plain = Server::start(vec![Script::answers(&[HELLO])]);
        assert_hello(&via(&proxy, &plain.url("/")).args(arguments).run());
        let (secure, folder) = secure_origin();
        let finished = via(&proxy, &secure.url("/1"))
            .arg(secure.url("/2"))
            .args(arguments)
            .arg("--cacert")
            .arg(folder.join("ca.pem"))
            .run();
        assert_eq!(finished.content(), b"hellohello", "{}", finished.stderr);
        assert_eq!(secure.connections(), 1, "the tunnel is kept");
    }
    let proxy = RealProxy::start(Kind::SquidDigest).unwrap();
    let (secure, _folder) = secure_origin();
    let wrong = via(&format!("http://{}", proxy.address()), &secure.url("/"))
        .args(["-U", "alice:wrong", "--proxy-digest"])
        .run();
    assert_eq!(wrong.code(), 56, "{}", wrong.stderr);
    assert_eq!(secure.connections(), 0);
}

#[test]
fn tinyproxy_is_told_by_basic_who_asks() {
    let proxy = RealProxy::start(Kind::Tinyproxy).unwrap();
    let (secure, folder) = secure_origin();
    let fetch = |user: &str| {
        via(
            &format!("http://{user}127.0.0.1:{}", proxy.address().port()),
            &secure.url("/"),
        )
        .arg("--cacert")
        .arg(folder.join("ca.pem"))
        .run()
    };
    assert_eq!(fetch("").code(), 56);
    assert_eq!(secure.connections(), 0);
    assert_hello(&fetch("alice:secret@"));
}

#[test]
fn dante_leads_on_in_every_version_of_socks() {
    let proxy = RealProxy::start(Kind::Dante).unwrap();
    for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
        let (secure, folder) = secure_origin();
        let finished = via(&format!("{scheme}://{}", proxy.address()), &secure.url("/"))
            .arg("--cacert")
            .arg(folder.join("ca.pem"))
            .run();
        assert_hello(&finished);
    }
    // A chain: SOCKS to an HTTP proxy to the origin.
    let squid = RealProxy::start(Kind::Squid).unwrap();
    let (secure, folder) = secure_origin();
    let finished = via(&format!("http://{}", squid.address()), &secure.url("/"))
        .args(["--preproxy", &format!("socks5h://{}", proxy.address())])
        .arg("--cacert")
        .arg(folder.join("ca.pem"))
        .run();
    assert_hello(&finished);
}
