//! Connections to servers that clients share, those that they must not, and how many
//! there may be.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use rustix::process::Signal;
use serde_json::Value;

use crate::counted::page;
use crate::identity::users;
use crate::support::{Client, HELLO, PATIENCE, Proxy};

/// `ann:secret` and `bob:hidden`.
pub(crate) const ANN: &str = "proxy-authorization: Basic YW5uOnNlY3JldA==\r\n";
pub(crate) const BOB: &str = "proxy-authorization: Basic Ym9iOmhpZGRlbg==\r\n";

pub(crate) const METRICS: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// Answers as many as any test asks, on each connection.
fn patient() -> Server {
    Server::start(vec![Script::answers(&[HELLO; 16]).then_stall()])
}

/// A request, and fields that end with their lines.
pub(crate) fn request(method: &str, url: &str, fields: &str) -> String {
    format!("{method} {url} HTTP/1.1\r\nhost: x\r\n{fields}\r\n")
}

/// Asks on a connection of its own, and waits for its end: what served it is with the
/// others then.
fn ask_once(proxy: &Proxy, method: &str, url: &str, fields: &str) -> String {
    let mut client = proxy.connect();
    let fields = format!("connection: close\r\n{fields}");
    client.say(request(method, url, &fields));
    let reply = client.reply().unwrap();
    assert!(client.is_ended());
    String::from_utf8(reply.content).unwrap()
}

/// Asks on a connection that it keeps.
fn ask(client: &mut Client, url: &str) -> String {
    client.say(request("GET", url, ""));
    String::from_utf8(client.reply().unwrap().content).unwrap()
}

/// Waits until the metrics have this line.
pub(crate) fn told(proxy: &Proxy, line: &str) {
    let at = proxy.metrics.unwrap();
    let found = wait_for(PATIENCE, || {
        page(at).lines().any(|it| it == line).then_some(())
    });
    assert!(found.is_some(), "{line} is not in\n{}", page(at));
}

pub(crate) fn told_idle(proxy: &Proxy, count: usize) {
    told(
        proxy,
        &format!("fumehood_pool_connections{{state=\"idle\"}} {count}"),
    );
}

/// Waits until the server's connections have ended.
fn ended(server: &Server) {
    let ended = wait_for(PATIENCE, || (server.open_connections() == 0).then_some(()));
    assert!(ended.is_some(), "{} are open", server.open_connections());
}

#[test]
fn one_after_another_uses_the_same_connection() {
    let server = patient();
    let proxy = Proxy::start(&METRICS);
    for _ in 0..5 {
        assert_eq!(ask_once(&proxy, "GET", &server.url("/"), ""), "hello");
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests()[0].len(), 5);
    let reused: Vec<Value> = proxy.log(5).iter().map(|it| it["reused"].clone()).collect();
    assert_eq!(reused, [false, true, true, true, true]);
    told_idle(&proxy, 1);
    told(&proxy, "fumehood_pool_connections{state=\"in-use\"} 0");
    told(&proxy, "fumehood_pool_connections_made_total 1");
    told(&proxy, "fumehood_pool_connections_reused_total 4");
}

#[test]
fn who_asks_for_nothing_or_something_else_has_none_to_itself() {
    let (server, other) = (patient(), patient());
    let proxy = Proxy::start(&METRICS);
    let (url, elsewhere) = (server.url("/"), other.url("/"));
    let mut idle = proxy.connect();
    assert_eq!(ask(&mut idle, &url), "hello");
    // It stays, and its connection does not stay with it.
    told_idle(&proxy, 1);
    let mut second = proxy.connect();
    assert_eq!(ask(&mut second, &url), "hello");
    // For another server it needs another, and the first is given away at once.
    assert_eq!(ask(&mut second, &elsewhere), "hello");
    assert_eq!(ask(&mut idle, &url), "hello");
    assert_eq!((server.connections(), other.connections()), (1, 1));
    drop((idle, second));
    told_idle(&proxy, 2);
    assert_eq!(
        (server.open_connections(), other.open_connections()),
        (1, 1)
    );
}

#[test]
fn another_target_or_user_shares_nothing() {
    let server = patient();
    let folder = TempDir::new().unwrap();
    let rules = "[policy]\nprivate-hosts = [\"127.0.0.1\", \"localhost\"]\n";
    let config = folder.write("config.toml", rules).unwrap();
    let users = users(&folder);
    let proxy = Proxy::strict(&[
        "--config",
        config.to_str().unwrap(),
        "--auth-file",
        users.to_str().unwrap(),
    ]);
    // A client that says it is another does not take its connection along.
    let mut client = proxy.connect();
    let mut asked = 0;
    for _ in 0..3 {
        for (user, path) in [(ANN, "/ann"), (BOB, "/bob"), (ANN, "/ann")] {
            for url in [server.url(path), server.url_at("localhost", path)] {
                assert_eq!(ask_once(&proxy, "GET", &url, user), "hello");
                client.say(request("GET", &url, user));
                assert_eq!(client.reply().unwrap().content, b"hello");
                asked += 2;
            }
        }
    }
    let connections = server.requests();
    for requests in &connections {
        let whose = |at: usize| (&requests[at].target, requests[at].field("host"));
        assert!(
            (0..requests.len()).all(|at| whose(at) == whose(0)),
            "{requests:?}"
        );
    }
    // One for each, and once more where the users were read again meanwhile, as they
    // are when the proxy has begun.
    let count = connections.len();
    assert!((4..=8).contains(&count), "{count} for {asked} requests");
    // Nobody has what users had who are asked about again.
    drop(client);
    let fewer = std::fs::read_to_string(&users).unwrap();
    let beside = folder
        .write("fewer", fewer.lines().next().unwrap())
        .unwrap();
    std::fs::set_permissions(&beside, std::fs::metadata(&users).unwrap().permissions()).unwrap();
    std::fs::rename(beside, &users).unwrap();
    ended(&server);
}

/// A server that remembers for a connection who asks on it, as those with Negotiate
/// and NTLM do, and tells.
struct Remembers {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Remembers {
    fn start() -> Remembers {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                // It ends with its peer.
                std::thread::spawn(move || serve(&stream.unwrap()));
            }
        });
        Remembers {
            address,
            connections,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

fn serve(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut user = None;
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).ok().filter(|it| *it > 0)?;
            let (name, value) = line.split_once(": ").unwrap_or_default();
            if name.eq_ignore_ascii_case("authorization") {
                user = value.trim().split(' ').nth(1).map(str::to_owned);
            }
        }
        let (status, content) = match &user {
            Some(user) => ("200 OK", user.as_str()),
            None => ("401 Who\r\nwww-authenticate: Negotiate", "nobody"),
        };
        let length = content.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{content}"
        )
        .ok()?;
    }
}

/// RFC 4559 section 6: what one client proved is not what another is taken for.
#[test]
fn what_a_server_remembers_of_a_connection_is_nobody_elses() {
    let server = Remembers::start();
    let through = format!("http://{}", server.address);
    let (straight, led) = (&[][..], &["--upstream", &through][..]);
    for (flags, url) in [
        (straight, server.url()),
        (led, "http://origin.test/".to_owned()),
    ] {
        let proxy = Proxy::start(&[&METRICS[..], flags].concat());
        let before = server.connections();
        for (at, scheme) in ["Negotiate", "NTLM", "nEGOTIATE", "Basic", "X-Other"]
            .iter()
            .enumerate()
        {
            let said = format!("authorization: {scheme} ann\r\n");
            let mut ann = proxy.connect();
            for (fields, known) in [("", "nobody"), (&*said, "ann"), ("", "ann")] {
                ann.say(request("GET", &url, fields));
                assert_eq!(ann.reply().unwrap().content, known.as_bytes(), "{scheme}");
            }
            // All of it on one connection, which ends with her.
            assert_eq!(server.connections(), before + 2 * at + 1);
            drop(ann);
            // Who says it unasked, and leaves the proxy to end the connection.
            assert_eq!(ask_once(&proxy, "GET", &url, &said), "ann");
            assert_eq!(server.connections(), before + 2 * at + 2);
        }
        assert_eq!(ask_once(&proxy, "GET", &url, ""), "nobody");
        // Who was asked who it is may be about to say so.
        assert_eq!(ask_once(&proxy, "GET", &url, ""), "nobody");
        assert_eq!(server.connections(), before + 12);
        told(&proxy, "fumehood_pool_connections_reused_total 0");
    }
}

#[test]
fn what_is_denied_meanwhile_goes_nowhere() {
    let server = patient();
    let folder = TempDir::new().unwrap();
    let allowed = "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n";
    let file = folder.write("config.toml", allowed).unwrap();
    let proxy = Proxy::strict(&["--config", file.to_str().unwrap()]);
    let url = server.url("/");
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    let replace = |rules: &str| {
        let next = folder.write("next", rules).unwrap();
        std::fs::rename(next, &file).unwrap();
    };
    // A rule for one method, while the connection is there for the others,
    replace(&format!("{allowed}deny = [{{ methods = [\"HEAD\"] }}]\n"));
    let refused = |method: &str| {
        let mut client = proxy.connect();
        client.say(request(method, &url, ""));
        let head = client.head().unwrap();
        head.starts_with("http/1.1 403").then_some(())
    };
    assert!(wait_for(PATIENCE, || refused("HEAD")).is_some());
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    let heard = || server.requests().into_iter().flatten().count();
    let before = heard();
    assert!(refused("HEAD").is_some());
    // and the address itself.
    replace("[policy]\n");
    assert!(wait_for(PATIENCE, || refused("OPTIONS")).is_some());
    let options = server.requests().into_iter().flatten();
    let after = options.filter(|it| it.method != "OPTIONS").count();
    assert_eq!(after, before);
    let heard_then = heard();
    assert!(refused("GET").is_some());
    assert_eq!(heard(), heard_then);
}

#[test]
fn what_died_while_it_was_kept_is_told_to_nobody() {
    // It reads the second request, and is gone.
    let dies = || Script::answer(HELLO).request().then_reset();
    let server = Server::start(vec![dies(), dies(), Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&[]);
    let url = server.url("/");
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    assert_eq!(server.connections(), 2);
    assert_eq!(ask_once(&proxy, "DELETE", &url, ""), "hello");
    assert_eq!(server.connections(), 3);
    let asked: Vec<usize> = server.requests().iter().map(Vec::len).collect();
    assert_eq!(asked, [2, 2, 1]);
}

/// What could not be sent again is sent where the server is sure to be.
#[test]
fn what_is_sent_once_has_a_connection_of_its_own() {
    let server = patient();
    let proxy = Proxy::start(&[]);
    let url = server.url("/");
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    assert_eq!(
        ask_once(&proxy, "POST", &url, "content-length: 0\r\n"),
        "hello"
    );
    assert_eq!(server.connections(), 2);
    let mut client = proxy.connect();
    client.say(request("PUT", &url, "content-length: 2\r\n") + "ok");
    assert_eq!(client.reply().unwrap().content, b"hello");
    assert_eq!(server.connections(), 3);
    // What it went on is as good as any then, and its client goes on with it.
    client.say(request("POST", &url, "content-length: 2\r\n") + "ok");
    assert_eq!(client.reply().unwrap().content, b"hello");
    assert_eq!(ask_once(&proxy, "GET", &url, ""), "hello");
    assert_eq!(server.connections(), 3);
    assert_eq!(server.requests()[1].len(), 2);
}

#[test]
fn what_a_server_says_unasked_is_nobodys_answer() {
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let both = format!("{HELLO}{forged}");
    let server = Server::start(vec![
        Script::answers(&[&both, forged]).then_stall(),
        Script::answers(&[HELLO]),
    ]);
    let proxy = Proxy::start(&[]);
    for _ in 0..2 {
        assert_eq!(ask_once(&proxy, "GET", &server.url("/"), ""), "hello");
    }
    assert_eq!(server.connections(), 2);
    assert_eq!(server.requests()[0].len(), 1);
}

#[test]
fn what_is_kept_ends_when_the_proxy_is_to_end() {
    let gate = Gate::new();
    let script = Script::new().request().gate(&gate).send(HELLO);
    let (slow, server) = (Server::start(vec![script]), patient());
    let mut proxy = Proxy::start(&["--drain", "25"]);
    assert_eq!(ask_once(&proxy, "GET", &server.url("/"), ""), "hello");
    let mut busy = proxy.connect();
    busy.say(request("GET", &slow.url("/"), ""));
    gate.wait_for(1);
    assert_eq!(server.open_connections(), 1);
    proxy.signal(Signal::TERM);
    // While another is served still.
    ended(&server);
    gate.open();
    assert_eq!(busy.reply().unwrap().content, b"hello");
    assert!(busy.is_ended());
    assert_eq!(proxy.ended().code(), Some(0));
}

/// Connections that there may be to one proxy.
const PER_PROXY: usize = 32;

/// Keeps the first request of each connection waiting, and answers many.
fn held(gate: &Gate) -> Server {
    let first = Script::new().request().gate(gate).send(HELLO);
    let script = (0..64).fold(first, |script, _| script.request().send(HELLO));
    Server::start(vec![script])
}

/// Clients that all ask at once, each for another host.
fn crowd(proxy: &Proxy, count: usize) -> Vec<Client> {
    let asks = (0..count).map(|at| {
        let mut client = proxy.connect();
        client.say(request("GET", &format!("http://host-{at}.test/"), ""));
        client
    });
    asks.collect()
}

#[test]
fn a_proxy_has_so_many_and_the_others_wait() {
    let gate = Gate::new();
    let server = held(&gate);
    let upstream = format!("http://127.0.0.1:{}", server.port());
    let proxy = Proxy::strict(&["--upstream", &upstream, METRICS[0], METRICS[1]]);
    let mut clients = crowd(&proxy, PER_PROXY + 8);
    gate.wait_for(PER_PROXY);
    told(&proxy, "fumehood_pool_waiting 8");
    told(&proxy, "fumehood_pool_connections{state=\"in-use\"} 32");
    assert_eq!(server.connections(), PER_PROXY);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.reply().unwrap().content, b"hello");
    }
    // Who waited took over what others had, which are here still and ask for nothing.
    assert_eq!(server.connections(), PER_PROXY);
    told(&proxy, "fumehood_pool_waiting 0");
    told_idle(&proxy, PER_PROXY);
}

#[test]
fn who_waits_too_long_is_told_why() {
    let gate = Gate::new();
    let server = held(&gate);
    let upstream = format!("http://127.0.0.1:{}", server.port());
    let folder = TempDir::new().unwrap();
    let config = "[timeouts]\nconnect = 5\n";
    let file = folder.write("config.toml", config).unwrap();
    let file: &Path = &file;
    let proxy = Proxy::strict(&["--upstream", &upstream, "--config", file.to_str().unwrap()]);
    let mut clients = crowd(&proxy, PER_PROXY);
    gate.wait_for(PER_PROXY);
    let refused = proxy.ask(request("GET", "http://late.test/", ""));
    assert_eq!(refused.status, 503, "{}", refused.head);
    let problem: Value = serde_json::from_slice(&refused.content).unwrap();
    assert_eq!(problem["error"], "connection_limit_reached");
    let detail = problem["detail"].as_str().unwrap();
    let why = format!("the 32 connections that there may be to the proxy {upstream}");
    assert!(
        detail.contains(&why) && detail.contains("ask again"),
        "{detail}"
    );
    gate.open();
    for client in &mut clients {
        assert_eq!(client.reply().unwrap().content, b"hello");
    }
}

/// They last as long as their clients want, and nobody else could have them.
#[test]
fn tunnels_are_not_counted() {
    let stands = "HTTP/1.1 200 OK\r\n\r\n";
    let tunnel = Script::new().request().send(stands).then_stall();
    let scripts = std::iter::repeat_n(tunnel, PER_PROXY + 1).chain([Script::answer(HELLO)]);
    let server = Server::start(scripts.collect());
    let upstream = format!("http://127.0.0.1:{}", server.port());
    let proxy = Proxy::strict(&["--upstream", &upstream]);
    let tunnels: Vec<Client> = (0..=PER_PROXY)
        .map(|at| {
            let mut client = proxy.connect();
            client.say(format!(
                "CONNECT host-{at}.test:443 HTTP/1.1\r\nhost: x\r\n\r\n"
            ));
            assert_eq!(client.reply().unwrap().status, 200);
            client
        })
        .collect();
    assert_eq!(
        proxy.ask(request("GET", "http://a.test/", "")).content,
        b"hello"
    );
    drop(tunnels);
}
