//! A real unbound on a free loopback port, in a folder of its own.
//!
//! Runs as whoever runs the test, in one process. It knows what it is told
//! and nothing else: no question leaves it.
//!
//! | name | what it has |
//! |---|---|
//! | `www.fumehood.test` | A 192.0.2.10, AAAA 2001:db8::10, TTL 300 |
//! | `alias.fumehood.test` | CNAME `www.fumehood.test` |
//! | `big.fumehood.test` | TXT, 20 strings of 200 bytes: over what fits in UDP |
//! | `private.fumehood.test` | A 10.0.0.1 |
//! | `fumehood.test` | SOA (minimum 45), NS, MX, CAA |
//! | `_http._tcp.fumehood.test` | SRV 1 2 8080 `www.fumehood.test` |
//! | `10.2.0.192.in-addr.arpa` | PTR `www.fumehood.test` |
//! | `svc.fumehood.test` | HTTPS 1 `.` alpn=h2,h3 port=8443 |
//! | anything else | NXDOMAIN |
//!
//! With a certificate it speaks DNS over TLS too, on another port.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::certs::Identity;
use crate::temp::TempDir;

/// unbound is ready within milliseconds; a crowded machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often the file that unbound is about to write is looked at.
const POLL: Duration = Duration::from_millis(2);

/// Another process may take a port between our finding it and unbound's bind.
const START_ATTEMPTS: usize = 5;

/// A running unbound; killed, and its folder removed, on drop.
#[derive(Debug)]
pub struct Unbound {
    child: Child,
    folder: TempDir,
    port: u16,
    tls_port: u16,
}

impl Unbound {
    /// Starts it, and returns once it answers on UDP and TCP.
    ///
    /// # Errors
    /// Where unbound is not installed, or does not start; the error contains
    /// what unbound said.
    pub fn start() -> io::Result<Self> {
        Self::start_with(None, None)
    }

    /// One that knows what this server knows, and nothing else. It validates
    /// nothing.
    ///
    /// # Errors
    /// As for [`Unbound::start`].
    pub fn start_before(server: SocketAddr) -> io::Result<Self> {
        Self::start_with(None, Some(server))
    }

    /// The same, with DNS over TLS beside.
    ///
    /// # Errors
    /// As for [`Unbound::start`].
    pub fn start_tls(identity: &Identity) -> io::Result<Self> {
        Self::start_with(Some(identity), None)
    }

    fn start_with(identity: Option<&Identity>, before: Option<SocketAddr>) -> io::Result<Self> {
        for _ in 1..START_ATTEMPTS {
            match Self::attempt(identity, before) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                other => return other,
            }
        }
        Self::attempt(identity, before)
    }

    /// Where it listens, by UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where it listens for TLS, if it does.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.tls_port).into()
    }

    fn attempt(identity: Option<&Identity>, before: Option<SocketAddr>) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let (port, tls_port) = (free_port()?, free_port()?);
        let mut text = common(&folder, port);
        text += &match before {
            None => own_data(),
            Some(server) => forwarding(server),
        };
        if let Some(identity) = identity {
            folder.write("chain.pem", &identity.chain_pem)?;
            folder.write("key.pem", &identity.key_pem)?;
            text += &tls_configuration(&folder, tls_port);
        }
        let config = folder.write("unbound.conf", text)?;
        let child = Command::new(find_program("unbound")?)
            .arg("-d")
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut unbound = Self {
            child,
            folder,
            port,
            tls_port,
        };
        unbound.wait_until_ready()?;
        Ok(unbound)
    }

    /// It says in its log when all its sockets are bound.
    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let log = fs::read_to_string(self.folder.join("unbound.log")).unwrap_or_default();
            if log.contains("start of service") {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let kind = if log.contains("Address already in use") {
                    io::ErrorKind::AddrInUse
                } else {
                    io::ErrorKind::Other
                };
                return Err(io::Error::new(
                    kind,
                    format!("unbound did not start:\n{log}"),
                ));
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        // It may have ended by itself; the wait reaps it either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for UDP and TCP.
pub(super) fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    Ok(port)
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

/// More of its `server:` clause.
fn tls_configuration(folder: &TempDir, port: u16) -> String {
    let root = folder.path().display();
    format!(
        r#"
    interface: 127.0.0.1@{port}
    tls-port: {port}
    tls-service-pem: "{root}/chain.pem"
    tls-service-key: "{root}/key.pem"
"#
    )
}

fn common(folder: &TempDir, port: u16) -> String {
    let root = folder.path().display();
    format!(
        r#"
server:
    interface: 127.0.0.1@{port}
    do-ip6: no
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{root}"
    pidfile: ""
    use-syslog: no
    logfile: "{root}/unbound.log"
    verbosity: 1
    num-threads: 1
    module-config: "iterator"
    minimal-responses: yes
"#
    )
}

fn forwarding(server: SocketAddr) -> String {
    let (address, port) = (server.ip(), server.port());
    format!(
        r#"
    do-not-query-localhost: no
    local-zone: "test." nodefault
forward-zone:
    name: "."
    forward-addr: {address}@{port}
"#
    )
}

fn own_data() -> String {
    let big = format!("\"{}\" ", "x".repeat(200)).repeat(20);
    format!(
        r#"
    private-domain: "fumehood.test"
    local-zone: "." static
    local-data: ". 3600 IN SOA ns.fumehood.test. mail.fumehood.test. 1 3600 600 86400 45"
    local-zone: "fumehood.test." static
    local-data: "fumehood.test. 3600 IN SOA ns.fumehood.test. mail.fumehood.test. 7 3600 600 86400 45"
    local-data: "fumehood.test. 3600 IN NS ns.fumehood.test."
    local-data: "fumehood.test. 3600 IN MX 10 mx.fumehood.test."
    local-data: 'fumehood.test. 3600 IN CAA 0 issue "ca.test"'
    local-data: "www.fumehood.test. 300 IN A 192.0.2.10"
    local-data: "www.fumehood.test. 300 IN AAAA 2001:db8::10"
    local-data: "alias.fumehood.test. 300 IN CNAME www.fumehood.test."
    local-data: "private.fumehood.test. 300 IN A 10.0.0.1"
    local-data: "_http._tcp.fumehood.test. 300 IN SRV 1 2 8080 www.fumehood.test."
    local-data: 'svc.fumehood.test. 300 IN HTTPS 1 . alpn="h2,h3" port=8443'
    local-data: 'big.fumehood.test. 300 IN TXT {big}'
    local-zone: "2.0.192.in-addr.arpa." static
    local-data: "10.2.0.192.in-addr.arpa. 300 IN PTR www.fumehood.test."
"#
    )
}
