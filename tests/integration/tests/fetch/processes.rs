//! Processes that are killed, and what is left of them.

use std::io::Read;
use std::time::Duration;

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::processes::{self, wait_for};

/// Long enough for a process to begin or end, whatever else the machine does.
const SOON: Duration = Duration::from_secs(30);

/// The first half of some content, then nothing until the gate opens.
fn halved(gate: &Gate) -> Script {
    Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        .gate(gate)
        .send("67890")
}

#[test]
fn a_killed_engine_is_a_typed_error() {
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let running = Fetch::new(server.url("/")).start();
    gate.wait_for(1);
    running.process("engine").kill().unwrap();
    let finished = running.finish();
    gate.open();
    finished.assert_failed(112, "engine", "engine");
}

#[test]
fn the_next_url_gets_a_new_engine() {
    let gate = Gate::new();
    let whole = Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let server = Server::start(vec![halved(&gate), whole]);
    let running = Fetch::new(server.url("/1")).arg(server.url("/2")).start();
    gate.wait_for(1);
    running.process("engine").kill().unwrap();
    let finished = running.finish();
    gate.open();
    assert!(finished.stdout.ends_with(b"hello"), "{finished:?}");
    let reports = finished.reports();
    assert_eq!(reports[0]["error"]["code"], "engine");
    assert!(reports[1]["error"].is_null(), "{finished:?}");
}

#[test]
fn a_transfer_outlives_the_broker_and_the_next_gets_a_new_one() {
    let gate = Gate::new();
    let whole = Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let server = Server::start(vec![halved(&gate), whole]);
    let running = Fetch::new(server.url("/1")).arg(server.url("/2")).start();
    gate.wait_for(1);
    let killed = running.process("broker");
    killed.kill().unwrap();
    let gone = || processes::alive().iter().all(|it| it.pid != killed.pid);
    assert!(wait_for(SOON, || gone().then_some(())).is_some());
    gate.open();
    let finished = running.finish();
    let reports = finished.reports();
    // The connection was made already. Whether it is finished on or given up
    // on, the outcome is typed, and what is called whole is whole.
    let error = &reports[0]["error"];
    if error.is_null() {
        assert!(finished.stdout.starts_with(b"1234567890"), "{finished:?}");
    } else {
        assert_eq!(error["code"], "engine", "{finished:?}");
    }
    assert!(reports[1]["error"].is_null(), "{finished:?}");
    assert!(finished.stdout.ends_with(b"hello"), "{finished:?}");
}

#[test]
fn no_process_outlives_its_embedder() {
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let mut running = Fetch::new(server.url("/")).start();
    gate.wait_for(1);
    let pids = [running.process("engine").pid, running.process("broker").pid];
    running.kill();
    // This waits until the whole group is gone.
    let finished = running.finish();
    assert_eq!(finished.status.code(), None);
    let left = processes::alive();
    assert!(left.iter().all(|it| !pids.contains(&it.pid)), "{left:?}");
    gate.open();
}

#[test]
fn a_terminated_command_leaves_nothing() {
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let running = Fetch::new(server.url("/")).stdout(writer).start();
    let mut half = [0; 5];
    reader.read_exact(&mut half).unwrap();
    let pid = rustix::process::Pid::from_raw(running.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let finished = running.finish();
    assert!(!finished.status.success());
    // Nobody holds the output open any more.
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!((&half, &rest[..]), (b"12345", &b""[..]));
    gate.open();
}

#[test]
fn children_hold_no_descriptor_but_their_own() {
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    // The pipe's other end would never see an end if a child held it.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let kept = writer.try_clone().unwrap();
    let running = Fetch::new(server.url("/")).start();
    gate.wait_for(1);
    drop((kept, writer));
    let mut nothing = Vec::new();
    reader.read_to_end(&mut nothing).unwrap();
    gate.open();
    assert_eq!(running.finish().content(), b"1234567890");
}

#[test]
fn a_command_has_one_engine_and_one_broker() {
    let gate = Gate::new();
    let server = Server::start(vec![halved(&gate)]);
    let running = Fetch::new(server.url("/")).start();
    gate.wait_for(1);
    let children = wait_for(SOON, || {
        let children = processes::children_of(running.pid());
        (children.len() == 2).then_some(children)
    });
    let children = children.unwrap();
    for role in ["engine", "broker"] {
        assert_eq!(
            children.iter().filter(|it| it.plays(role)).count(),
            1,
            "{children:?}"
        );
    }
    gate.open();
    assert_eq!(running.finish().content(), b"1234567890");
}
