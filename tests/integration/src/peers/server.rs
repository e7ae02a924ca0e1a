//! What the servers of the distribution have in common: where their programs and
//! free ports are, how one is started, and how it ends.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::temp::TempDir;

/// The slowest is ready within a second; a crowded machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked whether one is ready.
const POLL: Duration = Duration::from_millis(2);

/// Another process may take a port between our finding it and the server's bind.
const START_ATTEMPTS: usize = 5;

/// Ports that no system hands out by itself unless it is told to: who asks for any
/// free port, as other tests do all the time, gets none of these.
const PORTS: Range<u16> = 16_384..32_768;

/// How far apart two processes begin in [`PORTS`] at least, numbered one after the
/// other: more than most need.
const PORTS_PER_PROCESS: u32 = 64;

/// The file in a server's folder for what it writes to its standard streams.
const OUTPUT: &str = "output";

/// A server's process; killed and reaped on drop.
#[derive(Debug)]
pub(super) struct Server(Child);

impl Server {
    /// Runs `command` until `is_ready`. `log` is the file in `folder` that it
    /// complains in.
    ///
    /// # Errors
    /// `AddrInUse` where its port is not free any more; the error contains what
    /// it said.
    pub(super) fn start(
        mut command: Command,
        folder: &TempDir,
        log: &str,
        is_ready: impl Fn() -> bool,
    ) -> io::Result<Self> {
        // What an earlier attempt has said is no matter of this one.
        let _none = fs::remove_file(folder.join(log));
        let output = fs::File::create(folder.join(OUTPUT))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut server = Self(command.spawn()?);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let ready = is_ready();
            // Who is gone did not answer: somebody else did, on a port that was taken.
            let gone = server.0.try_wait()?.is_some();
            if ready && !gone {
                return Ok(server);
            }
            if gone || Instant::now() > deadline {
                let said = [OUTPUT, log]
                    .map(|name| fs::read_to_string(folder.join(name)).unwrap_or_default())
                    .concat();
                let taken = ["ddress already in use", "address in use"];
                let kind = if taken.iter().any(|it| said.contains(it)) {
                    io::ErrorKind::AddrInUse
                } else {
                    io::ErrorKind::Other
                };
                let message = format!("{command:?} did not start:\n{said}");
                return Err(io::Error::new(kind, message));
            }
            thread::sleep(POLL);
        }
    }

    /// Ends it, at once.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself; the wait reaps it either way.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to end, for one that has children to end too, and waits.
    pub(super) fn terminate(&mut self) {
        let process = i32::try_from(self.0.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tries again, with other ports, where one was taken.
pub(super) fn start<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..START_ATTEMPTS {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
    attempt()
}

/// Loopback ports that are free for UDP and TCP, and that this process is told of
/// once.
pub(super) fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    let begin = process::id().wrapping_mul(PORTS_PER_PROCESS);
    let mut ports = [0; N];
    for port in &mut ports {
        *port = loop {
            let told = TOLD.fetch_add(1, Ordering::Relaxed);
            if told >= count {
                return Err(io::Error::other("this process has had all ports there are"));
            }
            let offset = u16::try_from(begin.wrapping_add(told) % count);
            let port = PORTS.start + offset.map_err(io::Error::other)?;
            if is_free(port)? {
                break port;
            }
        };
    }
    Ok(ports)
}

fn is_free(port: u16) -> io::Result<bool> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let both = TcpListener::bind(address).and_then(|_| UdpSocket::bind(address));
    match both {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(false),
        Err(error) => Err(error),
    }
}

/// Debian keeps servers where an ordinary user's `PATH` does not look.
pub(super) fn find_program(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            let message = format!("{name} is not installed: `cargo xtask test` installs it");
            io::Error::new(io::ErrorKind::NotFound, message)
        })
}
