//! The imports where there is no component: a thread's stand-in for the host.

use std::cell::RefCell;

/// Names bytes the host keeps.
pub type Secret = u64;

/// Names a resource the host keeps.
pub type Resource = u32;

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub enum HashAlgorithm {
    Sha256,
    Sha384,
}

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub enum AeadAlgorithm {
    Aes128Gcm,
    Aes256Gcm,
    Chacha20Poly1305,
}

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub enum Group {
    Secp256r1,
    Secp384r1,
    X25519,
    X25519Mlkem768,
}

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub enum ProtocolVersion {
    Tls12,
    Tls13,
}

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub enum Direction {
    Seal,
    Open,
}

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub enum Error {
    InvalidKeyShare,
    BadRecord,
    NotAuthenticated,
    OutOfSequence,
}

/// As in `wit/crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in wit/crypto")]
pub struct KeyBlock {
    pub client: Secret,
    pub server: Secret,
}

/// The host's side of the imports. What would trap a component may panic here.
#[allow(missing_docs, reason = "described in wit/crypto and wit/tls")]
pub trait Host {
    fn random(&mut self, length: u32) -> Vec<u8>;
    fn new_exchange(&mut self, group: Group) -> Resource;
    fn public_key(&mut self, exchange: Resource) -> Vec<u8>;
    fn complete(&mut self, exchange: Resource, group: Group, peer: &[u8]) -> Result<Secret, Error>;
    fn new_transcript(&mut self, algorithm: HashAlgorithm) -> Resource;
    fn update(&mut self, transcript: Resource, data: &[u8]);
    fn fork(&mut self, transcript: Resource) -> Resource;
    fn current(&mut self, transcript: Resource) -> Vec<u8>;
    fn extract(&mut self, hash: HashAlgorithm, salt: Option<Secret>, ikm: Option<Secret>)
    -> Secret;
    fn expand(&mut self, hash: HashAlgorithm, prk: Secret, info: &[u8], length: u32) -> Secret;
    fn hmac(&mut self, hash: HashAlgorithm, key: Secret, data: &[u8]) -> Vec<u8>;
    fn tls12_master(&mut self, hash: HashAlgorithm, premaster: Secret, session: &[u8]) -> Secret;
    fn tls12_key_block(
        &mut self,
        hash: HashAlgorithm,
        aead: AeadAlgorithm,
        master: Secret,
        seed: &[u8],
    ) -> KeyBlock;
    fn tls12_finished(
        &mut self,
        hash: HashAlgorithm,
        master: Secret,
        label: &[u8],
        transcript: &[u8],
    ) -> Vec<u8>;
    fn open_key(
        &mut self,
        version: ProtocolVersion,
        algorithm: AeadAlgorithm,
        direction: Direction,
        traffic: Secret,
    ) -> Result<Resource, Error>;
    fn seal(&mut self, key: Resource, seq: u64, kind: u8, content: &[u8])
    -> Result<Vec<u8>, Error>;
    fn unseal(&mut self, key: Resource, seq: u64, kind: u8, data: &[u8]) -> Result<Vec<u8>, Error>;
    #[expect(
        clippy::result_unit_err,
        reason = "as `result` without types in wit/tls"
    )]
    fn verify_chain(&mut self, chain: &[Vec<u8>]) -> Result<(), ()>;
    fn verify_signature(
        &mut self,
        version: ProtocolVersion,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> bool;
    fn drop_resource(&mut self, resource: Resource);
}

thread_local! {
    static HOST: RefCell<Option<Box<dyn Host>>> = const { RefCell::new(None) };
}

/// Puts a host behind this thread's imports, and returns the one before.
pub fn install(host: Option<Box<dyn Host>>) -> Option<Box<dyn Host>> {
    HOST.replace(host)
}

/// # Panics
/// Where there is no host: a component cannot be run without its imports either.
fn host<T>(call: impl FnOnce(&mut dyn Host) -> T) -> T {
    #[expect(clippy::expect_used, reason = "a mistake in a test, and nothing else")]
    HOST.with_borrow_mut(|host| call(host.as_deref_mut().expect("no host is installed")))
}

/// A resource of the host's, given back when dropped.
#[derive(Debug)]
struct Owned(Resource);

impl Drop for Owned {
    fn drop(&mut self) {
        // A connection may outlive its host at the end of a test's thread.
        let _ = HOST.try_with(|host| {
            if let Ok(mut host) = host.try_borrow_mut()
                && let Some(host) = host.as_deref_mut()
            {
                host.drop_resource(self.0);
            }
        });
    }
}

/// As in `wit/crypto`.
#[derive(Debug)]
pub struct KeyExchange(Owned);

#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "described in wit/crypto"
)]
impl KeyExchange {
    #[must_use]
    pub fn new(group: Group) -> Self {
        KeyExchange(Owned(host(|host| host.new_exchange(group))))
    }

    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        host(|host| host.public_key(self.0.0))
    }

    pub fn complete(this: Self, group: Group, peer: &[u8]) -> Result<Secret, Error> {
        host(|host| host.complete(this.0.0, group, peer))
    }
}

/// As in `wit/crypto`.
#[derive(Debug)]
pub struct Transcript(Owned);

#[allow(missing_docs, reason = "described in wit/crypto")]
impl Transcript {
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Transcript(Owned(host(|host| host.new_transcript(algorithm))))
    }

    pub fn update(&self, data: &[u8]) {
        host(|host| host.update(self.0.0, data));
    }

    #[must_use]
    pub fn fork(&self) -> Self {
        Transcript(Owned(host(|host| host.fork(self.0.0))))
    }

    #[must_use]
    pub fn current(&self) -> Vec<u8> {
        host(|host| host.current(self.0.0))
    }
}

/// As in `wit/crypto`.
#[derive(Debug)]
pub struct RecordKey(Owned);

#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "described in wit/crypto"
)]
impl RecordKey {
    pub fn open(
        version: ProtocolVersion,
        algorithm: AeadAlgorithm,
        direction: Direction,
        traffic: Secret,
    ) -> Result<Self, Error> {
        host(|host| host.open_key(version, algorithm, direction, traffic))
            .map(|key| RecordKey(Owned(key)))
    }

    pub fn seal(&self, sequence: u64, kind: u8, content: &[u8]) -> Result<Vec<u8>, Error> {
        host(|host| host.seal(self.0.0, sequence, kind, content))
    }

    pub fn unseal(&self, sequence: u64, kind: u8, data: &[u8]) -> Result<Vec<u8>, Error> {
        host(|host| host.unseal(self.0.0, sequence, kind, data))
    }
}

pub(crate) fn random(length: u32) -> Vec<u8> {
    host(|host| host.random(length))
}

pub(crate) fn extract(hash: HashAlgorithm, salt: Option<Secret>, ikm: Option<Secret>) -> Secret {
    host(|host| host.extract(hash, salt, ikm))
}

pub(crate) fn expand(hash: HashAlgorithm, prk: Secret, info: &[u8], length: u32) -> Secret {
    host(|host| host.expand(hash, prk, info, length))
}

pub(crate) fn hmac(hash: HashAlgorithm, key: Secret, data: &[u8]) -> Vec<u8> {
    host(|host| host.hmac(hash, key, data))
}

pub(crate) fn tls12_master(hash: HashAlgorithm, premaster: Secret, session: &[u8]) -> Secret {
    host(|host| host.tls12_master(hash, premaster, session))
}

pub(crate) fn tls12_key_block(
    hash: HashAlgorithm,
    aead: AeadAlgorithm,
    master: Secret,
    seed: &[u8],
) -> KeyBlock {
    host(|host| host.tls12_key_block(hash, aead, master, seed))
}

pub(crate) fn tls12_finished(
    hash: HashAlgorithm,
    master: Secret,
    label: &[u8],
    transcript: &[u8],
) -> Vec<u8> {
    host(|host| host.tls12_finished(hash, master, label, transcript))
}

pub(crate) fn verify_chain(chain: &[Vec<u8>]) -> Result<(), ()> {
    host(|host| host.verify_chain(chain))
}

pub(crate) fn verify_signature(
    version: ProtocolVersion,
    scheme: u16,
    message: &[u8],
    signature: &[u8],
) -> bool {
    host(|host| host.verify_signature(version, scheme, message, signature))
}
