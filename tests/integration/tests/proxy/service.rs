//! Under a service manager: sockets that are passed, and what it is told.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Output, Stdio};

use fumehood_tests::artifacts::{fumehood, program, unmoved};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;
use rustix::process::Signal;

use crate::association::{ALL, ASSOCIATE, asked};
use crate::support::{HELLO, PATIENCE, Proxy};

/// `fumehood proxy`, with what is its standard input here as descriptor 3, and a
/// process number that is its own.
fn activated(socket: impl Into<OwnedFd>, count: &str, arguments: &[&str]) -> Command {
    let mut command = unmoved(Command::new("sh"));
    let script = "export LISTEN_PID=$$; exec \"$0\" proxy --json \"$@\" 3<&0 0</dev/null";
    command
        .args(["-c", script])
        .arg(program("fumehood"))
        .args(arguments)
        .env("LISTEN_FDS", count)
        .stdin(Stdio::from(socket.into()));
    command
}

fn ended(mut command: Command) -> Output {
    command.output().unwrap()
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new().unwrap();
    let unix = UnixListener::bind(folder.join("socket")).unwrap();
    let own = listener();
    let connected = TcpStream::connect(own.local_addr().unwrap()).unwrap();
    let datagram = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut named = activated(listener(), "1", &[]);
    named.env("LISTEN_FDNAMES", "one:two");
    let beyond = TcpListener::bind("0.0.0.0:0").unwrap();
    for (command, exit, said) in [
        (
            activated(listener(), "2", &[]),
            116,
            "2 sockets were passed",
        ),
        (
            activated(listener(), "x", &[]),
            116,
            "LISTEN_FDS is no number",
        ),
        (named, 116, "LISTEN_FDNAMES names 2 sockets"),
        (
            activated(connected, "1", &[]),
            116,
            "no stream socket that listens",
        ),
        (
            activated(datagram, "1", &[]),
            116,
            "no stream socket that listens",
        ),
        (
            activated(file, "1", &[]),
            116,
            "no stream socket that listens",
        ),
        (activated(unix, "1", &[]), 116, "no socket of TCP"),
        (
            activated(beyond, "1", &[]),
            2,
            "--dangerously-listen-beyond-loopback",
        ),
    ] {
        let output = ended(command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{said}: {stderr}");
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

/// Where a socket was given, nobody says what else may be bound beside it.
#[test]
fn there_are_no_datagrams_beside_a_passed_socket() {
    let folder = TempDir::new().unwrap();
    let rules = format!("[policy]\n{ALL}\n");
    let file = folder.write("config.toml", rules).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let command = activated(listener, "1", &["--config", file.to_str().unwrap()]);
    let proxy = Proxy::spawn(command, TempDir::new().unwrap());
    let (mut control, code, _) = asked(&proxy, b"\x05\x01\x00", ASSOCIATE);
    assert_eq!(code, 7);
    assert!(control.is_ended());
}

#[test]
fn a_passed_socket_is_served_and_the_manager_is_told() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 512];
        let count = notify.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let mut command = activated(listener, "1", &["--allow-private", "127.0.0.1"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let mut proxy = Proxy::spawn(command, TempDir::new().unwrap());
    assert_eq!(proxy.address, address);
    let ready = told();
    assert!(
        ready.starts_with("READY=1\nSTATUS=listens on 127.0.0.1:"),
        "{ready}"
    );
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    assert_eq!(proxy.ask(get).content, b"hello");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().code(), Some(0));
    let mut last = told();
    while last == "WATCHDOG=1" {
        last = told();
    }
    assert!(last.starts_with("STOPPING=1\n"), "{last}");
}

/// The units that are shipped, with the program in its place here.
#[test]
fn the_units_are_understood_whole() {
    const UNITS: [(&str, &str); 2] = [
        (
            "fumehood-proxy.service",
            include_str!("../../../../packaging/systemd/fumehood-proxy.service"),
        ),
        (
            "fumehood-proxy.socket",
            include_str!("../../../../packaging/systemd/fumehood-proxy.socket"),
        ),
    ];
    let folder = TempDir::new().unwrap();
    let own = program("fumehood");
    let verified = |added: &str| {
        let files = UNITS.map(|(name, text)| {
            let text = text.replace("/usr/bin/fumehood", own.to_str().unwrap());
            folder.write(name, text + added).unwrap()
        });
        let mut command = Command::new("systemd-analyze");
        // The pages are not installed where the tests run.
        command.args(["verify", "--man=no"]).args(files).output()
    };
    let output = verified("").expect("systemd-analyze");
    let complaints = |output: &Output| {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // What it finds wrong with other units is their affair.
        let of_ours = told.lines().filter(|line| line.contains("fumehood"));
        of_ours.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(output.status.success(), "{output:?}");
    assert!(complaints(&output).is_empty(), "{output:?}");
    // It says where it does not understand.
    let odd = verified("Nonsense=1\n").unwrap();
    assert_eq!(complaints(&odd).len(), UNITS.len(), "{odd:?}");
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = listener.local_addr().unwrap();
    let mut command = fumehood();
    command
        .args(["proxy", "--listen", "127.0.0.1:0", "--json"])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .stdin(Stdio::from(OwnedFd::from(listener)));
    let proxy = Proxy::spawn(command, TempDir::new().unwrap());
    assert_ne!(proxy.address, passed);
}
