//! What a server knows of a connection's secrets is in no guest's memory.

use std::sync::{Arc, Mutex};

use fumehood_control::Field;
use fumehood_policy::Scheme;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::tls13::OkmBlock;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, SupportedKxGroup};
use rustls::{Error, NamedGroup};

use super::server::{Authority, Log, Origin, TLS13};
use crate::tests::exchange::request;
use crate::tests::memory::guests_that_hold;
use crate::tests::rig::{LIMITS, Rig};

/// Length of AES-256's keys, and of the nonces' fixed part.
const KEY: usize = 32;
const IV: usize = 12;

/// A key exchange whose result a test hears of.
#[derive(Debug)]
struct Overheard(Mutex<Vec<Vec<u8>>>);

impl SupportedKxGroup for Overheard {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        kx_group::X25519.start()
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let done = kx_group::X25519.start_and_complete(share)?;
        let secret = done.secret.secret_bytes().to_vec();
        self.0.lock().unwrap().push(secret);
        Ok(done)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
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

#[test]
fn no_secret_is_ever_in_a_guests_memory() {
    let authority = Authority::new();
    let exchanges: &'static Overheard = Box::leak(Box::new(Overheard(Mutex::default())));
    let provider = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![exchanges],
        ..default_provider()
    };
    let log = Arc::new(Log::default());
    let mut config = authority.server_with(&["127.0.0.1"], TLS13, provider);
    config.key_log = log.clone();
    let origin = Origin::start(vec![(Vec::new(), config)]);
    let all = [
        ("http1", "http1", 1),
        ("tls", "tls", 20),
        ("x509", "x509", 30),
    ];
    let mut rig = Rig::with(LIMITS, &[authority.der()], &all);
    // Its three guests live on with the idle connection.
    let mut request = request(Scheme::Https, origin.address, "/5000", true);
    // An allocator writes into what is freed, at its beginning first.
    let marker = "only-the-codec-has-this";
    request.fields.push(Field {
        name: "cookie".to_owned(),
        value: format!("{}{marker}", "x".repeat(4000)).into_bytes(),
    });
    let (started, sink) = rig.ask(&request);
    assert!(rig.finish(started, sink).outcome.unwrap().connection_kept);

    let lines = log.0.lock().unwrap().clone();
    let mut secrets = exchanges.0.lock().unwrap().clone();
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
    assert!(guests_that_hold(marker.as_bytes()) > 0);
    assert!(guests_that_hold(&randoms[0]) > 0);
    let anchor = authority.der();
    let point = memchr::memmem::find(&anchor, &[0x03, 0x42, 0x00, 0x04]).unwrap();
    assert!(guests_that_hold(&anchor[point + 4..point + 68]) > 0);
    for secret in secrets {
        assert_eq!(guests_that_hold(&secret), 0, "{secret:02x?}");
    }
}
