//! What a confined program tries, and must not get.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::{self, Command};

use fumehood_tests::artifacts::{program, unmoved};
use fumehood_tests::temp::TempDir;

use super::support::{free, inmate, run, text};

/// `ENETUNREACH`, `ECONNREFUSED`, `EAFNOSUPPORT`, `EACCES`, `EPERM`, `ENOENT` in Linux.
const UNREACHABLE: &str = "101";
const REFUSED: &str = "111";
const NO_FAMILY: &str = "97";
const NO_ACCESS: &str = "13";
const NOT_PERMITTED: &str = "1";
const NOT_THERE: &str = "2";

#[test]
fn this_machine_is_not_reachable_directly() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    let there = tcp.local_addr().unwrap().to_string();
    let port = udp.local_addr().unwrap().to_string();
    let tries = ["tcp", &there, "udp", &port];

    // It would be, were it not confined.
    assert_eq!(free(&tries), "tcp ok\nudp ok\n");
    tcp.accept().unwrap();
    udp.recv(&mut [0; 8]).unwrap();

    let finished = inmate(&["--allow-private", "127.0.0.1"], &tries);
    // Sending to a loopback where nobody listens is no error.
    assert_eq!(text(finished.content()), format!("tcp {REFUSED}\nudp ok\n"));
    assert_eq!(tcp.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let heard = udp.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(heard.kind(), ErrorKind::WouldBlock);
}

#[test]
fn nothing_else_has_a_route() {
    let finished = inmate(
        &["--allow", "*"],
        &["tcp", "192.0.2.1:443", "udp", "192.0.2.1:53"],
    );
    let expected = format!("tcp {UNREACHABLE}\nudp {UNREACHABLE}\n");
    assert_eq!(text(finished.content()), expected);
    let finished = inmate(
        &[],
        &["tcp", "[2001:db8::1]:443", "udp", "[2001:db8::1]:53"],
    );
    let told = text(finished.content());
    // Some kernels have no version 6 at all.
    let none = |code: &str| format!("tcp {code}\nudp {code}\n");
    assert!(
        [none(UNREACHABLE), none(NO_FAMILY)].contains(&told),
        "{told}"
    );
}

#[test]
fn sockets_that_the_network_does_not_isolate_are_refused() {
    // 40 is vsock, to the machine's hypervisor; 38 the kernel's ciphers; 31 Bluetooth.
    let finished = inmate(&[], &["family", "40", "family", "38", "family", "31"]);
    let expected = format!("family {NO_FAMILY}\n").repeat(3);
    assert_eq!(text(finished.content()), expected);
    // These are its own network's.
    let finished = inmate(&[], &["family", "2", "family", "16", "pair"]);
    let told = text(finished.content());
    assert!(told.starts_with("family ok\n"), "{told}");
    assert!(told.ends_with("pair ok\n"), "{told}");
}

#[test]
fn services_on_unix_sockets_are_reached_only_by_leave() {
    let folder = TempDir::new().unwrap();
    let path = folder.join("service");
    let service = UnixListener::bind(&path).unwrap();
    service.set_nonblocking(true).unwrap();
    let tries = ["unix", path.to_str().unwrap()];
    let finished = inmate(&[], &tries);
    assert_eq!(text(finished.content()), format!("unix {NO_ACCESS}\n"));
    assert_eq!(service.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    // One of a pair of these could be sent from to any such service.
    let finished = inmate(&[], &["datagrams"]);
    assert_eq!(text(finished.content()), format!("datagrams {NO_ACCESS}\n"));
    let tries = ["unix", path.to_str().unwrap(), "datagrams"];
    let finished = inmate(&["--unix-sockets"], &tries);
    assert_eq!(text(finished.content()), "unix ok\ndatagrams ok\n");
    service.accept().unwrap();
}

#[test]
fn other_processes_are_closed_to_it() {
    let outside = process::id().to_string();
    let environment = format!("/proc/{outside}/environ");
    let memory = format!("/proc/{outside}/mem");
    assert_eq!(free(&["read", &environment]), "read ok\n");
    let finished = inmate(&["--verbose"], &["read", &environment, "read", &memory]);
    let expected = format!("read {NO_ACCESS}\n").repeat(2);
    assert_eq!(text(finished.content()), expected);

    assert_eq!(free(&["signal", &outside]), "signal ok\n");
    let finished = inmate(&["--verbose"], &["signal", &outside]);
    // Where Landlock has that scope, and the command says whether it has.
    let scoped = finished.stderr.contains("landlock: no signal");
    let expected = if scoped { NOT_PERMITTED } else { "ok" };
    assert_eq!(text(finished.content()), format!("signal {expected}\n"));
}

#[test]
fn it_keeps_three_descriptors() {
    let script = "exec 5</dev/null; exec \"$@\"";
    let shell = |words: &[&OsStr]| {
        let mut shell = unmoved(Command::new("sh"));
        shell.args(["-c", script, "sh"]).args(words);
        text(&shell.output().unwrap().stdout)
    };
    let (fumehood, inmate) = (program("fumehood"), program("fumehood-inmate"));
    let tries = ["read", "/proc/self/fd/5"].map(OsStr::new);
    assert_eq!(shell(&[inmate.as_ref(), tries[0], tries[1]]), "read ok\n");
    let run = OsStr::new("run");
    let told = shell(&[fumehood.as_ref(), run, inmate.as_ref(), tries[0], tries[1]]);
    assert_eq!(told, format!("read {NOT_THERE}\n"));
}

#[test]
fn it_has_no_capability_and_gets_none() {
    let wanted = "^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs):";
    let finished = run(["--", "grep", "-E", wanted, "/proc/self/status"]).run();
    let mut expected: String = ["Prm", "Eff", "Bnd", "Amb"]
        .map(|set| format!("Cap{set}:\t0000000000000000\n"))
        .concat();
    expected.push_str("NoNewPrivs:\t1\n");
    assert_eq!(text(finished.content()), expected);
}
