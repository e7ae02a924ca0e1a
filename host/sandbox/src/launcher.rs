//! A program in a network of its own: the launcher, which becomes the program.
//!
//! ```text
//! embedder            launcher
//! Hello + 0, 1, 2 ──►  user and network namespace, loopback up, sockets for the
//!                      proxy and for names, mounts that say where names are asked,
//!                      no capabilities, filters
//!   Ready + sockets ◄──
//! Go              ──►  execve
//!       end of file ◄──
//! ```
//!
//! Whatever fails ends it, and says so before: there is no program without all
//! of this but Landlock, which older kernels do not have, and the mounts, without
//! which programs ask for names where nobody answers.

use std::convert::Infallible;
use std::env;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use fumehood_control::{
    FromLauncher, Layer, LayerReport, NAMES_INSIDE, PROTOCOL_VERSION, PROXY_INSIDE, ToLauncher,
};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::layers::{Failed, Ledger, because};
use crate::refusal::Refusal;
use crate::remedy::HostFacts;
use crate::seccomp::UnixSockets;
use crate::{Channel, steps, sys};

/// Arguments before the program's own: this program's name, and its role.
const OWN_ARGUMENTS: usize = 2;

/// Descriptors below it are the program's.
const FIRST_OWN_FD: i32 = 3;

/// Connections to the proxy that wait to be accepted: what a parallel download begins with.
const BACKLOG: i32 = 1024;

/// Of loopback, beside its first. For programs that want only addresses of families
/// that are configured (`AI_ADDRCONFIG`), glibc counts every address of IPv4 but
/// 127.0.0.1. All of 127.0.0.0/8 leads here as it is, so this makes nothing reachable.
const SECOND_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

type Speaker = Channel<FromLauncher, ToLauncher>;

/// Plays the launcher: enters a network of its own and becomes the program that
/// the arguments after the role name. To be called first thing in `main`;
/// standard input is the channel. Returns only when there is no program.
#[must_use]
pub fn serve_launcher() -> ExitCode {
    // Without a channel there is nobody to tell.
    let Ok(channel) = channel() else {
        return ExitCode::FAILURE;
    };
    let Err(ended) = serve(&channel);
    if let Some(last) = ended {
        // The embedder may be gone.
        let _unheard = channel.send(&last, &[]);
    }
    ExitCode::FAILURE
}

/// The channel leaves its place as standard input, and nothing else is kept.
fn channel() -> Result<Speaker, Errno> {
    let stdin = sys::take_stdin().ok_or(Errno::BADF)?;
    sys::close_inherited()?;
    let kept = fcntl_dupfd_cloexec(&stdin, FIRST_OWN_FD)?;
    // It holds its number until the program's own takes it.
    std::mem::forget(stdin);
    Channel::from_fd(kept).map_err(|_| Errno::NOTSOCK)
}

/// What to say at last; nothing to an embedder that is gone or talks nonsense.
type Last = Option<FromLauncher>;

fn serve(channel: &Speaker) -> Result<Infallible, Last> {
    let (hello, streams) = channel.recv().map_err(|_| None)?;
    let ToLauncher::Hello {
        version: PROTOCOL_VERSION,
        unix_sockets,
    } = hello
    else {
        return Err(None);
    };
    let facts = HostFacts::look();
    let mut ledger = Ledger::default();
    let inside = match isolate(&mut ledger, unix_sockets) {
        Ok(inside) => inside,
        Err(stopped) => return Err(Some(refused(stopped, ledger.into_reports(), facts))),
    };
    let ready = FromLauncher::Ready {
        version: PROTOCOL_VERSION,
        layers: ledger.into_reports(),
    };
    let sockets = [&inside.proxy, &inside.names, &inside.datagrams];
    let sockets = sockets.map(OwnedFd::as_fd);
    channel.send(&ready, &sockets).map_err(|_| None)?;
    drop(inside);
    let Ok((ToLauncher::Go, _none)) = channel.recv() else {
        return Err(None);
    };
    Err(Some(FromLauncher::NotExecuted {
        errno: become_program(&streams).raw_os_error(),
    }))
}

/// Why it went no further.
enum Stopped {
    /// This layer is missing, as the ledger says.
    Layer(Layer),
    /// Something that belongs to no layer.
    Setup(Failed),
}

impl From<Layer> for Stopped {
    fn from(layer: Layer) -> Self {
        Stopped::Layer(layer)
    }
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Stopped::Setup(failed)
    }
}

/// What the program finds in its network.
struct Inside {
    proxy: OwnedFd,
    names: OwnedFd,
    datagrams: OwnedFd,
}

/// Enters the network, listens in it, and gives up what could lead out of it.
fn isolate(ledger: &mut Ledger, unix_sockets: bool) -> Result<Inside, Stopped> {
    steps::enter_own_network(ledger)?;
    raise_loopback()?;
    let inside = listen_inside()?;
    steps::ask_inside(ledger);
    let unix = match unix_sockets {
        true => UnixSockets::Allowed,
        false => UnixSockets::Refused,
    };
    steps::confine_program(ledger, unix)?;
    Ok(inside)
}

fn raise_loopback() -> Result<(), Failed> {
    let (family, flags) = (AddressFamily::INET, SocketFlags::CLOEXEC);
    let socket = socket_with(family, SocketType::DGRAM, flags, None).map_err(because("socket"))?;
    sys::loopback_up(socket.as_fd()).map_err(because("ioctl(SIOCSIFFLAGS)"))?;
    sys::add_to_loopback(socket.as_fd(), SECOND_ADDRESS).map_err(because("ioctl(SIOCSIFADDR)"))
}

fn listen_inside() -> Result<Inside, Failed> {
    let [proxy, names, datagrams] = [
        (SocketType::STREAM, PROXY_INSIDE),
        (SocketType::STREAM, NAMES_INSIDE),
        (SocketType::DGRAM, NAMES_INSIDE),
    ]
    .map(|(kind, address)| {
        let flags = SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::INET, kind, flags, None).map_err(because("socket"))?;
        // Ports under 1024 take a capability, which it still has in there.
        bind(&socket, &address).map_err(because("bind"))?;
        if kind == SocketType::STREAM {
            listen(&socket, BACKLOG).map_err(because("listen"))?;
        }
        Ok::<OwnedFd, Failed>(socket)
    });
    Ok(Inside {
        proxy: proxy?,
        names: names?,
        datagrams: datagrams?,
    })
}

fn refused(stopped: Stopped, layers: Vec<LayerReport>, facts: HostFacts) -> FromLauncher {
    let refusal = match stopped {
        Stopped::Setup(failed) => Refusal::from(failed),
        Stopped::Layer(layer) => Refusal::Missing {
            missing: vec![layer],
            layers: layers.clone(),
            facts,
        },
    };
    FromLauncher::Refused {
        layers,
        why: refusal.to_string(),
    }
}

/// Says only why it did not. The standard library gives `SIGPIPE` its default
/// back and unblocks all signals; everything but the streams closes by itself.
fn become_program(streams: &[OwnedFd]) -> Errno {
    let take = || -> Result<(), Errno> {
        let [input, output, error] = streams else {
            return Err(Errno::BADF); // their number was checked with the message
        };
        dup2_stdin(input)?;
        dup2_stdout(output)?;
        dup2_stderr(error)
    };
    if let Err(errno) = take() {
        return errno;
    }
    let mut words = env::args_os().skip(OWN_ARGUMENTS);
    let Some(program) = words.next() else {
        return Errno::NOENT;
    };
    let error = Command::new(program).args(words).exec();
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}
