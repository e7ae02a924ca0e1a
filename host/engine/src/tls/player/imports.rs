//! The imports of a guest that a recording is played to: each is a question to
//! the tape. The arguments are put together as they were when it was recorded.

use fumehood_crypto::{GuestKey, KeyExchange, Transcript};
use wasmtime::Result;
use wasmtime::component::Resource;

use super::PlayState;
use crate::tls::bindings::client::fumehood::crypto::keys;
use crate::tls::bindings::client::fumehood::guest::panic;
use crate::tls::bindings::client::fumehood::tls::verify;
use crate::tls::recorded::import;

type Answer<T> = std::result::Result<T, keys::Error>;

impl panic::Host for PlayState {
    fn panicked(&mut self, message: String, location: String) -> Result<()> {
        self.guest.note_panic(&message, &location);
        Ok(())
    }
}

impl verify::Host for PlayState {
    fn verify_chain(&mut self, chain: Vec<Vec<u8>>) -> Result<std::result::Result<(), ()>> {
        self.tape.answer(import::VERIFY_CHAIN, &chain)
    }

    fn verify_signature(
        &mut self,
        spoken: keys::ProtocolVersion,
        scheme: u16,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        let asked = (spoken, scheme, &message, &signature);
        self.tape.answer(import::VERIFY_SIGNATURE, &asked)
    }
}

impl keys::Host for PlayState {
    fn random(&mut self, length: u32) -> Result<Vec<u8>> {
        self.tape.answer(import::RANDOM, &length)
    }

    fn extract(
        &mut self,
        algorithm: keys::HashAlgorithm,
        salt: Option<u64>,
        ikm: Option<u64>,
    ) -> Result<u64> {
        self.tape.answer(import::EXTRACT, &(algorithm, salt, ikm))
    }

    fn expand(
        &mut self,
        algorithm: keys::HashAlgorithm,
        prk: u64,
        info: Vec<u8>,
        length: u32,
    ) -> Result<u64> {
        let asked = (algorithm, prk, &info, length);
        self.tape.answer(import::EXPAND, &asked)
    }

    fn hmac(&mut self, algorithm: keys::HashAlgorithm, key: u64, data: Vec<u8>) -> Result<Vec<u8>> {
        self.tape.answer(import::HMAC, &(algorithm, key, &data))
    }

    fn tls12_master(
        &mut self,
        algorithm: keys::HashAlgorithm,
        premaster: u64,
        session_hash: Vec<u8>,
    ) -> Result<u64> {
        let asked = (algorithm, premaster, &session_hash);
        self.tape.answer(import::TLS12_MASTER, &asked)
    }

    fn tls12_key_block(
        &mut self,
        algorithm: keys::HashAlgorithm,
        protection: keys::AeadAlgorithm,
        master: u64,
        seed: Vec<u8>,
    ) -> Result<keys::KeyBlock> {
        let asked = (algorithm, protection, master, &seed);
        self.tape.answer(import::TLS12_KEY_BLOCK, &asked)
    }

    fn tls12_finished(
        &mut self,
        algorithm: keys::HashAlgorithm,
        master: u64,
        label: Vec<u8>,
        transcript_hash: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let asked = (algorithm, master, &label, &transcript_hash);
        self.tape.answer(import::TLS12_FINISHED, &asked)
    }
}

impl keys::HostKeyExchange for PlayState {
    fn new(&mut self, of: keys::Group) -> Result<Resource<KeyExchange>> {
        let number = self.tape.answer(import::NEW_EXCHANGE, &of)?;
        Ok(Resource::new_own(number))
    }

    fn public_key(&mut self, this: Resource<KeyExchange>) -> Result<Vec<u8>> {
        self.tape.answer(import::PUBLIC_KEY, &this.rep())
    }

    fn complete(
        &mut self,
        this: Resource<KeyExchange>,
        of: keys::Group,
        peer: Vec<u8>,
    ) -> Result<Answer<u64>> {
        let asked = (this.rep(), of, &peer);
        self.tape.answer(import::COMPLETE, &asked)
    }

    fn drop(&mut self, this: Resource<KeyExchange>) -> Result<()> {
        self.tape.answer(import::DROP_EXCHANGE, &this.rep())
    }
}

impl keys::HostTranscript for PlayState {
    fn new(&mut self, algorithm: keys::HashAlgorithm) -> Result<Resource<Transcript>> {
        let number = self.tape.answer(import::NEW_TRANSCRIPT, &algorithm)?;
        Ok(Resource::new_own(number))
    }

    fn update(&mut self, this: Resource<Transcript>, data: Vec<u8>) -> Result<()> {
        self.tape.answer(import::UPDATE, &(this.rep(), &data))
    }

    fn fork(&mut self, this: Resource<Transcript>) -> Result<Resource<Transcript>> {
        let number = self.tape.answer(import::FORK, &this.rep())?;
        Ok(Resource::new_own(number))
    }

    fn current(&mut self, this: Resource<Transcript>) -> Result<Vec<u8>> {
        self.tape.answer(import::CURRENT, &this.rep())
    }

    fn drop(&mut self, this: Resource<Transcript>) -> Result<()> {
        self.tape.answer(import::DROP_TRANSCRIPT, &this.rep())
    }
}

impl keys::HostRecordKey for PlayState {
    fn open(
        &mut self,
        spoken: keys::ProtocolVersion,
        algorithm: keys::AeadAlgorithm,
        way: keys::Direction,
        traffic: u64,
    ) -> Result<Answer<Resource<GuestKey>>> {
        let asked = (spoken, algorithm, way, traffic);
        let number: Answer<u32> = self.tape.answer(import::OPEN, &asked)?;
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
        self.tape.answer(import::SEAL, &asked)
    }

    fn unseal(
        &mut self,
        this: Resource<GuestKey>,
        sequence: u64,
        content_type: u8,
        ciphertext: Vec<u8>,
    ) -> Result<Answer<Vec<u8>>> {
        let asked = (this.rep(), sequence, content_type, ciphertext.len());
        self.tape.answer(import::UNSEAL, &asked)
    }

    fn drop(&mut self, this: Resource<GuestKey>) -> Result<()> {
        self.tape.answer(import::DROP_RECORD_KEY, &this.rep())
    }
}
