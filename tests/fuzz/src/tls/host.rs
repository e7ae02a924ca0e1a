//! The native guest's imports, answered by a [`Toy`] as they are behind glass.

use fumehood_crypto as crypto;
use fumehood_crypto::fuzz::Toy;
use fumehood_guest_tls::imports::{
    AeadAlgorithm, Direction, Error, Group, HashAlgorithm, Host, KeyBlock, ProtocolVersion,
    Resource, Secret,
};

/// A thread's host.
#[derive(Default)]
pub(super) struct ToyHost {
    toy: Toy,
    groups: Vec<(Resource, Group)>,
    lengths: Vec<(Resource, usize)>,
}

impl ToyHost {
    fn length_of(&self, transcript: Resource) -> usize {
        let found = self.lengths.iter().find(|(name, _)| *name == transcript);
        found.map_or(0, |(_, length)| *length)
    }
}

fn length(hash: HashAlgorithm) -> usize {
    match hash {
        HashAlgorithm::Sha256 => 32,
        HashAlgorithm::Sha384 => 48,
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

impl Host for ToyHost {
    fn random(&mut self, length: u32) -> Vec<u8> {
        self.toy.random(length)
    }

    fn new_exchange(&mut self, group: Group) -> Resource {
        let name = self.toy.resource();
        self.groups.push((name, group));
        name
    }

    fn public_key(&mut self, exchange: Resource) -> Vec<u8> {
        let found = self.groups.iter().find(|(name, _)| *name == exchange);
        found.map_or_else(Vec::new, |(_, of)| Toy::public_key(group(*of)))
    }

    fn complete(&mut self, _exchange: Resource, of: Group, peer: &[u8]) -> Result<Secret, Error> {
        let secret = self.toy.complete(group(of), peer);
        secret.ok_or(Error::InvalidKeyShare)
    }

    fn new_transcript(&mut self, hash: HashAlgorithm) -> Resource {
        let name = self.toy.transcript();
        self.lengths.push((name, length(hash)));
        name
    }

    fn update(&mut self, transcript: Resource, data: &[u8]) {
        self.toy.update(transcript, data);
    }

    fn fork(&mut self, transcript: Resource) -> Resource {
        let name = self.toy.fork(transcript);
        let length = self.length_of(transcript);
        self.lengths.push((name, length));
        name
    }

    fn current(&mut self, transcript: Resource) -> Vec<u8> {
        self.toy.current(transcript, self.length_of(transcript))
    }

    fn extract(&mut self, _: HashAlgorithm, _: Option<Secret>, _: Option<Secret>) -> Secret {
        self.toy.secret()
    }

    fn expand(&mut self, _: HashAlgorithm, _: Secret, _info: &[u8], _length: u32) -> Secret {
        self.toy.secret()
    }

    fn hmac(&mut self, hash: HashAlgorithm, _key: Secret, _data: &[u8]) -> Vec<u8> {
        Toy::mac(length(hash))
    }

    fn tls12_master(&mut self, _: HashAlgorithm, _: Secret, _session: &[u8]) -> Secret {
        self.toy.secret()
    }

    fn tls12_key_block(
        &mut self,
        _: HashAlgorithm,
        _: AeadAlgorithm,
        _master: Secret,
        _seed: &[u8],
    ) -> KeyBlock {
        KeyBlock {
            client: self.toy.secret(),
            server: self.toy.secret(),
        }
    }

    fn tls12_finished(
        &mut self,
        _: HashAlgorithm,
        _master: Secret,
        _label: &[u8],
        _transcript: &[u8],
    ) -> Vec<u8> {
        Toy::mac(12)
    }

    fn open_key(
        &mut self,
        _: ProtocolVersion,
        _: AeadAlgorithm,
        _: Direction,
        _traffic: Secret,
    ) -> Result<Resource, Error> {
        Ok(self.toy.resource())
    }

    fn seal(&mut self, _: Resource, _seq: u64, _kind: u8, data: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(Toy::seal(data))
    }

    fn unseal(&mut self, _: Resource, _seq: u64, _kind: u8, data: &[u8]) -> Result<Vec<u8>, Error> {
        Toy::unseal(data).ok_or(Error::BadRecord)
    }

    fn verify_chain(&mut self, chain: &[Vec<u8>]) -> Result<(), ()> {
        let leaf = chain.first().map_or(&[][..], Vec::as_slice);
        Toy::believes(leaf).then_some(()).ok_or(())
    }

    fn verify_signature(
        &mut self,
        _: ProtocolVersion,
        _scheme: u16,
        _message: &[u8],
        signature: &[u8],
    ) -> bool {
        Toy::believes(signature)
    }

    fn drop_resource(&mut self, resource: Resource) {
        self.toy.drop_resource(resource);
    }
}
