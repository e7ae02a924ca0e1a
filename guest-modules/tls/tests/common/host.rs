//! `fumehood-crypto` as a native stand-in for the component's host.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use fumehood_crypto as crypto;
use fumehood_crypto::record::{Inbound, Sealer};
use fumehood_crypto::{Connection, Handle, PublicKey};
use fumehood_guest_tls::Established;
use fumehood_guest_tls::imports::{
    AeadAlgorithm, Direction, Error, Group, HashAlgorithm, Host, KeyBlock, ProtocolVersion,
    Resource, Secret,
};

/// What the host keeps for a connection.
pub(crate) struct State {
    pub(crate) keys: Connection,
    believed: Option<PublicKey>,
    resources: HashMap<Resource, Kept>,
    serial: Resource,
    pub(crate) log: Rc<RefCell<Vec<String>>>,
}

enum Kept {
    Exchange(crypto::KeyExchange),
    Transcript(Box<crypto::Transcript>),
    Key(Box<crypto::GuestKey>),
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Looks into this thread's host.
pub(crate) fn with_host<T>(look: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| look(state.as_mut().unwrap()))
}

/// The imports; the state is the thread's.
pub(crate) struct TestHost;

impl TestHost {
    /// Believes the certificate with this key; none at all if there is no key.
    pub(crate) fn new(believed: Option<PublicKey>) -> Self {
        STATE.set(Some(State {
            keys: Connection::new(None).unwrap(),
            believed,
            resources: HashMap::new(),
            serial: 0,
            log: Rc::default(),
        }));
        TestHost
    }
}

impl State {
    fn add(&mut self, kept: Kept) -> Resource {
        self.serial += 1;
        self.resources.insert(self.serial, kept);
        self.serial
    }

    fn transcript(&mut self, resource: Resource) -> &mut crypto::Transcript {
        match self.resources.get_mut(&resource) {
            Some(Kept::Transcript(transcript)) => transcript,
            _ => panic!("not a transcript"),
        }
    }

    fn key(&self, resource: Resource) -> &crypto::GuestKey {
        match self.resources.get(&resource) {
            Some(Kept::Key(key)) => key,
            _ => panic!("not a key"),
        }
    }

    pub(crate) fn release(
        &mut self,
        established: &Established,
        leftover: &[u8],
    ) -> Result<(Sealer, Inbound), crypto::Error> {
        let (sealer, opener) = self.keys.release(
            version(established.version),
            aead(established.aead),
            Handle(established.outbound),
            Handle(established.inbound),
        )?;
        Ok((sealer, Inbound::new(opener, leftover)))
    }
}

pub(crate) fn version(version: ProtocolVersion) -> crypto::Version {
    match version {
        ProtocolVersion::Tls12 => crypto::Version::Tls12,
        ProtocolVersion::Tls13 => crypto::Version::Tls13,
    }
}

fn aead(aead: AeadAlgorithm) -> crypto::Aead {
    match aead {
        AeadAlgorithm::Aes128Gcm => crypto::Aead::Aes128Gcm,
        AeadAlgorithm::Aes256Gcm => crypto::Aead::Aes256Gcm,
        AeadAlgorithm::Chacha20Poly1305 => crypto::Aead::ChaCha20Poly1305,
    }
}

fn hash(hash: HashAlgorithm) -> crypto::Hash {
    match hash {
        HashAlgorithm::Sha256 => crypto::Hash::Sha256,
        HashAlgorithm::Sha384 => crypto::Hash::Sha384,
    }
}

fn group(group: Group) -> crypto::Group {
    match group {
        Group::Secp256r1 => crypto::Group::Secp256r1,
        Group::Secp384r1 => crypto::Group::Secp384r1,
        Group::X25519 => crypto::Group::X25519,
        Group::X25519Mlkem768 => crypto::Group::X25519MlKem768,
    }
}

/// Refusals are told; faults would end the guest.
fn told<T>(result: Result<T, crypto::Error>) -> Result<T, Error> {
    use crypto::Refusal;
    result.map_err(|error| match error {
        crypto::Error::Fault(fault) => panic!("{fault}"),
        crypto::Error::Refused(Refusal::InvalidKeyShare) => Error::InvalidKeyShare,
        crypto::Error::Refused(Refusal::BadRecord) => Error::BadRecord,
        crypto::Error::Refused(Refusal::NotAuthenticated) => Error::NotAuthenticated,
        crypto::Error::Refused(Refusal::OutOfSequence) => Error::OutOfSequence,
    })
}

impl Host for TestHost {
    fn random(&mut self, length: u32) -> Vec<u8> {
        with_host(|host| host.keys.random(length).unwrap())
    }

    fn new_exchange(&mut self, of: Group) -> Resource {
        with_host(|host| host.add(Kept::Exchange(crypto::KeyExchange::new(group(of)).unwrap())))
    }

    fn public_key(&mut self, exchange: Resource) -> Vec<u8> {
        with_host(|host| match host.resources.get(&exchange) {
            Some(Kept::Exchange(exchange)) => exchange.public_key().to_vec(),
            _ => panic!("not an exchange"),
        })
    }

    fn complete(&mut self, exchange: Resource, of: Group, peer: &[u8]) -> Result<Secret, Error> {
        with_host(|host| match host.resources.remove(&exchange) {
            Some(Kept::Exchange(exchange)) => {
                told(host.keys.complete(exchange, group(of), peer)).map(|handle| handle.0)
            }
            _ => panic!("not an exchange"),
        })
    }

    fn new_transcript(&mut self, of: HashAlgorithm) -> Resource {
        with_host(|host| {
            host.add(Kept::Transcript(Box::new(crypto::Transcript::new(hash(
                of,
            )))))
        })
    }

    fn update(&mut self, transcript: Resource, data: &[u8]) {
        with_host(|host| host.transcript(transcript).update(data));
    }

    fn fork(&mut self, transcript: Resource) -> Resource {
        with_host(|host| {
            let copy = host.transcript(transcript).clone();
            host.add(Kept::Transcript(Box::new(copy)))
        })
    }

    fn current(&mut self, transcript: Resource) -> Vec<u8> {
        with_host(|host| {
            let copy = host.transcript(transcript).clone();
            host.keys.current(&copy)
        })
    }

    fn extract(&mut self, of: HashAlgorithm, salt: Option<Secret>, ikm: Option<Secret>) -> Secret {
        with_host(|host| {
            host.keys
                .extract(hash(of), salt.map(Handle), ikm.map(Handle))
                .unwrap()
                .0
        })
    }

    fn expand(&mut self, of: HashAlgorithm, prk: Secret, info: &[u8], length: u32) -> Secret {
        with_host(|host| {
            host.keys
                .expand(hash(of), Handle(prk), info, length)
                .unwrap()
                .0
        })
    }

    fn hmac(&mut self, of: HashAlgorithm, key: Secret, data: &[u8]) -> Vec<u8> {
        with_host(|host| host.keys.hmac(hash(of), Handle(key), data).unwrap())
    }

    fn tls12_master(&mut self, of: HashAlgorithm, premaster: Secret, session: &[u8]) -> Secret {
        with_host(|host| {
            host.keys
                .tls12_master(hash(of), Handle(premaster), session)
                .unwrap()
                .0
        })
    }

    fn tls12_key_block(
        &mut self,
        of: HashAlgorithm,
        with: AeadAlgorithm,
        master: Secret,
        seed: &[u8],
    ) -> KeyBlock {
        let block = with_host(|host| {
            host.keys
                .tls12_key_block(hash(of), aead(with), Handle(master), seed)
                .unwrap()
        });
        KeyBlock {
            client: block.client.0,
            server: block.server.0,
        }
    }

    fn tls12_finished(
        &mut self,
        of: HashAlgorithm,
        master: Secret,
        label: &[u8],
        transcript: &[u8],
    ) -> Vec<u8> {
        with_host(|host| {
            host.keys
                .tls12_finished(hash(of), Handle(master), label, transcript)
                .unwrap()
        })
    }

    fn open_key(
        &mut self,
        spoken: ProtocolVersion,
        algorithm: AeadAlgorithm,
        direction: Direction,
        traffic: Secret,
    ) -> Result<Resource, Error> {
        let direction = match direction {
            Direction::Seal => crypto::Direction::Seal,
            Direction::Open => crypto::Direction::Open,
        };
        with_host(|host| {
            let key = host.keys.open_guest_key(
                version(spoken),
                aead(algorithm),
                direction,
                Handle(traffic),
            );
            told(key).map(|key| host.add(Kept::Key(Box::new(key))))
        })
    }

    fn seal(&mut self, key: Resource, seq: u64, kind: u8, data: &[u8]) -> Result<Vec<u8>, Error> {
        with_host(|host| told(host.key(key).seal(seq, kind, data)))
    }

    fn unseal(&mut self, key: Resource, seq: u64, kind: u8, data: &[u8]) -> Result<Vec<u8>, Error> {
        with_host(|host| told(host.key(key).unseal(seq, kind, data.to_vec())))
    }

    fn verify_chain(&mut self, _chain: &[Vec<u8>]) -> Result<(), ()> {
        with_host(|host| {
            let key = host.believed.clone().ok_or(())?;
            host.keys.record_verdict(key).unwrap();
            Ok(())
        })
    }

    fn verify_signature(
        &mut self,
        spoken: ProtocolVersion,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        with_host(|host| {
            host.keys
                .verify_signature(version(spoken), scheme, message, signature)
        })
    }

    fn drop_resource(&mut self, resource: Resource) {
        // The connection under test may outlive the host of the one before.
        STATE.with_borrow_mut(|state| {
            if let Some(state) = state {
                state.resources.remove(&resource);
            }
        });
    }
}
