//! Real proxies on free loopback ports: squid and tinyproxy for HTTP, danted for
//! SOCKS. Each runs as whoever runs the test, unless it gives that up by itself.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::server::{self, Server, find_program};
use crate::temp::TempDir;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An HTTP proxy that asks nobody who they are.
    Squid,
    /// The same; `alice` has to prove, by Digest, that she knows `secret`.
    SquidDigest,
    /// The same, by Negotiate: the tokens `first` and `third` are wanted, in that
    /// order, on one connection, and `second` and `last` are what it says.
    SquidNegotiate,
    /// The same by NTLM, which has no last word.
    SquidNtlm,
    /// An HTTP proxy that wants `alice:secret` by Basic.
    Tinyproxy,
    /// A SOCKS 4, 4a and 5 proxy that asks nobody.
    Dante,
}

/// A running proxy; killed, and its folder removed, on drop.
#[derive(Debug)]
pub struct RealProxy {
    server: Server,
    _folder: TempDir,
    port: u16,
}

impl RealProxy {
    /// Starts it, and returns once it accepts connections.
    ///
    /// # Errors
    /// Where it is not installed, or does not start; the error contains what it
    /// said.
    pub fn start(kind: Kind) -> io::Result<Self> {
        server::start(|| Self::attempt(kind))
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn attempt(kind: Kind) -> io::Result<Self> {
        let folder = TempDir::new()?;
        // Some give up root for another user, who has to read and write there.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let [port] = server::free_ports()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let command = command(kind, &folder, port)?;
        // Whoever is there would take a connection; what a squid says is its own.
        let log = folder.join(LOG);
        let says_so = || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            !is_squid(kind) || said.contains("Accepting HTTP")
        };
        let is_ready = || says_so() && TcpStream::connect(address).is_ok();
        Ok(Self {
            server: Server::start(command, &folder, LOG, is_ready)?,
            _folder: folder,
            port,
        })
    }
}

fn is_squid(kind: Kind) -> bool {
    match kind {
        Kind::Squid | Kind::SquidDigest | Kind::SquidNegotiate | Kind::SquidNtlm => true,
        Kind::Tinyproxy | Kind::Dante => false,
    }
}

impl Drop for RealProxy {
    fn drop(&mut self) {
        self.server.kill();
        for part in SHARED_BY_SQUID {
            // Only squid has them.
            let _ = fs::remove_file(format!("/dev/shm/{}-{part}.shm", service(self.port)));
        }
    }
}

/// What a squid tells of itself, in its folder.
const LOG: &str = "cache.log";

/// Shared memory that a squid makes, and leaves behind when it is killed.
const SHARED_BY_SQUID: [&str; 3] = ["cf__metadata", "cf__queues", "cf__readers"];

/// What a squid's shared memory is named by: two of one name cannot run at once.
fn service(port: u16) -> String {
    format!("fumehood{port}")
}

fn command(kind: Kind, folder: &TempDir, port: u16) -> io::Result<Command> {
    let root = folder.path();
    let (name, configuration) = match kind {
        Kind::Squid => ("squid", squid(root, port, "http_access allow all\n")),
        Kind::SquidDigest => ("squid", squid(root, port, &digest(folder)?)),
        Kind::SquidNegotiate => (
            "squid",
            squid(
                root,
                port,
                &tokens(folder, "negotiate", "AF bGFzdA== alice")?,
            ),
        ),
        Kind::SquidNtlm => (
            "squid",
            squid(root, port, &tokens(folder, "ntlm", "AF alice")?),
        ),
        Kind::Tinyproxy => (
            "tinyproxy",
            format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 64\nStartServers 4\n\
                 BasicAuth alice secret\nAllow 127.0.0.1\n"
            ),
        ),
        Kind::Dante => ("danted", dante(port)),
    };
    let file = folder.write("configuration", configuration)?;
    let mut command = Command::new(find_program(name)?);
    match kind {
        Kind::Squid | Kind::SquidDigest | Kind::SquidNegotiate | Kind::SquidNtlm => {
            command.args(["-N", "-n", &service(port), "-f"]).arg(file)
        }
        Kind::Tinyproxy => command.args(["-d", "-c"]).arg(file),
        Kind::Dante => command.arg("-p").arg(root.join("pid")).arg("-f").arg(file),
    };
    Ok(command)
}

fn squid(root: &Path, port: u16, access: &str) -> String {
    let root = root.display();
    format!(
        "http_port 127.0.0.1:{port}\npid_filename {root}/pid\ncoredump_dir {root}\n\
         cache deny all\naccess_log none\ncache_log {root}/{LOG}\ncache_store_log none\n\
         shutdown_lifetime 0 seconds\nvisible_hostname squid.test\npinger_enable off\n\
         dns_nameservers 127.0.0.1\nhosts_file /etc/hosts\n{access}"
    )
}

/// Where Debian keeps squid's helper.
const DIGEST_HELPER: &str = "/usr/lib/squid/digest_file_auth";

fn digest(folder: &TempDir) -> io::Result<String> {
    let users = folder.write("users", "alice:secret\n")?;
    Ok(format!(
        "auth_param digest program {DIGEST_HELPER} {}\nauth_param digest realm fumehood\n\
         auth_param digest children 1\nacl known proxy_auth REQUIRED\nhttp_access allow known\n\
         http_access deny all\n",
        users.display()
    ))
}

/// A helper that knows four tokens, in base64, and the configuration that has it.
fn tokens(folder: &TempDir, scheme: &str, accepts: &str) -> io::Result<String> {
    let helper = format!(
        "#!/bin/sh\nwhile read -r word token rest; do\n  case \"$word $token\" in\n    \
         'YR Zmlyc3Q=') echo 'TT c2Vjb25k' ;;\n    'KK dGhpcmQ=') echo '{accepts}' ;;\n    \
         *) echo 'BH who is this' ;;\n  esac\ndone\n"
    );
    let helper = folder.write("helper", helper)?;
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755))?;
    Ok(format!(
        "auth_param {scheme} program {}\nauth_param {scheme} children 4 startup=1 idle=1\n\
         acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n",
        helper.display()
    ))
}

fn dante(port: u16) -> String {
    format!(
        "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: lo\n\
         clientmethod: none\nsocksmethod: none\n\
         client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect }}\n"
    )
}
