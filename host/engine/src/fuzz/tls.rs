//! The `tls` guest, with a key service that protects nothing.

use std::sync::Arc;

use fumehood_crypto::fuzz::Toy;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::Ended;
use crate::instance::{Fault, GuestState, arm, new_store};
use crate::registry::About;
use crate::tls::bindings::client::exports::fumehood::tls::client as wire;
use crate::tls::bindings::client::fumehood::crypto::keys;
use crate::tls::bindings::client::fumehood::guest::panic;
use crate::tls::bindings::client::fumehood::tls::verify;
use crate::tls::bindings::client::{TlsClient, TlsClientPre};

mod imports;

/// A loaded `tls` module.
pub struct TlsGuest {
    about: Arc<About>,
    engine: Engine,
    pre: TlsClientPre<State>,
}

/// What an instance's store holds.
struct State {
    guest: GuestState,
    toy: Toy,
    /// Each key exchange's group, by resource.
    groups: Vec<(u32, keys::Group)>,
    /// Bytes of each transcript's hash, by resource.
    lengths: Vec<(u32, usize)>,
}

impl TlsGuest {
    pub(super) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<TlsGuest> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        keys::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        verify::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(TlsGuest {
            about,
            engine: engine.clone(),
            pre: TlsClientPre::new(linker.instantiate_pre(component)?)?,
        })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// When it ends before its first call.
    pub fn instance(&self) -> Result<TlsConnection, Ended> {
        let state = State {
            guest: GuestState::new(&self.about),
            toy: Toy::default(),
            groups: Vec::new(),
            lengths: Vec::new(),
        };
        let mut store = new_store(&self.engine, state, |state| &mut state.guest);
        match self.pre.instantiate(&mut store) {
            Ok(guest) => {
                store.data_mut().guest.entered = true;
                Ok(TlsConnection { store, guest })
            }
            Err(error) => Err(Fault::of_call(&store.data().guest, &error).into()),
        }
    }
}

/// An instance. Each call returns the text of its answer.
pub struct TlsConnection {
    store: Store<State>,
    guest: TlsClient,
}

impl TlsConnection {
    /// `start`, with TLS 1.3 offered or not.
    ///
    /// # Errors
    /// When the guest ended; so for all calls.
    pub fn start(
        &mut self,
        server_name: &str,
        alpn: Vec<Vec<u8>>,
        tls13: bool,
        now: u64,
    ) -> Result<String, Ended> {
        let config = wire::Config {
            server_name: server_name.to_owned(),
            alpn,
            min_version: keys::ProtocolVersion::Tls12,
            max_version: if tls13 {
                keys::ProtocolVersion::Tls13
            } else {
                keys::ProtocolVersion::Tls12
            },
            now,
        };
        arm(&mut self.store);
        let guest = self.guest.fumehood_tls_client();
        let answer = guest.call_start(&mut self.store, &config);
        self.told(answer)
    }

    /// `receive`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn receive(&mut self, record: &[u8]) -> Result<String, Ended> {
        arm(&mut self.store);
        let guest = self.guest.fumehood_tls_client();
        let answer = guest.call_receive(&mut self.store, record);
        self.told(answer)
    }

    /// `post-handshake`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn post_handshake(&mut self, message: &[u8]) -> Result<String, Ended> {
        arm(&mut self.store);
        let guest = self.guest.fumehood_tls_client();
        let answer = guest.call_post_handshake(&mut self.store, message);
        self.told(answer)
    }

    /// `renew-outbound`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn renew_outbound(&mut self) -> Result<String, Ended> {
        arm(&mut self.store);
        let guest = self.guest.fumehood_tls_client();
        let answer = guest.call_renew_outbound(&mut self.store);
        self.told(answer)
    }

    fn told<T: std::fmt::Debug>(&self, answer: wasmtime::Result<T>) -> Result<String, Ended> {
        match answer {
            Ok(answer) => Ok(format!("{answer:?}")),
            Err(error) => Err(Fault::of_call(&self.store.data().guest, &error).into()),
        }
    }
}
