//! The `socks` guest, typed: one instance serves one conversation.

mod datagrams;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fumehood_control::{Aftermath, Cause, Instance, ProxyFault};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::trail::Trace;
use super::{Fault, GuestState, arm, bounded, new_store};
use crate::registry::About;

/// Generated bindings of the `socks` world, alone in their module.
pub(crate) mod bindings {
    #![allow(missing_docs, reason = "generated; documented in wit/socks")]
    wasmtime::component::bindgen!({
        world: "fumehood:socks/socks",
        path: ["../../wit/guest", "../../wit/socks"],
        with: { "fumehood:guest/panic": crate::instance::http1::fumehood::guest::panic },
    });
}

use bindings::exports::fumehood::socks::client;
use bindings::exports::fumehood::socks::types;
use bindings::{Socks, SocksPre};
pub(crate) use client::{Login, Next, Request, Step, Version};
pub(crate) use datagrams::{DATAGRAM_START_BYTES, Flaw, MAX_DATAGRAM_HEADER_BYTES};
pub(crate) use server::{Asked, Outcome, ServerEnd, ServerStep};
pub(crate) use types::{Address, Endpoint, Piece};

/// Most bytes a guest may want at once; its own bound.
const MAX_WANTED: u16 = 258;

/// Most bytes a guest may want sent at once: a request with the longest name.
const MAX_SENT: usize = 1024;

/// A loaded `socks` module, ready to make instances.
pub(crate) struct SocksModule {
    about: Arc<About>,
    engine: Engine,
    pre: SocksPre<GuestState>,
}

impl SocksModule {
    /// Links the module to its one import.
    ///
    /// # Errors
    /// When it imports anything else, or does not export both roles.
    pub(crate) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<SocksModule> {
        let mut linker = Linker::new(engine);
        super::http1::fumehood::guest::panic::add_to_linker::<GuestState, HasSelf<GuestState>>(
            &mut linker,
            |state| state,
        )?;
        let pre = SocksPre::new(linker.instantiate_pre(component)?)?;
        Ok(SocksModule {
            about,
            engine: engine.clone(),
            pre,
        })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// When the pool has no room or the guest traps in its start.
    pub(crate) fn instantiate(&self) -> Result<SocksGuest, Fault> {
        let (store, guest) = self.start()?;
        Ok(SocksGuest { store, guest })
    }

    /// The same, its store and its bindings as they are: fuzzers call them beside the
    /// native guest.
    pub(crate) fn start(&self) -> Result<(Store<GuestState>, Socks), Fault> {
        let mut store = new_store(&self.engine, GuestState::new(&self.about), |state| state);
        match self.pre.instantiate(&mut store) {
            Ok(guest) => {
                store.data_mut().entered = true;
                Ok((store, guest))
            }
            Err(error) => Err(Fault::of_call(store.data(), &error)),
        }
    }
}

/// One conversation's guest.
pub(crate) struct SocksGuest {
    store: Store<GuestState>,
    guest: Socks,
}

impl SocksGuest {
    /// Who this is, for the journey.
    pub(crate) fn describe(&self) -> Instance {
        let alive = &self.store.data().alive;
        alive.about.describe(alive.number)
    }

    /// Asks for a tunnel.
    pub(crate) fn begin(&mut self, request: &Request) -> Result<Step, ProxyFault> {
        self.enter("begin", 0);
        let client = self.guest.fumehood_socks_client();
        let told = client.call_begin(&mut self.store, request);
        self.sound(told)
    }

    /// Shows what was wanted.
    pub(crate) fn receive(&mut self, data: &[u8]) -> Result<Step, ProxyFault> {
        self.enter("receive", data.len());
        let client = self.guest.fumehood_socks_client();
        let told = client.call_receive(&mut self.store, data);
        self.sound(told)
    }

    fn enter(&mut self, name: &'static str, length: usize) {
        arm(&mut self.store);
        let state = self.store.data_mut();
        state.calls += 1;
        state.trail.note(Trace::CallWith(name, length as u64));
    }

    /// A step that the host can take.
    fn sound(
        &self,
        told: wasmtime::Result<Result<Step, types::Error>>,
    ) -> Result<Step, ProxyFault> {
        let step = match told {
            Ok(Ok(step)) => step,
            Ok(Err(error)) => return Err(fault_of(error)),
            Err(error) => return Err(ended(&Fault::of_call(self.store.data(), &error))),
        };
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Name | Piece::Password => 1,
        };
        let sent: usize = step.send.iter().map(length).sum();
        let wanted = match step.next {
            Next::Bytes(count) => (1..=MAX_WANTED).contains(&count),
            Next::Connected(_) => true,
        };
        match sent <= MAX_SENT && wanted {
            true => Ok(step),
            false => {
                let detail = "the guest told a step that no sound codec takes".to_owned();
                Err(ended(&Fault::of_words(
                    self.store.data(),
                    "nonsense",
                    detail,
                )))
            }
        }
    }
}

/// An address and a port, as the guest has them.
fn endpoint_of(address: SocketAddr) -> Endpoint {
    Endpoint {
        address: match address.ip() {
            IpAddr::V4(it) => Address::Ipv4(it.octets().into()),
            IpAddr::V6(it) => Address::Ipv6(it.segments().into()),
        },
        port: address.port(),
    }
}

/// A guest's end is its conversation's.
pub(crate) fn ended(fault: &Fault) -> ProxyFault {
    fault.settle(Aftermath::Failed);
    Cause::from(fault.clone()).into()
}

/// What a proxy did, or what cannot be asked of it.
fn fault_of(error: types::Error) -> ProxyFault {
    match error {
        types::Error::Peer(violation) => ProxyFault::Violation(rule_of(violation).to_owned()),
        types::Error::Refused(code) => ProxyFault::Socks { code },
        types::Error::NoMethod => ProxyFault::NoMethod,
        types::Error::Login => ProxyFault::Login,
        types::Error::Command => Cause::BadRequest("nobody asked for it".to_owned()).into(),
        types::Error::Misuse(what) => Cause::BadRequest(bounded(&what)).into(),
    }
}

/// A rule's name.
fn rule_of(violation: types::Violation) -> &'static str {
    match violation {
        types::Violation::BadVersion => "bad-version",
        types::Violation::BadReply => "bad-reply",
        types::Violation::BadMethod => "bad-method",
        types::Violation::BadAddress => "bad-address",
        types::Violation::BadReserved => "bad-reserved",
        types::Violation::BadLength => "bad-length",
    }
}
