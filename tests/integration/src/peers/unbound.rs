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
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use super::server::{self, Server, find_program};
use crate::certs::Identity;
use crate::temp::TempDir;

/// A running unbound; killed, and its folder removed, on drop.
#[derive(Debug)]
pub struct Unbound {
    _server: Server,
    _folder: TempDir,
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
        server::start(|| Self::attempt(None, None))
    }

    /// One that knows what this server knows, and nothing else. It validates
    /// nothing.
    ///
    /// # Errors
    /// As for [`Unbound::start`].
    pub fn start_before(server: SocketAddr) -> io::Result<Self> {
        server::start(|| Self::attempt(None, Some(server)))
    }

    /// The same, with DNS over TLS beside.
    ///
    /// # Errors
    /// As for [`Unbound::start`].
    pub fn start_tls(identity: &Identity) -> io::Result<Self> {
        server::start(|| Self::attempt(Some(identity), None))
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
        let [port, tls_port] = server::free_ports()?;
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
        let mut command = Command::new(find_program("unbound")?);
        command.arg("-d").arg("-c").arg(config);
        // It says in its log when all its sockets are bound.
        let log = folder.join("unbound.log");
        let is_ready = || fs::read_to_string(&log).is_ok_and(|it| it.contains("start of service"));
        let server = Server::start(command, &folder, "unbound.log", is_ready)?;
        Ok(Self {
            _server: server,
            _folder: folder,
            port,
            tls_port,
        })
    }
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
