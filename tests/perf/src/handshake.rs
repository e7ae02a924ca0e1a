//! A full TLS 1.3 handshake through the guests, beside native rustls.
//!
//! Both clients use the same cryptographic library, prefer the same groups and
//! talk to the same server in memory, in turn; what the server takes is not
//! counted. So what differs is the guests: two instances' worth of calls, and
//! every operation on a key through an import.
//!
//! The engine makes each connection's `tls` instance, its key share and its
//! ClientHello while it waits for the broker to make the connection. So what a
//! user waits for begins when the ClientHello goes out; what the processor does
//! includes all before. Both are told, beside all of the native client's work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood_engine::measure::Guests;
use fumehood_policy::{Host, Scheme, Target};
use fumehood_tests::certs::TestCa;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use crate::{Outcome, Row, guests, median, text};

/// Handshakes of each client for a median.
const HANDSHAKES: usize = 401;

/// Those before, not counted: caches and the shared verifier are warm then, as
/// they are in an engine at work.
const WARM_UP: usize = 20;

/// The name that both clients ask for.
const NAME: &str = "localhost";

pub(crate) fn measure() -> Outcome {
    let ca = TestCa::new();
    let guests = guests::load(&ca)?;
    let server = server_config(&ca)?;
    let client = client_config(&ca)?;
    let target = Target {
        scheme: Scheme::Https,
        host: Host::parse(NAME).map_err(text)?,
        port: 443,
    };
    let times = guests.at_work(|| compare(&guests, &target, &server, &client))?;
    let peer = Some((median(times.native), "rustls"));
    Ok(vec![
        Row {
            case: "tls13-handshake",
            ours: median(times.waited),
            peer,
        },
        Row {
            case: "tls13-handshake-work",
            ours: median(times.worked),
            peer,
        },
    ])
}

/// In microseconds, one of each a round.
#[derive(Default)]
struct Times {
    /// From the connection on.
    waited: Vec<f64>,
    /// With what was done before.
    worked: Vec<f64>,
    native: Vec<f64>,
}

/// Both clients' times.
fn compare(
    guests: &Guests,
    target: &Target,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Result<Times, String> {
    let mut times = Times::default();
    for round in 0..WARM_UP + HANDSHAKES {
        let mut peer = Peer::new(server)?;
        let began = Instant::now();
        let begun = guests.begin(target)?;
        let before = began.elapsed().as_secs_f64() * 1e6;
        let waited = timed(&mut peer, |peer| {
            guests.handshake(begun, &mut |sent| peer.exchange(sent))
        })?;
        let mut peer = Peer::new(server)?;
        let native = timed(&mut peer, |peer| natively(client, peer))?;
        if round >= WARM_UP {
            times.waited.push(waited);
            times.worked.push(waited + before);
            times.native.push(native);
        }
    }
    Ok(times)
}

/// The client's part of a handshake, in microseconds.
fn timed<T>(
    peer: &mut Peer,
    handshake: impl FnOnce(&mut Peer) -> Result<T, String>,
) -> Result<f64, String> {
    let began = Instant::now();
    // What it made is dropped after the clock was read: that is the
    // connection's end.
    let _connection = handshake(peer)?;
    let took = began.elapsed().saturating_sub(peer.took);
    if peer.connection.is_handshaking() {
        return Err("the server does not think that the handshake is over".to_owned());
    }
    Ok(took.as_secs_f64() * 1e6)
}

/// The same with rustls in this process.
fn natively(config: &Arc<ClientConfig>, peer: &mut Peer) -> Result<ClientConnection, String> {
    let name = ServerName::try_from(NAME).map_err(text)?;
    let mut client = ClientConnection::new(Arc::clone(config), name).map_err(text)?;
    let mut sent = Vec::new();
    loop {
        sent.clear();
        while client.wants_write() {
            client.write_tls(&mut sent).map_err(text)?;
        }
        let answer = peer.exchange(&sent);
        if !client.is_handshaking() {
            break;
        }
        let mut answer = answer.as_slice();
        while !answer.is_empty() && client.is_handshaking() {
            client.read_tls(&mut answer).map_err(text)?;
            client.process_new_packets().map_err(text)?;
        }
    }
    Ok(client)
}

/// A server, and how long it has been at work.
struct Peer {
    connection: ServerConnection,
    took: Duration,
}

impl Peer {
    fn new(config: &Arc<ServerConfig>) -> Result<Peer, String> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(text)?;
        Ok(Peer {
            connection,
            took: Duration::ZERO,
        })
    }

    /// Takes what the client sent and answers. A client's mistake shows in
    /// the handshake not being over at the end.
    fn exchange(&mut self, mut sent: &[u8]) -> Vec<u8> {
        let began = Instant::now();
        let mut answer = Vec::new();
        while !sent.is_empty() {
            if self.connection.read_tls(&mut sent).is_err()
                || self.connection.process_new_packets().is_err()
            {
                break;
            }
        }
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut answer).is_err() {
                break;
            }
        }
        self.took += began.elapsed();
        answer
    }
}

/// The guest's preferences: the hybrid key exchange first.
fn provider() -> Arc<CryptoProvider> {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    let kx_groups = vec![
        kx_group::X25519MLKEM768,
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ];
    Arc::new(CryptoProvider {
        kx_groups,
        ..default_provider()
    })
}

fn server_config(ca: &TestCa) -> Result<Arc<ServerConfig>, String> {
    let identity = ca.issue();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(text)?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(text)?;
    // Tickets come behind the handshake, which is what is timed.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// rustls as applications have it, its session cache apart: the guest resumes nothing.
fn client_config(ca: &TestCa) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(ca.certificate().to_vec()))
        .map_err(text)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(text)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
