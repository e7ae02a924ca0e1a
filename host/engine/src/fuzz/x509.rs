//! The `x509` guest, with signature checks of the caller's.

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::{Ended, Said, begun};
use crate::instance::{GuestState, arm, new_store};
use crate::registry::About;
use crate::tls::bindings::x509::exports::fumehood::x509::verifier as wire;
use crate::tls::bindings::x509::fumehood::crypto::signatures;
use crate::tls::bindings::x509::fumehood::guest::panic;
use crate::tls::bindings::x509::{X509Verifier, X509VerifierPre};

/// Whether the third is the signature of the second by the first: key,
/// message, signature.
pub type Check = fn(&[u8], &[u8], &[u8]) -> bool;

/// A loaded `x509` module.
pub struct VerifierGuest {
    about: Arc<About>,
    engine: Engine,
    pre: X509VerifierPre<State>,
}

/// What an instance's store holds.
struct State {
    guest: GuestState,
    check: Check,
}

impl panic::Host for State {
    fn panicked(&mut self, message: String, location: String) {
        self.guest.note_panic(&message, &location);
    }
}

impl signatures::Host for State {
    fn verify(
        &mut self,
        _algorithm: signatures::Algorithm,
        key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> bool {
        (self.check)(&key, &message, &signature)
    }
}

impl VerifierGuest {
    pub(super) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<VerifierGuest> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        signatures::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(VerifierGuest {
            about,
            engine: engine.clone(),
            pre: X509VerifierPre::new(linker.instantiate_pre(component)?)?,
        })
    }

    /// A fresh instance without anchors.
    ///
    /// # Errors
    /// When it ends before its first call.
    pub fn instance(&self, check: Check) -> Result<VerifierInstance, Ended> {
        let state = State {
            guest: GuestState::new(&self.about),
            check,
        };
        let mut store = new_store(&self.engine, state, |state| &mut state.guest);
        let guest = self.pre.instantiate(&mut store);
        let guest = begun(guest, &mut store.data_mut().guest)?;
        Ok(VerifierInstance { store, guest })
    }
}

/// An instance. Each call returns the text of its answer.
pub struct VerifierInstance {
    store: Store<State>,
    guest: X509Verifier,
}

impl VerifierInstance {
    /// `set-anchors`.
    ///
    /// # Errors
    /// When the guest ended; so for all calls.
    pub fn set_anchors(&mut self, anchors: &[Vec<u8>]) -> Said {
        self.call(|guest, store| guest.call_set_anchors(store, anchors))
    }

    /// `verify`.
    ///
    /// # Errors
    /// As [`VerifierInstance::set_anchors`].
    pub fn verify(&mut self, chain: &[Vec<u8>], name: &str, now: u64) -> Said {
        self.call(|guest, store| guest.call_verify(store, chain, name, now))
    }

    /// `unverified-key`.
    ///
    /// # Errors
    /// As [`VerifierInstance::set_anchors`].
    pub fn unverified_key(&mut self, leaf: &[u8]) -> Said {
        self.call(|guest, store| guest.call_unverified_key(store, leaf))
    }

    fn call<T: std::fmt::Debug>(
        &mut self,
        call: impl FnOnce(&wire::Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Said {
        arm(&mut self.store);
        let answer = call(self.guest.fumehood_x509_verifier(), &mut self.store);
        super::told(answer, &self.store.data().guest)
    }
}
