//! The engine's sandbox: what it stops, what it lets be, what it says.

use std::fs::File;
use std::io::{PipeReader, Read, Seek, SeekFrom, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use fumehood_control::{Layer, LayerReport, LayerState};
use fumehood_sandbox::{
    Attack, HostFacts, MAX_ENGINE_FILES, Role, Verdict, body_pair, probe_attack, probe_layers,
    remedy, sealed,
};

use crate::message::Note;
use crate::{User, command, start};

pub(crate) fn every_attack_ends_as_it_must(user: User) {
    for &attack in Attack::ALL {
        let verdict = probe_attack(&mut command("probe", user), attack).unwrap();
        assert!(
            verdict.is(attack.expected()),
            "{}: {verdict:?} in place of {:?}",
            attack.name(),
            attack.expected()
        );
    }
}

/// Without this, a mistake in an attack would pass for a sandbox that holds.
pub(crate) fn attacks_work_where_nothing_holds(user: User) {
    let works = [
        Attack::TcpSocket,
        Attack::UdpSocket,
        Attack::UnixSocket,
        Attack::NetlinkSocket,
        Attack::Connect,
        Attack::SendToAddress,
        Attack::SendMessage,
        Attack::OpenFile,
        Attack::CreateFile,
        Attack::StatFile,
        Attack::Execute,
        Attack::Fork,
        Attack::Clone3,
        Attack::SignalParent,
        Attack::SignalParentThread,
        Attack::MapWriteExecute,
        Attack::MapExecute,
        Attack::MapExecuteFixed,
        Attack::ProtectExecute,
        Attack::DuplicateDescriptor,
        Attack::BecomeDumpable,
        Attack::RaiseLimits,
        Attack::KeyRing,
    ];
    for attack in works {
        // Signals to a parent of another user are not allowed anyway.
        let signals = matches!(attack, Attack::SignalParent | Attack::SignalParentThread);
        if signals && user == User::Nobody {
            continue;
        }
        let role = format!("bare-attack={}", attack.name());
        let status = command(&role, user).status().unwrap();
        assert!(status.success(), "{}: {status}", attack.name());
    }
}

/// Every layer holds here, or is missing for a reason that is known.
pub(crate) fn every_layer_holds(user: User) {
    let reports = probe_layers(&mut command("probe", user), Role::Engine).unwrap();
    assert_eq!(
        reports.iter().map(|r| r.layer).collect::<Vec<_>>(),
        Layer::ALL
    );
    let facts = HostFacts::look();
    for LayerReport { layer, state } in &reports {
        let report = LayerReport {
            layer: *layer,
            state: state.clone(),
        };
        match state {
            LayerState::Holds(detail) => println!("  {:<17} {detail}", layer.name()),
            state => {
                assert!(!Layer::FLOOR.contains(layer), "{}: {state:?}", layer.name());
                let remedy = remedy(&report, &facts);
                assert!(
                    remedy.is_some(),
                    "{}: {state:?}, without a remedy",
                    layer.name()
                );
            }
        }
    }
}

pub(crate) fn the_work_of_an_engine_gets_done(user: User) {
    let (mut child, channel) = start("work", user);
    let mut file = File::from(sealed_less_file());
    let code = sealed("code", &[b"native code"]).unwrap();
    let (ours, theirs) = body_pair().unwrap();
    let fds = [file.as_fd(), code.as_fd(), theirs.as_fd()];
    channel
        .send(&Note::new("bootstrap", fds.len()), &fds)
        .unwrap();
    let mut body = UnixStream::from(ours);
    body.set_nonblocking(false).unwrap();
    body.write_all(b"payload").unwrap();
    drop(theirs);
    let mut answer = String::new();
    body.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "payload");
    channel
        .send(&Note::new("and back", 1), &[file.as_fd()])
        .unwrap();
    assert_eq!(channel.recv().unwrap().0.text, "and back");
    assert!(child.wait().unwrap().success());
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut written = String::new();
    file.read_to_string(&mut written).unwrap();
    assert_eq!(written, "native code");
}

/// A file that is not sealed, in memory.
fn sealed_less_file() -> std::os::fd::OwnedFd {
    rustix::fs::memfd_create("sink", rustix::fs::MemfdFlags::CLOEXEC).unwrap()
}

pub(crate) fn nothing_inherited_is_left(user: User) {
    // A descriptor and a variable that a careless embedder lets through.
    let leaked = File::open("/proc/self/exe").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let (ours, theirs) = fumehood_sandbox::Channel::<Note, Note>::pair().unwrap();
    let mut command = command("inherited", user);
    let mut child = command
        .env("SECRET", "x")
        .stdin(theirs.into_fd())
        .spawn()
        .unwrap();
    drop((command, leaked));
    // Three standard ones, the kernel's report, and the listing itself.
    assert_eq!(ours.recv().unwrap().0.text, "5 fds, 0 variables, in /");
    assert_eq!(
        ours.recv().unwrap().0.text,
        format!("{MAX_ENGINE_FILES} files")
    );
    assert!(child.wait().unwrap().success());
}

pub(crate) fn entering_late_or_twice_is_refused(user: User) {
    let (mut child, channel) = start("late", user);
    assert_eq!(channel.recv().unwrap().0.text, "NotFirst");
    assert_eq!(channel.recv().unwrap().0.text, "NotFirst");
    assert!(child.wait().unwrap().success());
}

pub(crate) fn a_missing_layer_is_refused_with_a_remedy(user: User) {
    let (mut child, channel) = start("contained", user);
    let (refusal, _) = channel.recv().unwrap();
    let parts = [
        "[NetNamespace]",
        "net-namespace is missing",
        "unshare",
        "os error 1",
        "container",
    ];
    for part in parts {
        assert!(
            refusal.text.contains(part),
            "{part} is not in: {}",
            refusal.text
        );
    }
    assert!(child.wait().unwrap().success());
}

/// In a container without namespaces, Landlock and the filter still hold.
pub(crate) fn less_than_all_still_has_the_floor(user: User) {
    let reports = probe_layers(&mut command("contained-probe", user), Role::Engine).unwrap();
    for LayerReport { layer, state } in &reports {
        let holds = matches!(state, LayerState::Holds(_));
        let wanted = !layer.name().ends_with("-namespace");
        assert_eq!(holds, wanted, "{}: {state:?}", layer.name());
    }
    for attack in [
        Attack::TcpSocket,
        Attack::Execute,
        Attack::Fork,
        Attack::OpenFile,
    ] {
        let verdict = probe_attack(&mut command("contained-probe", user), attack).unwrap();
        assert!(
            verdict.is(attack.expected()),
            "{}: {verdict:?}",
            attack.name()
        );
        assert_ne!(verdict, Verdict::Succeeded);
    }
}

pub(crate) fn an_engine_outlives_no_embedder(user: User) {
    let (mut middle, channel) = start("middle", user);
    let (mut reader, writer): (PipeReader, _) = pipe().unwrap();
    channel.send(&Note::new("", 1), &[writer.as_fd()]).unwrap();
    drop(writer);
    assert_eq!(channel.recv().unwrap().0.text, "sealed");
    middle.kill().unwrap();
    middle.wait().unwrap();
    let mut last_word = String::new();
    reader.read_to_string(&mut last_word).unwrap();
    assert_eq!(last_word, "alone");
}

/// Prints what it takes, and holds it to a bound that only a mistake exceeds.
pub(crate) fn sealing_is_quick(user: User) {
    const TRIES: u32 = 20;
    const BOUND: Duration = Duration::from_secs(1);
    let mut times = (0..TRIES)
        .map(|_| {
            let began = Instant::now();
            probe_layers(&mut command("probe", user), Role::Engine).unwrap();
            began.elapsed()
        })
        .collect::<Vec<_>>();
    times.sort();
    let median = times[times.len() / 2];
    println!(
        "  from spawn to sealed and ended: median {median:?}, fastest {:?}",
        times[0]
    );
    assert!(median < BOUND, "{median:?}");
}

pub(crate) fn no_descriptor_leaks(user: User) {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    probe_layers(&mut command("probe", user), Role::Engine).unwrap();
    probe_layers(&mut command("probe", user), Role::Broker).unwrap();
    probe_attack(&mut command("probe", user), Attack::Execute).unwrap();
    the_work_of_an_engine_gets_done(user);
    assert_eq!(open(), before);
}
