//! The imports of the TLS guest, each handed on to `fumehood-crypto` and kept
//! where the user asked for recordings.

use fumehood_crypto::{
    Aead, Direction, Group, GuestKey, Handle, Hash, KeyExchange, Transcript, Version,
};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::bindings::client::fumehood::crypto::keys;
use super::bindings::client::fumehood::guest::panic;
use super::bindings::client::fumehood::tls::verify;
use super::recorded::import;
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
        self.kept(import::VERIFY_CHAIN, &chain, |it| it.judge(&chain))
    }

    fn verify_signature(
        &mut self,
        spoken: keys::ProtocolVersion,
        scheme: u16,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        let asked = (spoken, scheme, &message, &signature);
        self.kept(import::VERIFY_SIGNATURE, &asked, |it| {
            Ok(it
                .keys
                .verify_signature(version(spoken), scheme, &message, &signature))
        })
    }
}

impl keys::Host for TlsState {
    fn random(&mut self, length: u32) -> Result<Vec<u8>> {
        self.kept(import::RANDOM, &length, |it| Ok(it.keys.random(length)?))
    }

    fn extract(
        &mut self,
        algorithm: keys::HashAlgorithm,
        salt: Option<u64>,
        ikm: Option<u64>,
    ) -> Result<u64> {
        self.kept(import::EXTRACT, &(algorithm, salt, ikm), |it| {
            let (salt, ikm) = (salt.map(Handle), ikm.map(Handle));
            Ok(it.keys.extract(hash(algorithm), salt, ikm)?.0)
        })
    }

    fn expand(
        &mut self,
        algorithm: keys::HashAlgorithm,
        prk: u64,
        info: Vec<u8>,
        length: u32,
    ) -> Result<u64> {
        self.kept(import::EXPAND, &(algorithm, prk, &info, length), |it| {
            let prk = Handle(prk);
            Ok(it.keys.expand(hash(algorithm), prk, &info, length)?.0)
        })
    }

    fn hmac(&mut self, algorithm: keys::HashAlgorithm, key: u64, data: Vec<u8>) -> Result<Vec<u8>> {
        self.kept(import::HMAC, &(algorithm, key, &data), |it| {
            Ok(it.keys.hmac(hash(algorithm), Handle(key), &data)?)
        })
    }

    fn tls12_master(
        &mut self,
        algorithm: keys::HashAlgorithm,
        premaster: u64,
        session_hash: Vec<u8>,
    ) -> Result<u64> {
        let asked = (algorithm, premaster, &session_hash);
        self.kept(import::TLS12_MASTER, &asked, |it| {
            let premaster = Handle(premaster);
            let master = it
                .keys
                .tls12_master(hash(algorithm), premaster, &session_hash)?;
            Ok(master.0)
        })
    }

    fn tls12_key_block(
        &mut self,
        algorithm: keys::HashAlgorithm,
        protection: keys::AeadAlgorithm,
        master: u64,
        seed: Vec<u8>,
    ) -> Result<keys::KeyBlock> {
        let asked = (algorithm, protection, master, &seed);
        self.kept(import::TLS12_KEY_BLOCK, &asked, |it| {
            let (algorithm, protection) = (hash(algorithm), aead(protection));
            let block = it
                .keys
                .tls12_key_block(algorithm, protection, Handle(master), &seed)?;
            Ok(keys::KeyBlock {
                client: block.client.0,
                server: block.server.0,
            })
        })
    }

    fn tls12_finished(
        &mut self,
        algorithm: keys::HashAlgorithm,
        master: u64,
        label: Vec<u8>,
        transcript_hash: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let asked = (algorithm, master, &label, &transcript_hash);
        self.kept(import::TLS12_FINISHED, &asked, |it| {
            let (algorithm, master) = (hash(algorithm), Handle(master));
            Ok(it
                .keys
                .tls12_finished(algorithm, master, &label, &transcript_hash)?)
        })
    }
}

impl keys::HostKeyExchange for TlsState {
    fn new(&mut self, of: keys::Group) -> Result<Resource<KeyExchange>> {
        let number = self.kept(import::NEW_EXCHANGE, &of, |it| {
            let exchange = KeyExchange::new(group(of))?;
            Ok(it.resources.push(exchange)?.rep())
        })?;
        Ok(Resource::new_own(number))
    }

    fn public_key(&mut self, this: Resource<KeyExchange>) -> Result<Vec<u8>> {
        self.kept(import::PUBLIC_KEY, &this.rep(), |it| {
            Ok(it.resources.get(&this)?.public_key().to_vec())
        })
    }

    fn complete(
        &mut self,
        this: Resource<KeyExchange>,
        of: keys::Group,
        peer: Vec<u8>,
    ) -> Result<Answer<u64>> {
        self.kept(import::COMPLETE, &(this.rep(), of, &peer), |it| {
            let exchange = it.resources.delete(this)?;
            let answer = told(it.keys.complete(exchange, group(of), &peer))?;
            Ok(answer.map(|handle| handle.0))
        })
    }

    fn drop(&mut self, this: Resource<KeyExchange>) -> Result<()> {
        self.kept(import::DROP_EXCHANGE, &this.rep(), |it| {
            it.resources.delete(this)?;
            Ok(())
        })
    }
}

impl keys::HostTranscript for TlsState {
    fn new(&mut self, algorithm: keys::HashAlgorithm) -> Result<Resource<Transcript>> {
        let number = self.kept(import::NEW_TRANSCRIPT, &algorithm, |it| {
            let transcript = Transcript::new(hash(algorithm));
            Ok(it.resources.push(transcript)?.rep())
        })?;
        Ok(Resource::new_own(number))
    }

    fn update(&mut self, this: Resource<Transcript>, data: Vec<u8>) -> Result<()> {
        self.kept(import::UPDATE, &(this.rep(), &data), |it| {
            it.resources.get_mut(&this)?.update(&data);
            Ok(())
        })
    }

    fn fork(&mut self, this: Resource<Transcript>) -> Result<Resource<Transcript>> {
        let number = self.kept(import::FORK, &this.rep(), |it| {
            let copy = it.resources.get(&this)?.clone();
            Ok(it.resources.push(copy)?.rep())
        })?;
        Ok(Resource::new_own(number))
    }

    fn current(&mut self, this: Resource<Transcript>) -> Result<Vec<u8>> {
        self.kept(import::CURRENT, &this.rep(), |it| {
            Ok(it.keys.current(it.resources.get(&this)?))
        })
    }

    fn drop(&mut self, this: Resource<Transcript>) -> Result<()> {
        self.kept(import::DROP_TRANSCRIPT, &this.rep(), |it| {
            it.resources.delete(this)?;
            Ok(())
        })
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
        let asked = (spoken, algorithm, way, traffic);
        let number = self.kept(import::OPEN, &asked, |it| {
            let way = match way {
                keys::Direction::Seal => Direction::Seal,
                keys::Direction::Open => Direction::Open,
            };
            let (spoken, algorithm) = (version(spoken), aead(algorithm));
            let key = it
                .keys
                .open_guest_key(spoken, algorithm, way, Handle(traffic));
            match told(key)? {
                Ok(key) => Ok(Ok(it.resources.push(key)?.rep())),
                Err(refusal) => Ok(Err(refusal)),
            }
        })?;
        Ok(number.map(Resource::new_own))
    }

    fn seal(
        &mut self,
        this: Resource<GuestKey>,
        sequence: u64,
        content_type: u8,
        plaintext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        let asked = (this.rep(), sequence, content_type, &plaintext);
        self.kept(import::SEAL, &asked, |it| {
            let key = it.resources.get(&this)?;
            told(key.seal(sequence, content_type, &plaintext))
        })
    }

    fn unseal(
        &mut self,
        this: Resource<GuestKey>,
        sequence: u64,
        content_type: u8,
        ciphertext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        // The bytes are the peer's: the call has shown them.
        let asked = (this.rep(), sequence, content_type, ciphertext.len());
        self.kept(import::UNSEAL, &asked, |it| {
            let key = it.resources.get(&this)?;
            told(key.unseal(sequence, content_type, ciphertext))
        })
    }

    fn drop(&mut self, this: Resource<GuestKey>) -> Result<()> {
        self.kept(import::DROP_RECORD_KEY, &this.rep(), |it| {
            it.resources.delete(this)?;
            Ok(())
        })
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
