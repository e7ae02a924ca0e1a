//! What a TLS instance's store holds: its connection's keys, and who may judge its peer.

use std::sync::Arc;

use fumehood_control::{Cause, Instance, Verification};
use fumehood_crypto::{Connection, Error, Fault as KeyFault, KeyLog, Refusal};
use fumehood_policy::Host;
use wasmtime::Result;
use wasmtime::component::ResourceTable;

use super::KeyLogFile;
use super::bindings::client::fumehood::crypto::keys;
use super::judge::{Unverified, judge};
use super::verifier::{Question, Rejection};
use crate::instance::GuestState;
use crate::registry::{About, Registry};

/// Most key exchanges, transcripts and record keys of a connection alive at
/// once; a handshake has about ten.
const MAX_RESOURCES: usize = 64;

/// Whom the connection is for. The guest can change none of it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) server_name: String,
    pub(super) verification: Verification,
    /// Seconds since the Unix epoch.
    pub(super) now: u64,
}

impl Subject {
    /// A connection to `host`, named as certificates and SNI name it.
    pub(super) fn new(host: &Host, verification: Verification, now: u64) -> Self {
        let server_name = match host {
            Host::Name(name) => name.to_string(),
            Host::V4(address) => address.to_string(),
            Host::V6(address) => address.to_string(),
        };
        Subject {
            server_name,
            verification,
            now,
        }
    }
}

/// A TLS instance's store data.
pub(super) struct TlsState {
    pub(super) guest: GuestState,
    pub(super) keys: Connection,
    pub(super) resources: ResourceTable,
    subject: Subject,
    /// Where those are who judge.
    registry: Arc<Registry>,
    /// What the verifier said, kept from the guest.
    pub(super) judgement: Judgement,
}

/// What became of the peer's certificate.
#[derive(Default)]
pub(super) enum Judgement {
    /// Nobody has asked.
    #[default]
    None,
    /// Believed, by this instance.
    Believed(Instance),
    /// Not believed.
    Rejected(Rejection),
    /// Nobody could judge: every verifier there is ended over it.
    Nobody(Cause),
}

impl TlsState {
    pub(super) fn new(
        about: &Arc<About>,
        subject: Subject,
        registry: &Arc<Registry>,
        key_log: Option<Arc<KeyLogFile>>,
    ) -> std::result::Result<Self, KeyFault> {
        let log = key_log.map(|file| -> KeyLog { Arc::new(move |line: &str| file.write(line)) });
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MAX_RESOURCES);
        Ok(TlsState {
            guest: GuestState::new(about),
            keys: Connection::new(log)?,
            resources,
            subject,
            registry: Arc::clone(registry),
            judgement: Judgement::None,
        })
    }

    /// The same connection for an instance of another version, with its keys
    /// and none of what the instance before made of them.
    pub(super) fn hand_over(self, about: &Arc<About>) -> Self {
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MAX_RESOURCES);
        TlsState {
            guest: GuestState::new(about),
            resources,
            ..self
        }
    }

    /// Whom the connection is for.
    pub(super) fn server_name(&self) -> &str {
        &self.subject.server_name
    }

    /// Has the chain judged and keeps the answer. Tells the guest only whether
    /// it may go on.
    pub(super) fn judge(&mut self, chain: &[Vec<u8>]) -> Result<std::result::Result<(), ()>> {
        if !matches!(self.judgement, Judgement::None) {
            return Err(KeyFault::Repeated.into());
        }
        let Subject {
            server_name,
            verification,
            now,
        } = &self.subject;
        let question = Question {
            verification: *verification,
            chain,
            server_name,
            now: *now,
        };
        let asked = std::time::Instant::now();
        let judged = judge(&self.registry, question);
        // What the verifier took is not this guest's doing.
        self.guest.away += asked.elapsed();
        match judged {
            Ok((key, instance)) => {
                self.keys.record_verdict(key)?;
                self.judgement = Judgement::Believed(instance);
                Ok(Ok(()))
            }
            Err(Unverified::Rejected(rejection)) => {
                self.judgement = Judgement::Rejected(rejection);
                Ok(Err(()))
            }
            Err(Unverified::Nobody(cause)) => {
                self.judgement = Judgement::Nobody(cause);
                Ok(Err(()))
            }
        }
    }
}

/// Refusals are told to the guest, faults end it.
pub(super) fn told<T>(
    result: std::result::Result<T, Error>,
) -> Result<std::result::Result<T, keys::Error>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Fault(fault)) => Err(fault.into()),
        Err(Error::Refused(refusal)) => Ok(Err(match refusal {
            Refusal::InvalidKeyShare => keys::Error::InvalidKeyShare,
            Refusal::BadRecord => keys::Error::BadRecord,
            Refusal::NotAuthenticated => keys::Error::NotAuthenticated,
            Refusal::OutOfSequence => keys::Error::OutOfSequence,
        })),
    }
}
