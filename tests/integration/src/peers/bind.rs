//! A real BIND, authoritative for signed zones, on free loopback ports and in a
//! folder of its own: by UDP and TCP, over TLS, and over HTTPS.
//!
//! It makes its keys and signs by itself. Its HTTPS is HTTP/2; a haproxy in front of
//! it speaks HTTP/1.1, and hands on what is asked and answered as it is.
//!
//! | zone | signed with | denies by |
//! |---|---|---|
//! | `bind.test` | ECDSAP256SHA256; [`Bind::anchor`] is its key | NSEC |
//! | `hashed.bind.test` | ED25519 | NSEC3, no iterations, no salt |
//!
//! Both have `www` (A 192.0.2.10, AAAA 2001:db8::10), `alias` → `www`, `*.wild`
//! (A 192.0.2.11), `deep.er` (A 192.0.2.12), and `big` (TXT, 20 strings of 200
//! bytes: over what fits in UDP).

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::server::{self, Server, find_program};
use crate::certs::Identity;
use crate::temp::TempDir;

/// The upper zone, and the one below it.
const ZONES: [&str; 2] = ["bind.test", "hashed.bind.test"];

/// What each has.
const CONTENT: &str = "www A 192.0.2.10\nwww AAAA 2001:db8::10\nalias CNAME www\n\
                       *.wild A 192.0.2.11\ndeep.er A 192.0.2.12\n";

/// Types: of a wildcard's answer, which is signed like all others, and of the record
/// that a zone has when its NSEC3 are all made.
const A: u8 = 1;
const NSEC3PARAM: u8 = 51;

/// How long one probe waits for its reply.
const PROBE: Duration = Duration::from_millis(200);

/// A running BIND and the haproxy before it; killed, and the folder removed, on drop.
#[derive(Debug)]
pub struct Bind {
    _servers: [Server; 2],
    folder: TempDir,
    ports: Ports,
    anchor: String,
    /// How much of its log is of the time before it was ready.
    logged: usize,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: u16,
    /// BIND's own, which speaks HTTP/2 alone, and haproxy's.
    http2: u16,
    https: u16,
}

impl Bind {
    /// Starts both, and returns once the zones are signed.
    ///
    /// # Errors
    /// Where one is not installed, or does not start; the error contains what it
    /// said.
    pub fn start(identity: &Identity) -> io::Result<Self> {
        server::start(|| Self::attempt(identity))
    }

    /// Where it listens, by UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        loopback(self.ports.plain)
    }

    /// Where it listens for TLS.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        loopback(self.ports.tls)
    }

    /// Where its HTTPS is to be had over HTTP/1.1, at `/dns-query`.
    #[must_use]
    pub fn https_address(&self) -> SocketAddr {
        loopback(self.ports.https)
    }

    /// The key of `bind.test`, as a configuration names it.
    #[must_use]
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    /// What it has been asked, in order: `name TYPE`, in lower case and capitals.
    ///
    /// # Errors
    /// Where its log cannot be read.
    pub fn questions(&self) -> io::Result<Vec<String>> {
        let log = fs::read_to_string(self.folder.join("named.log"))?;
        let question = |line: &str| {
            let mut words = line.split_once(" query: ")?.1.split(' ');
            let (name, _class) = (words.next()?.to_lowercase(), words.next()?);
            Some(format!("{name} {}", words.next()?))
        };
        let since = log.get(self.logged..).unwrap_or_default();
        Ok(since.lines().filter_map(question).collect())
    }

    fn attempt(identity: &Identity) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let [plain, tls, http2, https] = server::free_ports()?;
        let ports = Ports {
            plain,
            tls,
            http2,
            https,
        };
        folder.write("chain.pem", &identity.chain_pem)?;
        folder.write("key.pem", &identity.key_pem)?;
        let both = [&identity.chain_pem[..], &identity.key_pem].concat();
        folder.write("both.pem", both)?;
        let config = folder.write("named.conf", named(folder.path(), ports))?;
        let anchor = make_zones(&folder, &config)?;

        let mut command = Command::new(find_program("named")?);
        command.args(["-f", "-n", "1", "-c"]).arg(config);
        let signed = || {
            is_answered(ports.plain, "x.wild.bind.test", A)
                && is_answered(ports.plain, "hashed.bind.test", NSEC3PARAM)
                // Without one of these it complains, and goes on.
                && listens(ports.tls)
                && listens(ports.http2)
        };
        let bind = Server::start(command, &folder, "named.log", signed)?;
        let config = folder.write("haproxy.conf", haproxy(folder.path(), ports))?;
        let mut command = Command::new(find_program("haproxy")?);
        command.args(["-db", "-f"]).arg(config);
        let front = Server::start(command, &folder, "haproxy.log", || listens(https))?;
        let logged = fs::read_to_string(folder.join("named.log"))?.len();
        Ok(Self {
            _servers: [front, bind],
            folder,
            ports,
            anchor,
            logged,
        })
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn listens(port: u16) -> bool {
    TcpStream::connect(loopback(port)).is_ok()
}

/// Writes the zones, the lower one first, and returns the key of the upper one as a
/// configuration names it.
fn make_zones(folder: &TempDir, config: &Path) -> io::Result<String> {
    let big = format!("\"{}\" ", "x".repeat(200)).repeat(20);
    let mut delegation = String::new();
    for zone in ZONES.iter().rev() {
        let content = format!(
            "$ORIGIN {zone}.\n$TTL 300\n@ SOA ns mail 1 3600 600 86400 45\n@ NS ns\n\
             ns A 127.0.0.1\n{CONTENT}big TXT {big}\n{delegation}"
        );
        folder.write(&format!("{zone}.zone"), content)?;
        let mut keygen = Command::new(find_program("dnssec-keygen")?);
        keygen.args(["-q", "-k", zone, "-l"]).arg(config).arg(zone);
        let key = said_by(keygen.current_dir(folder.path()))?;
        let mut digest = Command::new(find_program("dnssec-dsfromkey")?);
        digest.args(["-2", key.trim()]);
        delegation = said_by(digest.current_dir(folder.path()))?;
        if let Some(below) = zone.strip_suffix(".bind.test") {
            delegation += &format!("{below} NS ns.{below}\nns.{below} A 127.0.0.1\n");
        }
    }
    // `bind.test. IN DS 12345 13 2 DIGEST`, the last perhaps in parts.
    let words: Vec<&str> = delegation.split_whitespace().skip(3).collect();
    let (numbers, digest) = words.split_at(words.len().min(3));
    Ok(format!(
        "bind.test {} {}",
        numbers.join(" "),
        digest.concat()
    ))
}

fn said_by(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {said}")))
}

/// Whether there is an answer to this, and a signature of it: two records.
fn is_answered(port: u16, name: &str, code: u8) -> bool {
    // One question, and EDNS for the bit that asks for signatures (RFC 3225).
    let mut question = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, code, 0, 1]);
    question.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    let ask = || {
        let socket = UdpSocket::bind(loopback(0))?;
        socket.set_read_timeout(Some(PROBE))?;
        socket.send_to(&question, loopback(port))?;
        let mut reply = [0; 2048];
        socket.recv(&mut reply)?;
        Ok::<_, io::Error>(u16::from_be_bytes([reply[6], reply[7]]))
    };
    // Until it listens nobody answers.
    ask().is_ok_and(|answers| answers >= 2)
}

fn named(root: &Path, ports: Ports) -> String {
    let root = root.display();
    let Ports {
        plain, tls, http2, ..
    } = ports;
    let zones = ZONES.map(|zone| {
        format!(
            "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; inline-signing yes; \
             dnssec-policy \"{zone}\"; }};\n"
        )
    });
    format!(
        r#"
tls own {{ cert-file "{root}/chain.pem"; key-file "{root}/key.pem"; }};
http own {{ endpoints {{ "/dns-query"; }}; }};
options {{
    directory "{root}";
    listen-on port {plain} {{ 127.0.0.1; }};
    listen-on port {tls} tls own {{ 127.0.0.1; }};
    listen-on port {http2} tls own http own {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    lock-file none;
    session-keyfile none;
    recursion no;
    dnssec-validation no;
    notify no;
    querylog yes;
}};
controls {{ }};
logging {{
    channel own {{ file "{root}/named.log"; severity info; }};
    category default {{ own; }};
    category queries {{ own; }};
}};
dnssec-policy "bind.test" {{
    keys {{ csk lifetime unlimited algorithm ecdsap256sha256; }};
}};
dnssec-policy "hashed.bind.test" {{
    keys {{ csk lifetime unlimited algorithm ed25519; }};
    nsec3param iterations 0 optout no salt-length 0;
}};
{}"#,
        zones.concat()
    )
}

fn haproxy(root: &Path, ports: Ports) -> String {
    let root = root.display();
    let Ports { http2, https, .. } = ports;
    format!(
        "defaults\n  mode http\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n\
         listen all\n  bind 127.0.0.1:{https} ssl crt {root}/both.pem alpn http/1.1\n  \
         server bind 127.0.0.1:{http2} ssl verify none alpn h2 proto h2\n"
    )
}
