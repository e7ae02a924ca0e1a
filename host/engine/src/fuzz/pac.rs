//! The `pac` guest, with names of the caller's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::{Ended, Said, begun};
use crate::code::CodeLoader;
use crate::instance::{Active, GuestState, Ticker, new_store};
use crate::pac::bindings::exports::fumehood::pac::evaluator as wire;
use crate::pac::bindings::fumehood::guest::panic;
use crate::pac::bindings::fumehood::pac::names;
use crate::pac::bindings::{PacEvaluator, PacEvaluatorPre};
use crate::pac::{BOUNDS, CALL_LIMIT, Evaluators, LOAD_LIMIT, arm};
use crate::registry::About;

pub use wire::{Moment, Target};

/// The addresses of a name, perhaps none; or that they will be known later.
pub type Names = fn(&str) -> Option<Vec<IpAddr>>;

/// A loaded `pac` module, in a pool of its own as in the engine. Its instances are
/// to be made and called on a thread with at least [`PacGuest::STACK_BYTES`].
pub struct PacGuest {
    about: Arc<About>,
    engine: Engine,
    pre: PacEvaluatorPre<State>,
    // Interrupts scripts that go on, as long as it lives.
    _active: Active,
}

/// What an instance's store holds.
struct State {
    guest: GuestState,
    names: Names,
}

impl panic::Host for State {
    fn panicked(&mut self, message: String, location: String) {
        self.guest.note_panic(&message, &location);
    }
}

impl names::Host for State {
    fn resolve(&mut self, name: String) -> Result<Vec<String>, names::Unresolved> {
        match (self.names)(&name) {
            Some(found) if found.is_empty() => Err(names::Unresolved::NotFound),
            Some(found) => Ok(found.iter().map(IpAddr::to_string).collect()),
            None => Err(names::Unresolved::Later),
        }
    }
}

impl PacGuest {
    /// Native stack that a call may take, in bytes.
    pub const STACK_BYTES: usize = crate::pac::STACK_BYTES;

    pub(super) fn new(
        load: impl FnOnce(&CodeLoader) -> Result<(Arc<About>, Component), String>,
    ) -> Result<PacGuest, String> {
        let evaluators = Evaluators::new().map_err(super::text)?;
        let (about, component) = load(&evaluators.loader)?;
        let engine = evaluators.loader.engine().clone();
        let pre = link(&engine, &component).map_err(super::text)?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| error.to_string())?;
        Ok(PacGuest {
            about,
            engine,
            pre,
            _active: ticker.activate(),
        })
    }

    /// A fresh instance without a script.
    ///
    /// # Errors
    /// When it ends before its first call.
    pub fn instance(&self, names: Names) -> Result<PacInstance, Ended> {
        let state = State {
            guest: GuestState::within(&self.about, BOUNDS),
            names,
        };
        let mut store = new_store(&self.engine, state, |state| &mut state.guest);
        arm(&mut store, LOAD_LIMIT);
        let guest = self.pre.instantiate(&mut store);
        let guest = begun(guest, &mut store.data_mut().guest)?;
        Ok(PacInstance { store, guest })
    }
}

fn link(engine: &Engine, component: &Component) -> wasmtime::Result<PacEvaluatorPre<State>> {
    let mut linker = Linker::new(engine);
    panic::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    names::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    PacEvaluatorPre::new(linker.instantiate_pre(component)?)
}

/// An instance. Each call returns the text of its answer.
pub struct PacInstance {
    store: Store<State>,
    guest: PacEvaluator,
}

impl PacInstance {
    /// `surround`, with a zone of one offset in seconds.
    ///
    /// # Errors
    /// When the guest ended; so for all calls.
    pub fn surround(&mut self, addresses: &[IpAddr], offset: i32) -> Said {
        let place = wire::Surroundings {
            addresses: addresses.iter().map(IpAddr::to_string).collect(),
            zone: vec![wire::Transition { from: 0, offset }],
        };
        self.call(LOAD_LIMIT, |guest, store| {
            guest.call_surround(store, &place)
        })
    }

    /// `load`.
    ///
    /// # Errors
    /// As [`PacInstance::surround`].
    pub fn load(&mut self, script: &[u8], at: Moment) -> Said {
        self.call(LOAD_LIMIT, |guest, store| {
            guest.call_load(store, script, at)
        })
    }

    /// `find`.
    ///
    /// # Errors
    /// As [`PacInstance::surround`].
    pub fn find(&mut self, target: &Target, at: Moment) -> Said {
        self.call(CALL_LIMIT, |guest, store| {
            guest.call_find(store, target, at)
        })
    }

    /// `explain`.
    ///
    /// # Errors
    /// As [`PacInstance::surround`].
    pub fn explain(&mut self, target: &Target, at: Moment) -> Said {
        self.call(CALL_LIMIT, |guest, store| {
            guest.call_explain(store, target, at)
        })
    }

    /// `lint`.
    ///
    /// # Errors
    /// As [`PacInstance::surround`].
    pub fn lint(&mut self, script: &[u8]) -> Said {
        self.call(LOAD_LIMIT, |guest, store| guest.call_lint(store, script))
    }

    fn call<T: std::fmt::Debug>(
        &mut self,
        limit: Duration,
        call: impl FnOnce(&wire::Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Said {
        arm(&mut self.store, limit);
        let answer = call(self.guest.fumehood_pac_evaluator(), &mut self.store);
        super::told(answer, &self.store.data().guest)
    }
}
