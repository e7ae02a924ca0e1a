//! The `http1` guest, typed: one instance serves one connection.

use std::sync::atomic::{AtomicU64, Ordering};

use fumehood_control::{Field, Instance, ModuleHeader, PayloadLength};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::http1::exports::fumehood::http1::client as wire;
use super::http1::fumehood::guest::panic;
use super::http1::{Http1Client, Http1ClientPre};
use super::{Fault, GuestState, arm};

pub(crate) use wire::{Demand, Error as ProtocolError, Event, PayloadFrame, Progress};

impl panic::Host for GuestState {
    fn panicked(&mut self, message: String, location: String) {
        self.note_panic(&message, &location);
    }
}

/// A loaded `http1` module, ready to make instances.
pub(crate) struct CodecModule {
    header: ModuleHeader,
    engine: Engine,
    pre: Http1ClientPre<GuestState>,
    made: AtomicU64,
}

impl CodecModule {
    /// Links the module to its one import.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the client interface.
    pub(crate) fn new(
        engine: &Engine,
        header: ModuleHeader,
        component: &Component,
    ) -> wasmtime::Result<CodecModule> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        let pre = Http1ClientPre::new(linker.instantiate_pre(component)?)?;
        Ok(CodecModule {
            header,
            engine: engine.clone(),
            pre,
            made: AtomicU64::new(0),
        })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// When the pool has no room or the guest traps in its start.
    pub(crate) fn instantiate(&self) -> Result<Codec, Fault> {
        let mut store = Store::new(&self.engine, GuestState::default());
        store.limiter(|state| state);
        store.epoch_deadline_trap();
        arm(&mut store);
        match self.pre.instantiate(&mut store) {
            Ok(client) => Ok(Codec {
                header: self.header.clone(),
                number: self.made.fetch_add(1, Ordering::Relaxed) + 1,
                store,
                client,
                bytes: 0,
            }),
            Err(error) => Err(Fault::new(&self.header, &error, store.data())),
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

/// One connection's codec.
pub(crate) struct Codec {
    header: ModuleHeader,
    number: u64,
    store: Store<GuestState>,
    client: Http1Client,
    bytes: u64,
}

impl Codec {
    /// Who this is, for the journey.
    pub(crate) fn describe(&self) -> Instance {
        describe(&self.header, self.number)
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
        self.store.data().memory_bytes
    }

    /// A fault of this guest that did not end it by itself.
    pub(crate) fn fault(&self, kind: &'static str, detail: String) -> Fault {
        Fault {
            module: self.header.name.clone(),
            version: self.header.version.clone(),
            kind,
            detail,
        }
    }

    /// Starts an exchange; returns the head's bytes.
    pub(crate) fn encode_head(
        &mut self,
        method: String,
        target: String,
        fields: Vec<Field>,
        payload: PayloadLength,
    ) -> Result<Vec<u8>, CodecError> {
        let head = wire::RequestHead {
            method,
            target,
            fields: fields
                .into_iter()
                .map(|field| wire::Field {
                    name: field.name,
                    value: field.value,
                })
                .collect(),
            payload: match payload {
                PayloadLength::None => wire::PayloadLength::None,
                PayloadLength::Known(length) => wire::PayloadLength::Known(length),
                PayloadLength::Unknown => wire::PayloadLength::Unknown,
            },
        };
        let bytes = self.call(|client, store| {
            client
                .fumehood_http1_client()
                .call_encode_head(store, &head)
        })?;
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// What to write around `length` bytes of request payload.
    pub(crate) fn frame_payload(&mut self, length: u64) -> Result<PayloadFrame, CodecError> {
        self.call(|client, store| {
            client
                .fumehood_http1_client()
                .call_frame_payload(store, length)
        })
    }

    /// What to write after all request payload.
    pub(crate) fn end_payload(&mut self) -> Result<Vec<u8>, CodecError> {
        self.call(|client, store| client.fumehood_http1_client().call_end_payload(store))
    }

    /// The demand in force.
    pub(crate) fn demand(&mut self) -> Result<Demand, CodecError> {
        self.call(|client, store| {
            client
                .fumehood_http1_client()
                .call_current_demand(store)
                .map(Ok)
        })
    }

    /// Shows the demanded bytes.
    pub(crate) fn receive(&mut self, data: &[u8]) -> Result<Progress, CodecError> {
        self.bytes += data.len() as u64;
        self.call(|client, store| client.fumehood_http1_client().call_receive(store, data))
    }

    /// Reports payload moved.
    pub(crate) fn payload_moved(&mut self, count: u64) -> Result<Progress, CodecError> {
        self.call(|client, store| {
            client
                .fumehood_http1_client()
                .call_payload_moved(store, count)
        })
    }

    /// Reports the peer's close.
    pub(crate) fn end_of_stream(&mut self, pending: u64) -> Result<Progress, CodecError> {
        self.call(|client, store| {
            client
                .fumehood_http1_client()
                .call_end_of_stream(store, pending)
        })
    }

    fn call<T>(
        &mut self,
        function: impl FnOnce(
            &Http1Client,
            &mut Store<GuestState>,
        ) -> wasmtime::Result<Result<T, ProtocolError>>,
    ) -> Result<T, CodecError> {
        arm(&mut self.store);
        self.store.data_mut().calls += 1;
        match function(&self.client, &mut self.store) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(CodecError::Protocol(error)),
            Err(error) => Err(CodecError::Fault(Fault::new(
                &self.header,
                &error,
                self.store.data(),
            ))),
        }
    }
}

/// A module's instance, for the journey.
pub(crate) fn describe(header: &ModuleHeader, number: u64) -> Instance {
    Instance {
        module: header.name.clone(),
        version: header.version.clone(),
        digest: header.digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        number,
    }
}
