//! The `tls` guest, typed: one instance serves one connection.

use std::sync::Arc;

use fumehood_control::{Cause, Instance};
use fumehood_crypto::record::{Opener, Sealer};
use fumehood_crypto::{Error, Handle};
use serde::Serialize;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::bindings::client::exports::fumehood::tls::client as wire;
use super::bindings::client::fumehood::crypto::keys;
use super::bindings::client::fumehood::guest::panic;
use super::bindings::client::fumehood::tls::verify;
use super::bindings::client::{TlsClient, TlsClientPre};
use super::recorded::{Fingerprint, REFUSED, Refused};
use super::state::{Judgement, Subject, TlsState};
use super::{KeyLogFile, failure, imports};
use crate::connection::Meter;
use crate::instance::{Fault, Trace, arm, new_store};
use crate::registry::{About, Registry};

use wire::Update;
pub(super) use wire::{Config, Established, Progress};

/// A loaded `tls` module, ready to make instances.
pub(crate) struct TlsModule {
    pub(super) about: Arc<About>,
    pub(super) engine: Engine,
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

    /// Its code, to be linked to other imports.
    pub(super) fn component(&self) -> &Component {
        self.pre.instance_pre().component()
    }

    /// A fresh instance for a connection to `subject`.
    pub(super) fn instantiate(
        &self,
        subject: Subject,
        registry: &Arc<Registry>,
        key_log: Option<Arc<KeyLogFile>>,
    ) -> Result<Guest, HandshakeError> {
        let state = TlsState::new(&self.about, subject, registry, key_log)
            .map_err(|fault| Cause::Tls(fault.to_string()))?;
        self.instantiate_with(state)
            .map_err(|(fault, _state)| fault.into())
    }

    /// A fresh instance that takes over where another shook hands.
    /// `established` names the keys in force.
    pub(super) fn adopt(
        &self,
        state: TlsState,
        established: &Established,
    ) -> Result<Guest, NotAdopted> {
        let mut guest = self
            .instantiate_with(state.hand_over(&self.about))
            .map_err(|(fault, state)| NotAdopted::Ended(fault, state))?;
        let adopted = guest.call("adopt", 0, established, |client, store| {
            client.fumehood_tls_client().call_adopt(store, established)
        });
        match adopted.map_err(|failed| failed.error) {
            Ok(()) => Ok(guest),
            Err(HandshakeError::Guest(fault)) => {
                Err(NotAdopted::Ended(fault, Box::new(guest.into_state())))
            }
            Err(HandshakeError::Other(why)) => Err(NotAdopted::Refused(why, Box::new(guest))),
        }
    }

    fn instantiate_with(&self, state: TlsState) -> Result<Guest, (Fault, Box<TlsState>)> {
        let mut store = new_store(&self.engine, state, |state| &mut state.guest);
        match self.pre.instantiate(&mut store) {
            Ok(client) => {
                store.data_mut().guest.entered = true;
                Ok(Guest {
                    store,
                    client,
                    bytes: 0,
                    said: Fingerprint::default(),
                })
            }
            Err(error) => {
                let fault = Fault::of_call(&store.data().guest, &error);
                Err((fault, Box::new(store.into_data())))
            }
        }
    }
}

/// One connection's handshake, and its keys.
pub(super) struct Guest {
    store: Store<TlsState>,
    client: TlsClient,
    bytes: u64,
    /// Its latest answer, where recordings are made.
    said: Fingerprint,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The `tls` guest ended; not counted yet, as what comes of it is the
    /// caller's to know.
    Guest(Fault),
    /// Anything else.
    Other(Cause),
}

/// Why an instance did not take a connection over.
pub(super) enum NotAdopted {
    /// It ended. What it was about, for another.
    Ended(Fault, Box<TlsState>),
    /// It says that it cannot: its version may not know what the one before agreed on.
    Refused(Cause, Box<Guest>),
}

impl From<Cause> for HandshakeError {
    fn from(cause: Cause) -> Self {
        HandshakeError::Other(cause)
    }
}

impl From<Fault> for HandshakeError {
    fn from(fault: Fault) -> Self {
        HandshakeError::Guest(fault)
    }
}

impl HandshakeError {
    /// For who does not try again.
    pub(crate) fn into_cause(self) -> Cause {
        match self {
            HandshakeError::Guest(fault) => {
                fault.settle(fumehood_control::Aftermath::Failed);
                fault.into()
            }
            HandshakeError::Other(cause) => cause,
        }
    }
}

/// A step that failed: why, and what to tell the peer.
pub(super) struct Failed {
    pub(super) error: HandshakeError,
    /// A whole alert record; possibly empty.
    pub(super) alert: Vec<u8>,
}

impl<E: Into<HandshakeError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed {
            error: error.into(),
            alert: Vec::new(),
        }
    }
}

/// What a guest is asked behind the handshake.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    /// To look at one whole message.
    Message(&'a [u8]),
    /// For new outbound keys.
    RenewOutbound,
}

/// What it changes, in this order.
#[derive(Default)]
pub(super) struct NewKeys {
    pub(super) opener: Option<Opener>,
    /// To be sealed with the keys in use.
    pub(super) reply: Option<Vec<u8>>,
    pub(super) sealer: Option<Sealer>,
}

impl Guest {
    /// Who took part, for the journey.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let mut instances = vec![self.describe()];
        if let Judgement::Believed(verifier) = &self.store.data().judgement {
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

    /// This instance, for the journey.
    pub(super) fn describe(&self) -> Instance {
        let alive = &self.store.data().guest.alive;
        alive.about.describe(alive.number)
    }

    /// Begins; the ClientHello is to be sent.
    pub(super) fn start(&mut self, config: &Config) -> Result<Progress, Failed> {
        let progress = self.call("start", 0, config, |client, store| {
            client.fumehood_tls_client().call_start(store, config)
        })?;
        self.count(progress.send.len());
        Ok(progress)
    }

    /// Shows one whole record of the handshake.
    pub(super) fn receive(&mut self, record: &[u8]) -> Result<Progress, Failed> {
        let progress = self.call("receive", record.len(), record, |client, store| {
            client.fumehood_tls_client().call_receive(store, record)
        })?;
        self.count(progress.send.len());
        Ok(progress)
    }

    /// Asks for what follows the handshake.
    pub(super) fn ask(&mut self, ask: Ask<'_>) -> Result<NewKeys, HandshakeError> {
        let update = match ask {
            Ask::Message(message) => {
                let shown = message.len();
                self.call("post-handshake", shown, message, |client, store| {
                    let client = client.fumehood_tls_client();
                    client.call_post_handshake(store, message)
                })
            }
            Ask::RenewOutbound => self.call("renew-outbound", 0, &(), |client, store| {
                client.fumehood_tls_client().call_renew_outbound(store)
            }),
        };
        self.keys_of(update.map_err(|failed| failed.error)?)
    }

    /// The keys that an update names: all of them, or it was a lie.
    fn keys_of(&mut self, update: Update) -> Result<NewKeys, HandshakeError> {
        let Update {
            inbound,
            reply,
            outbound,
        } = update;
        let keys = &mut self.store.data_mut().keys;
        let (opener, sealer) = keys
            .update(inbound.map(Handle), outbound.map(Handle))
            .map_err(|error| self.misled(error))?;
        Ok(NewKeys {
            opener,
            reply,
            sealer,
        })
    }

    /// What the connection is about, for another instance.
    pub(super) fn into_state(self) -> TlsState {
        self.store.into_data()
    }

    /// Takes the traffic keys over, if the peer is who it should be.
    pub(super) fn release(&mut self, keys: &Established) -> Result<(Sealer, Opener), Fault> {
        let released = self.store.data_mut().keys.release(
            imports::version(keys.version),
            imports::aead(keys.aead),
            Handle(keys.outbound),
            Handle(keys.inbound),
        );
        released.map_err(|error| self.misled(error))
    }

    /// The group of the key exchange, as the host knows it.
    pub(super) fn group(&self) -> Option<fumehood_crypto::Group> {
        self.store.data().keys.group()
    }

    /// The guest asked for keys that are not its to ask for.
    pub(super) fn misled(&mut self, error: Error) -> Fault {
        self.refuse(false, error.to_string())
    }

    /// The guest said what no sound guest says.
    pub(super) fn nonsense(&mut self, what: String) -> Fault {
        self.refuse(true, what)
    }

    /// Ends the guest for its latest answer.
    fn refuse(&mut self, nonsense: bool, why: String) -> Fault {
        let refused = Refused {
            said: self.said,
            nonsense,
            why,
        };
        let state = &mut self.store.data_mut().guest;
        state.recording.note(REFUSED, &refused);
        refused.into_fault(state)
    }

    /// Makes a call that shows so many bytes.
    fn call<T: Serialize>(
        &mut self,
        name: &'static str,
        shown: usize,
        arguments: &(impl Serialize + ?Sized),
        function: impl FnOnce(
            &TlsClient,
            &mut Store<TlsState>,
        ) -> wasmtime::Result<Result<T, wire::Failure>>,
    ) -> Result<T, Failed> {
        arm(&mut self.store);
        self.bytes += shown as u64;
        let state = &mut self.store.data_mut().guest;
        state.calls += 1;
        state.trail.note(match shown {
            0 => Trace::Call(name),
            _ => Trace::CallWith(name, shown as u64),
        });
        state.recording.note(name, arguments);
        let answer = function(&self.client, &mut self.store);
        if let Ok(answer) = &answer
            && self.store.data().guest.recording.is_wanted()
        {
            self.said = Fingerprint::of(answer);
        }
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failed)) => {
                let state = self.store.data_mut();
                let judgement = std::mem::take(&mut state.judgement);
                let cause = failure::cause_of(failed.message, judgement, state.server_name());
                Err(Failed {
                    error: cause.into(),
                    alert: failed.alert,
                })
            }
            Err(error) => Err(Fault::of_call(&self.store.data().guest, &error).into()),
        }
    }

    /// Counts what the guest made.
    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let trail = &mut self.store.data_mut().guest.trail;
        trail.note(Trace::CallWith("answered", bytes as u64));
    }
}
