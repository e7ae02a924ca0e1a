//! One connection's secrets: what is made of what.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::authentication::{Authentication, Completed, Evidence};
use crate::label::HkdfLabel;
use crate::secret::{Kind, Secret, Side, Table};
use crate::transcript::Witness;
use crate::{
    Aead, Error, Fault, Group, Handle, Hash, KeyExchange, KeyLog, Transcript, Version, kdf, key_log,
};

/// Most secrets of one connection alive at once. A handshake makes about 30,
/// and after it three remain.
pub const MAX_SECRETS: usize = 64;

/// Most random bytes a call, and most calls a connection: a handshake makes
/// two, of 32 bytes each.
const MAX_RANDOM: u32 = 256;
const MAX_RANDOM_CALLS: usize = 16;

/// Most key exchanges completed on a connection; a handshake completes one.
const MAX_EXCHANGES: usize = 4;

/// A TLS 1.2 key block, cut up: each half is a key with its IV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyBlock {
    /// What the client writes with.
    pub client: Handle,
    /// What the server writes with.
    pub server: Handle,
}

/// What was asked of the one key block, and the answer.
struct MadeBlock {
    hash: Hash,
    aead: Aead,
    master: Handle,
    seed: Vec<u8>,
    block: KeyBlock,
}

/// What sealing keys a guest has opened; each kind once, so that no two
/// counters run over one key.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) handshake: bool,
    pub(crate) application: bool,
}

/// What the record layer has been given: keys that so many updates led to.
pub(crate) struct Released {
    pub(crate) aead: Aead,
    pub(crate) sealing: u32,
    pub(crate) opening: u32,
}

/// The secrets of one TLS connection. All are erased when it is dropped.
pub struct Connection {
    pub(crate) table: Table,
    pub(crate) authentication: Authentication,
    pub(crate) evidence: Evidence,
    client_random: Option<[u8; 32]>,
    block: Option<MadeBlock>,
    pub(crate) opened: Opened,
    /// Records the guest sealed with application keys.
    pub(crate) guest_sealed: Arc<AtomicU64>,
    random_calls: usize,
    /// What the record layer has been given.
    pub(crate) released: Option<Released>,
    log: Option<KeyLog>,
}

impl Connection {
    /// One without secrets. With `log`, traffic secrets are handed to it as
    /// they are made: everything the connection protects can then be read.
    ///
    /// # Errors
    /// [`Fault::Library`] if there is no randomness.
    pub fn new(log: Option<KeyLog>) -> Result<Self, Fault> {
        Ok(Connection {
            table: Table::new(MAX_SECRETS)?,
            authentication: Authentication::Nothing,
            evidence: Evidence::default(),
            client_random: None,
            block: None,
            opened: Opened::default(),
            guest_sealed: Arc::default(),
            random_calls: 0,
            released: None,
            log,
        })
    }

    /// How many secrets are alive.
    #[must_use]
    pub fn live_secrets(&self) -> usize {
        self.table.len()
    }

    /// Random bytes: 1 to 256 of them.
    ///
    /// # Errors
    /// Faults for other lengths and too many calls.
    pub fn random(&mut self, length: u32) -> Result<Vec<u8>, Fault> {
        if !(1..=MAX_RANDOM).contains(&length) {
            return Err(Fault::BadLength);
        }
        if self.random_calls == MAX_RANDOM_CALLS {
            return Err(Fault::Exhausted);
        }
        self.random_calls += 1;
        let mut bytes = vec![0; length as usize];
        rand::fill(&mut bytes).map_err(|_| Fault::Library)?;
        if let Ok(random) = <[u8; 32]>::try_from(bytes.as_slice()) {
            self.evidence.randoms.push(random);
        }
        Ok(bytes)
    }

    /// Completes a key exchange; see [`KeyExchange`].
    ///
    /// # Errors
    /// [`crate::Refusal::InvalidKeyShare`]; faults for another group than the
    /// exchange's and for too many exchanges.
    pub fn complete(
        &mut self,
        exchange: KeyExchange,
        group: Group,
        peer: &[u8],
    ) -> Result<Handle, Error> {
        if self.evidence.exchanges.len() == MAX_EXCHANGES {
            return Err(Fault::Exhausted.into());
        }
        let bytes = exchange.complete(group, peer)?;
        let origin = self.evidence.exchanges.len();
        self.evidence.exchanges.push(Completed {
            group,
            peer_share: peer.to_vec(),
        });
        self.keep(Kind::Shared, None, Some(origin), bytes)
            .map_err(Error::from)
    }

    /// HKDF-Extract as TLS 1.3 has it: nothing and nothing, `derived` and a
    /// key exchange, or `derived` and nothing.
    ///
    /// # Errors
    /// Faults for anything else.
    pub fn extract(
        &mut self,
        hash: Hash,
        salt: Option<Handle>,
        ikm: Option<Handle>,
    ) -> Result<Handle, Fault> {
        let salt = salt.map(|handle| self.table.get(handle)).transpose()?;
        let ikm = ikm.map(|handle| self.table.get(handle)).transpose()?;
        if salt.is_some_and(|salt| salt.hash != Some(hash)) {
            return Err(Fault::WrongKind);
        }
        let (kind, origin) = match (salt.map(|s| s.kind), ikm.map(|i| i.kind)) {
            (None, None) => (Kind::Early, None),
            (Some(Kind::DerivedEarly), Some(Kind::Shared)) => {
                (Kind::Handshake, ikm.and_then(|ikm| ikm.origin))
            }
            (Some(Kind::DerivedHandshake), None) => {
                (Kind::Master, salt.and_then(|salt| salt.origin))
            }
            _ => return Err(Fault::WrongKind),
        };
        let bytes = kdf::extract(
            hash,
            salt.map(|salt| salt.bytes.as_slice()),
            ikm.map(|ikm| ikm.bytes.as_slice()),
        );
        self.keep(kind, Some(hash), origin, bytes)
    }

    /// HKDF-Expand under a label of TLS 1.3's key schedule. What a `traffic
    /// upd` is derived from is erased once the new keys are in use.
    ///
    /// # Errors
    /// Faults for labels and lengths that do not belong to the secret.
    pub fn expand(
        &mut self,
        hash: Hash,
        prk: Handle,
        info: &[u8],
        length: u32,
    ) -> Result<Handle, Fault> {
        let from = self.table.get(prk)?;
        let label = HkdfLabel::parse(info)?;
        if from.hash != Some(hash) {
            return Err(Fault::WrongKind);
        }
        if label.length != length as usize {
            return Err(Fault::BadLength);
        }
        let kind = label.applied_to(from.kind, hash)?;
        let bytes = kdf::expand(hash, &from.bytes, info, label.length)?;
        let origin = from.origin;
        if kind == Kind::Psk {
            // One ticket's secret at a time: a peer may send any number of tickets.
            self.table.retain(|kind| kind != Kind::Psk);
        }
        self.keep(kind, Some(hash), origin, bytes)
    }

    /// HMAC under a Finished key.
    ///
    /// # Errors
    /// Faults for any other secret.
    pub fn hmac(&self, hash: Hash, key: Handle, data: &[u8]) -> Result<Vec<u8>, Fault> {
        let key = self.of_kind(key, Kind::Finished, hash)?;
        Ok(kdf::hmac(hash, &key.bytes, data))
    }

    /// TLS 1.2's extended master secret (RFC 7627).
    ///
    /// # Errors
    /// Faults if `premaster` is not a key exchange's output.
    pub fn tls12_master(
        &mut self,
        hash: Hash,
        premaster: Handle,
        session_hash: &[u8],
    ) -> Result<Handle, Fault> {
        let shared = self.table.get(premaster)?;
        if shared.kind != Kind::Shared {
            return Err(Fault::WrongKind);
        }
        if session_hash.len() != hash.output_len() {
            return Err(Fault::BadLength);
        }
        let bytes = kdf::prf(
            hash,
            &shared.bytes,
            b"extended master secret",
            session_hash,
            48,
        );
        let origin = shared.origin;
        self.keep(Kind::Master12, Some(hash), origin, bytes)
    }

    /// TLS 1.2's key block. `seed` is server_random ‖ client_random.
    ///
    /// # Errors
    /// Faults if `master` is not a master secret, and for a second key block.
    pub fn tls12_key_block(
        &mut self,
        hash: Hash,
        aead: Aead,
        master: Handle,
        seed: &[u8],
    ) -> Result<KeyBlock, Fault> {
        if let Some(made) = &self.block {
            let same = made.hash == hash
                && made.aead == aead
                && made.master == master
                && made.seed == seed;
            return if same {
                Ok(made.block)
            } else {
                Err(Fault::Repeated)
            };
        }
        let secret = self.of_kind(master, Kind::Master12, hash)?;
        if seed.len() != 64 {
            return Err(Fault::BadLength);
        }
        let (key, iv) = (aead.key_len(), aead.fixed_iv_len(Version::Tls12));
        let bytes = kdf::prf(hash, &secret.bytes, b"key expansion", seed, 2 * (key + iv));
        let origin = secret.origin;
        let (keys, ivs) = bytes.split_at(2 * key);
        let mut half = |side, at: usize| {
            // Reserved at once, so that no copy is left behind by growth.
            let mut bytes = Zeroizing::new(Vec::with_capacity(key + iv));
            bytes.extend_from_slice(&keys[at * key..][..key]);
            bytes.extend_from_slice(&ivs[at * iv..][..iv]);
            self.keep(Kind::WriteKeys12(side), Some(hash), origin, bytes)
        };
        let block = KeyBlock {
            client: half(Side::Client, 0)?,
            server: half(Side::Server, 1)?,
        };
        self.block = Some(MadeBlock {
            hash,
            aead,
            master,
            seed: seed.to_vec(),
            block,
        });
        Ok(block)
    }

    /// verify_data of a TLS 1.2 Finished message.
    ///
    /// # Errors
    /// Faults for another secret than a master secret and for other labels.
    pub fn tls12_finished(
        &self,
        hash: Hash,
        master: Handle,
        label: &[u8],
        transcript_hash: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        if !matches!(label, b"client finished" | b"server finished") {
            return Err(Fault::BadLabel);
        }
        if transcript_hash.len() != hash.output_len() {
            return Err(Fault::BadLength);
        }
        let master = self.of_kind(master, Kind::Master12, hash)?;
        Ok(kdf::prf(hash, &master.bytes, label, transcript_hash, 12).to_vec())
    }

    /// A transcript's hash. The host remembers it with the key exchange that
    /// the transcript's ServerHello names, for [`Connection::verify_signature`].
    pub fn current(&mut self, transcript: &Transcript) -> Vec<u8> {
        let hash = transcript.current();
        let hellos = transcript.hellos();
        let ours = hellos
            .client_random
            .filter(|random| self.evidence.randoms.contains(random));
        if let Some(random) = ours {
            self.client_random = Some(*random);
            if let Some(exchange) = hellos
                .server_part
                .and_then(|part| self.evidence.exchange_in(part))
            {
                self.evidence.add(Witness::new(hash.clone(), exchange));
            }
        }
        hash
    }

    fn of_kind(&self, handle: Handle, kind: Kind, hash: Hash) -> Result<&Secret, Fault> {
        let secret = self.table.get(handle)?;
        if secret.kind == kind && secret.hash == Some(hash) {
            Ok(secret)
        } else {
            Err(Fault::WrongKind)
        }
    }

    fn keep(
        &mut self,
        kind: Kind,
        hash: Option<Hash>,
        origin: Option<usize>,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Result<Handle, Fault> {
        if let (Some(log), Some(label), Some(random)) =
            (&self.log, key_log::label(kind), &self.client_random)
        {
            log(&key_log::line(label, random, &bytes));
        }
        self.table.insert(Secret {
            kind,
            hash,
            origin,
            bytes,
        })
    }
}
