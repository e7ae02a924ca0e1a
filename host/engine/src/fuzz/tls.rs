//! The `tls` guest, with a key service that protects nothing.

use std::sync::Arc;

use fumehood_crypto::fuzz::Toy;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::{Ended, Said, begun};
use crate::instance::{GuestState, arm, new_store};
use crate::registry::About;
use crate::tls::bindings::client::exports::fumehood::tls::client as wire;
use crate::tls::bindings::client::fumehood::crypto::keys;
use crate::tls::bindings::client::fumehood::guest::panic;
use crate::tls::bindings::client::fumehood::tls::verify;
use crate::tls::bindings::client::{TlsClient, TlsClientPre};

mod imports;

pub use keys::{AeadAlgorithm, ProtocolVersion};
pub use wire::Established;

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
        let guest = self.pre.instantiate(&mut store);
        let guest = begun(guest, &mut store.data_mut().guest)?;
        Ok(TlsConnection { store, guest })
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
    pub fn start(&mut self, server_name: &str, alpn: Vec<Vec<u8>>, tls13: bool, now: u64) -> Said {
        let config = wire::Config {
            server_name: server_name.to_owned(),
            alpn,
            min_version: ProtocolVersion::Tls12,
            max_version: if tls13 {
                ProtocolVersion::Tls13
            } else {
                ProtocolVersion::Tls12
            },
            now,
        };
        self.call(|guest, store| guest.call_start(store, &config))
    }

    /// `adopt`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn adopt(&mut self, established: &Established) -> Said {
        self.call(|guest, store| guest.call_adopt(store, established))
    }

    /// `receive`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn receive(&mut self, record: &[u8]) -> Said {
        self.call(|guest, store| guest.call_receive(store, record))
    }

    /// `post-handshake`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn post_handshake(&mut self, message: &[u8]) -> Said {
        self.call(|guest, store| guest.call_post_handshake(store, message))
    }

    /// `renew-outbound`.
    ///
    /// # Errors
    /// As [`TlsConnection::start`].
    pub fn renew_outbound(&mut self) -> Said {
        self.call(|guest, store| guest.call_renew_outbound(store))
    }

    fn call<T: std::fmt::Debug>(
        &mut self,
        call: impl FnOnce(&wire::Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Said {
        arm(&mut self.store);
        let answer = call(self.guest.fumehood_tls_client(), &mut self.store);
        super::told(answer, &self.store.data().guest)
    }
}
