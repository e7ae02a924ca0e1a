//! A real nsd with signed zones on a free loopback port, in a folder of its own.
//!
//! The zones are signed when it starts, with `ldns-signzone`. Its root is a
//! root of its own; [`Nsd::anchor`] is that root's key.
//!
//! | zone | signed with | denies by |
//! |---|---|---|
//! | `.` | RSASHA256, 2,048 bits | NSEC |
//! | `test` | ECDSAP256SHA256 | NSEC |
//! | `signed.test` | ECDSAP384SHA384 | NSEC |
//! | `hashed.test` | ED25519 | NSEC3, 5 iterations |
//! | `loose.test` | RSASHA512, 1,024 bits | NSEC3, opt-out |
//! | `costly.test` | ECDSAP256SHA256 | NSEC3, 51 iterations |
//! | `expired.test` | ECDSAP256SHA256, some years ago | NSEC |
//! | `replaced.test` | ECDSAP256SHA256; its parent names another key | NSEC |
//! | `stripped.test` | nothing; its parent names a key | |
//! | `open.test` | nothing | |
//!
//! Each but the first two has `www` (A 192.0.2.10, AAAA 2001:db8::10), `alias`
//! → `www`, `*.wild` (A 192.0.2.11) and `deep.er` (A 192.0.2.12).

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use super::server::{self, Server, find_program};
use crate::certs::Identity;
use crate::temp::TempDir;

/// A zone below `test`.
struct Zone {
    name: &'static str,
    key: Key,
    denial: &'static [&'static str],
}

enum Key {
    /// Arguments of `ldns-keygen`.
    Made(&'static [&'static str]),
    /// Its parent names this one, which is not the zone's.
    Replaced,
    /// Its parent names one, and the zone is not signed.
    Stripped,
    None,
}

const P256: &[&str] = &["-a", "ECDSAP256SHA256"];

const ZONES: [Zone; 8] = [
    zone("signed.test", Key::Made(&["-a", "ECDSAP384SHA384"]), &[]),
    zone(
        "hashed.test",
        Key::Made(&["-a", "ED25519"]),
        &["-n", "-t", "5", "-s", "abcd"],
    ),
    zone(
        "loose.test",
        Key::Made(&["-a", "RSASHA512", "-b", "1024"]),
        &["-n", "-p", "-t", "0"],
    ),
    zone(
        "costly.test",
        Key::Made(P256),
        &["-n", "-t", "51", "-s", "abcd"],
    ),
    zone(
        "expired.test",
        Key::Made(P256),
        &["-i", "20200101000000", "-e", "20200201000000"],
    ),
    zone("replaced.test", Key::Replaced, &[]),
    zone("stripped.test", Key::Stripped, &[]),
    zone("open.test", Key::None, &[]),
];

const fn zone(name: &'static str, key: Key, denial: &'static [&'static str]) -> Zone {
    Zone { name, key, denial }
}

/// A running nsd; ended, and its folder removed, on drop.
#[derive(Debug)]
pub struct Nsd {
    server: Server,
    _folder: TempDir,
    port: u16,
    tls_port: u16,
    anchor: String,
}

impl Nsd {
    /// Signs the zones, starts it, and returns once it answers.
    ///
    /// # Errors
    /// Where nsd or ldns is not installed, or one of them fails; the error
    /// contains what it said.
    pub fn start() -> io::Result<Self> {
        server::start(|| Self::attempt(None))
    }

    /// The same, with DNS over TLS beside.
    ///
    /// # Errors
    /// As for [`Nsd::start`].
    pub fn start_tls(identity: &Identity) -> io::Result<Self> {
        server::start(|| Self::attempt(Some(identity)))
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

    /// Its root's key, as a configuration names it.
    #[must_use]
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    fn attempt(identity: Option<&Identity>) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let anchor = sign_all(&folder)?;
        let [port, tls_port] = server::free_ports()?;
        let mut text = configuration(&folder, port);
        if let Some(identity) = identity {
            folder.write("chain.pem", &identity.chain_pem)?;
            folder.write("key.pem", &identity.key_pem)?;
            text += &tls_configuration(&folder, tls_port);
        }
        text += "remote-control:\n    control-enable: no\n";
        for name in [".", "test"]
            .into_iter()
            .chain(ZONES.iter().map(|it| it.name))
        {
            let file = file_of(name);
            text += &format!("zone:\n    name: \"{name}\"\n    zonefile: \"{file}.signed\"\n");
        }
        let config = folder.write("nsd.conf", text)?;
        let mut command = Command::new(find_program("nsd")?);
        command.arg("-d").arg("-c").arg(config);
        let log = folder.join("nsd.log");
        let is_ready = || fs::read_to_string(&log).is_ok_and(|it| it.contains("nsd started"));
        let server = Server::start(command, &folder, "nsd.log", is_ready)?;
        Ok(Self {
            server,
            _folder: folder,
            port,
            tls_port,
            anchor,
        })
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // Killed, it would leave its own child behind.
        self.server.terminate();
    }
}

fn file_of(zone: &str) -> String {
    match zone {
        "." => "root.zone".to_owned(),
        name => format!("{name}.zone"),
    }
}

/// Makes keys and zones from the leaves up, and returns the root's key.
fn sign_all(folder: &TempDir) -> io::Result<String> {
    let mut test = head("test");
    for zone in &ZONES {
        let name = zone.name;
        test += &format!("{name}. NS ns.test.\n");
        let content = head(name)
            + "www A 192.0.2.10\nwww AAAA 2001:db8::10\nalias CNAME www\n*.wild A 192.0.2.11\n\
               deep.er A 192.0.2.12\n";
        let key = match zone.key {
            Key::None => None,
            Key::Made(arguments) => Some(keygen(folder, name, arguments)?),
            Key::Replaced | Key::Stripped => Some(keygen(folder, name, P256)?),
        };
        if let Some(key) = &key {
            test += &fs::read_to_string(folder.join(format!("{key}.ds")))?;
        }
        match (&zone.key, key) {
            (Key::Made(_), Some(key)) => sign(folder, name, &content, &key, zone.denial)?,
            (Key::Replaced, _) => {
                let other = keygen(folder, name, P256)?;
                sign(folder, name, &content, &other, zone.denial)?;
            }
            _ => drop(folder.write(&format!("{}.signed", file_of(name)), content)?),
        }
    }
    let key = keygen(folder, "test", P256)?;
    sign(folder, "test", &test, &key, &[])?;
    let delegation = fs::read_to_string(folder.join(format!("{key}.ds")))?;
    let root = head(".") + "test. NS ns.test.\nns.test. A 127.0.0.1\n" + &delegation;
    let key = keygen(folder, ".", &["-a", "RSASHA256", "-b", "2048"])?;
    sign(folder, ".", &root, &key, &[])?;
    let anchor = fs::read_to_string(folder.join(format!("{key}.ds")))?;
    let words: Vec<&str> = anchor.split_whitespace().collect();
    // `. IN DS 1 2 3 digest`
    let at = words
        .iter()
        .position(|it| *it == "DS")
        .map_or(0, |at| at + 1);
    Ok(format!(". {}", words[at..].join(" ")))
}

fn head(zone: &str) -> String {
    let dot = if zone == "." { "" } else { "." };
    format!(
        "$ORIGIN {zone}{dot}\n$TTL 300\n@ SOA ns.test. mail.test. 1 3600 600 86400 300\n\
         @ NS ns.test.\n"
    )
}

/// Makes a key, and returns the name of its files.
fn keygen(folder: &TempDir, zone: &str, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new(find_program("ldns-keygen")?);
    command.arg("-k").args(arguments).arg(zone);
    let said = run(command.current_dir(folder.path()))?;
    Ok(said.trim().to_owned())
}

fn sign(
    folder: &TempDir,
    zone: &str,
    content: &str,
    key: &str,
    arguments: &[&str],
) -> io::Result<()> {
    let file = file_of(zone);
    folder.write(&file, content)?;
    let mut command = Command::new(find_program("ldns-signzone")?);
    command.args(arguments).args([&file[..], key]);
    run(command.current_dir(folder.path()))?;
    Ok(())
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}

/// More of its `server:` clause.
fn tls_configuration(folder: &TempDir, port: u16) -> String {
    let root = folder.path().display();
    format!(
        r#"
    ip-address: 127.0.0.1@{port}
    tls-port: {port}
    tls-service-pem: "{root}/chain.pem"
    tls-service-key: "{root}/key.pem"
"#
    )
}

fn configuration(folder: &TempDir, port: u16) -> String {
    let root = folder.path().display();
    format!(
        r#"
server:
    ip-address: 127.0.0.1@{port}
    do-ip6: no
    username: ""
    chroot: ""
    zonesdir: "{root}"
    pidfile: ""
    database: ""
    logfile: "{root}/nsd.log"
    verbosity: 1
    xfrdfile: "{root}/xfrd.state"
    xfrdir: "{root}"
    zonelistfile: "{root}/zone.list"
    server-count: 1
"#
    )
}
