//! rustls servers with certificates of an authority of their own.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::tests::origin::payload;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ProducesTickets;
use rustls::{
    KeyLog, ProtocolVersion, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

pub(crate) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
pub(crate) const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// Issues servers' certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    pub(crate) fn server(
        &self,
        names: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        self.server_with(names, versions, default_provider())
    }

    /// A certificate by itself.
    pub(crate) fn leaf(&self, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let signed = params.signed_by(&KeyPair::generate().unwrap(), &self.0);
        signed.unwrap().der().to_vec()
    }

    /// A server of TLS 1.3 that asks the `tls` guest for a fault in its hello.
    pub(crate) fn asking(&self, fault: &str) -> ServerConfig {
        self.asking_in(fault, TLS13)
    }

    /// The same of these versions.
    pub(crate) fn asking_in(
        &self,
        fault: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let random = Box::leak(Box::new(Asking(format!("{MARKER}{fault}"))));
        let provider = CryptoProvider {
            secure_random: random,
            ..default_provider()
        };
        self.server_with(&["127.0.0.1"], versions, provider)
    }

    /// One that asks in a ticket.
    pub(crate) fn ticketing(&self, fault: &str) -> ServerConfig {
        let mut config = self.server(&["127.0.0.1"], TLS13);
        config.send_tls13_tickets = 1;
        config.ticketer = Arc::new(Asking(format!("{MARKER}{fault}")));
        config
    }

    /// One whose certificate asks the `x509` guest.
    pub(crate) fn named(&self, fault: &str) -> ServerConfig {
        self.server(&["127.0.0.1", &format!("{MARKER}{fault}.test")], TLS13)
    }

    pub(crate) fn server_with(
        &self,
        names: &[&str],
        versions: &[&'static SupportedProtocolVersion],
        provider: CryptoProvider,
    ) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        let provider = Arc::new(provider);
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone(), self.0.der().clone()], private)
            .unwrap()
    }

    pub(crate) fn in_memory(
        &self,
        names: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> InMemory {
        let log = Arc::new(Log::default());
        let mut config = self.server(names, versions);
        config.key_log = Arc::clone(&log) as Arc<dyn KeyLog>;
        InMemory {
            connection: ServerConnection::new(Arc::new(config)).unwrap(),
            log,
        }
    }
}

/// What a faulty guest looks for.
const MARKER: &str = "fumehood-fault-";

/// Length of the random of a hello.
const RANDOM: usize = 32;

/// Says the same in every hello, or in every ticket.
#[derive(Debug)]
struct Asking(String);

impl SecureRandom for Asking {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        if bytes.len() != RANDOM {
            return default_provider().secure_random.fill(bytes);
        }
        bytes.fill(0);
        bytes[..self.0.len()].copy_from_slice(self.0.as_bytes());
        Ok(())
    }
}

impl ProducesTickets for Asking {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.clone().into_bytes())
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// A handshake record of the server's own making that asks for a fault.
pub(crate) fn record(fault: &[u8]) -> Vec<u8> {
    let content = [MARKER.as_bytes(), fault].concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[22, 3, 3], &length[..], &content].concat()
}

/// A server that a test carries bytes to.
pub(crate) struct InMemory {
    connection: ServerConnection,
    log: Arc<Log>,
}

impl InMemory {
    pub(crate) fn answer(&mut self, mut sent: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        while !sent.is_empty() {
            self.connection.read_tls(&mut sent).unwrap();
            self.connection.process_new_packets().unwrap();
        }
        while self.connection.wants_write() {
            self.connection.write_tls(&mut answer).unwrap();
        }
        answer
    }

    /// What the server itself would write to a key log.
    pub(crate) fn logged(&self) -> BTreeSet<String> {
        self.log.0.lock().unwrap().clone()
    }
}

/// What a server writes to a key log.
#[derive(Debug, Default)]
pub(crate) struct Log(pub(crate) Mutex<BTreeSet<String>>);

impl KeyLog for Log {
    fn log(&self, label: &str, random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let line = format!("{label} {} {}", hex(random), hex(secret));
        self.0.lock().unwrap().insert(line);
    }
}

/// A server at a port of its own, for one connection.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Server {
    /// Waits for it to have done its part.
    pub(crate) fn join(self) {
        self.thread.join().unwrap();
    }
}

/// The server's end of a connection.
pub(crate) type Stream = StreamOwned<ServerConnection, TcpStream>;

pub(crate) trait FlushAll {
    fn flush_all(&mut self);
}

impl FlushAll for Stream {
    fn flush_all(&mut self) {
        while self.conn.wants_write() {
            self.conn.write_tls(&mut self.sock).unwrap();
        }
    }
}

/// Shakes hands with whoever connects and plays `part`. A client that gives
/// up in the handshake is what some tests are about.
pub(crate) fn serve(
    config: ServerConfig,
    part: impl FnOnce(&mut Stream) + Send + 'static,
) -> Server {
    at_a_port(move |socket| {
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                return;
            }
        }
        part(&mut stream);
    })
}

/// Says something that is not TLS, once a client has said something.
pub(crate) fn say(words: Vec<u8>) -> Server {
    at_a_port(move |mut socket| {
        let _ = socket.read(&mut [0; 16 * 1024]);
        socket.write_all(&words).unwrap();
    })
}

fn at_a_port(serve: impl FnOnce(TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    Server { address, thread }
}

/// HTTP over TLS, for as many connections as come, until the test ends.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Origin {
    /// With what each connection begins with, ahead of TLS, and its side of
    /// TLS; the last serves all that come then.
    pub(crate) fn start(each: Vec<(Vec<u8>, ServerConfig)>) -> Origin {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let each: Vec<_> = each
            .into_iter()
            .map(|(ahead, config)| (ahead, Arc::new(config)))
            .collect();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let number = theirs.connections.fetch_add(1, Ordering::SeqCst);
                let (ahead, config) = each[number.min(each.len() - 1)].clone();
                let shared = Arc::clone(&theirs);
                // A client that gives up is what some tests are about.
                std::thread::spawn(move || shared.serve(socket.unwrap(), &ahead, config));
            }
        });
        Origin { address, shared }
    }

    /// Connections that came so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Heads of the requests that came so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(
        &self,
        mut socket: TcpStream,
        ahead: &[u8],
        config: Arc<ServerConfig>,
    ) -> std::io::Result<()> {
        socket.write_all(ahead)?;
        let connection = ServerConnection::new(config).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap().to_owned();
            self.requests.lock().unwrap().push(head);
            answer(&mut stream, path[1..].parse().unwrap())?;
        }
    }
}

/// So many bytes; the keys change when half of them are sent, where they can.
fn answer(stream: &mut Stream, length: usize) -> std::io::Result<()> {
    let body = payload(length);
    let (first, rest) = body.split_at(length / 2);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
    )?;
    stream.write_all(first)?;
    stream.flush()?;
    if stream.conn.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        stream.conn.refresh_traffic_keys().unwrap();
    }
    stream.write_all(rest)?;
    stream.flush()
}
