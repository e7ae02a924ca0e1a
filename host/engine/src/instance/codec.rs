//! The `http1` guest, typed: one instance serves one connection.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use fumehood_control::{Instance, PayloadLength};
use wasmtime::component::{Component, HasSelf, Instance as Linked, InstancePre, Linker};
use wasmtime::{Engine, Store};

use super::call::{Answer, Call, Opening, RequestHead};
use super::http1::exports::fumehood::http1::client as wire;
use super::http1::exports::fumehood::http1::server;
use super::http1::fumehood::guest::panic;
use super::http1::fumehood::http1::preferences;
use super::words::{self, Nonsense};
use super::{Fault, GuestState, arm, new_store};
use crate::registry::About;

pub(crate) use wire::{Demand, Error as ProtocolError, LineDemand, PayloadFrame};

impl panic::Host for GuestState {
    fn panicked(&mut self, message: String, location: String) {
        self.note_panic(&message, &location);
    }
}

impl preferences::Host for GuestState {
    fn current(&mut self) -> preferences::Values {
        preferences::Values {
            max_head_bytes: self.preferences.max_head_bytes,
            max_fields: self.preferences.max_fields,
        }
    }
}

/// A loaded `http1` module, ready to make instances.
pub(crate) struct CodecModule {
    about: Arc<About>,
    engine: Engine,
    pre: InstancePre<GuestState>,
    /// Where its exports are. An instance plays one role, and functions are checked
    /// for each instance, so those of the other role are left alone.
    client: wire::GuestIndices,
    server: server::GuestIndices,
}

impl CodecModule {
    /// Links the module to its imports.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the client interface.
    pub(crate) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<CodecModule> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        preferences::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        let pre = linker.instantiate_pre(component)?;
        Ok(CodecModule {
            about,
            engine: engine.clone(),
            client: wire::GuestIndices::new(&pre)?,
            server: server::GuestIndices::new(&pre)?,
            pre,
        })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// When the pool has no room or the guest traps in its start.
    pub(crate) fn instantiate(&self) -> Result<Codec, Fault> {
        let (store, client) = self.start(|store, linked| self.client.load(store, linked))?;
        Ok(Codec {
            store,
            client,
            bytes: 0,
        })
    }

    /// Makes an instance that is good for either role.
    ///
    /// # Errors
    /// As for [`CodecModule::instantiate`], and when a function has other types than
    /// its world's.
    pub(crate) fn try_out(&self) -> Result<(), Fault> {
        let both = |store: &mut Store<GuestState>, linked: &Linked| {
            self.client.load(&mut *store, linked)?;
            self.server.load(store, linked)
        };
        self.start(both).map(drop)
    }

    /// A fresh instance in the server's role.
    pub(crate) fn serve(&self) -> Result<(Store<GuestState>, server::Guest), Fault> {
        self.start(|store, linked| self.server.load(store, linked))
    }

    /// A fresh instance, in the role that is loaded.
    fn start<T>(
        &self,
        load: impl FnOnce(&mut Store<GuestState>, &Linked) -> wasmtime::Result<T>,
    ) -> Result<(Store<GuestState>, T), Fault> {
        let mut store = new_store(&self.engine, GuestState::new(&self.about), |state| state);
        let linked = self.pre.instantiate(&mut store);
        match linked.and_then(|linked| load(&mut store, &linked)) {
            Ok(guest) => {
                store.data_mut().entered = true;
                Ok((store, guest))
            }
            Err(error) => Err(Fault::of_call(store.data(), &error)),
        }
    }
}

/// Why a step failed.
#[derive(Debug)]
pub(crate) enum CodecError {
    /// The guest says so: the peer, or our own call, broke a rule.
    Protocol(ProtocolError),
    /// The guest is no more.
    Fault(Fault),
}

/// What a codec answered, and what two codecs that answer the same have in common.
pub(crate) struct Answered {
    pub answer: Answer,
    pub fingerprint: u64,
}

/// One connection's codec.
pub(crate) struct Codec {
    store: Store<GuestState>,
    client: wire::Guest,
    bytes: u64,
}

impl Codec {
    /// Who this is, for the journey.
    pub(crate) fn describe(&self) -> Instance {
        let alive = &self.store.data().alive;
        alive.about.describe(alive.number)
    }

    /// Bytes shown to the guest or made by it so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Calls made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.store.data().calls
    }

    /// Linear memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().alive.memory_bytes()
    }

    /// Gives back what is kept of an exchange that is over.
    pub(crate) fn rest(&mut self) {
        let state = self.store.data_mut();
        state.recording.begin();
        state.trail.shrink();
    }

    /// Makes a call. An answer that no sound codec gives is a fault too.
    pub(crate) fn perform(
        &mut self,
        call: &Call,
        hasher: &RandomState,
    ) -> Result<Answered, CodecError> {
        self.before(call);
        let told = Codec::make(&self.client, &mut self.store, call);
        let told = match told {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => return Err(CodecError::Protocol(error)),
            Err(error) => {
                return Err(CodecError::Fault(Fault::of_call(self.store.data(), &error)));
            }
        };
        let fingerprint = hasher.hash_one(&told);
        let answer = told.sound().map_err(|Nonsense(what)| {
            let detail = format!("the guest told {what}");
            CodecError::Fault(Fault::of_words(self.store.data(), "nonsense", detail))
        })?;
        self.bytes += match &answer {
            Answer::Opening(Opening { bytes, .. }) | Answer::Bytes(bytes) => bytes.len() as u64,
            _ => 0,
        };
        let trail = &mut self.store.data_mut().trail;
        answer.trace_in(trail);
        Ok(Answered {
            answer,
            fingerprint,
        })
    }

    fn before(&mut self, call: &Call) {
        arm(&mut self.store);
        self.bytes += call.shown() as u64;
        let state = self.store.data_mut();
        state.calls += 1;
        state.trail.note(call.trace());
        if let Call::EncodeHead(_, preferences) = call {
            state.recording.begin();
            state.preferences = *preferences;
        }
        state.recording.note(call.name(), call);
    }

    fn make(
        guest: &wire::Guest,
        store: &mut Store<GuestState>,
        call: &Call,
    ) -> wasmtime::Result<Result<Told, ProtocolError>> {
        Ok(match call {
            Call::EncodeHead(head, _) => guest
                .call_encode_head(store, wire_head(head))?
                .map(Told::Opening),
            Call::FramePayload(length) => {
                guest.call_frame_payload(store, *length)?.map(Told::Frame)
            }
            Call::EndPayload => guest.call_end_payload(store)?.map(Told::Bytes),
            Call::CurrentDemand => Ok(Told::Demand(guest.call_current_demand(store)?)),
            Call::Receive(data) => guest.call_receive(store, data)?.map(Told::Progress),
            Call::PayloadMoved(count) => {
                guest.call_payload_moved(store, *count)?.map(Told::Progress)
            }
            Call::Challenges(value) => Ok(Told::Challenges(guest.call_challenges(store, value)?)),
            Call::EndOfStream(pending) => guest
                .call_end_of_stream(store, *pending)?
                .map(Told::Progress),
        })
    }
}

/// An answer as the guest gave it.
#[derive(Hash)]
enum Told {
    Opening(wire::Opening),
    Bytes(Vec<u8>),
    Frame(PayloadFrame),
    Demand(Demand),
    Challenges(Vec<wire::Challenge>),
    Progress(wire::Progress),
}

impl Told {
    fn sound(self) -> Result<Answer, Nonsense> {
        Ok(match self {
            Told::Opening(told) => Answer::Opening(Opening {
                bytes: told.bytes,
                demand: words::demand(told.demand)?,
            }),
            Told::Bytes(bytes) => Answer::Bytes(bytes),
            Told::Frame(frame) => Answer::Frame(frame),
            Told::Demand(demand) => Answer::Demand(words::demand(demand)?),
            Told::Challenges(all) => Answer::Challenges(words::challenges(all)?),
            Told::Progress(progress) => Answer::Progress(words::progress(progress)?),
        })
    }
}

fn wire_head(head: &RequestHead) -> wire::RequestHead<'_> {
    wire::RequestHead {
        method: &head.method,
        target: &head.target,
        fields: head.fields.to_wire(),
        payload: match head.payload {
            PayloadLength::None => wire::PayloadLength::None,
            PayloadLength::Known(length) => wire::PayloadLength::Known(length),
            PayloadLength::Unknown => wire::PayloadLength::Unknown,
        },
        upgrade: head.upgrade,
    }
}
