//! What a service manager gives, and what it is told: sd_listen_fds(3), sd_notify(3).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::time::Duration;

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{SocketType, getsockname};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::exit::{Exit, Failed};

/// The first descriptor that is passed; fixed by the protocol.
const FIRST: RawFd = 3;

/// A socket that was passed, and where it listens.
pub(crate) struct Passed {
    pub(crate) socket: OwnedFd,
    pub(crate) address: SocketAddr,
}

/// The socket that the service manager listens on for us; `None` where it passed
/// none to this process. One that cannot be served is an error, and so are two.
pub(crate) fn passed() -> Result<Option<Passed>, Failed> {
    let count = count(|name| std::env::var(name).ok()).map_err(refused)?;
    match count {
        0 => Ok(None),
        1 => adopt().map(Some).map_err(refused),
        more => Err(refused(format!(
            "{more} sockets were passed, and one is served; leave one ListenStream= in the unit"
        ))),
    }
}

/// How many sockets are passed to this process.
fn count(variable: impl Fn(&str) -> Option<String>) -> Result<u32, String> {
    let number = |name: &str| -> Result<Option<u32>, String> {
        let Some(text) = variable(name) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number
            .map(Some)
            .ok_or(format!("{name} is no number: {text:?}"))
    };
    let (Some(count), Some(pid)) = (number("LISTEN_FDS")?, number("LISTEN_PID")?) else {
        return Ok(0);
    };
    // They were for the process that started this one.
    if pid != std::process::id() {
        return Ok(0);
    }
    let names = variable("LISTEN_FDNAMES").map(|it| it.split(':').count());
    match names {
        Some(names) if u32::try_from(names) != Ok(count) => Err(format!(
            "LISTEN_FDNAMES names {names} sockets, and LISTEN_FDS says {count}"
        )),
        _ => Ok(count),
    }
}

fn adopt() -> Result<Passed, String> {
    let missing = |why: rustix::io::Errno| format!("descriptor {FIRST} cannot be taken: {why}");
    // A duplicate, since only its number is known of the original.
    let own = pidfd_open(getpid(), PidfdFlags::empty()).map_err(missing)?;
    let socket = pidfd_getfd(own, FIRST, PidfdGetfdFlags::empty()).map_err(missing)?;
    let listens = socket_acceptconn(&socket) == Ok(true);
    if !listens || socket_type(&socket) != Ok(SocketType::STREAM) {
        return Err(format!(
            "descriptor {FIRST} is no stream socket that listens"
        ));
    }
    let name = getsockname(&socket).map_err(missing)?;
    let address = SocketAddr::try_from(name).map_err(|_| {
        format!("descriptor {FIRST} is no socket of TCP; for a Unix socket pass --listen unix:PATH")
    })?;
    Ok(Passed { socket, address })
}

fn refused(why: String) -> Failed {
    Failed::new(Exit::Listen, format!("socket activation: {why}"))
}

/// The service manager, where there is one that wants to know.
pub(crate) struct Manager {
    socket: Option<(UnixDatagram, UnixAddress)>,
    /// How often it wants to hear that we live, at least.
    watchdog: Option<Duration>,
}

impl Manager {
    pub(crate) fn new() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let socket = variable("NOTIFY_SOCKET").filter(|it| !it.is_empty());
        let socket = socket.and_then(|path| match connect(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, path, "the service manager is not told anything");
                None
            }
        });
        let ours = variable("WATCHDOG_PID").is_none_or(|it| it == std::process::id().to_string());
        let micros = variable("WATCHDOG_USEC").and_then(|it| it.parse::<u64>().ok());
        let watchdog = micros
            .filter(|it| ours && *it > 0)
            .map(Duration::from_micros);
        Manager { socket, watchdog }
    }

    /// We listen.
    pub(crate) fn ready(&self, address: &str) {
        self.tell(&format!("READY=1\nSTATUS=listens on {address}"));
    }

    /// We take no more, and let what is under way end.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=ends when what is under way has ended");
    }

    /// Says that we live, for as long as it is wanted; never returns.
    pub(crate) async fn watch(&self) {
        let Some(limit) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        // Half of it, as sd_watchdog_enabled(3) has it.
        let mut interval = tokio::time::interval(limit / 2);
        loop {
            interval.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::warn!(%error, state, "the service manager was not told");
        }
    }
}

/// A path, or after `@` a name without one.
fn connect(path: &str) -> io::Result<(UnixDatagram, UnixAddress)> {
    let address = match path.strip_prefix('@') {
        Some(name) => UnixAddress::from_abstract_name(name)?,
        None => UnixAddress::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    // One that does not read is not waited for.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(set: &[(&str, &str)]) -> Result<u32, String> {
        count(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_passed_to_others_or_wrongly_is_not_taken() {
        let own = std::process::id().to_string();
        let (fds, pid) = (("LISTEN_FDS", "1"), ("LISTEN_PID", &*own));
        assert_eq!(counted(&[]), Ok(0));
        assert_eq!(counted(&[fds]), Ok(0));
        assert_eq!(counted(&[fds, ("LISTEN_PID", "1")]), Ok(0));
        assert_eq!(counted(&[fds, pid]), Ok(1));
        assert_eq!(counted(&[fds, pid, ("LISTEN_FDNAMES", "proxy")]), Ok(1));
        assert!(counted(&[fds, pid, ("LISTEN_FDNAMES", "a:b")]).is_err());
        for bad in ["", "-1", "+1", "1 ", "0x1", "99999999999"] {
            assert!(counted(&[("LISTEN_FDS", bad), pid]).is_err(), "{bad}");
            assert!(counted(&[fds, ("LISTEN_PID", bad)]).is_err(), "{bad}");
        }
    }
}
