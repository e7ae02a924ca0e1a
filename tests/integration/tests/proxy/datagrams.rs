//! Clients that send datagrams: where they get them, and when that ends.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Command;

use fumehood_tests::fetch::Fetch;
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use rustix::process::Signal;
use serde_json::Value;

use crate::association::{
    ALL, ASSOCIATE, Association, Echo, allowing, asked, header_by_name, socket_at,
};
use crate::support::{PATIENCE, Proxy};

const GREETING: &[u8] = b"\x05\x01\x00";

/// A name of this machine stands for two addresses, and the servers have one.
const NOT_BY_THE_SIXTH: &str = "deny = [{ hosts = [\"[::1]\"] }]";

#[test]
fn datagrams_go_there_and_come_back() {
    let (echo, sixth) = (Echo::start(), Echo::at("[::1]:0"));
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &[]);
    let association = Association::open(&proxy);
    // One of nothing is one, too.
    let large = vec![b'x'; 65_507 - 10];
    for payload in [&b"hello"[..], b"", b"again", &large] {
        association.ask(&echo, payload);
    }
    association.ask(&sixth, b"by the sixth");
    drop(association);
    let log = proxy.log(3);
    for record in &log {
        assert_eq!(record["outcome"], "tunnelled", "{record}");
        assert_eq!(
            (&record["protocol"], &record["status"]),
            (&"socks5".into(), &200.into())
        );
    }
    let of_address = |record: &&Value| record["target"] == echo.address.to_string();
    let first = log.iter().find(of_address).unwrap();
    assert_eq!(first["method"], "UDP");
    assert_eq!(first["server"], "127.0.0.1");
    let bytes = 5 + 5 + large.len();
    assert_eq!(
        (&first["received"], &first["sent"]),
        (&bytes.into(), &bytes.into())
    );
    let last = log.last().unwrap();
    assert_eq!(
        (&last["method"], &last["target"]),
        (&"ASSOCIATE".into(), &"0.0.0.0:0".into())
    );
}

/// A name is resolved there, what must not be dialled is left out, and who answers
/// is told by its address.
#[test]
fn they_go_to_names() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let proxy = allowing(&format!("{ALL}\n{NOT_BY_THE_SIXTH}"), &folder, &[]);
    let association = Association::open(&proxy);
    let header = header_by_name("localhost", echo.address.port());
    association.say(&[&header, &b"by name"[..]].concat());
    assert_eq!(association.hear(), (echo.address, b"by name".to_vec()));
    // Several wait while a socket is made, and none is lost that may wait.
    let header = header_by_name("a.localhost", echo.address.port());
    for number in 0..4 {
        association.say(&[&header[..], &[number]].concat());
    }
    for number in 0..4 {
        assert_eq!(association.hear(), (echo.address, vec![number]));
    }
    drop(association);
    let log = proxy.log(3);
    let named = |it: &Value| it["target"] == format!("localhost:{}", echo.address.port());
    let record = log.iter().find(|it| named(it)).unwrap();
    assert_eq!(record["server"], "127.0.0.1");
}

#[test]
fn they_are_off_unless_a_rule_names_them() {
    let folder = TempDir::new().unwrap();
    let others = "allow = [{ schemes = [\"udp\"], clients = [\"others\"] }]";
    for rules in [
        "",
        "allow = [{ hosts = [\"*\"] }]",
        "mode = \"report\"",
        others,
    ] {
        let proxy = allowing(rules, &folder, &["--client", "mine"]);
        let (mut control, code, _) = asked(&proxy, GREETING, ASSOCIATE);
        assert_eq!(code, 2, "{rules}");
        assert!(control.is_ended());
        let record = &proxy.log(1)[0];
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&"denied".into(), &"udp-not-allowed".into()),
            "{rules}"
        );
        assert_eq!(
            (&record["method"], &record["user"]),
            (&"ASSOCIATE".into(), &"mine".into())
        );
    }
}

#[test]
fn there_are_none_where_they_cannot_be_received_or_led() {
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &["--upstream", "http://127.0.0.1:9"]);
    let (mut control, code, _) = asked(&proxy, GREETING, ASSOCIATE);
    assert_eq!(code, 7);
    assert!(control.is_ended());
    let record = &proxy.log(1)[0];
    assert_eq!(
        (&record["status"], &record["reason"]),
        (&501.into(), &"http_request_denied".into())
    );

    let config = folder.join("config.toml");
    let path = folder.join("in/proxy.sock");
    let at = format!("unix:{}", path.display());
    let _proxy = Proxy::at(&at, &["--config", config.to_str().unwrap()]);
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut client, &[GREETING, ASSOCIATE].concat()).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0");
}

#[test]
fn what_a_user_may_is_its_own() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let users = crate::identity::users(&folder);
    let rule = "allow = [{ schemes = [\"udp\"], clients = [\"ann\"] }]";
    let proxy = allowing(rule, &folder, &["--auth-file", users.to_str().unwrap()]);
    let ann = Association::by(&proxy, crate::identity::ANN_SOCKS);
    ann.ask(&echo, b"hello");
    let (_control, code, _) = asked(&proxy, crate::identity::BOB_SOCKS, ASSOCIATE);
    assert_eq!(code, 2);
    drop(ann);
    let log = proxy.log(3);
    // Who was told first is not who is logged first.
    let mut users: Vec<_> = log.iter().map(|it| it["user"].as_str()).collect();
    users.sort_unstable();
    assert_eq!(users, [Some("ann"), Some("ann"), Some("bob")]);
}

/// What a client of an association has when its connection ends: nothing.
#[test]
fn it_ends_with_its_connection() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &[]);
    for says_something in [false, true] {
        let Association {
            mut control,
            socket,
            relay,
        } = {
            let it = Association::open(&proxy);
            it.ask(&echo, b"hello");
            it
        };
        if says_something {
            control.say("x");
            assert!(control.is_ended());
        }
        drop((control, socket));
        // Its port is anybody's again.
        assert!(wait_for(PATIENCE, || std::net::UdpSocket::bind(relay).ok()).is_some());
    }
    // One that never sent anything, too.
    let Association { control, relay, .. } = Association::open(&proxy);
    drop(control);
    assert!(wait_for(PATIENCE, || std::net::UdpSocket::bind(relay).ok()).is_some());
}

#[test]
fn it_ends_when_it_is_silent_for_too_long() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &["--tunnel-timeout", "0.3"]);
    let mut used = Association::open(&proxy);
    used.ask(&echo, b"hello");
    assert!(used.is_ended());
    assert!(Association::open(&proxy).is_ended(), "nothing was sent");
}

#[test]
fn it_ends_with_the_proxy_and_with_the_engine() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let mut proxy = allowing(ALL, &folder, &["--drain", "3600"]);
    let mut first = Association::open(&proxy);
    first.ask(&echo, b"hello");
    let engine = proxy.engine(None);
    engine.kill().unwrap();
    assert!(first.is_ended());
    proxy.engine(Some(engine.pid));
    let mut next = Association::open(&proxy);
    next.ask(&echo, b"of the next");
    let mut silent = Association::open(&proxy);
    proxy.signal(Signal::TERM);
    assert!(next.is_ended() && silent.is_ended());
    assert_eq!(proxy.ended().code(), Some(0));
    let log = proxy.log(3);
    assert!(log.iter().all(|it| it["outcome"] == "tunnelled"), "{log:?}");
}

#[test]
fn another_policy_holds_for_what_is_sent_next() {
    let (echo, other) = (Echo::start(), Echo::start());
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &[]);
    let mut association = Association::open(&proxy);
    association.ask(&echo, b"before");
    let put = |rules: &str| {
        let private = "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n";
        let next = folder.write("next", format!("{private}{rules}\n")).unwrap();
        std::fs::rename(next, folder.join("config.toml")).unwrap();
    };
    let port = echo.address.port();
    put(&format!("{ALL}\ndeny = [{{ ports = [{port}] }}]"));
    // It is denied from some moment on, and the association goes on.
    let mut round = 0_u32;
    let denied = wait_for(PATIENCE, || {
        association.send(echo.address, b"perhaps");
        round += 1;
        association.ask_until_answered(&other, &round.to_be_bytes());
        let log = std::fs::read_to_string(proxy.log_file()).unwrap();
        log.contains("denied-by-rule").then_some(())
    });
    assert!(denied.is_some());
    let before = echo.heard().len();
    association.send(echo.address, b"no more");
    association.ask_until_answered(&other, b"past it");
    assert_eq!(echo.heard().len(), before);
    // Where nothing is allowed any more it ends.
    put("");
    association
        .control
        .socket
        .get_ref()
        .set_nonblocking(true)
        .unwrap();
    let ended = wait_for(PATIENCE, || {
        // Its port may be closed already.
        let _refused = association.socket.send_to(b"x", association.relay);
        let read = association.control.socket.read(&mut [0]);
        matches!(read, Ok(0)).then_some(())
    });
    assert!(ended.is_some());
}

#[test]
fn what_would_become_of_one_is_explained() {
    let folder = TempDir::new().unwrap();
    let text = "[policy]\nallow = [\n  { schemes = [\"http\", \"https\"] },\n  { schemes = [\"udp\"], ports = [3478] },\n]\n";
    let file = folder.write("config.toml", text).unwrap();
    let explained = |url: &str| {
        let asked = Fetch::command("policy").args(["explain", "--json", "--config"]);
        let done = asked.arg(&file).arg(url).run();
        let line: Value = serde_json::from_slice(&done.stdout).unwrap();
        (done.code(), line)
    };
    let (code, line) = explained("udp://192.0.2.1:3478");
    assert_ne!(code, 0, "a documentation address is no place: {line}");
    let (code, line) = explained("udp://1.1.1.1:3478");
    assert_eq!((code, &line["verdict"]), (0, &"allowed".into()), "{line}");
    assert!(
        line["ground"].as_str().unwrap().ends_with("config.toml:4"),
        "{line}"
    );
    let (code, line) = explained("udp://1.1.1.1:3479");
    assert_ne!(code, 0);
    assert_eq!(
        (&line["verdict"], &line["reason"], &line["scheme"]),
        (&"denied".into(), &"udp-not-allowed".into(), &"udp".into())
    );
    assert!(
        line["remedy"]
            .as_str()
            .unwrap()
            .contains("schemes = [\"udp\"]")
    );
    let (_, line) = explained("udp://1.1.1.1");
    assert_eq!(line["verdict"], "refused");
}

/// PySocks, as the distribution has it.
#[test]
fn a_client_that_others_wrote_is_served() {
    const SCRIPT: &str = "
import socks, sys
proxy, port, host, to = sys.argv[1:]
socket = socks.socksocket(socks.socket.AF_INET, socks.socket.SOCK_DGRAM)
socket.set_proxy(socks.SOCKS5, proxy, int(port), rdns=True)
socket.settimeout(30)
socket.bind(('', 0))
for number in range(10):
    socket.sendto(b'question %d' % number, (host, int(to)))
    answer, source = socket.recvfrom(1000)
    print(answer.decode(), source[0], source[1])
";
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let proxy = allowing(&format!("{ALL}\n{NOT_BY_THE_SIXTH}"), &folder, &[]);
    for host in ["127.0.0.1", "localhost"] {
        // The distribution's, for which it has the package.
        let output = Command::new("/usr/bin/python3")
            .args(["-c", SCRIPT])
            .args([
                proxy.address.ip().to_string(),
                proxy.address.port().to_string(),
            ])
            .args([host, &echo.address.port().to_string()])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let SocketAddr::V4(address) = echo.address else {
            panic!("it listens elsewhere")
        };
        let expected: String = (0..10)
            .map(|number| format!("question {number} {} {}\n", address.ip(), address.port()))
            .collect();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    assert_eq!(echo.heard().len(), 20);
}

/// A port that a client names is the one it is held to.
#[test]
fn a_port_may_be_named_before() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &[]);
    let socket = socket_at("127.0.0.1:0");
    let port = socket.local_addr().unwrap().port();
    let named = [&b"\x05\x03\x00\x01\x7f\0\0\x01"[..], &port.to_be_bytes()].concat();
    // Behind a translator, whose address it does not know.
    let elsewhere = [&b"\x05\x03\x00\x01\x0a\0\0\x01"[..], &1_u16.to_be_bytes()].concat();
    for request in [named, elsewhere] {
        let (control, code, relay) = asked(&proxy, GREETING, &request);
        assert_eq!(code, 0);
        if request[4] == 127 {
            let thief = socket_at("127.0.0.1:0");
            let header = crate::association::header(echo.address);
            thief
                .send_to(&[&header, &b"stolen"[..]].concat(), relay)
                .unwrap();
        }
        let association = Association {
            control,
            socket: socket.try_clone().unwrap(),
            relay,
        };
        association.ask(&echo, b"mine");
    }
    assert_eq!(echo.heard(), [b"mine".to_vec(), b"mine".to_vec()]);
}
