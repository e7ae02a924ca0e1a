//! Real proxies on free loopback ports: squid and tinyproxy for HTTP, danted for
//! SOCKS. Each runs as whoever runs the test, unless it gives that up by itself.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::temp::TempDir;

/// squid takes a second; a crowded machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked whether one listens.
const POLL: Duration = Duration::from_millis(5);

/// Another process may take a port between our finding it and the proxy's bind.
const START_ATTEMPTS: usize = 5;

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
    child: Child,
    folder: TempDir,
    port: u16,
}

impl RealProxy {
    /// Starts it, and returns once it accepts connections.
    ///
    /// # Errors
    /// Where it is not installed, or does not start; the error contains what it
    /// said.
    pub fn start(kind: Kind) -> io::Result<Self> {
        for _ in 1..START_ATTEMPTS {
            match Self::attempt(kind) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                other => return other,
            }
        }
        Self::attempt(kind)
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
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let log = fs::File::create(folder.join("output"))?;
        let child = command(kind, &folder, port)?
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut proxy = Self {
            child,
            folder,
            port,
        };
        proxy.wait_until_ready()?;
        Ok(proxy)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.address()).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let said = ["output", "cache.log"]
                    .map(|name| fs::read_to_string(self.folder.join(name)).unwrap_or_default());
                let said = said.concat();
                let kind = match said.contains("ddress already in use") {
                    true => io::ErrorKind::AddrInUse,
                    false => io::ErrorKind::Other,
                };
                return Err(io::Error::new(
                    kind,
                    format!("the proxy did not start:\n{said}"),
                ));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for RealProxy {
    fn drop(&mut self) {
        // It may have ended by itself; the wait reaps it either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for part in SHARED_BY_SQUID {
            // Only squid has them.
            let _ = fs::remove_file(format!("/dev/shm/{}-{part}.shm", service(self.port)));
        }
    }
}

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
    let mut command = Command::new(program(name)?);
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
         cache deny all\naccess_log none\ncache_log {root}/cache.log\ncache_store_log none\n\
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

/// Debian keeps them where an ordinary user's `PATH` does not look.
fn program(name: &str) -> io::Result<PathBuf> {
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
