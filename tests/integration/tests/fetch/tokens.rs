//! Proxies that learn who asks by tokens, on a connection of their own: hostile ones,
//! then the distribution's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Canary, Script, Server};
use fumehood_tests::peers::{Kind, RealProxy};
use fumehood_tests::temp::TempDir;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// `second`, in base64.
const SECOND: &str = "HTTP/1.1 407 Who\r\nproxy-authenticate: Negotiate c2Vjb25k\r\n\
                      content-length: 4\r\n\r\nbody";

/// The proxy is satisfied, and says `last` for its own part.
const LAST: &str = "HTTP/1.1 204 Known\r\nproxy-authenticate: Negotiate bGFzdA==\r\n\r\n";

const PLAIN: &str = "http://origin.test/path?q";
const SECURE: &str = "https://origin.test/path?q";

/// Says `first`, and `third` to `second`, and wants `last` where anything is said
/// then; every line that it is told is kept.
const PROGRAM: &str = r#"#!/bin/sh
echo "$FUMEHOOD_AUTH_SCHEME $FUMEHOOD_AUTH_HOST" >> "$0.told"
while read -r line; do
  echo "$line" >> "$0.told"
  case "$line" in
    YR) echo 'YR Zmlyc3Q=' ;;
    'TT c2Vjb25k') echo 'KK dGhpcmQ=' ;;
    'TT bGFzdA==') echo AF ;;
    *) echo 'BH what is that' ;;
  esac
done
"#;

/// A program that makes tokens.
struct Program {
    path: PathBuf,
    _folder: TempDir,
}

impl Program {
    fn new(text: &str) -> Program {
        let folder = TempDir::new().unwrap();
        let path = folder.write("program", text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program {
            path,
            _folder: folder,
        }
    }

    /// What it was told, a line each.
    fn told(&self) -> Vec<String> {
        let told = fs::read_to_string(self.path.with_extension("told")).unwrap();
        told.lines().map(str::to_owned).collect()
    }

    fn via(&self, proxy: &str, url: &str) -> Fetch {
        Fetch::new(url)
            .args(["--proxy", proxy, "--max-time", "20"])
            .arg("--proxy-auth-program")
            .arg(&self.path)
    }
}

fn http(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

fn assert_hello(finished: &Finished) {
    assert_eq!(finished.content(), b"hello", "{}", finished.stderr);
}

#[test]
fn a_proxy_that_is_asked_itself_learns_who_asks_before_anything_is_sent() {
    let program = Program::new(PROGRAM);
    let server = Server::start(vec![Script::answers(&[SECOND, LAST, HELLO])]);
    let fetch = program.via(&http(&server), PLAIN);
    assert_hello(&fetch.args(["--data", "content"]).run());
    let requests = server.requests();
    let [asked] = &requests[..] else {
        panic!("the connection is the one that it learned on: {requests:?}");
    };
    let said: Vec<_> = asked
        .iter()
        .map(|it| (&*it.method, &*it.target, it.field("proxy-authorization")))
        .collect();
    assert_eq!(
        said,
        [
            ("OPTIONS", "http://origin.test/", Some("Negotiate Zmlyc3Q=")),
            ("OPTIONS", "http://origin.test/", Some("Negotiate dGhpcmQ=")),
            ("POST", PLAIN, None),
        ]
    );
    assert_eq!(asked[0].field("content-length"), None);
    let told = program.told();
    assert_eq!(
        told,
        ["Negotiate 127.0.0.1", "YR", "TT c2Vjb25k", "TT bGFzdA=="]
    );
}

#[test]
fn what_is_not_a_handshake_ends_in_words_and_nothing_is_sent() {
    let known = "HTTP/1.1 407 Who\r\nproxy-authenticate: Negotiate\r\ncontent-length: 0\r\n\r\n";
    let other =
        "HTTP/1.1 407 Who\r\nproxy-authenticate: NTLM c2Vjb25k\r\ncontent-length: 0\r\n\r\n";
    let closes = SECOND.replace("content-length", "connection: close\r\ncontent-length");
    let malformed = SECOND.replace("c2Vjb25k", "c2.Vj~");
    let foreign = SECOND.replace("c2Vjb25k", "ZXZpbA==");
    let unmutual = "HTTP/1.1 204 Known\r\nproxy-authenticate: Negotiate ZXZpbA==\r\n\r\n";
    let endless = SECOND.replace(
        "content-length: 4\r\n\r\nbody",
        "transfer-encoding: chunked\r\n\r\n",
    );
    for (answers, word) in [
        (vec![known], "407, by negotiate"),
        (vec![other], "407, by ntlm"),
        (vec![&closes], "does not keep the connection"),
        (vec![&malformed], "not base64"),
        (vec![&foreign], "what is that"),
        (vec![SECOND, known], "407"),
        (vec![SECOND, unmutual], "what is that"),
        (vec![SECOND; 8], "more than 8 tokens"),
    ] {
        let program = Program::new(PROGRAM);
        for url in [PLAIN, SECURE] {
            let server = Server::start(vec![Script::answers(&answers)]);
            let finished = program.via(&http(&server), url).arg("--show-error").run();
            let told = (&answers, &finished.stderr);
            assert_eq!(finished.code(), 94, "{told:?}");
            assert!(finished.stderr.to_lowercase().contains(word), "{told:?}");
            assert_eq!(server.connections(), 1, "{told:?}");
        }
    }
    let program = Program::new(PROGRAM);
    let chunks = Script::new()
        .request()
        .send(endless)
        .repeat(format!("4000\r\n{}\r\n", "x".repeat(0x4000)), 64)
        .then_stall();
    let server = Server::start(vec![chunks]);
    let finished = program.via(&http(&server), PLAIN).run();
    assert_eq!(finished.code(), 94, "{}", finished.stderr);
}

#[test]
fn a_program_that_makes_no_token_is_told_of() {
    for (text, word) in [
        (
            "#!/bin/sh\necho 'BH no ticket was found'\nread x\nread x\n",
            "no ticket was found",
        ),
        ("#!/bin/sh\n", "ended without an answer"),
        ("#!/bin/sh\necho hello\nread x\nread x\n", "none of YR, TT"),
        ("#!/bin/sh\necho 'YR !'\nread x\nread x\n", "not base64"),
        (
            "#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' A\nread x\nread x\n",
            "none of YR, TT",
        ),
        ("#!/dev/null/none\n", "Not a directory"),
    ] {
        let server = Server::start(vec![Script::new().then_stall()]);
        let program = Program::new(text);
        let finished = program.via(&http(&server), PLAIN).arg("--show-error").run();
        assert_eq!(finished.code(), 94, "{text:?}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(word),
            "{text:?}: {}",
            finished.stderr
        );
        assert!(server.requests().concat().is_empty());
    }
    // One that says nothing is not waited for.
    let server = Server::start(vec![Script::new().then_stall()]);
    let program = Program::new("#!/bin/sh\nread x\nread x\n");
    let finished = program
        .via(&http(&server), PLAIN)
        .args(["--connect-timeout", "0.5"])
        .run();
    assert_eq!(finished.code(), 28, "{}", finished.stderr);
}

#[test]
fn a_proxy_that_nobody_named_is_told_nothing() {
    let canary = Canary::start();
    let program = Program::new(PROGRAM);
    let port = canary.port();
    let script = format!("data:,function FindProxyForURL() {{ return 'PROXY 127.0.0.1:{port}'; }}");
    let finished = Fetch::new(PLAIN)
        .args(["--proxy-pac", &script])
        .arg("--proxy-auth-program")
        .arg(&program.path)
        .run();
    assert_eq!(finished.code(), 2, "{}", finished.stderr);
    for wrong in [
        &["--proxy", "socks5://127.0.0.1:9"][..],
        &["--proxy", "http://alice:secret@127.0.0.1:9"],
        &["--proxy", "http://127.0.0.1:9", "-U", "alice:secret"],
        &["--proxy", "http://127.0.0.1:9", "--proxy-digest"],
    ] {
        let finished = Fetch::new(PLAIN)
            .args(wrong)
            .arg("--proxy-auth-program")
            .arg(&program.path)
            .run();
        assert_eq!(finished.code(), 2, "{wrong:?}: {}", finished.stderr);
    }
    canary.assert_alive();
}

#[test]
fn squid_learns_who_asks_by_negotiate_and_by_ntlm() {
    for (kind, scheme) in [
        (Kind::SquidNegotiate, "--proxy-negotiate"),
        (Kind::SquidNtlm, "--proxy-ntlm"),
    ] {
        let squid = RealProxy::start(kind).unwrap();
        let proxy = format!("http://{}", squid.address());
        let program = Program::new(PROGRAM);
        let (plain, target) = origin();
        let finished = program
            .via(&proxy, &target)
            .args([scheme, "--data", "content"])
            .run();
        assert_hello(&finished);
        let asked = plain.requests().concat();
        assert_eq!(asked.last().unwrap().method, "POST");
        assert_eq!(asked.last().unwrap().field("proxy-authorization"), None);

        // A tunnel.
        let (tunnelled, target) = origin();
        let finished = program
            .via(&proxy, &target)
            .args([scheme, "--proxytunnel"])
            .run();
        assert_hello(&finished);
        assert_eq!(tunnelled.only_request().target, "/x");
        let word = scheme.trim_start_matches("--proxy-");
        assert!(program.told()[0].to_lowercase().starts_with(word));

        let wrong = Program::new("#!/bin/sh\necho 'YR d3Jvbmc='\nread x\nread x\n");
        let (closed, target) = origin();
        let finished = wrong.via(&proxy, &target).arg(scheme).run();
        assert_eq!(finished.code(), 94, "{}", finished.stderr);
        assert_eq!(closed.connections(), 0);
    }
}

/// One that takes an OPTIONS before what it is asked for, and where it is.
fn origin() -> (Server, String) {
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO]); 2]);
    let url = server.url("/x");
    (server, url)
}
