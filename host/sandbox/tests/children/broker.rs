//! The broker's sandbox: it keeps the network and reads what resolving takes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;

use fumehood_control::{Layer, LayerState};
use fumehood_sandbox::{Attack, ChannelError, Role, probe_layers};

use crate::message::Note;
use crate::{User, command, start};

pub(crate) fn resolves_dials_and_passes(user: User) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mut child, channel) = start("broker", user);
    channel
        .send(&Note::new(format!("localhost:{port}"), 0), &[])
        .unwrap();
    let (message, fds) = channel.recv().unwrap();
    assert_eq!(message.text, "connected");
    let [fd] = <[OwnedFd; 1]>::try_from(fds).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    TcpStream::from(fd).write_all(b"hello").unwrap();
    assert_eq!(channel.recv().unwrap().0.text, "done");
    assert!(child.wait().unwrap().success());
    let mut text = String::new();
    accepted.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

pub(crate) fn does_nothing_else(user: User) {
    let killed = [
        Attack::Execute,
        Attack::ExecuteDescriptor,
        Attack::Fork,
        Attack::CreateFile,
        Attack::TraceParent,
        Attack::ReadParentMemory,
        Attack::SignalParent,
        Attack::SignalParentThread,
        Attack::MapWriteExecute,
        Attack::MapExecute,
        Attack::ProtectExecute,
        Attack::Bpf,
        Attack::Mount,
        Attack::NewUserNamespace,
        Attack::MultipathTcpSocket,
    ];
    for attack in killed {
        let (mut child, channel) = start(&format!("broker-attack={}", attack.name()), user);
        assert_eq!(channel.recv().unwrap().0.text, "sealed");
        let next = channel.recv();
        assert!(
            matches!(next, Err(ChannelError::Closed)),
            "{}: {next:?}",
            attack.name()
        );
        let status = child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(libc::SIGSYS),
            "{}: {status}",
            attack.name()
        );
    }
}

pub(crate) fn has_its_layers(user: User) {
    let reports = probe_layers(&mut command("probe", user), Role::Broker).unwrap();
    for report in reports {
        let not_used = report.layer.name().ends_with("-namespace");
        match report.state {
            LayerState::NotUsed => assert!(not_used, "{}", report.layer.name()),
            LayerState::Holds(_) => assert!(!not_used, "{}", report.layer.name()),
            missing => assert!(!Layer::FLOOR.contains(&report.layer), "{missing:?}"),
        }
    }
}
