//! The children's side.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ExitCode, exit};
use std::time::Duration;

use fumehood_control::Layer;
use fumehood_sandbox::{
    Attack, Bootstrap, Channel, ChannelError, Isolated, Refusal, Role, map_sealed, serve_probe,
};
use rustix::process::{Resource, getrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::message::Note;
use crate::{User, command};

type NoteChannel = Channel<Note, Note>;

pub(crate) fn play(role: &str) -> ExitCode {
    match role.split_once('=').unwrap_or((role, "")) {
        ("probe", _) => return serve_probe(),
        ("contained-probe", _) => {
            forbid_namespaces();
            return serve_probe();
        }
        ("bare-attack", name) => return bare_attack(name),
        ("work", _) => work(),
        ("inherited", _) => inherited(),
        ("late", _) => late(),
        ("contained", _) => contained(),
        ("middle", _) => middle(),
        ("orphan", _) => orphan(),
        ("broker", _) => broker(),
        ("broker-attack", name) => broker_attack(name),
        _ => panic!("no such role: {role}"),
    }
    ExitCode::SUCCESS
}

fn attack(name: &str) -> Attack {
    *Attack::ALL
        .iter()
        .find(|attack| attack.name() == name)
        .unwrap()
}

fn isolated(role: Role) -> (Isolated, NoteChannel) {
    let (bootstrap, control) = Bootstrap::enter().unwrap();
    (
        bootstrap.isolate(role).unwrap(),
        NoteChannel::from_fd(control).unwrap(),
    )
}

fn say(channel: &NoteChannel, text: impl Into<String>) {
    channel.send(&Note::new(text, 0), &[]).unwrap();
}

/// An attack with nothing in its way: exit code 0 when it worked.
fn bare_attack(name: &str) -> ExitCode {
    match attack(name).prepare().unwrap().perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => ExitCode::from(u8::try_from(errno).unwrap_or(u8::MAX)),
    }
}

/// Everything an engine does, after sealing.
fn work() {
    let (isolated, channel) = isolated(Role::Engine);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (_, fds) = channel.recv().unwrap();
    let [file, sealed, body] = <[OwnedFd; 3]>::try_from(fds).unwrap();
    isolated.seal(&[]).unwrap();

    let map = map_sealed(&sealed, 1 << 20).unwrap();
    let mut file = File::from(file);
    file.write_all(&map).unwrap();
    assert!(rustix::fs::fstat(&file).unwrap().st_size >= 1);
    assert!(std::thread::available_parallelism().is_ok());
    threads_and_memory();
    runtime.block_on(async {
        let channel = channel.into_async().unwrap();
        streams(body).await;
        let (message, fds) = channel.recv().await.unwrap();
        assert_eq!(fds.len(), 1);
        channel
            .send(&Note::new(message.text, 0), &[])
            .await
            .unwrap();
    });
    drop((runtime, file, sealed, map));
    // A panic is caught, and says what it says on standard error.
    std::panic::set_hook(Box::new(|_| {}));
    assert!(std::panic::catch_unwind(|| panic!("as guests' host code may")).is_err());
    exit(0);
}

fn threads_and_memory() {
    let threads = (0..8).map(|i| {
        std::thread::Builder::new()
            .name(format!("worker {i}"))
            .spawn(move || {
                let mut grown = Vec::new();
                (0..(1 << 20)).for_each(|_| grown.push(i));
                std::thread::sleep(Duration::from_millis(1)); // the call, not the time, is tried
                grown.len()
            })
    });
    for thread in threads.collect::<Vec<_>>() {
        assert_eq!(thread.unwrap().join().unwrap(), 1 << 20);
    }
    let map = (0..1000).map(|i| (i, i)).collect::<BTreeMap<_, _>>();
    assert_eq!(map.len(), 1000);
}

/// Answers on the body what came on it, with timers and blocking in between.
async fn streams(body: OwnedFd) {
    let mut body = UnixStream::from_std(std::os::unix::net::UnixStream::from(body)).unwrap();
    let work = async move {
        let mut text = [0; 7];
        body.read_exact(&mut text).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(1)));
        body.write_all(&text).await.unwrap();
        body.shutdown().await.unwrap();
    };
    let answered = tokio::spawn(work);
    let summed = tokio::task::spawn_blocking(|| vec![1_u64; 1 << 19].iter().sum::<u64>());
    assert_eq!(summed.await.unwrap(), 1 << 19);
    answered.await.unwrap();
}

/// Tells what is left of what was inherited.
fn inherited() {
    let (bootstrap, control) = Bootstrap::enter().unwrap();
    let channel = NoteChannel::from_fd(control).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let variables = std::env::vars_os().count();
    let directory = std::env::current_dir().unwrap();
    // The listing's own descriptor and the one for the kernel's report count.
    say(
        &channel,
        format!(
            "{open} fds, {variables} variables, in {}",
            directory.display()
        ),
    );
    let isolated = bootstrap.isolate(Role::Engine).unwrap();
    let files = getrlimit(Resource::Nofile).current.unwrap();
    isolated.seal(&[]).unwrap();
    say(&channel, format!("{files} files"));
}

/// Enters twice, and in another process after a thread has begun.
fn late() {
    let (bootstrap, control) = Bootstrap::enter().unwrap();
    let channel = NoteChannel::from_fd(control).unwrap();
    say(&channel, format!("{:?}", Bootstrap::enter().unwrap_err()));
    let (held, hold) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || hold.recv());
    let refused = bootstrap.isolate(Role::Engine).unwrap_err();
    say(&channel, format!("{refused:?}"));
    drop(held);
    assert!(thread.join().unwrap().is_err());
}

/// A filter such as a container has: no namespaces, but `EPERM`.
fn forbid_namespaces() {
    let eperm = SeccompAction::Errno(1);
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let calls = [libc::SYS_unshare, libc::SYS_mount, libc::SYS_pivot_root];
    let rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, eperm, arch).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    apply_filter(&program).unwrap();
}

fn contained() {
    forbid_namespaces();
    let (isolated, channel) = isolated(Role::Engine);
    let refused = isolated
        .seal(&[Layer::NetNamespace, Layer::Landlock])
        .unwrap_err();
    let Refusal::Missing { missing, .. } = &refused else {
        panic!("{refused}");
    };
    say(&channel, format!("{missing:?} {refused}"));
    exit(0);
}

/// Starts an engine and waits to be killed.
fn middle() {
    let control = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let channel = NoteChannel::from_fd(control).unwrap();
    let (_, fds) = channel.recv().unwrap();
    let (ours, theirs) = NoteChannel::pair().unwrap();
    let mut orphan = command("orphan", User::Myself)
        .stdin(theirs.into_fd())
        .spawn()
        .unwrap();
    ours.send(&Note::new("", 1), &[fds[0].as_fd()]).unwrap();
    drop(fds);
    assert_eq!(ours.recv().unwrap().0.text, "sealed");
    say(&channel, "sealed");
    orphan.wait().unwrap();
}

/// Says on a pipe when its channel ends.
fn orphan() {
    let (isolated, channel) = isolated(Role::Engine);
    let (_, fds) = channel.recv().unwrap();
    isolated.seal(&[]).unwrap();
    say(&channel, "sealed");
    assert!(matches!(channel.recv(), Err(ChannelError::Closed)));
    let [pipe] = <[OwnedFd; 1]>::try_from(fds).unwrap();
    File::from(pipe).write_all(b"alone").unwrap();
}

/// Resolves and dials what it is told, and passes the connection.
fn broker() {
    let (isolated, channel) = isolated(Role::Broker);
    isolated.seal(&[]).unwrap();
    let (target, _) = channel.recv().unwrap();
    // As the runtime would: the resolver in a thread of its own.
    let addresses = std::thread::spawn(move || {
        target
            .text
            .to_socket_addrs()
            .map(Iterator::collect::<Vec<_>>)
    });
    let addresses = addresses.join().unwrap().unwrap();
    let stream = addresses
        .iter()
        .find_map(|a| TcpStream::connect(a).ok())
        .unwrap();
    stream.set_nodelay(true).unwrap();
    channel
        .send(&Note::new("connected", 1), &[stream.as_fd()])
        .unwrap();
    // A name that does not resolve is an answer, not a death.
    assert!("no..name:80".to_socket_addrs().is_err());
    let mut hosts = String::new();
    File::open("/etc/passwd")
        .unwrap()
        .read_to_string(&mut hosts)
        .unwrap();
    assert!(File::open("/proc/self/status").is_err());
    say(&channel, "done");
}

fn broker_attack(name: &str) {
    let (isolated, channel) = isolated(Role::Broker);
    let attack = attack(name).prepare().unwrap();
    isolated.seal(&[]).unwrap();
    say(&channel, "sealed");
    say(&channel, format!("{:?}", attack.perform()));
}
