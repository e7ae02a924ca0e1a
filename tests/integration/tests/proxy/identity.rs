//! Who a client is: what it has to say for that, and what comes of it.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Canary, Script, Server};
use fumehood_tests::temp::TempDir;
use rustix::process::{Signal, geteuid};

use crate::support::{HELLO, Proxy};

/// `ann:secret` and `bob:hidden`.
const ANN: &str = "proxy-authorization: Basic YW5uOnNlY3JldA==\r\n";
const BOB: &str = "proxy-authorization: Basic Ym9iOmhpZGRlbg==\r\n";

/// The same in SOCKS 5.
pub(crate) const ANN_SOCKS: &[u8] = b"\x05\x01\x02\x01\x03ann\x06secret";
pub(crate) const BOB_SOCKS: &[u8] = b"\x05\x01\x02\x01\x03bob\x06hidden";

/// A file with both, as the command makes its lines.
pub(crate) fn users(folder: &TempDir) -> PathBuf {
    let line = |name: &str, password: &str| {
        let made = Fetch::command("password").arg(name).stdin(password).run();
        assert_eq!(made.code(), 0, "{}", made.stderr);
        String::from_utf8(made.stdout).unwrap()
    };
    let lines = [line("ann", "secret\n"), line("bob", "hidden\n")].concat();
    assert!(
        !lines.contains("secret") && !lines.contains("hidden"),
        "{lines}"
    );
    let file = folder.write("users", lines).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}

/// One that serves both, and denies this to bob.
fn guarded(folder: &TempDir, denied_to_bob: &str) -> Proxy {
    let rules = format!(
        "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n\
         deny = [{{ clients = [\"bob\"]{denied_to_bob} }}]\n"
    );
    let config = folder.write("config.toml", rules).unwrap();
    let users = users(folder);
    Proxy::strict(&[
        "--config",
        config.to_str().unwrap(),
        "--auth-file",
        users.to_str().unwrap(),
    ])
}

#[test]
fn nobody_is_served_who_does_not_say_who_it_is() {
    let canary = Canary::start();
    let folder = TempDir::new().unwrap();
    let proxy = guarded(&folder, "");
    let url = format!("http://127.0.0.1:{}/", canary.port());
    let mut client = proxy.connect();
    let wrong = [
        "",
        // ann:secreT, ann:, :secret, Ann:secret, carl:secret, and no colon.
        "proxy-authorization: Basic YW5uOnNlY3JlVA==\r\n",
        "proxy-authorization: Basic YW5uOg==\r\n",
        "proxy-authorization: Basic OnNlY3JldA==\r\n",
        "proxy-authorization: Basic QW5uOnNlY3JldA==\r\n",
        "proxy-authorization: Basic Y2FybDpzZWNyZXQ=\r\n",
        "proxy-authorization: Basic YW5uc2VjcmV0\r\n",
        "proxy-authorization: Basic YW5uOnNlY3JldA\r\n",
        "proxy-authorization: Bearer YW5uOnNlY3JldA==\r\n",
        "proxy-authorization: Basic YW5uOnNlY3JldA==\r\nproxy-authorization: Basic x\r\n",
        "authorization: Basic YW5uOnNlY3JldA==\r\n",
    ];
    for fields in wrong {
        client.say(format!("GET {url} HTTP/1.1\r\nhost: x\r\n{fields}\r\n"));
        let reply = client.reply().unwrap();
        assert_eq!(reply.status, 407, "{fields}");
        let challenge = "proxy-authenticate: basic realm=\"fumehood\", charset=\"utf-8\"\r\n";
        assert!(reply.head.contains(challenge), "{}", reply.head);
    }
    let port = canary.port();
    client.say(format!(
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: x\r\n\r\n"
    ));
    assert_eq!(client.reply().unwrap().status, 407);
    canary.assert_alive();
    for record in proxy.log(wrong.len() + 1) {
        assert_eq!(record["status"], 407, "{record}");
        assert_eq!(record["user"], serde_json::Value::Null, "{record}");
    }
}

#[test]
fn socks_clients_say_it_too() {
    let folder = TempDir::new().unwrap();
    let proxy = guarded(&folder, "");
    for (said, told) in [
        // Nothing offered but to say nothing.
        (&b"\x05\x01\x00"[..], &b"\x05\xff"[..]),
        (b"\x05\x01\x02\x01\x03ann\x06secreT", b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02\x01\x03ann\x00", b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02\x01\x04carl\x06secret", b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02\x01\x03ann\x07secret\0", b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02\x01\x00", b"\x05\x02"),
        (b"\x05\x01\x02\x05\x03ann\x06secret", b"\x05\x02"),
        // Version 4 has no password.
        (b"\x04\x01\x01\xbb\x7f\0\0\x01ann\0", b"\0\x5b\0\0\0\0\0\0"),
    ] {
        let mut client = proxy.connect();
        client.say(said);
        let mut all = Vec::new();
        client.socket.read_to_end(&mut all).unwrap();
        assert_eq!(all, told, "{said:?}");
    }
    let log = proxy.log(8);
    let of_logins = log.iter().filter(|it| it["status"] == 407).count();
    assert_eq!(of_logins, 6, "{log:?}");
}

#[test]
fn what_a_user_may_is_its_own() {
    let server = Server::start(vec![Script::answers(&[HELLO]); 5]);
    let folder = TempDir::new().unwrap();
    let proxy = guarded(&folder, "");
    let get = |who: &str| format!("GET {} HTTP/1.1\r\nhost: x\r\n{who}\r\n", server.url("/"));
    // One after the other on one connection, each is judged as who it is.
    let mut client = proxy.connect();
    for (who, status) in [(ANN, 200), (BOB, 403), (ANN, 200), ("", 407), (BOB, 403)] {
        client.say(get(who));
        assert_eq!(client.reply().unwrap().status, status, "{who}");
    }
    // Not even a connection to a server passes from one to the other.
    assert_eq!(server.connections(), 2);
    let connect = [
        b"\x05\x01\x00\x01\x7f\0\0\x01".as_slice(),
        &server.port().to_be_bytes(),
    ];
    let mut ann = proxy.connect();
    ann.say([ANN_SOCKS, &connect.concat()].concat());
    assert_eq!(ann.bytes(6), b"\x05\x02\x01\x00\x05\x00");
    let mut bob = proxy.connect();
    bob.say([BOB_SOCKS, &connect.concat()].concat());
    assert_eq!(bob.bytes(6), b"\x05\x02\x01\x00\x05\x02");
    drop((ann, bob));
    let address = proxy.address;
    for scheme in ["http", "socks5h"] {
        let proxied = format!("{scheme}://ann:secret@{address}");
        assert_eq!(
            proxy.curl(&["--proxy", &proxied, &server.url("/")]),
            "hello"
        );
    }
    let log = proxy.log(9);
    let mut users: Vec<_> = log.iter().filter_map(|it| it["user"].as_str()).collect();
    users.sort_unstable();
    assert_eq!(
        users,
        ["ann", "ann", "ann", "ann", "ann", "bob", "bob", "bob"]
    );
    let text = std::fs::read_to_string(proxy.log_file()).unwrap();
    assert!(!text.contains("secret") && !text.contains("YW5u"), "{text}");
}

/// What they said goes no further than the proxy.
#[test]
fn a_server_is_not_told_the_password() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let folder = TempDir::new().unwrap();
    let proxy = guarded(&folder, "");
    let reply = proxy.ask(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n{ANN}a: b\r\n\r\n",
        server.url("/")
    ));
    assert_eq!(reply.status, 200);
    let request = server.only_request();
    assert_eq!(request.field("a"), Some("b"));
    assert_eq!(request.field("proxy-authorization"), None);
}

#[test]
fn users_outlive_the_engine() {
    let server = Server::start(vec![Script::answers(&[HELLO]); 2]);
    let folder = TempDir::new().unwrap();
    let proxy = guarded(&folder, "");
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n{ANN}\r\n", server.url("/"));
    assert_eq!(proxy.ask(&get).content, b"hello");
    let engine = proxy.engine(None);
    engine.kill().unwrap();
    proxy.engine(Some(engine.pid));
    assert_eq!(proxy.ask(&get).content, b"hello");
}

#[test]
fn a_file_of_users_is_for_their_proxy_alone() {
    let folder = TempDir::new().unwrap();
    let file = users(&folder);
    let refused = |text: &str| {
        let done = Fetch::command("proxy")
            .args(["--listen", "127.0.0.1:0", "--auth-file"])
            .arg(&file)
            .run();
        assert_ne!(done.code(), 0);
        assert!(done.stderr.contains(text), "{}", done.stderr);
    };
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    refused("chmod 600");
    std::fs::write(&file, "ann:secret\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    refused("line 1");
    std::fs::write(&file, "# nobody\n").unwrap();
    refused("fumehood password");
    std::fs::remove_file(&file).unwrap();
    refused("users");
    for (password, why) in [
        ("\n", "1 to 255"),
        ("", "1 to 255"),
        (&*"x".repeat(256), "1 to 255"),
    ] {
        let made = Fetch::command("password").arg("ann").stdin(password).run();
        assert_eq!(made.code(), 2);
        assert!(made.stderr.contains(why), "{}", made.stderr);
    }
}

/// A socket for this user alone.
fn at_a_socket(folder: &TempDir, arguments: &[&str]) -> (Proxy, PathBuf) {
    let path = folder.join("in/proxy.sock");
    let at = format!("unix:{}", path.display());
    (Proxy::at(&at, arguments), path)
}

fn asked(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut client = UnixStream::connect(path).unwrap();
    client
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    client.write_all(bytes).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn a_unix_socket_is_its_users() {
    let server = Server::start(vec![Script::answers(&[HELLO]); 2]);
    let folder = TempDir::new().unwrap();
    let (mut proxy, path) = at_a_socket(&folder, &["--allow-private", "127.0.0.1"]);
    let metadata = path.symlink_metadata().unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    let get = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        server.url("/")
    );
    let reply = asked(&path, get.as_bytes());
    assert!(reply.starts_with(b"HTTP/1.1 200") && reply.ends_with(b"hello"));
    let connect = [
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\x01".as_slice(),
        &server.port().to_be_bytes(),
    ];
    let early = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let reply = asked(&path, &[&connect.concat()[..], early].concat());
    assert!(reply.starts_with(b"\x05\x00\x05\x00") && reply.ends_with(b"hello"));
    let user = format!("uid-{}", geteuid().as_raw());
    for record in proxy.log(2) {
        assert_eq!(record["client"], serde_json::Value::Null);
        assert_eq!(record["user"], *user);
    }
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn rules_know_the_user_of_a_unix_socket() {
    let canary = Canary::start();
    let folder = TempDir::new().unwrap();
    let rules = format!(
        "[policy]\nprivate-hosts = [\"127.0.0.1\"]\ndeny = [{{ clients = [\"uid-{}\"] }}]\n",
        geteuid().as_raw()
    );
    let file = folder.write("config.toml", rules).unwrap();
    let (_proxy, path) = at_a_socket(&folder, &["--config", file.to_str().unwrap()]);
    let connect = [
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\x01".as_slice(),
        &canary.port().to_be_bytes(),
    ];
    assert!(asked(&path, &connect.concat()).starts_with(b"\x05\x00\x05\x02"));
    canary.assert_alive();
}

#[test]
fn another_user_cannot_connect_to_a_unix_socket() {
    let folder = TempDir::new().unwrap();
    let (_proxy, path) = at_a_socket(&folder, &[]);
    // Whoever comes as far as to the socket.
    for above in [folder.path(), path.parent().unwrap()] {
        std::fs::set_permissions(above, Permissions::from_mode(0o755)).unwrap();
    }
    let answered = |user: Option<u32>| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "30", "--unix-socket"])
            .arg(&path)
            .args(["--noproxy", "*", "--write-out", "%{http_code}"])
            .args(["--output", "/dev/null", "http://x/"])
            .stdin(Stdio::null());
        if let Some(user) = user {
            curl.uid(user).gid(user);
        }
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    // What is asked for is not for a proxy, which so has an answer.
    assert_eq!(answered(None), "400");
    if geteuid().is_root() {
        // Only root can become somebody else.
        assert_eq!(answered(Some(65534)), "000");
        // It was the mode that kept it out, and nothing else.
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(answered(Some(65534)), "400");
    }
}

#[test]
fn a_socket_takes_nothings_place() {
    let folder = TempDir::new().unwrap();
    let file = folder.write("file", "mine").unwrap();
    let (_proxy, path) = at_a_socket(&folder, &[]);
    for (place, why) in [(&file, "something else"), (&path, "another program")] {
        let done = Fetch::command("proxy")
            .args(["--listen", &format!("unix:{}", place.display())])
            .run();
        assert_eq!(done.code(), 116, "{}", done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}
