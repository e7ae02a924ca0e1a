//! An evaluator's store: what it may use, and what it may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fumehood_wasm::MAX_EVALUATOR_MEMORY;
use wasmtime::{Engine, Store};

use super::bindings::fumehood::guest::panic;
use super::bindings::fumehood::pac::names;
use crate::instance::{Bounds, GuestState, new_store, ticks};
use crate::registry::About;

/// What one evaluator may have: JavaScript's engine has some 12,000 functions
/// in its table.
pub(crate) const BOUNDS: Bounds = Bounds {
    memory_bytes: MAX_EVALUATOR_MEMORY,
    table_elements: 64 * 1024,
};

/// Most bytes that one call may move between guest and host: the largest
/// script, twice.
const CALL_BYTES: usize = 2 << 20;

/// Names that were looked up for a call. None where there is no address, and why.
pub(super) type Known = HashMap<String, Result<Vec<IpAddr>, String>>;

/// What an evaluator's store holds.
pub(super) struct State {
    pub(super) guest: GuestState,
    /// Of the present call.
    pub(super) known: Arc<Known>,
}

impl panic::Host for State {
    fn panicked(&mut self, message: String, location: String) {
        self.guest.note_panic(&message, &location);
    }
}

impl names::Host for State {
    fn resolve(&mut self, name: String) -> Result<Vec<String>, names::Unresolved> {
        match self.known.get(&name) {
            Some(Ok(found)) => Ok(found.iter().map(IpAddr::to_string).collect()),
            Some(Err(_)) => Err(names::Unresolved::NotFound),
            None => Err(names::Unresolved::Later),
        }
    }
}

pub(super) fn new(engine: &Engine, about: &Arc<About>) -> Store<State> {
    let state = State {
        guest: GuestState::within(about, BOUNDS),
        known: Arc::default(),
    };
    new_store(engine, state, |state| &mut state.guest)
}

/// Readies a store for a call that may take so long.
pub(crate) fn arm<T>(store: &mut Store<T>, limit: Duration) {
    store.set_epoch_deadline(ticks(limit));
    store.set_hostcall_fuel(CALL_BYTES);
}
