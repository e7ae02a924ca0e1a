//! The `tls` guest, typed: one instance serves one connection.

use std::sync::Arc;

use fumehood_control::{Cause, Digest, Instance};
use fumehood_crypto::record::{Opener, Sealer};
use fumehood_crypto::{Error, Handle};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::bindings::client::exports::fumehood::tls::client as wire;
use super::bindings::client::fumehood::crypto::keys;
use super::bindings::client::fumehood::guest::panic;
use super::bindings::client::fumehood::tls::verify;
use super::bindings::client::{TlsClient, TlsClientPre};
use super::state::{Judgement, Subject, TlsState};
use super::{KeyLogFile, Verifier, failure, imports};
use crate::connection::Meter;
use crate::instance::{Fault, Trace, arm, new_store};
use crate::registry::About;

pub(super) use wire::{Config, Established, Progress, Update};

/// A loaded `tls` module, ready to make instances.
pub(crate) struct TlsModule {
    about: Arc<About>,
    engine: Engine,
    pre: TlsClientPre<TlsState>,
}

impl TlsModule {
    /// Links the module to its imports.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the client interface.
    pub(crate) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<TlsModule> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<TlsState, HasSelf<TlsState>>(&mut linker, |state| state)?;
        keys::add_to_linker::<TlsState, HasSelf<TlsState>>(&mut linker, |state| state)?;
        verify::add_to_linker::<TlsState, HasSelf<TlsState>>(&mut linker, |state| state)?;
        let pre = TlsClientPre::new(linker.instantiate_pre(component)?)?;
        Ok(TlsModule {
            about,
            engine: engine.clone(),
            pre,
        })
    }

    /// A fresh instance for a connection to `subject`.
    pub(super) fn instantiate(
        &self,
        subject: Subject,
        verifier: &Verifier,
        key_log: Option<Arc<KeyLogFile>>,
    ) -> Result<Guest, Cause> {
        let state = TlsState::new(&self.about, subject, verifier.clone(), key_log)
            .map_err(|fault| Cause::Tls(fault.to_string()))?;
        let mut store = new_store(&self.engine, state, |state| state);
        match self.pre.instantiate(&mut store) {
            Ok(client) => {
                store.data_mut().guest.entered = true;
                Ok(Guest {
                    store,
                    client,
                    bytes: 0,
                })
            }
            Err(error) => Err(ended(Fault::of_call(&store.data().guest, &error))),
        }
    }
}

/// One connection's handshake, and its keys.
pub(super) struct Guest {
    store: Store<TlsState>,
    client: TlsClient,
    bytes: u64,
}

/// A step that failed: why, and what to tell the peer.
pub(super) struct Failed {
    pub(super) cause: Cause,
    /// A whole alert record; possibly empty.
    pub(super) alert: Vec<u8>,
}

impl From<Cause> for Failed {
    fn from(cause: Cause) -> Self {
        Failed {
            cause,
            alert: Vec::new(),
        }
    }
}

impl Guest {
    /// Who took part, for the journey.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let state = self.store.data();
        let alive = &state.guest.alive;
        let mut instances = vec![alive.about.describe(alive.number)];
        if let Judgement::Believed(verifier) = &state.judgement {
            instances.push(verifier.clone());
        }
        instances
    }

    /// The guest's work so far.
    pub(super) fn meter(&self) -> Meter {
        let state = &self.store.data().guest;
        Meter {
            bytes_through_guests: self.bytes,
            calls: state.calls,
            memory_bytes: state.alive.memory_bytes(),
        }
    }

    /// Tickets and key updates may come: only TLS 1.3 has them, and its secrets.
    pub(super) fn has_more_to_do(&self) -> bool {
        self.store.data().keys.live_secrets() > 0
    }

    /// The version that the guest is an instance of.
    pub(super) fn digest(&self) -> Digest {
        self.store.data().guest.alive.about.header.digest
    }

    /// Begins; the ClientHello is to be sent.
    pub(super) fn start(&mut self, config: &Config) -> Result<Progress, Failed> {
        self.note(Trace::Call("start"));
        let progress =
            self.call(|client, store| client.fumehood_tls_client().call_start(store, config))?;
        self.note(Trace::CallWith("answered", progress.send.len() as u64));
        self.bytes += progress.send.len() as u64;
        Ok(progress)
    }

    /// Shows one whole record of the handshake.
    pub(super) fn receive(&mut self, record: &[u8]) -> Result<Progress, Failed> {
        self.bytes += record.len() as u64;
        self.note(Trace::CallWith("receive", record.len() as u64));
        let progress =
            self.call(|client, store| client.fumehood_tls_client().call_receive(store, record))?;
        self.note(Trace::CallWith("answered", progress.send.len() as u64));
        self.bytes += progress.send.len() as u64;
        Ok(progress)
    }

    /// Shows one whole message that came behind the handshake.
    pub(super) fn post_handshake(&mut self, message: &[u8]) -> Result<Update, Failed> {
        self.bytes += message.len() as u64;
        self.note(Trace::CallWith("post-handshake", message.len() as u64));
        self.call(|client, store| {
            client
                .fumehood_tls_client()
                .call_post_handshake(store, message)
        })
    }

    /// Asks for new outbound keys.
    pub(super) fn renew_outbound(&mut self) -> Result<Update, Failed> {
        self.note(Trace::Call("renew-outbound"));
        self.call(|client, store| client.fumehood_tls_client().call_renew_outbound(store))
    }

    /// Takes the traffic keys over, if the peer is who it should be.
    pub(super) fn release(&mut self, keys: &Established) -> Result<(Sealer, Opener), Cause> {
        let released = self.store.data_mut().keys.release(
            imports::version(keys.version),
            imports::aead(keys.aead),
            Handle(keys.outbound),
            Handle(keys.inbound),
        );
        released.map_err(|error| self.misled(error))
    }

    /// The next inbound keys.
    pub(super) fn next_opener(&mut self, keys: u64) -> Result<Opener, Cause> {
        let opener = self.store.data_mut().keys.next_opener(Handle(keys));
        opener.map_err(|error| self.misled(error))
    }

    /// The next outbound keys.
    pub(super) fn next_sealer(&mut self, keys: u64) -> Result<Sealer, Cause> {
        let sealer = self.store.data_mut().keys.next_sealer(Handle(keys));
        sealer.map_err(|error| self.misled(error))
    }

    /// The group of the key exchange, as the host knows it.
    pub(super) fn group(&self) -> Option<fumehood_crypto::Group> {
        self.store.data().keys.group()
    }

    /// The guest asked for keys that are not its to ask for.
    pub(super) fn misled(&self, error: Error) -> Cause {
        ended(Fault::of_words(
            &self.store.data().guest,
            "trap",
            error.to_string(),
        ))
    }

    fn call<T>(
        &mut self,
        function: impl FnOnce(
            &TlsClient,
            &mut Store<TlsState>,
        ) -> wasmtime::Result<Result<T, wire::Failure>>,
    ) -> Result<T, Failed> {
        arm(&mut self.store);
        self.store.data_mut().guest.calls += 1;
        match function(&self.client, &mut self.store) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failed)) => {
                let state = self.store.data_mut();
                let judgement = std::mem::take(&mut state.judgement);
                let cause = failure::cause_of(failed.message, judgement, state.server_name());
                Err(Failed {
                    cause,
                    alert: failed.alert,
                })
            }
            Err(error) => Err(ended(Fault::of_call(&self.store.data().guest, &error)).into()),
        }
    }

    fn note(&mut self, trace: Trace) {
        self.store.data_mut().guest.trail.note(trace);
    }
}

/// Counts and reports a fault. What a connection's handshake knew of keys is
/// gone with its guest, so no other instance takes over.
fn ended(fault: Fault) -> Cause {
    fault.settle(false);
    fault.into()
}
