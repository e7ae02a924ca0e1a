//! rustls servers with certificates of an authority of their own.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{KeyLog, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

pub(super) const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
pub(super) const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// Issues servers' certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    pub(super) fn server(
        &self,
        names: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .unwrap()
    }

    pub(super) fn in_memory(
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

/// A server that a test carries bytes to.
pub(super) struct InMemory {
    connection: ServerConnection,
    log: Arc<Log>,
}

impl InMemory {
    pub(super) fn answer(&mut self, mut sent: &[u8]) -> Vec<u8> {
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
    pub(super) fn logged(&self) -> BTreeSet<String> {
        self.log.0.lock().unwrap().clone()
    }
}

#[derive(Debug, Default)]
struct Log(Mutex<BTreeSet<String>>);

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
pub(super) struct Server {
    pub(super) address: SocketAddr,
    thread: JoinHandle<()>,
}

impl Server {
    /// Waits for it to have done its part.
    pub(super) fn join(self) {
        self.thread.join().unwrap();
    }
}

/// The server's end of a connection.
pub(super) type Stream = StreamOwned<ServerConnection, TcpStream>;

pub(super) trait FlushAll {
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
pub(super) fn serve(
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
pub(super) fn say(words: &'static [u8]) -> Server {
    at_a_port(move |mut socket| {
        let _ = socket.read(&mut [0; 16 * 1024]);
        socket.write_all(words).unwrap();
    })
}

fn at_a_port(serve: impl FnOnce(TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    Server { address, thread }
}
