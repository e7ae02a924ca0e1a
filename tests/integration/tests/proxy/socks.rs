//! Clients that speak SOCKS: each is judged and led as one of CONNECT is.

use std::io::Read as _;
use std::time::Instant;

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Canary, Nobody, Script, Server};
use fumehood_tests::peers::Unbound;
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use serde_json::Value;

use crate::support::{Client, HELLO, PATIENCE, Proxy};

/// "I have nothing to say of who I am."
const GREETING: &[u8] = b"\x05\x01\x00";

/// CONNECT to something of this type.
fn connect(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, kind];
    bytes.extend_from_slice(address);
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes
}

fn by_name(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    connect(3, &[&[length], name.as_bytes()].concat(), port)
}

/// What is replied to one request, its code; `None` where the connection ends first.
fn replied(proxy: &Proxy, request: &[u8]) -> Option<u8> {
    let mut client = proxy.connect();
    client.say(GREETING);
    assert_eq!(client.bytes(2), [5, 0]);
    client.say(request);
    let mut reply = [0; 10];
    client.socket.read_exact(&mut reply).ok()?;
    assert_eq!((reply[0], &reply[2..]), (5, &[0, 1, 0, 0, 0, 0, 0, 0][..]));
    assert_eq!(client.is_ended(), reply[1] != 0);
    Some(reply[1])
}

#[test]
fn curl_comes_by_every_version() {
    let server = Server::start(vec![Script::answers(&[HELLO; 1]); 6]);
    let proxy = Proxy::start(&["--allow-private", "localhost"]);
    let (address, named) = (server.url("/"), server.url_at("localhost", "/"));
    for (scheme, url) in [
        ("socks5h", &named),
        ("socks5h", &address),
        ("socks5", &address),
        ("socks4a", &named),
        ("socks4a", &address),
        ("socks4", &address),
    ] {
        let proxied = format!("{scheme}://{}", proxy.address);
        let content = proxy.curl(&["--proxy", &proxied, url]);
        assert_eq!(content, "hello", "{scheme} {url}");
    }
    assert_eq!(server.connections(), 6);
    let log = proxy.log(6);
    let first = &log[0];
    assert_eq!(first["protocol"], "socks5");
    assert_eq!(first["method"], "CONNECT");
    assert_eq!(first["target"], format!("localhost:{}", server.port()));
    assert_eq!(first["status"], 200);
    assert_eq!(first["outcome"], "tunnelled");
    assert_eq!(first["server"], "127.0.0.1");
    assert!(first["sent"].as_u64().unwrap() > 5);
    assert_eq!(log[5]["protocol"], "socks4");
}

#[test]
fn what_is_said_early_is_the_tunnels() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&[]);
    let mut client = proxy.connect();
    let request = connect(1, &[127, 0, 0, 1], server.port());
    client.say([GREETING, &request, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"].concat());
    assert_eq!(client.bytes(12)[..4], [5, 0, 5, 0]);
    assert_eq!(client.reply().unwrap().content, b"hello");
}

/// Whatever a host is written as, it is judged as what would be dialled.
#[test]
fn a_denial_is_a_reply_and_a_line_of_the_log() {
    let canary = Canary::start();
    let proxy = Proxy::strict(&[]);
    let port = canary.port();
    let mut mapped = [0; 16];
    mapped[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
    let mut loopback = [0; 16];
    loopback[15] = 1;
    let asked = [
        connect(1, &[127, 0, 0, 1], port),
        connect(1, &[0, 0, 0, 0], port),
        connect(4, &loopback, port),
        connect(4, &mapped, port),
        by_name("127.0.0.1", port),
        by_name("2130706433", port),
        by_name("0x7f.1", port),
        by_name("127.0.0.1.", port),
        by_name("[::ffff:7f00:1]", port),
        by_name("localhost", port),
        by_name("a.localhost", port),
        by_name("a.example", 25),
        by_name("a.example", 0),
    ];
    for request in &asked {
        assert_eq!(replied(&proxy, request), Some(2), "{request:?}");
    }
    canary.assert_alive();
    for record in proxy.log(asked.len()) {
        assert_eq!(record["outcome"], "denied", "{record}");
        assert_eq!(record["status"], 403, "{record}");
        assert_eq!(record["method"], "CONNECT", "{record}");
        assert_eq!(record["protocol"], "socks5", "{record}");
        assert!(!record["target"].as_str().unwrap().is_empty(), "{record}");
    }
}

#[test]
fn rules_for_tunnels_and_clients_hold() {
    let canary = Canary::start();
    let folder = TempDir::new().unwrap();
    for rule in ["methods = [\"CONNECT\"]", "clients = [\"mine\"]"] {
        let rules = format!("[policy]\nprivate-hosts = [\"127.0.0.1\"]\ndeny = [{{ {rule} }}]\n");
        let file = folder.write("config.toml", rules).unwrap();
        let proxy = Proxy::strict(&["--config", file.to_str().unwrap(), "--client", "mine"]);
        let request = connect(1, &[127, 0, 0, 1], canary.port());
        assert_eq!(replied(&proxy, &request), Some(2), "{rule}");
        assert_eq!(proxy.log(1)[0]["user"], "mine");
    }
    canary.assert_alive();
}

#[test]
fn a_name_that_hides_another_is_refused() {
    let canary = Canary::start();
    let proxy = Proxy::start(&[]);
    let port = canary.port();
    let names = [
        format!("127.0.0.1:{port}"),
        format!("127.0.0.1:{port}/"),
        "127.0.0.1/".to_owned(),
        "127.0.0.1#".to_owned(),
        "127.0.0.1?".to_owned(),
        "a@127.0.0.1".to_owned(),
        "127.0.0.1\\".to_owned(),
        "%31%32%37.0.0.1".to_owned(),
        "127.0.0.1%00".to_owned(),
        "[127.0.0.1]".to_owned(),
        "127.0.0.256".to_owned(),
        "[::1%25lo]".to_owned(),
        "..".to_owned(),
        "a".repeat(255),
    ];
    for name in &names {
        assert_eq!(replied(&proxy, &by_name(name, port)), Some(1), "{name}");
    }
    for name in [
        "127.0.0.1 ",
        "127.0.0.1\0",
        "127.0.0.1\n",
        "\u{2460}27.0.0.1",
    ] {
        assert_eq!(replied(&proxy, &by_name(name, port)), Some(1), "{name:?}");
    }
    canary.assert_alive();
    for record in proxy.log(names.len() + 4) {
        assert_eq!(
            (&record["status"], &record["outcome"]),
            (&400.into(), &"failed".into())
        );
    }
}

#[test]
fn a_failure_says_what_failed() {
    let nobody = Nobody::here();
    let port = nobody.port();
    let unbound = Unbound::start().unwrap();
    let servers = unbound.address();
    let folder = TempDir::new().unwrap();
    let text = format!("[dns]\nmode = \"guest\"\nservers = [\"{servers}\"]\n");
    let config = folder.write("config.toml", text).unwrap();
    let proxy = Proxy::start(&["--config", config.to_str().unwrap()]);
    assert_eq!(replied(&proxy, &connect(1, &[127, 0, 0, 1], port)), Some(5));
    // A name that there cannot be (RFC 6761 section 6.4).
    assert_eq!(replied(&proxy, &by_name("fumehood.invalid", 443)), Some(4));
    let log = proxy.log(2);
    assert_eq!(log[0]["reason"], "connection_refused");
    assert_eq!(log[1]["reason"], "dns_error");
    assert!(log.iter().all(|it| it["status"] == 502));
}

#[test]
fn what_is_not_done_is_refused() {
    let proxy = Proxy::start(&[]);
    let answered = |bytes: &[u8]| {
        let mut client = proxy.connect();
        client.say(bytes);
        let mut told = Vec::new();
        client.socket.read_to_end(&mut told).unwrap();
        told
    };
    for (bytes, told) in [
        // BIND, and a command that there is not.
        (
            &b"\x05\x01\x00\x05\x02\x00\x01\x01"[..],
            &b"\x05\0\x05\x07\0\x01\0\0\0\0\0\0"[..],
        ),
        (
            b"\x05\x01\x00\x05\x09\x00\x01\x01",
            b"\x05\0\x05\x07\0\x01\0\0\0\0\0\0",
        ),
        // An address of a type that there is not.
        (
            b"\x05\x01\x00\x05\x01\x00\x09\x01",
            b"\x05\0\x05\x08\0\x01\0\0\0\0\0\0",
        ),
        (
            b"\x05\x01\x00\x05\x01\x00\x03\x00",
            b"\x05\0\x05\x08\0\x01\0\0\0\0\0\0",
        ),
        // No way to say nothing.
        (b"\x05\x01\x02", b"\x05\xff"),
        (b"\x05\x03\x01\x02\x80", b"\x05\xff"),
        // Nothing to offer, and what is no request.
        (b"\x05\x00", b""),
        (b"\x05\x01\x00\x04\x01\x00\x01\x01", b"\x05\0"),
        (b"\x05\x01\x00\x05\x01\x01\x01\x01", b"\x05\0"),
        (b"\x04\x02", b"\0\x5b\0\0\0\0\0\0"),
    ] {
        assert_eq!(answered(bytes), told, "{bytes:?}");
    }
    for record in proxy.log(10) {
        assert_eq!(record["outcome"], "failed", "{record}");
        assert_eq!(record["target"], "", "{record}");
    }
    // What was HTTP once is HTTP to its end.
    let mut client = proxy.connect();
    client.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.reply().unwrap().status, 400);
    client.say([GREETING, b"\r\n\r\n"].concat());
    assert_eq!(client.reply().unwrap().status, 400);
    assert!(client.is_ended());
}

/// Each byte of a conversation may be the last that comes.
#[test]
fn a_client_that_stops_is_waited_for_and_let_go() {
    let proxy = Proxy::start(&["--head-timeout", "0.3"]);
    let begun = Instant::now();
    let whole = [GREETING, &by_name("a.example", 443)].concat();
    let v4 = b"\x04\x01\x01\xbb\0\0\0\x01user\0a.example".as_slice();
    let stops = (1..whole.len()).map(|at| &whole[..at]);
    let mut clients: Vec<Client> = stops
        .chain((1..v4.len()).map(|at| &v4[..at]))
        .map(|bytes| {
            let mut client = proxy.connect();
            client.say(bytes);
            client
        })
        .collect();
    assert!(clients.iter_mut().all(Client::is_ended));
    assert!(begun.elapsed() < PATIENCE);
    for record in proxy.log(clients.len()) {
        assert_eq!(record["status"], 408, "{record}");
    }
    // Those that leave by themselves hold nothing up.
    for at in 1..whole.len() {
        proxy.connect().say(&whole[..at]);
    }
    // A name without end.
    let mut endless = proxy.connect();
    endless.say([b"\x04\x01\x01\xbb\x01\x02\x03\x04", &[b'a'; 4096][..]].concat());
    assert!(endless.is_ended());
}

/// The time is the conversation's, and not that between two bytes of it.
#[test]
fn a_client_that_drips_is_let_go() {
    let proxy = Proxy::start(&["--head-timeout", "2"]);
    let mut client = proxy.connect();
    client.say(GREETING);
    assert_eq!(client.bytes(2), [5, 0]);
    let request = by_name(&"a.".repeat(100), 443);
    assert!(client.drips_until_answered(&request));
    assert!(client.is_ended());
    // Version 4 has a name without a length.
    let mut client = proxy.connect();
    let request = [b"\x04\x01\x01\xbb\x01\x02\x03\x04", &[b'a'; 200][..]].concat();
    assert!(client.drips_until_answered(&request));
    assert!(client.is_ended());
    for record in proxy.log(2) {
        assert_eq!(record["status"], 408, "{record}");
    }
}

/// What a running proxy says of itself.
fn status(socket: &std::path::Path) -> Value {
    let asked = Fetch::command("status")
        .arg("--socket")
        .arg(socket)
        .arg("--json")
        .run();
    serde_json::from_slice(&asked.stdout).unwrap()
}

fn live(socket: &std::path::Path) -> u64 {
    let status = status(socket);
    let modules = status["modules"]["modules"].as_array().unwrap().clone();
    let of = |it: &Value| it["in_use"]["live"].as_u64().unwrap_or(0);
    let served = modules
        .iter()
        .filter(|it| it["name"] == "socks" || it["name"] == "http1");
    served.map(of).sum()
}

/// However it came to be one: by SOCKS, by CONNECT, by an upgrade.
#[test]
fn a_tunnel_has_two_descriptors_and_no_guest() {
    if !rustix::process::geteuid().is_root() {
        // An engine is not dumpable: nobody else may look at its descriptors.
        return;
    }
    const TUNNELS: usize = 20;
    const LOOKS: usize = 5;
    for open in [tunnel, connected, upgraded] {
        let script = Script::new().request().send(SWITCHED).request();
        let server = Server::start(vec![script.then_stall(); TUNNELS]);
        let folder = TempDir::new().unwrap();
        let socket = folder.join("admin.sock");
        let proxy = Proxy::start(&["--admin-socket", socket.to_str().unwrap()]);
        let pid = proxy.engine(None).pid;
        let descriptors = || {
            std::fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .count()
        };
        // The first brings with it what stays. What passes may be there for a look,
        // and not for each of several.
        let mut tunnels = vec![open(&proxy, &server)];
        let idle = || wait_for(PATIENCE, || (live(&socket) == 0).then(descriptors)).unwrap();
        let before = (0..LOOKS).map(|_| idle()).min().unwrap();
        tunnels.extend((1..TUNNELS).map(|_| open(&proxy, &server)));
        let wanted = before + 2 * (TUNNELS - 1);
        let mut after = 0;
        let came = wait_for(PATIENCE, || {
            after = idle();
            (after == wanted).then_some(())
        });
        assert!(came.is_some(), "{after}, and not {wanted}");
    }
}

/// What a server answers that speaks something else from now on.
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";

fn connected(proxy: &Proxy, server: &Server) -> Client {
    let mut client = proxy.connect();
    let port = server.port();
    client.say(format!(
        "CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: x\r\n\r\n"
    ));
    assert!(client.head().unwrap().starts_with("http/1.1 200"));
    client
}

fn upgraded(proxy: &Proxy, server: &Server) -> Client {
    let mut client = proxy.connect();
    client.say(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: k\r\n\r\n",
        server.url("/")
    ));
    assert!(client.head().unwrap().starts_with("http/1.1 101"));
    client
}

fn tunnel(proxy: &Proxy, server: &Server) -> Client {
    let mut client = proxy.connect();
    client.say([GREETING, &connect(1, &[127, 0, 0, 1], server.port())].concat());
    assert_eq!(client.bytes(12)[..4], [5, 0, 5, 0]);
    client
}

/// A guest that ends takes one client with it, and nobody else notices.
#[test]
fn a_guest_that_ends_is_one_clients() {
    // A third fault within a minute would have the version before take its place.
    for faults in [["trap", "hang"], ["memory", "nonsense"]] {
        ends_for_one_client(faults);
    }
}

fn ends_for_one_client(faults: [&str; 2]) {
    let server = Server::start(vec![Script::answers(&[HELLO]); 2]);
    let proxy = Proxy::with_module("socks", "socks-faulty");
    let mut bystander = tunnel(&proxy, &server);
    for fault in faults {
        let request = by_name(&format!("fumehood-fault-{fault}.example"), 443);
        assert_eq!(replied(&proxy, &request), None, "{fault}");
    }
    for record in proxy.log(2) {
        assert_eq!(record["reason"], "proxy_internal_error", "{record}");
        assert_eq!(record["status"], 0, "{record}");
    }
    bystander.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(bystander.reply().unwrap().content, b"hello");
    // Others are served by it as before.
    let mut next = tunnel(&proxy, &server);
    next.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(next.reply().unwrap().content, b"hello");
}
