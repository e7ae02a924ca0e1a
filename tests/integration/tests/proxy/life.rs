//! Engines that die, and proxies that are told to end.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::processes::{Process, wait_for};
use fumehood_tests::temp::TempDir;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Client, HELLO, PATIENCE, Proxy};

/// Each makes the next rest longer: this many and it is seen.
const MOST_DEATHS: u64 = 9;

#[test]
fn the_socket_outlives_the_engine() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&[]);
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    assert_eq!(proxy.ask(&get).content, b"hello");
    let mut under_way = proxy.connect();
    under_way.say("GET http://a");
    let mut before = None;
    for _ in 0..3 {
        let engine = proxy.engine(before);
        engine.kill().unwrap();
        before = Some(engine.pid);
        // None is refused: they wait for the next engine.
        let mut clients: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
        clients.iter_mut().for_each(|client| client.say(&get));
        // Some may have been accepted by the one that was dying.
        let served = clients
            .iter_mut()
            .filter_map(Client::reply)
            .filter(|reply| reply.content == b"hello")
            .count();
        assert!(served >= 19, "{served} of 20");
    }
    assert!(under_way.is_ended());
}

/// `fumehood status --json` of a proxy.
fn status(socket: &Path) -> Value {
    let asked = Fetch::command("status").args(["--json", "--socket"]);
    let finished = asked.arg(socket).run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    serde_json::from_slice(&finished.stdout).unwrap()
}

#[test]
fn engines_that_keep_dying_rest_and_clients_wait() {
    rests(Proxy::engine);
}

#[test]
fn brokers_that_keep_dying_rest_and_clients_wait() {
    rests(Proxy::broker);
}

/// Has one process after the other die, until a rest is seen; the status with it, and
/// how many have died. `before_each` is done while both live.
fn until_resting(
    proxy: &Proxy,
    socket: &Path,
    dies: fn(&Proxy, Option<i32>) -> Process,
    mut before_each: impl FnMut(u64),
) -> (Value, u64) {
    let restarts = |told: &Value| told["restarts"].as_u64().unwrap();
    // How soon a crowded machine can be asked is not known: the rest doubles until
    // it is seen.
    for deaths in 1..=MOST_DEATHS {
        let before = restarts(&status(socket));
        before_each(deaths);
        dies(proxy, None).kill().unwrap();
        let seen = wait_for(PATIENCE, || {
            // Nobody is refused, whoever is dead.
            drop(proxy.connect());
            let told = status(socket);
            let other = told["engine"]["alive"] == true && restarts(&told) > before;
            (other || !told["rest"].is_null()).then_some(told)
        });
        let told = seen.unwrap();
        if !told["rest"].is_null() {
            return (told, deaths);
        }
    }
    panic!("no rest after {MOST_DEATHS} deaths");
}

fn rests(dies: fn(&Proxy, Option<i32>) -> Process) {
    let folder = TempDir::new().unwrap();
    let socket = folder.join("admin.sock");
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&["--admin-socket", socket.to_str().unwrap()]);
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    let (told, deaths) = until_resting(&proxy, &socket, dies, |_| {});
    let rest = &told["rest"];
    assert!(
        deaths >= 3 && rest["deaths"].as_u64().unwrap() >= 3,
        "{rest}"
    );
    assert!(rest["left_ms"].as_u64().unwrap() <= 30_000, "{rest}");
    assert!(rest["why"].as_str().unwrap().contains("SIGKILL"), "{rest}");
    // The socket is there meanwhile, and who asks is served in the end. An engine whose
    // broker is dead says so first.
    let served = wait_for(PATIENCE, || {
        let mut client = proxy.connect();
        client.say(&get);
        let reply = client.reply()?;
        assert!(
            reply.content == b"hello" || reply.status == 502,
            "{reply:?}"
        );
        (reply.status == 200).then_some(())
    });
    assert!(served.is_some());
    assert!(status(&socket)["rest"].is_null());
}

/// One that lets connections end for as long as it takes, and its admin socket.
fn patient(folder: &TempDir) -> (Proxy, PathBuf) {
    let socket = folder.join("admin.sock");
    let said = ["--drain", "3600", "--admin-socket"];
    let proxy = Proxy::start(&[&said[..], &[socket.to_str().unwrap()]].concat());
    (proxy, socket)
}

#[test]
fn who_is_told_to_end_without_an_engine_ends_at_once() {
    let folder = TempDir::new().unwrap();
    let (mut proxy, socket) = patient(&folder);
    until_resting(&proxy, &socket, Proxy::engine, |_| {});
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0));
}

#[test]
fn what_is_under_way_is_let_end_without_a_broker_too() {
    // A rest may be over, and its engine another, before the proxy is told to end.
    assert!((0..MOST_DEATHS).any(|_| ends_without_a_broker()));
}

/// Whether what was under way in a rest, and goes on behind it, has come to its end.
fn ends_without_a_broker() -> bool {
    let folder = TempDir::new().unwrap();
    let (mut proxy, socket) = patient(&folder);
    let gate = Gate::new();
    let script = Script::new().request().gate(&gate).send(HELLO);
    let deaths = usize::try_from(MOST_DEATHS).unwrap();
    let server = Server::start(vec![script; deaths]);
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    // Those before the last end with the engine that has them.
    let mut held = Vec::new();
    until_resting(&proxy, &socket, Proxy::broker, |deaths| {
        let mut client = proxy.connect();
        client.say(&get);
        gate.wait_for(usize::try_from(deaths).unwrap());
        held.push(client);
    });
    proxy.signal(Signal::TERM);
    let over = || Some(status(&socket)).filter(|told| told["rest"].is_null());
    assert!(wait_for(PATIENCE, over).is_some());
    gate.open();
    let Some(reply) = held.pop().unwrap().reply() else {
        return false;
    };
    assert_eq!(reply.content, b"hello");
    assert_eq!(proxy.ended().code(), Some(0));
    assert_eq!(proxy.log(1).last().unwrap()["status"], 200);
    true
}

#[test]
fn what_is_under_way_is_let_end() {
    let gate = Gate::new();
    let script = Script::new().request().gate(&gate).send(HELLO);
    let server = Server::start(vec![script]);
    let mut proxy = Proxy::start(&["--drain", "25"]);
    let mut idle = proxy.connect();
    let mut busy = proxy.connect();
    busy.say(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n\r\n",
        server.url("/")
    ));
    gate.wait_for(1);
    proxy.signal(Signal::TERM);
    // Nobody new is taken, and who asks for nothing is let go.
    assert!(idle.is_ended());
    let address = proxy.address;
    assert!(wait_for(PATIENCE, || TcpStream::connect(address).err()).is_some());
    gate.open();
    let reply = busy.reply().unwrap();
    assert_eq!(reply.content, b"hello");
    assert!(busy.is_ended());
    assert_eq!(proxy.ended().code(), Some(0));
    assert_eq!(proxy.log(1)[0]["status"], 200);
}

#[test]
fn a_second_signal_does_not_wait() {
    let gate = Gate::new();
    let script = Script::new().request().gate(&gate).send(HELLO);
    let server = Server::start(vec![script]);
    let mut proxy = Proxy::start(&["--drain", "3600"]);
    let mut busy = proxy.connect();
    busy.say(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n\r\n",
        server.url("/")
    ));
    gate.wait_for(1);
    let mut idle = proxy.connect();
    proxy.signal(Signal::TERM);
    assert!(idle.is_ended());
    proxy.signal(Signal::INT);
    assert_eq!(proxy.ended().code(), Some(0));
    assert!(busy.reply().is_none());
    // The server waits for nothing any more.
    gate.open();
}

#[test]
fn the_log_can_be_the_common_one() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let mut proxy = Proxy::start(&["--access-format", "common"]);
    let url = server.url("/a%22b");
    proxy.ask(format!(
        "GET {url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    ));
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0));
    let text = std::fs::read_to_string(proxy.log_file()).unwrap();
    let (before, after) = (
        text.starts_with("127.0.0.1 - - ["),
        format!("\"GET {url} HTTP/1.1\" 200 5\n"),
    );
    assert!(before && text.ends_with(&after), "{text}");
}
