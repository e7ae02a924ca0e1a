//! The `x509` guest: one long-lived instance, shared, remade after a trap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fumehood_control::{Instance, ModuleHeader, Verification};
use fumehood_crypto::{KeyKind, PublicKey, signature};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::Anchors;
use super::bindings::x509::exports::fumehood::x509::verifier as wire;
use super::bindings::x509::fumehood::crypto::signatures;
use super::bindings::x509::fumehood::guest::panic;
use super::bindings::x509::{X509Verifier, X509VerifierPre};
use crate::instance::{Fault, GuestState, arm, describe};

pub(super) use wire::Rejection;

/// Judges certificates. Clones share the one instance.
#[derive(Clone)]
pub(crate) struct Verifier(Arc<Shared>);

struct Shared {
    header: ModuleHeader,
    engine: Engine,
    pre: X509VerifierPre<GuestState>,
    anchors: Anchors,
    made: AtomicU64,
    /// Empty before the first verification and after a trap.
    running: Mutex<Option<Running>>,
}

struct Running {
    number: u64,
    store: Store<GuestState>,
    guest: X509Verifier,
}

/// Why there is no key.
pub(super) enum Unverified {
    /// The certificate is not believed.
    Rejected(Rejection),
    /// The guest is no more; the next verification gets another.
    Fault(Fault),
}

impl panic::Host for GuestState {
    fn panicked(&mut self, message: String, location: String) {
        self.note_panic(&message, &location);
    }
}

impl signatures::Host for GuestState {
    fn verify(
        &mut self,
        algorithm: signatures::Algorithm,
        key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> bool {
        use signature::Algorithm as Ours;
        use signatures::Algorithm as Theirs;
        let algorithm = match algorithm {
            Theirs::EcdsaP256Sha256 => Ours::EcdsaP256Sha256,
            Theirs::EcdsaP256Sha384 => Ours::EcdsaP256Sha384,
            Theirs::EcdsaP384Sha256 => Ours::EcdsaP384Sha256,
            Theirs::EcdsaP384Sha384 => Ours::EcdsaP384Sha384,
            Theirs::EcdsaP521Sha512 => Ours::EcdsaP521Sha512,
            Theirs::Ed25519 => Ours::Ed25519,
            Theirs::RsaPssSha256 => Ours::RsaPssSha256,
            Theirs::RsaPssSha384 => Ours::RsaPssSha384,
            Theirs::RsaPssSha512 => Ours::RsaPssSha512,
            Theirs::RsaPkcs1Sha256 => Ours::RsaPkcs1Sha256,
            Theirs::RsaPkcs1Sha384 => Ours::RsaPkcs1Sha384,
            Theirs::RsaPkcs1Sha512 => Ours::RsaPkcs1Sha512,
        };
        signature::verify(algorithm, &key, &message, &signature)
    }
}

impl Verifier {
    /// Links the module to its two imports.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the verifier interface.
    pub(crate) fn new(
        engine: &Engine,
        header: ModuleHeader,
        component: &Component,
        anchors: Anchors,
    ) -> wasmtime::Result<Verifier> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        signatures::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        let pre = X509VerifierPre::new(linker.instantiate_pre(component)?)?;
        Ok(Verifier(Arc::new(Shared {
            header,
            engine: engine.clone(),
            pre,
            anchors,
            made: AtomicU64::new(0),
            running: Mutex::new(None),
        })))
    }

    /// The key of a chain's leaf, if the chain is believed or belief was not asked for.
    /// Blocks while another connection's chain is judged, at most for the
    /// deadline of a call.
    pub(super) fn judge(
        &self,
        verification: Verification,
        chain: &[Vec<u8>],
        server_name: &str,
        now: u64,
    ) -> Result<(PublicKey, Instance), Unverified> {
        let mut slot = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Taken out, and put back only if it is whole.
        let mut running = match slot.take() {
            Some(running) => running,
            None => self.0.instantiate().map_err(Unverified::Fault)?,
        };
        arm(&mut running.store);
        running.store.data_mut().calls += 1;
        let guest = running.guest.fumehood_x509_verifier();
        let judged = match verification {
            Verification::Full => guest.call_verify(&mut running.store, chain, server_name, now),
            Verification::None => match chain.first() {
                Some(leaf) => guest.call_unverified_key(&mut running.store, leaf),
                None => Ok(Err(Rejection::Malformed)),
            },
        };
        match judged {
            Ok(verdict) => {
                let instance = describe(&self.0.header, running.number);
                *slot = Some(running);
                verdict
                    .map(|verdict| (key_of(verdict), instance))
                    .map_err(Unverified::Rejected)
            }
            Err(error) => Err(Unverified::Fault(Fault::new(
                &self.0.header,
                &error,
                running.store.data(),
            ))),
        }
    }
}

impl Shared {
    /// A fresh instance that holds the anchors.
    fn instantiate(&self) -> Result<Running, Fault> {
        let mut store = Store::new(&self.engine, GuestState::default());
        store.limiter(|state| state);
        store.epoch_deadline_trap();
        arm(&mut store);
        let made = self.pre.instantiate(&mut store).and_then(|guest| {
            arm(&mut store);
            guest
                .fumehood_x509_verifier()
                .call_set_anchors(&mut store, self.anchors.certificates())
                .map(|_held| guest)
        });
        match made {
            Ok(guest) => {
                let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
                Ok(Running {
                    number,
                    store,
                    guest,
                })
            }
            Err(error) => Err(Fault::new(&self.header, &error, store.data())),
        }
    }
}

fn key_of(verdict: wire::Verdict) -> PublicKey {
    let kind = match verdict.kind {
        wire::KeyKind::P256 => KeyKind::P256,
        wire::KeyKind::P384 => KeyKind::P384,
        wire::KeyKind::P521 => KeyKind::P521,
        wire::KeyKind::Ed25519 => KeyKind::Ed25519,
        wire::KeyKind::Rsa => KeyKind::Rsa,
    };
    PublicKey {
        kind,
        bytes: verdict.public_key,
    }
}
