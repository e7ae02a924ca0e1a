//! The admin socket of a command under way: whose it is, and what lies in its
//! place.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use fumehood_tests::artifacts::program;
use fumehood_tests::fetch::Running;
use fumehood_tests::hostile::{Gate, Server};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::support::{Setting, held};

/// `nobody` on Debian; a number without meaning elsewhere, which serves as well.
const NOBODY: u32 = 65534;

/// A command that waits at a gate with its socket open.
fn waiting(it: &Setting) -> (Running, Gate, Server) {
    let gate = Gate::new();
    let server = Server::start(vec![held(&gate)]);
    let running = it.fetch(&[server.url("/")]).start();
    gate.wait_for(1);
    (running, gate, server)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_is_its_user_s_alone_and_goes_with_the_command() {
    let it = Setting::new();
    let (running, gate, _server) = waiting(&it);
    assert_eq!(mode(&it.socket()), 0o600);
    assert_eq!(it.ask(&["list"])["modules"].as_array().unwrap().len(), 5);
    gate.open();
    assert_eq!(running.finish().code(), 0);
    assert!(!it.socket().exists());
    let nobody_there = it.modules(&["list"]);
    assert_eq!(nobody_there.code(), 7, "{nobody_there:?}");
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let it = Setting::new();
    let (mut running, gate, _server) = waiting(&it);
    let second = it.fetch(&["http://127.0.0.1:1/".to_owned()]).run();
    assert_eq!(second.code(), 113, "{second:?}");
    let message = second.report()["error"]["message"].to_string();
    assert!(
        message.contains("another program listens on it"),
        "{message}"
    );
    // The first has not noticed.
    it.ask(&["list"]);
    running.kill();
    assert_eq!(running.finish().status.code(), None);
    gate.open();
    assert!(it.socket().exists(), "a killed command tidies nothing");

    let (running, gate, _server) = waiting(&it);
    assert_eq!(mode(&it.socket()), 0o600);
    it.ask(&["list"]);
    gate.open();
    assert_eq!(running.finish().code(), 0);
}

#[test]
fn another_user_is_refused_by_the_kernel_and_then_by_us() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return;
    }
    let it = Setting::new();
    let (running, gate, _server) = waiting(&it);
    // Where nobody may look, with a program that nobody may run.
    let folder = it.socket().parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let command = it.path("fumehood");
    // By another process: a file that one of our threads writes is open in what
    // others start at that time, and cannot be run while it is.
    let copied = Command::new("install")
        .args(["-m", "755"])
        .args([&program("fumehood"), &command])
        .status();
    assert!(copied.unwrap().success());
    let ask = || {
        let socket = it.socket();
        let output = Command::new(&command)
            .args(["modules", "list", "--socket"])
            .arg(socket)
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    };
    let (code, text) = ask();
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
    // Even where its mode would let everybody in, the command trusts only what is its user's,
    fs::set_permissions(it.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let (code, text) = ask();
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("it is of user 0"), "{text}");
    // and so does the engine, whoever asks and however.
    let answer = asked_by_nobody(&it.socket());
    for words in ["wrong-user", "of user 0, and you are user 65534"] {
        assert!(answer.contains(words), "{answer}");
    }
    gate.open();
    assert_eq!(running.finish().code(), 0);
}

/// What a thread is answered that has become somebody else. It stays so, and ends.
fn asked_by_nobody(socket: &Path) -> String {
    let socket = socket.to_owned();
    let asking = std::thread::spawn(move || {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(group, group, group).unwrap();
        set_thread_res_uid(user, user, user).unwrap();
        let mut stream = UnixStream::connect(socket).unwrap();
        // Refused before it is read.
        let _unread = stream.write_all(b"{\"command\":\"list\"}\n");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    });
    asking.join().unwrap()
}
