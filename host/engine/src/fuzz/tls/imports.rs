//! The guest's imports, answered by a [`Toy`]. A resource is a number that it
//! chose; there is nothing behind it.

use fumehood_crypto::fuzz::Toy;
use fumehood_crypto::{Group, GuestKey, KeyExchange, Transcript};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::State;
use crate::tls::bindings::client::fumehood::crypto::keys;
use crate::tls::bindings::client::fumehood::guest::panic;
use crate::tls::bindings::client::fumehood::tls::verify;

type Answer<T> = std::result::Result<T, keys::Error>;

impl panic::Host for State {
    fn panicked(&mut self, message: String, location: String) -> Result<()> {
        self.guest.note_panic(&message, &location);
        Ok(())
    }
}

impl verify::Host for State {
    fn verify_chain(&mut self, chain: Vec<Vec<u8>>) -> Result<std::result::Result<(), ()>> {
        let leaf = chain.first().map_or(&[][..], Vec::as_slice);
        Ok(Toy::believes(leaf).then_some(()).ok_or(()))
    }

    fn verify_signature(
        &mut self,
        _version: keys::ProtocolVersion,
        _scheme: u16,
        _message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        Ok(Toy::believes(&signature))
    }
}

impl keys::Host for State {
    fn random(&mut self, length: u32) -> Result<Vec<u8>> {
        Ok(self.toy.random(length))
    }

    fn extract(
        &mut self,
        _hash: keys::HashAlgorithm,
        _salt: Option<u64>,
        _ikm: Option<u64>,
    ) -> Result<u64> {
        Ok(self.toy.secret())
    }

    fn expand(
        &mut self,
        _hash: keys::HashAlgorithm,
        _prk: u64,
        _info: Vec<u8>,
        _length: u32,
    ) -> Result<u64> {
        Ok(self.toy.secret())
    }

    fn hmac(&mut self, hash: keys::HashAlgorithm, _key: u64, _data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(Toy::mac(length(hash)))
    }

    fn tls12_master(
        &mut self,
        _hash: keys::HashAlgorithm,
        _premaster: u64,
        _session_hash: Vec<u8>,
    ) -> Result<u64> {
        Ok(self.toy.secret())
    }

    fn tls12_key_block(
        &mut self,
        _hash: keys::HashAlgorithm,
        _aead: keys::AeadAlgorithm,
        _master: u64,
        _seed: Vec<u8>,
    ) -> Result<keys::KeyBlock> {
        Ok(keys::KeyBlock {
            client: self.toy.secret(),
            server: self.toy.secret(),
        })
    }

    fn tls12_finished(
        &mut self,
        _hash: keys::HashAlgorithm,
        _master: u64,
        _label: Vec<u8>,
        _transcript_hash: Vec<u8>,
    ) -> Result<Vec<u8>> {
        Ok(Toy::mac(12))
    }
}

impl keys::HostKeyExchange for State {
    fn new(&mut self, group: keys::Group) -> Result<Resource<KeyExchange>> {
        let name = self.toy.resource();
        self.groups.push((name, group));
        Ok(Resource::new_own(name))
    }

    fn public_key(&mut self, this: Resource<KeyExchange>) -> Result<Vec<u8>> {
        let of = |(name, _): &&(u32, keys::Group)| *name == this.rep();
        let named = self.groups.iter().find(of);
        Ok(named.map_or_else(Vec::new, |(_, of)| Toy::public_key(group(*of))))
    }

    fn complete(
        &mut self,
        _this: Resource<KeyExchange>,
        of: keys::Group,
        peer: Vec<u8>,
    ) -> Result<Answer<u64>> {
        let secret = self.toy.complete(group(of), &peer);
        Ok(secret.ok_or(keys::Error::InvalidKeyShare))
    }

    fn drop(&mut self, _this: Resource<KeyExchange>) -> Result<()> {
        Ok(())
    }
}

impl keys::HostTranscript for State {
    fn new(&mut self, hash: keys::HashAlgorithm) -> Result<Resource<Transcript>> {
        let name = self.toy.transcript();
        self.lengths.push((name, length(hash)));
        Ok(Resource::new_own(name))
    }

    fn update(&mut self, this: Resource<Transcript>, data: Vec<u8>) -> Result<()> {
        self.toy.update(this.rep(), &data);
        Ok(())
    }

    fn fork(&mut self, this: Resource<Transcript>) -> Result<Resource<Transcript>> {
        let name = self.toy.fork(this.rep());
        let length = self.length_of(&this);
        self.lengths.push((name, length));
        Ok(Resource::new_own(name))
    }

    fn current(&mut self, this: Resource<Transcript>) -> Result<Vec<u8>> {
        Ok(self.toy.current(this.rep(), self.length_of(&this)))
    }

    fn drop(&mut self, this: Resource<Transcript>) -> Result<()> {
        self.toy.drop_resource(this.rep());
        Ok(())
    }
}

impl keys::HostRecordKey for State {
    fn open(
        &mut self,
        _version: keys::ProtocolVersion,
        _aead: keys::AeadAlgorithm,
        _way: keys::Direction,
        _traffic: u64,
    ) -> Result<Answer<Resource<GuestKey>>> {
        Ok(Ok(Resource::new_own(self.toy.resource())))
    }

    fn seal(
        &mut self,
        _this: Resource<GuestKey>,
        _sequence: u64,
        _content_type: u8,
        plaintext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        Ok(Ok(Toy::seal(&plaintext)))
    }

    fn unseal(
        &mut self,
        _this: Resource<GuestKey>,
        _sequence: u64,
        _content_type: u8,
        ciphertext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        Ok(Toy::unseal(&ciphertext).ok_or(keys::Error::BadRecord))
    }

    fn drop(&mut self, _this: Resource<GuestKey>) -> Result<()> {
        Ok(())
    }
}

impl State {
    fn length_of(&self, transcript: &Resource<Transcript>) -> usize {
        let of = |(name, _): &&(u32, usize)| *name == transcript.rep();
        self.lengths
            .iter()
            .find(of)
            .map_or(0, |(_, length)| *length)
    }
}

/// Bytes of a hash.
fn length(hash: keys::HashAlgorithm) -> usize {
    match hash {
        keys::HashAlgorithm::Sha256 => 32,
        keys::HashAlgorithm::Sha384 => 48,
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
