//! The `x509` guest: one long-lived instance, shared, remade after a trap.

use std::sync::{Arc, Mutex, PoisonError};

use fumehood_control::{Aftermath, Instance, RecordedCall, Verification};
use fumehood_crypto::{KeyKind, PublicKey, signature};
use serde::Serialize;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::Anchors;
use super::bindings::x509::exports::fumehood::x509::verifier as wire;
use super::bindings::x509::fumehood::crypto::signatures;
use super::bindings::x509::fumehood::guest::panic;
use super::bindings::x509::{X509Verifier, X509VerifierPre};
use crate::instance::{Fault, Faults, GuestState, Trace, arm, new_store};
use crate::registry::About;

pub(super) use wire::Rejection;

/// What calls are recorded as. A chain's verdict depends on the anchors and the
/// question, and on nothing that was asked before.
const ANCHORS: &str = "set-anchors";
const VERIFY: &str = "verify";

/// What is to be judged, for whom, and when (seconds since the Unix epoch).
#[derive(Clone, Copy, Serialize)]
pub(super) struct Question<'a> {
    pub(super) verification: Verification,
    pub(super) chain: &'a [Vec<u8>],
    pub(super) server_name: &'a str,
    pub(super) now: u64,
}

/// Judges certificates with one instance.
pub(crate) struct Verifier(Shared);

struct Shared {
    about: Arc<About>,
    engine: Engine,
    pre: X509VerifierPre<GuestState>,
    anchors: Arc<Anchors>,
    /// Empty before the first verification and after a trap.
    running: Mutex<Option<Running>>,
}

struct Running {
    store: Store<GuestState>,
    guest: X509Verifier,
}

/// A chain that was judged, and by whom.
pub(super) struct Judged {
    pub(super) verdict: Result<PublicKey, Rejection>,
    pub(super) by: Instance,
}

/// A recorded question, and the anchors it was asked with.
pub(crate) struct Recorded {
    pub anchors: Anchors,
    verification: Verification,
    chain: Vec<Vec<u8>>,
    server_name: String,
    now: u64,
}

impl Recorded {
    /// Reads what [`Running::ask`] records; otherwise says which call is wrong.
    pub(crate) fn decode(recording: &[RecordedCall]) -> Result<Recorded, usize> {
        let arguments = |at: usize, function: &str| {
            let call = recording.get(at).filter(|call| call.function == function);
            call.map(|call| &call.arguments[..]).ok_or(at)
        };
        let anchors: Vec<Vec<u8>> =
            postcard::from_bytes(arguments(0, ANCHORS)?).map_err(|_| 0_usize)?;
        let (verification, chain, server_name, now) =
            postcard::from_bytes(arguments(1, VERIFY)?).map_err(|_| 1_usize)?;
        Ok(Recorded {
            anchors: Anchors::of(&anchors),
            verification,
            chain,
            server_name,
            now,
        })
    }
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
        about: Arc<About>,
        component: &Component,
        anchors: Arc<Anchors>,
    ) -> wasmtime::Result<Verifier> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        signatures::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        let pre = X509VerifierPre::new(linker.instantiate_pre(component)?)?;
        Ok(Verifier(Shared {
            about,
            engine: engine.clone(),
            pre,
            anchors,
            running: Mutex::new(None),
        }))
    }

    /// Has a chain judged, or its leaf's key told where no judgement was asked
    /// for. Blocks while another connection's chain is judged, at most for the
    /// deadline of two calls. An instance that ends is replaced, and asked once
    /// more.
    ///
    /// # Errors
    /// The ends of both.
    pub(super) fn judge(&self, question: Question<'_>) -> Result<Judged, Faults> {
        let mut slot = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut faults = match self.0.ask(&mut slot, question) {
            Ok(judged) => return Ok(judged),
            Err(fault) => Faults::from(fault),
        };
        match self.0.ask(&mut slot, question) {
            Ok(judged) => {
                faults.settle(Aftermath::Resumed);
                Ok(judged)
            }
            Err(fault) => {
                faults.push(fault);
                Err(faults)
            }
        }
    }

    /// Makes the instance ahead of a verification, if there is none. One that
    /// ends over it is replaced, and told of, when it is needed.
    pub(crate) fn wake(&self) {
        // Somebody who holds the lock has it made already.
        if let Ok(mut slot) = self.0.running.try_lock()
            && slot.is_none()
        {
            *slot = self.0.instantiate().ok();
        }
    }

    /// Asks a recorded question again: whether the chain is believed.
    ///
    /// # Errors
    /// The ends of two instances.
    pub(crate) fn ask_again(&self, recorded: &Recorded) -> Result<bool, Faults> {
        let judged = self.judge(Question {
            verification: recorded.verification,
            chain: &recorded.chain,
            server_name: &recorded.server_name,
            now: recorded.now,
        })?;
        Ok(judged.verdict.is_ok())
    }

    /// Ends the instance; the next verification makes another.
    pub(crate) fn rest(&self) {
        let _ended = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Running {
    fn ask(
        &mut self,
        anchors: &Anchors,
        question: Question<'_>,
    ) -> Result<Result<wire::Verdict, Rejection>, Fault> {
        let Question {
            verification,
            chain,
            server_name,
            now,
        } = question;
        arm(&mut self.store);
        let state = self.store.data_mut();
        state.calls += 1;
        state.recording.begin();
        state.recording.note(ANCHORS, &anchors.certificates());
        state.recording.note(VERIFY, &question);
        state.trail.note(Trace::CallWith(
            "verify",
            chain.iter().map(|one| one.len() as u64).sum(),
        ));
        let guest = self.guest.fumehood_x509_verifier();
        let judged = match verification {
            Verification::Full => guest.call_verify(&mut self.store, chain, server_name, now),
            Verification::None => match chain.first() {
                Some(leaf) => guest.call_unverified_key(&mut self.store, leaf),
                None => Ok(Err(Rejection::Malformed)),
            },
        };
        judged.map_err(|error| Fault::of_call(self.store.data(), &error))
    }
}

impl Shared {
    /// Asks the running instance, or a fresh one where there is none.
    fn ask(&self, slot: &mut Option<Running>, question: Question<'_>) -> Result<Judged, Fault> {
        // Taken out, and put back only if it is whole.
        let mut running = match slot.take() {
            Some(running) => running,
            None => self.instantiate()?,
        };
        let verdict = running.ask(&self.anchors, question)?.map(key_of);
        let alive = &running.store.data().alive;
        let by = alive.about.describe(alive.number);
        *slot = Some(running);
        Ok(Judged { verdict, by })
    }

    /// A fresh instance that holds the anchors.
    fn instantiate(&self) -> Result<Running, Fault> {
        let mut store = new_store(&self.engine, GuestState::new(&self.about), |state| state);
        let made = self.pre.instantiate(&mut store).and_then(|guest| {
            arm(&mut store);
            store.data_mut().entered = true;
            guest
                .fumehood_x509_verifier()
                .call_set_anchors(&mut store, self.anchors.certificates())
                .map(|_held| guest)
        });
        match made {
            Ok(guest) => Ok(Running { store, guest }),
            Err(error) => Err(Fault::of_call(store.data(), &error)),
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
