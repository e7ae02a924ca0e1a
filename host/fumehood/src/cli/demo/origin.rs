//! The demonstration's own server: TLS on loopback, a throw-away authority,
//! content that can be checked.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::cli::content;

/// Largest request head read, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long a held response waits for its release, so that nothing hangs.
const HELD_AT_MOST: Duration = Duration::from_secs(20);

/// A running server; it ends with the process.
pub(super) struct Origin {
    address: SocketAddr,
    anchor: CertificateDer<'static>,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
}

/// Holds responses in the middle of their content.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    waiting: usize,
    open: bool,
}

impl Origin {
    pub(super) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let (config, anchor) = tls()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            gate: Gate::default(),
        });
        let state = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, state) = (config.clone(), state.clone());
                // A client that breaks off ends its own thread.
                std::thread::spawn(move || serve(stream, config, &state));
            }
        });
        Ok(Origin {
            address,
            anchor,
            shared,
        })
    }

    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(super) fn anchor(&self) -> &CertificateDer<'static> {
        &self.anchor
    }

    /// How many responses are held right now.
    pub(super) fn held(&self) -> usize {
        self.shared.gate.lock().waiting
    }

    /// Lets held responses go on.
    pub(super) fn release(&self) {
        self.shared.gate.lock().open = true;
        self.shared.gate.changed.notify_all();
    }
}

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let mut state = self.lock();
        state.waiting += 1;
        let waited = self
            .changed
            .wait_timeout_while(state, HELD_AT_MOST, |state| !state.open);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
    }
}

/// For a server on loopback: a throw-away authority, and what it certifies.
pub(in crate::cli) fn tls()
-> Result<(Arc<ServerConfig>, CertificateDer<'static>), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &authority)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    Ok((Arc::new(config), authority.der().clone()))
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let session = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    while let Some(path) = request(&mut stream)? {
        answer(&mut stream, &path, shared)?;
        stream.flush()?;
    }
    Ok(())
}

/// Reads a request without content; gives its path, or `None` at the end.
fn request(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 || head.len() + read > MAX_HEAD_BYTES {
            return Ok(None);
        }
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.split(' ').nth(1).map(str::to_owned))
}

/// `/bytes/N`, `/held/N` (waits half-way until it is released), `/poison`.
fn answer(stream: &mut impl Write, path: &str, shared: &Shared) -> io::Result<()> {
    let number = |prefix: &str| {
        path.strip_prefix(prefix)
            .and_then(|n| n.parse::<u64>().ok())
    };
    if path == "/poison" {
        return stream
            .write_all(b"HTTP/1.1 200 OK\r\nx-fumehood-fault: trap\r\ncontent-length: 0\r\n\r\n");
    }
    let (length, held) = match (number("/bytes/"), number("/held/")) {
        (Some(length), _) => (length, false),
        (None, Some(length)) => (length, true),
        (None, None) => {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
    )?;
    let half = if held { length / 2 } else { 0 };
    content::write(stream, 0, half)?;
    if held {
        stream.flush()?;
        shared.gate.wait();
    }
    content::write(stream, half, length)
}
