//! What a server knows of a connection's secrets is in no guest's memory.

use std::sync::{Arc, Mutex};

use fumehood_control::Field;
use fumehood_policy::Scheme;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::tls13::OkmBlock;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup,
};
use rustls::{Error, KeyLog, NamedGroup, ServerConfig, SupportedCipherSuite};

use super::server::{Authority, Log, Origin, TLS12, TLS13};
use crate::tests::exchange::request;
use crate::tests::memory::guests_that_hold;
use crate::tests::rig::{LIMITS, Rig};

/// Length of AES-256's keys, and of the nonces' fixed part in TLS 1.3.
const KEY: usize = 32;
const IV: usize = 12;

/// The same of TLS 1.2.
const IV12: usize = 4;

/// A key exchange whose result a test hears of.
#[derive(Debug, Default)]
struct Overheard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Overheard {
    fn new() -> &'static Overheard {
        Box::leak(Box::default())
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl SupportedKxGroup for Overheard {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Overhearing {
            heard: Arc::clone(&self.0),
            exchange: kx_group::X25519.start()?,
        }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// One that is under way.
struct Overhearing {
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    exchange: Box<dyn ActiveKeyExchange>,
}

impl ActiveKeyExchange for Overhearing {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let secret = self.exchange.complete(share)?;
        let bytes = secret.secret_bytes().to_vec();
        self.heard.lock().unwrap().push(bytes);
        Ok(secret)
    }

    fn pub_key(&self) -> &[u8] {
        self.exchange.pub_key()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

fn provider(suite: SupportedCipherSuite, exchanges: &'static Overheard) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![suite],
        kx_groups: vec![exchanges],
        ..default_provider()
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// What records are protected with under a traffic secret (RFC 8446 section 7.3).
fn derived(secret: &[u8], label: &str, length: usize) -> Vec<u8> {
    let suite = cipher_suite::TLS13_AES_256_GCM_SHA384.tls13().unwrap();
    let expander = suite.hkdf_provider.expander_for_okm(&OkmBlock::new(secret));
    let label = format!("tls13 {label}");
    let info = [
        &u16::try_from(length).unwrap().to_be_bytes()[..],
        &[u8::try_from(label.len()).unwrap()],
        label.as_bytes(),
        &[0],
    ];
    let mut out = vec![0; length];
    expander.expand_slice(&info, &mut out).unwrap();
    out
}

/// In the request.
const MARKER: &str = "only-the-codec-has-this";

/// Asks a server for something; what guests an idle connection has live on.
fn exchange(authority: &Authority, config: ServerConfig) -> Rig {
    let origin = Origin::start(vec![(Vec::new(), config)]);
    let all = [
        ("http1", "http1", 1),
        ("tls", "tls", 20),
        ("x509", "x509", 30),
    ];
    let mut rig = Rig::with(LIMITS, &[authority.der()], &all);
    let mut request = request(Scheme::Https, origin.address, "/5000", true);
    // An allocator writes into what is freed, at its beginning first.
    request.fields.push(Field {
        name: "cookie".to_owned(),
        value: format!("{}{MARKER}", "x".repeat(4000)).into_bytes(),
    });
    let (started, sink) = rig.ask(&request);
    assert!(rig.finish(started, sink).outcome.unwrap().connection_kept);
    rig
}

#[test]
fn no_secret_is_ever_in_a_guests_memory() {
    let authority = Authority::new();
    let exchanges = Overheard::new();
    let provider = provider(cipher_suite::TLS13_AES_256_GCM_SHA384, exchanges);
    let log = Arc::new(Log::default());
    let mut config = authority.server_with(&["127.0.0.1"], TLS13, provider);
    config.key_log = log.clone();
    let _rig = exchange(&authority, config);

    let lines = log.0.lock().unwrap().clone();
    let mut secrets = exchanges.secrets();
    let mut randoms = Vec::new();
    for line in &lines {
        let words: Vec<&str> = line.split(' ').collect();
        let secret = from_hex(words[2]);
        randoms.push(from_hex(words[1]));
        secrets.push(derived(&secret, "key", KEY));
        secrets.push(derived(&secret, "iv", IV));
        secrets.push(derived(&secret, "traffic upd", secret.len()));
        secrets.push(secret);
    }
    // Both sides' in the handshake and behind it, and the exporter's; the exchange's.
    assert_eq!((lines.len(), secrets.len()), (5, 1 + 4 * 5));
    // The search finds what is there, in each of the guests.
    assert!(guests_that_hold(MARKER.as_bytes()) > 0);
    assert!(guests_that_hold(&randoms[0]) > 0);
    let anchor = authority.der();
    let point = memchr::memmem::find(&anchor, &[0x03, 0x42, 0x00, 0x04]).unwrap();
    assert!(guests_that_hold(&anchor[point + 4..point + 68]) > 0);
    let held = held(&secrets);
    assert!(held.is_empty(), "{held:02x?}");
}

/// What the server's hello says of itself.
const SERVER_RANDOM: &[u8; 32] = b"the-server-of-one-tls-1.2-server";

/// Says it in each hello.
#[derive(Debug)]
struct Known;

impl SecureRandom for Known {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        match <&mut [u8; 32]>::try_from(&mut *bytes) {
            Ok(random) => *random = *SERVER_RANDOM,
            Err(_) => default_provider().secure_random.fill(bytes)?,
        }
        Ok(())
    }
}

/// Looks into the guests when a server of TLS 1.2 has its secrets: the client's
/// guest has made them all by then and waits for the last word, behind which there
/// is no guest of TLS any more.
#[derive(Debug)]
struct Looks {
    exchanges: &'static Overheard,
    found: Mutex<Option<Found>>,
}

#[derive(Debug)]
struct Found {
    /// How many guests hold each of the two randoms.
    randoms: [usize; 2],
    /// The secrets that one holds.
    held: Vec<Vec<u8>>,
    /// All there are.
    secrets: Vec<Vec<u8>>,
}

impl KeyLog for Looks {
    fn log(&self, label: &str, client_random: &[u8], master: &[u8]) {
        assert_eq!(label, "CLIENT_RANDOM");
        let mut secrets = self.exchanges.secrets();
        let block = key_block(master, client_random);
        let (keys, ivs) = block.split_at(2 * KEY);
        // Four bytes may be anywhere; the two together, or behind their key, not.
        for side in 0..2 {
            let (key, iv) = (&keys[side * KEY..][..KEY], &ivs[side * IV12..][..IV12]);
            secrets.extend([key.to_vec(), [key, iv].concat()]);
        }
        secrets.extend([master.to_vec(), ivs.to_vec(), block]);
        *self.found.lock().unwrap() = Some(Found {
            randoms: [client_random, SERVER_RANDOM].map(guests_that_hold),
            held: held(&secrets),
            secrets,
        });
    }
}

/// Those that a guest holds.
fn held(secrets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut held = secrets.to_vec();
    held.retain(|secret| guests_that_hold(secret) > 0);
    held
}

/// What records are protected with under a master secret (RFC 5246 section 6.3).
fn key_block(master: &[u8], client_random: &[u8]) -> Vec<u8> {
    let SupportedCipherSuite::Tls12(suite) = SUITE12 else {
        unreachable!("it is one of TLS 1.2")
    };
    let mut block = vec![0; 2 * (KEY + IV12)];
    let seed = [SERVER_RANDOM, client_random].concat();
    let prf = suite.prf_provider;
    prf.for_secret(&mut block, master, b"key expansion", &seed);
    block
}

const SUITE12: SupportedCipherSuite = cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;

#[test]
fn no_secret_of_the_version_before_is_either() {
    let authority = Authority::new();
    let exchanges = Overheard::new();
    let provider = CryptoProvider {
        secure_random: &Known,
        ..provider(SUITE12, exchanges)
    };
    let looks = Arc::new(Looks {
        exchanges,
        found: Mutex::default(),
    });
    let mut config = authority.server_with(&["127.0.0.1"], TLS12, provider);
    config.key_log = looks.clone();
    let _rig = exchange(&authority, config);

    let found = looks.found.lock().unwrap().take().unwrap();
    // The search finds what is there, then and now.
    assert!(found.randoms.iter().all(|guests| *guests > 0), "{found:?}");
    assert!(guests_that_hold(MARKER.as_bytes()) > 0);
    // The exchange's, the master secret, each side's key by itself and with what
    // belongs to it, and the block that they are cut from.
    assert_eq!(found.secrets.len(), 8);
    assert!(found.held.is_empty(), "{found:02x?}");
    assert!(held(&found.secrets).is_empty());
}
