//! The imports of the TLS guest, each handed on to `fumehood-crypto`.

use fumehood_crypto::{
    Aead, Direction, Group, GuestKey, Handle, Hash, KeyExchange, Transcript, Version,
};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::bindings::client::fumehood::crypto::keys;
use super::bindings::client::fumehood::guest::panic;
use super::bindings::client::fumehood::tls::verify;
use super::state::{TlsState, told};

type Answer<T> = std::result::Result<T, keys::Error>;

impl panic::Host for TlsState {
    fn panicked(&mut self, message: String, location: String) -> Result<()> {
        self.guest.note_panic(&message, &location);
        Ok(())
    }
}

impl verify::Host for TlsState {
    fn verify_chain(&mut self, chain: Vec<Vec<u8>>) -> Result<std::result::Result<(), ()>> {
        self.judge(&chain)
    }

    fn verify_signature(
        &mut self,
        spoken: keys::ProtocolVersion,
        scheme: u16,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        Ok(self
            .keys
            .verify_signature(version(spoken), scheme, &message, &signature))
    }
}

impl keys::Host for TlsState {
    fn random(&mut self, length: u32) -> Result<Vec<u8>> {
        Ok(self.keys.random(length)?)
    }

    fn extract(
        &mut self,
        algorithm: keys::HashAlgorithm,
        salt: Option<u64>,
        ikm: Option<u64>,
    ) -> Result<u64> {
        Ok(self
            .keys
            .extract(hash(algorithm), salt.map(Handle), ikm.map(Handle))?
            .0)
    }

    fn expand(
        &mut self,
        algorithm: keys::HashAlgorithm,
        prk: u64,
        info: Vec<u8>,
        length: u32,
    ) -> Result<u64> {
        Ok(self
            .keys
            .expand(hash(algorithm), Handle(prk), &info, length)?
            .0)
    }

    fn hmac(&mut self, algorithm: keys::HashAlgorithm, key: u64, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.keys.hmac(hash(algorithm), Handle(key), &data)?)
    }

    fn tls12_master(
        &mut self,
        algorithm: keys::HashAlgorithm,
        premaster: u64,
        session_hash: Vec<u8>,
    ) -> Result<u64> {
        Ok(self
            .keys
            .tls12_master(hash(algorithm), Handle(premaster), &session_hash)?
            .0)
    }

    fn tls12_key_block(
        &mut self,
        algorithm: keys::HashAlgorithm,
        protection: keys::AeadAlgorithm,
        master: u64,
        seed: Vec<u8>,
    ) -> Result<keys::KeyBlock> {
        let block =
            self.keys
                .tls12_key_block(hash(algorithm), aead(protection), Handle(master), &seed)?;
        Ok(keys::KeyBlock {
            client: block.client.0,
            server: block.server.0,
        })
    }

    fn tls12_finished(
        &mut self,
        algorithm: keys::HashAlgorithm,
        master: u64,
        label: Vec<u8>,
        transcript_hash: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let master = Handle(master);
        Ok(self
            .keys
            .tls12_finished(hash(algorithm), master, &label, &transcript_hash)?)
    }
}

impl keys::HostKeyExchange for TlsState {
    fn new(&mut self, of: keys::Group) -> Result<Resource<KeyExchange>> {
        let exchange = KeyExchange::new(group(of))?;
        Ok(self.resources.push(exchange)?)
    }

    fn public_key(&mut self, this: Resource<KeyExchange>) -> Result<Vec<u8>> {
        Ok(self.resources.get(&this)?.public_key().to_vec())
    }

    fn complete(
        &mut self,
        this: Resource<KeyExchange>,
        of: keys::Group,
        peer: Vec<u8>,
    ) -> Result<Answer<u64>> {
        let exchange = self.resources.delete(this)?;
        let answer = told(self.keys.complete(exchange, group(of), &peer))?;
        Ok(answer.map(|handle| handle.0))
    }

    fn drop(&mut self, this: Resource<KeyExchange>) -> Result<()> {
        self.resources.delete(this)?;
        Ok(())
    }
}

impl keys::HostTranscript for TlsState {
    fn new(&mut self, algorithm: keys::HashAlgorithm) -> Result<Resource<Transcript>> {
        Ok(self.resources.push(Transcript::new(hash(algorithm)))?)
    }

    fn update(&mut self, this: Resource<Transcript>, data: Vec<u8>) -> Result<()> {
        self.resources.get_mut(&this)?.update(&data);
        Ok(())
    }

    fn fork(&mut self, this: Resource<Transcript>) -> Result<Resource<Transcript>> {
        let copy = self.resources.get(&this)?.clone();
        Ok(self.resources.push(copy)?)
    }

    fn current(&mut self, this: Resource<Transcript>) -> Result<Vec<u8>> {
        Ok(self.keys.current(self.resources.get(&this)?))
    }

    fn drop(&mut self, this: Resource<Transcript>) -> Result<()> {
        self.resources.delete(this)?;
        Ok(())
    }
}

impl keys::HostRecordKey for TlsState {
    fn open(
        &mut self,
        spoken: keys::ProtocolVersion,
        algorithm: keys::AeadAlgorithm,
        way: keys::Direction,
        traffic: u64,
    ) -> Result<Answer<Resource<GuestKey>>> {
        let way = match way {
            keys::Direction::Seal => Direction::Seal,
            keys::Direction::Open => Direction::Open,
        };
        let traffic = Handle(traffic);
        match told(
            self.keys
                .open_guest_key(version(spoken), aead(algorithm), way, traffic),
        )? {
            Ok(key) => Ok(Ok(self.resources.push(key)?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn seal(
        &mut self,
        this: Resource<GuestKey>,
        sequence: u64,
        content_type: u8,
        plaintext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        told(
            self.resources
                .get(&this)?
                .seal(sequence, content_type, &plaintext),
        )
    }

    fn unseal(
        &mut self,
        this: Resource<GuestKey>,
        sequence: u64,
        content_type: u8,
        ciphertext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        told(
            self.resources
                .get(&this)?
                .unseal(sequence, content_type, ciphertext),
        )
    }

    fn drop(&mut self, this: Resource<GuestKey>) -> Result<()> {
        self.resources.delete(this)?;
        Ok(())
    }
}

pub(super) fn version(version: keys::ProtocolVersion) -> Version {
    match version {
        keys::ProtocolVersion::Tls12 => Version::Tls12,
        keys::ProtocolVersion::Tls13 => Version::Tls13,
    }
}

pub(super) fn aead(algorithm: keys::AeadAlgorithm) -> Aead {
    match algorithm {
        keys::AeadAlgorithm::Aes128Gcm => Aead::Aes128Gcm,
        keys::AeadAlgorithm::Aes256Gcm => Aead::Aes256Gcm,
        keys::AeadAlgorithm::Chacha20Poly1305 => Aead::ChaCha20Poly1305,
    }
}

fn hash(algorithm: keys::HashAlgorithm) -> Hash {
    match algorithm {
        keys::HashAlgorithm::Sha256 => Hash::Sha256,
        keys::HashAlgorithm::Sha384 => Hash::Sha384,
    }
}

fn group(group: keys::Group) -> Group {
    match group {
        keys::Group::Secp256r1 => Group::Secp256r1,
        keys::Group::Secp384r1 => Group::Secp384r1,
        keys::Group::X25519 => Group::X25519,
        keys::Group::X25519Mlkem768 => Group::X25519MlKem768,
    }
}
