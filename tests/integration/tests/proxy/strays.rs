//! Datagrams that must not get where they are sent, and floods of them.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use serde_json::Value;

use crate::association::{
    ALL, ASSOCIATE, Association, Echo, Silence, allowing, asked, header, header_by_name, socket_at,
};
use crate::support::{PATIENCE, Proxy, swap_in};

const GREETING: &[u8] = b"\x05\x01\x00";

/// What a proxy has counted of datagrams, once this holds of it: it is told of them
/// in several parts.
fn counted(socket: &std::path::Path, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let counted = wait_for(PATIENCE, || {
        let asked = Fetch::command("status")
            .arg("--socket")
            .arg(socket)
            .arg("--json")
            .run();
        let status: Value = serde_json::from_slice(&asked.stdout).unwrap();
        last = status["traffic"]["proxy"]["datagrams"].clone();
        holds(&last).then(|| last.clone())
    });
    counted.unwrap_or_else(|| panic!("{last}"))
}

fn with_status(rules: &str, folder: &TempDir) -> (Proxy, std::path::PathBuf) {
    let socket = folder.join("admin.sock");
    let proxy = allowing(rules, folder, &["--admin-socket", socket.to_str().unwrap()]);
    (proxy, socket)
}

/// However it is written: what would be dialled is what is judged.
#[test]
fn what_is_denied_gets_not_one() {
    let (echo, canary) = (Echo::start(), Silence::start());
    let folder = TempDir::new().unwrap();
    let port = canary.address().port();
    let rules =
        format!("{ALL}\ndeny = [{{ hosts = [\"127.0.0.1\", \"[::1]\"], ports = [{port}] }}]");
    let (proxy, status) = with_status(&rules, &folder);
    let association = Association::open(&proxy);
    let mut mapped = [0; 16];
    mapped[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
    let mapped = std::net::IpAddr::from(mapped);
    let headers = [
        header(canary.address()),
        header((mapped, port).into()),
        header(([0, 0, 0, 0], port).into()),
        header(([127, 0, 0, 2], port).into()),
        header(([10, 0, 0, 1], port).into()),
        header(([169, 254, 169, 254], 8080).into()),
        header(([224, 0, 0, 251], 5353).into()),
        header(([255, 255, 255, 255], 8080).into()),
        header(([1, 1, 1, 1], 53).into()),
        header(([1, 1, 1, 1], 0).into()),
        header_by_name("127.0.0.1", port),
        header_by_name("2130706433", port),
        header_by_name("0x7f.1", port),
        header_by_name("127.0.0.1.", port),
        header_by_name("[::ffff:7f00:1]", port),
        header_by_name("localhost", port),
    ];
    for header in &headers {
        for _ in 0..2 {
            association.say(&[header, &b"through"[..]].concat());
        }
    }
    association.ask(&echo, b"past them");
    // Each is told of once, and counted each time.
    let log = proxy.log(headers.len());
    for record in &log {
        assert_eq!(record["outcome"], "denied", "{record}");
        assert_eq!(
            (&record["method"], &record["status"]),
            (&"UDP".into(), &403.into())
        );
        assert!(!record["target"].as_str().unwrap().is_empty(), "{record}");
    }
    let denied = 2 * headers.len();
    counted(&status, |it| {
        it["dropped"]["denied"] == denied && it["received"] == 1
    });
    canary.assert_unheard();
    drop(association);
    assert_eq!(proxy.log(headers.len() + 2).len(), headers.len() + 2);
}

#[test]
fn nobody_else_sends_on_a_clients_association() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let (proxy, status) = with_status(ALL, &folder);
    let association = Association::open(&proxy);
    let stolen = [&header(echo.address), &b"stolen"[..]].concat();
    let elsewhere = socket_at("127.0.0.2:0");
    // Before the client's port is known, and after.
    elsewhere.send_to(&stolen, association.relay).unwrap();
    association.ask(&echo, b"first");
    let neighbour = socket_at("127.0.0.1:0");
    for thief in [&elsewhere, &neighbour] {
        thief.send_to(&stolen, association.relay).unwrap();
    }
    association.ask(&echo, b"second");
    assert_eq!(echo.heard(), [b"first".to_vec(), b"second".to_vec()]);
    // Nor is what a stranger sends to the target's socket the target's.
    let target = socket_at("127.0.0.1:0");
    let there = target.local_addr().unwrap();
    association.send(there, b"where are you?");
    let flow = target.recv_from(&mut [0; 64]).unwrap().1;
    for stranger in [&elsewhere, &neighbour] {
        stranger.send_to(b"forged", flow).unwrap();
    }
    target.send_to(b"here", flow).unwrap();
    assert_eq!(association.hear(), (there, b"here".to_vec()));
    drop(association);
    proxy.log(3);
    counted(&status, |it| it["received"] == 3 && it["sent"] == 3);
}

#[test]
fn what_is_no_datagram_is_dropped_and_counted() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let (proxy, status) = with_status(ALL, &folder);
    let association = Association::open(&proxy);
    let good = [&header(echo.address), &b"x"[..]].concat();
    let with = |at: usize, byte: u8| {
        let mut datagram = good.clone();
        datagram[at] = byte;
        datagram
    };
    let malformed = [
        Vec::new(),
        vec![0],
        vec![0, 0, 0, 1],
        good[..9].to_vec(),
        with(0, 1),
        with(1, 1),
        with(3, 2),
        with(3, 0xff),
        b"\0\0\0\x03\0\0\x50".to_vec(),
        b"\0\0\0\x03\xffexample\0\x50".to_vec(),
        header_by_name("a b", 80),
        header_by_name("a\0b", 80),
        header_by_name("127.0.0.1:80", 80),
        header_by_name("a@127.0.0.1", 80),
        header_by_name(&"a".repeat(255), 80),
    ];
    let fragments = [with(2, 1), with(2, 0x7f), with(2, 0x81)];
    for datagram in malformed.iter().chain(&fragments) {
        association.say(datagram);
    }
    association.ask(&echo, b"after them");
    // With a header it would be longer than a datagram can be.
    let large = vec![b'x'; 65_507];
    let own = socket_at("127.0.0.1:0");
    let to = own.local_addr().unwrap();
    association.send(to, b"where are you?");
    let from = own.recv_from(&mut [0; 64]).unwrap().1;
    own.send_to(&large, from).unwrap();
    own.send_to(b"here", from).unwrap();
    assert_eq!(association.hear(), (to, b"here".to_vec()));
    counted(&status, |it| {
        let dropped = &it["dropped"];
        dropped["oversize"] == 1
            && dropped["malformed"] == malformed.len()
            && dropped["fragment"] == fragments.len()
            && it["received"] == 2
            && it["sent"] == 2
    });
    assert_eq!(echo.heard(), [b"after them".to_vec()]);
    let told = |flags: &[&str]| {
        let asked = Fetch::command("status").arg("--socket").arg(&status);
        String::from_utf8(asked.args(flags).run().stdout).unwrap()
    };
    let metrics = told(&["--metrics"]);
    for line in [
        "fumehood_proxy_datagrams_total{direction=\"received\"} 2",
        "fumehood_proxy_datagrams_total{direction=\"sent\"} 2",
        "fumehood_proxy_datagrams_dropped_total{reason=\"fragment\"} 3",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }
    assert!(told(&[]).contains("2 received, 2 sent"));
}

/// More targets, and more associations, than there may be at once.
#[test]
fn what_there_may_be_is_bounded() {
    const TARGETS: usize = 40;
    let echoes: Vec<Echo> = (0..TARGETS).map(|_| Echo::start()).collect();
    let folder = TempDir::new().unwrap();
    let proxy = allowing(ALL, &folder, &[]);
    let association = Association::open(&proxy);
    for echo in echoes.iter().chain(&echoes) {
        association.ask(echo, b"hello");
    }
    // Those that were silent longest made room: each of 80, but the 32 in use.
    let log = proxy.log(2 * TARGETS - 32);
    assert!(log.iter().all(|it| it["outcome"] == "tunnelled"));
    let mut more: Vec<Association> = (1..32).map(|_| Association::open(&proxy)).collect();
    let (mut control, code, _) = asked(&proxy, GREETING, ASSOCIATE);
    assert_eq!(code, 1);
    assert!(control.is_ended());
    let last = proxy.log(log.len() + 1).pop().unwrap();
    assert_eq!(last["reason"], "connection_limit_reached");
    drop(more.pop());
    let again = wait_for(PATIENCE, || {
        let (_control, code, _) = asked(&proxy, GREETING, ASSOCIATE);
        (code == 0).then_some(())
    });
    assert!(again.is_some());
}

/// As much as can be sent, to names that are denied and to nobody: others go on
/// meanwhile, and so does the association.
#[test]
fn a_flood_is_its_senders_loss() {
    const FLOOD: u16 = 20_000;
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let rules = format!("{ALL}\ndeny = [{{ hosts = [\"*.example\"] }}]");
    let (proxy, status) = with_status(&rules, &folder);
    let association = Association::open(&proxy);
    association.ask(&echo, b"before");
    let bystander = Association::open(&proxy);
    bystander.ask(&echo, b"beside");
    // Its port stays taken, and it hears itself alone.
    let held = socket_at("127.0.0.1:0");
    let nobody = held.local_addr().unwrap();
    held.connect(nobody).unwrap();
    for number in 0..FLOOD {
        let name = format!("n{number}.example");
        association.say(&header_by_name(&name, 3478));
        association.send(nobody, b"nobody");
        if number % 1000 == 0 {
            bystander.ask(&echo, b"meanwhile");
        }
    }
    // What comes while too much waits is lost, as everywhere.
    association
        .socket
        .set_read_timeout(Some(PATIENCE / 30))
        .unwrap();
    let answered = wait_for(PATIENCE, || {
        association.send(echo.address, b"after");
        association.socket.recv_from(&mut [0; 64]).ok()
    });
    assert!(answered.is_some());
    let datagrams = counted(&status, |it| it["dropped"]["denied"].as_u64() > Some(0));
    let denied = datagrams["dropped"]["denied"].as_u64().unwrap();
    assert!(denied <= u64::from(FLOOD), "{datagrams}");
}

/// A guest that ends takes one association with it.
#[test]
fn a_guest_that_ends_is_one_clients() {
    let echo = Echo::start();
    let folder = TempDir::new().unwrap();
    let (proxy, socket) = with_status(ALL, &folder);
    swap_in(&socket, "socks", "socks-faulty");
    let bystander = Association::open(&proxy);
    bystander.ask(&echo, b"before");
    for fault in ["trap", "hang"] {
        let mut association = Association::open(&proxy);
        let name = format!("fumehood-fault-{fault}.example");
        association.say(&header_by_name(&name, 3478));
        assert!(association.is_ended(), "{fault}");
    }
    for record in proxy.log(2) {
        assert_eq!(record["reason"], "proxy_internal_error", "{record}");
    }
    bystander.ask(&echo, b"after");
}
