//! The `socks` guest, in both roles, and its datagrams.

use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use super::{Ended, Said, told};
use crate::instance::socks::SocksModule;
use crate::instance::socks::bindings::Socks;
use crate::instance::socks::bindings::exports::fumehood::socks as wire;
use crate::instance::{GuestState, arm};
use crate::registry::About;

pub use wire::client::{Login, Request, Version};
pub use wire::server::Outcome;
pub use wire::types::{Address, Endpoint};

/// A loaded `socks` module.
pub struct SocksGuest {
    module: SocksModule,
}

impl SocksGuest {
    pub(super) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<SocksGuest> {
        let module = SocksModule::new(engine, about, component)?;
        Ok(SocksGuest { module })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// When it ends before its first call.
    pub fn instance(&self) -> Result<SocksInstance, Ended> {
        let (store, guest) = self.module.start()?;
        Ok(SocksInstance { store, guest })
    }
}

/// An instance. Each call returns the text of its answer; its error is the guest's
/// end.
pub struct SocksInstance {
    store: Store<GuestState>,
    guest: Socks,
}

impl SocksInstance {
    /// `client.begin`.
    pub fn ask(&mut self, request: &Request) -> Said {
        self.call(|guest, store| {
            let client = guest.fumehood_socks_client();
            client.call_begin(store, request)
        })
    }

    /// `client.receive`.
    pub fn hear_proxy(&mut self, data: &[u8]) -> Said {
        self.call(|guest, store| guest.fumehood_socks_client().call_receive(store, data))
    }

    /// `server.begin`.
    pub fn serve(&mut self, wants_login: bool) -> Said {
        self.call(|guest, store| {
            let server = guest.fumehood_socks_server();
            server.call_begin(store, wants_login)
        })
    }

    /// `server.receive`.
    pub fn hear_client(&mut self, data: &[u8]) -> Said {
        self.call(|guest, store| guest.fumehood_socks_server().call_receive(store, data))
    }

    /// `server.admit`.
    pub fn admit(&mut self, admitted: bool) -> Said {
        self.call(|guest, store| guest.fumehood_socks_server().call_admit(store, admitted))
    }

    /// `server.reply`.
    pub fn reply(&mut self, outcome: Outcome, bound: Option<&Endpoint>) -> Said {
        self.call(|guest, store| {
            let server = guest.fumehood_socks_server();
            server.call_reply(store, outcome, bound)
        })
    }

    /// `server.farewell`.
    pub fn farewell(&mut self) -> Said {
        self.call(|guest, store| guest.fumehood_socks_server().call_farewell(store))
    }

    /// `datagrams.measure`.
    pub fn measure(&mut self, start: &[u8]) -> Said {
        self.call(|guest, store| {
            let told = guest
                .fumehood_socks_datagrams()
                .call_measure(store, start)?;
            Ok(told.map_err(name))
        })
    }

    /// `datagrams.read`.
    pub fn read(&mut self, header: &[u8]) -> Said {
        self.call(|guest, store| {
            let told = guest.fumehood_socks_datagrams().call_read(store, header)?;
            Ok(told.map_err(name))
        })
    }

    /// `datagrams.write`.
    pub fn write(&mut self, source: &Endpoint) -> Said {
        self.call(|guest, store| guest.fumehood_socks_datagrams().call_write(store, source))
    }

    fn call<T: std::fmt::Debug>(
        &mut self,
        call: impl FnOnce(&Socks, &mut Store<GuestState>) -> wasmtime::Result<T>,
    ) -> Said {
        arm(&mut self.store);
        let answer = call(&self.guest, &mut self.store);
        told(answer, self.store.data())
    }
}

/// A flaw's name: its text has more to say than that.
fn name(flaw: wire::datagrams::Flaw) -> &'static str {
    match flaw {
        wire::datagrams::Flaw::Malformed => "malformed",
        wire::datagrams::Flaw::Fragment => "fragment",
    }
}
