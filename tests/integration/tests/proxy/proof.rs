//! Upstream proxies that want proof of who asks, for the clients of ours: hostile
//! ones, then the distribution's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::peers::{Kind, RealProxy};
use fumehood_tests::temp::TempDir;

use crate::support::{HELLO, Proxy, Reply};

const PLAIN: &str = "GET http://origin.test/path HTTP/1.1\r\nhost: x\r\n\r\n";
const TUNNEL: &str = "CONNECT origin.test:443 HTTP/1.1\r\nhost: x\r\n\r\n";
const POST: &str = "POST http://origin.test/path HTTP/1.1\r\nhost: x\r\n\
                    content-length: 7\r\n\r\ncontent";

pub(crate) fn challenge(nonce: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=\"r\"\r\n\
         proxy-authenticate: Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\", \
         algorithm=SHA-256{more}\r\ncontent-length: 4\r\n\r\nbody"
    )
}

/// One that goes through this server, and proves that it is alice.
fn through(server: &Server) -> Proxy {
    let upstream = format!("http://alice:secret@127.0.0.1:{}", server.port());
    Proxy::strict(&["--upstream", &upstream, "--proxy-digest"])
}

/// What each request proved: method, nonce and count.
fn proofs(server: &Server) -> Vec<(String, String, String)> {
    let parameter = |text: &str, name: &str| {
        let (_, rest) = text.split_once(name).unwrap_or_default();
        rest.split([',', '"']).next().unwrap_or_default().to_owned()
    };
    let all = server.requests().concat();
    let proof = |it: &fumehood_tests::hostile::Request| {
        let text = it.field("proxy-authorization").unwrap_or_default();
        assert!(!text.contains("secret") && !text.starts_with("Basic"));
        let (nonce, count) = (parameter(text, " nonce=\""), parameter(text, " nc="));
        (it.method.clone(), nonce, count)
    };
    all.iter().map(proof).collect()
}

fn proof(method: &str, nonce: &str, count: &str) -> (String, String, String) {
    (method.to_owned(), nonce.to_owned(), count.to_owned())
}

#[test]
fn a_challenge_is_answered_for_the_client_and_remembered() {
    let (one, other) = (challenge("one", ""), challenge("two", ", stale=true"));
    let server = Server::start(vec![
        Script::answers(&[&one]),
        Script::answers(&[HELLO, &other]),
        Script::answers(&[HELLO]),
    ]);
    let proxy = through(&server);
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.say(PLAIN);
        let reply = client.reply().unwrap();
        assert_eq!(reply.content, b"hello", "{}", reply.head);
    }
    assert_eq!(
        proofs(&server),
        [
            proof("GET", "", ""),
            proof("GET", "one", "00000001"),
            proof("GET", "one", "00000002"),
            proof("GET", "two", "00000001"),
        ]
    );
}

#[test]
fn a_tunnel_is_asked_for_again_with_proof() {
    let one = challenge("one", "");
    let stands = "HTTP/1.1 200 OK\r\n\r\n";
    let server = Server::start(vec![
        Script::answers(&[&one]),
        Script::answers(&[stands]),
        Script::answers(&[stands]),
    ]);
    let proxy = through(&server);
    for _ in 0..2 {
        assert_eq!(proxy.ask(TUNNEL).status, 200);
    }
    assert_eq!(
        proofs(&server),
        [
            proof("CONNECT", "", ""),
            proof("CONNECT", "one", "00000001"),
            proof("CONNECT", "one", "00000002"),
        ]
    );
}

#[test]
fn content_is_not_sent_to_a_proxy_that_would_not_take_it() {
    let (one, other) = (challenge("one", ""), challenge("two", ", stale=true"));
    let server = Server::start(vec![
        Script::answers(&[&one]),
        Script::answers(&[HELLO, &other]),
        Script::answers(&[HELLO]),
    ]);
    let proxy = through(&server);
    let mut client = proxy.connect();
    let mut post = || {
        client.say(POST);
        client.reply().unwrap()
    };
    assert_eq!(post().content, b"hello");
    // It is gone, and the client is told to send it again.
    let spent = post();
    assert_eq!(spent.status, 502, "{}", spent.head);
    let told = String::from_utf8_lossy(&spent.content).into_owned();
    assert!(told.contains("send it again"), "{told}");
    assert_eq!(post().content, b"hello");
    assert_eq!(
        proofs(&server),
        [
            proof("OPTIONS", "", ""),
            proof("POST", "one", "00000001"),
            proof("POST", "one", "00000002"),
            proof("POST", "two", "00000001"),
        ]
    );
}

#[test]
fn a_proxy_that_does_not_know_the_password_is_not_told_it_again() {
    let (one, other) = (challenge("one", ""), challenge("two", ""));
    for ask in [PLAIN, TUNNEL, POST] {
        let scripts = vec![Script::answers(&[&one]), Script::answers(&[&other])];
        let server = Server::start(scripts);
        let reply: Reply = through(&server).ask(ask);
        assert_eq!(reply.status, 502, "{ask}");
        assert!(!reply.head.contains("proxy-authenticate"), "{}", reply.head);
        assert_eq!(server.connections(), 2, "{ask}");
    }
    // One whose every challenge is stale is not asked for ever.
    let stale = challenge("one", ", stale=true");
    let server = Server::start(vec![Script::answers(&[&stale])]);
    assert_eq!(through(&server).ask(PLAIN).status, 502);
    assert_eq!(server.connections(), 4);
}

#[test]
fn nothing_is_proven_where_nothing_can_be() {
    for challenge in [
        challenge("one", "").replace("SHA-256", "SHA-1"),
        "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=x\r\n\
         content-length: 0\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ] {
        let server = Server::start(vec![Script::answers(&[&challenge])]);
        assert_eq!(through(&server).ask(PLAIN).status, 502, "{challenge}");
        assert_eq!(proofs(&server), [proof("GET", "", "")], "{challenge}");
    }
}

#[test]
fn squid_is_proven_who_asks() {
    let squid = RealProxy::start(Kind::SquidDigest).unwrap();
    let upstream = |user: &str| format!("http://{user}@{}", squid.address());
    let alice = upstream("alice:secret");
    let proxy = Proxy::start(&["--upstream", &alice, "--proxy-digest"]);
    let origin = Server::start(vec![Script::answers(&[HELLO]); 16]);
    for arguments in [
        &["--data", "content"][..],
        &[],
        &["--proxytunnel"],
        &["--data", "content"],
        &[
            "--header",
            "transfer-encoding: chunked",
            "--data",
            "content",
        ],
        &["--proxytunnel", "--data", "content"],
    ] {
        let url = origin.url("/x");
        let said = proxy.curl(&[arguments, &[&*url]].concat());
        assert_eq!(said, "hello", "{arguments:?}");
    }
    let before = origin.connections();
    let wrong = upstream("alice:wrong");
    let proxy = Proxy::start(&["--upstream", &wrong, "--proxy-digest"]);
    let url = origin.url("/x");
    let get = format!("GET {url} HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(proxy.ask(get).status, 502);
    assert_eq!(origin.connections(), before);
}

/// Says `first`, and `third` to `second`.
const PROGRAM: &str = "#!/bin/sh
while read -r line; do
  case \"$line\" in
    YR) echo 'YR Zmlyc3Q=' ;;
    'TT c2Vjb25k') echo 'KK dGhpcmQ=' ;;
    *) echo 'AF' ;;
  esac
done
";

/// The program, in a folder that lives as long as it is needed.
fn program(text: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let program = folder.write("program", text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = program.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn no_client_is_served_on_a_connection_that_learned_for_another() {
    let second = "HTTP/1.1 407 Who\r\nproxy-authenticate: Negotiate c2Vjb25k\r\n\
                  content-length: 0\r\n\r\n";
    let known = "HTTP/1.1 204 Known\r\n\r\n";
    let script = Script::answers(&[second, known, HELLO, HELLO]);
    let server = Server::start(vec![script]);
    let (_folder, program) = program(PROGRAM);
    let upstream = server.url("");
    let arguments = ["--upstream", &upstream, "--proxy-auth-program", &program];
    let proxy = Proxy::strict(&arguments);
    let mut clients = [proxy.connect(), proxy.connect()];
    for _ in 0..2 {
        for client in &mut clients {
            client.say(PLAIN);
            let reply = client.reply().unwrap();
            assert_eq!(reply.content, b"hello", "{}", reply.head);
        }
    }
    let connections = server.requests();
    assert_eq!(connections.len(), 2);
    for requests in &connections {
        let told: Vec<_> = requests
            .iter()
            .map(|it| (&*it.method, it.field("proxy-authorization")))
            .collect();
        assert_eq!(
            told,
            [
                ("OPTIONS", Some("Negotiate Zmlyc3Q=")),
                ("OPTIONS", Some("Negotiate dGhpcmQ=")),
                ("GET", None),
                ("GET", None),
            ]
        );
        // By that a circle ends, whatever goes around in it.
        for request in requests {
            assert_eq!(request.field("via"), Some("1.1 fumehood"));
        }
    }
}

#[test]
fn what_is_said_for_want_of_a_token_is_not_for_clients() {
    let server = Server::start(vec![Script::new().then_stall()]);
    let (_folder, program) = program("#!/bin/sh\nread -r line\necho 'BH alice has no ticket'\n");
    let upstream = server.url("");
    let arguments = ["--upstream", &upstream, "--proxy-auth-program", &program];
    let proxy = Proxy::strict(&arguments);
    for ask in [PLAIN, TUNNEL] {
        let reply = proxy.ask(ask);
        assert_eq!(reply.status, 502, "{ask}");
        let told = reply.head + &String::from_utf8_lossy(&reply.content);
        assert!(told.contains("is not told who asks"), "{told}");
        assert!(
            !told.contains("alice") && !told.contains(&program),
            "{told}"
        );
    }
    assert!(server.requests().concat().is_empty());
}

#[test]
fn squid_learns_by_tokens_who_asks_once_a_connection() {
    let (_folder, program) = program(PROGRAM);
    for (kind, scheme) in [
        (Kind::SquidNegotiate, "--proxy-negotiate"),
        (Kind::SquidNtlm, "--proxy-ntlm"),
    ] {
        let squid = RealProxy::start(kind).unwrap();
        let upstream = format!("http://{}", squid.address());
        let arguments = [
            "--upstream",
            &upstream,
            scheme,
            "--proxy-auth-program",
            &program,
        ];
        let proxy = Proxy::start(&arguments);
        let origin = Server::start(vec![Script::answers(&[HELLO, HELLO, HELLO]); 16]);
        let url = origin.url("/x");
        let said = proxy.curl(&["--data", "content", &url, "--next", &url]);
        assert_eq!(said, "hellohello");
        let said = proxy.curl(&["--proxytunnel", &url]);
        assert_eq!(said, "hello");
        for request in origin.requests().concat() {
            assert_eq!(request.field("proxy-authorization"), None);
        }
    }
}
