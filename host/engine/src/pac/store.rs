//! An evaluator's store: what it may use, what it may ask, how it ended.

use std::collections::HashMap;
use std::time::Duration;

use fumehood_wasm::MAX_EVALUATOR_MEMORY;
use wasmtime::{ResourceLimiter, Store, Trap};

use super::Ended;
use super::bindings::fumehood::guest::panic;
use super::bindings::fumehood::pac::names;
use crate::instance::TICK;

/// Scripts held at once, and one more while another is loaded in its place.
pub(super) const INSTANCES: u32 = 4;

/// Most elements of its table. JavaScript's engine has some 12,000 functions.
const MAX_TABLE_ELEMENTS: usize = 64 * 1024;

/// Most bytes that one call may move between guest and host: the largest
/// script, twice.
const CALL_BYTES: usize = 2 << 20;

/// Longest sentence on a trap, in bytes.
const MAX_WHY_BYTES: usize = 1024;

/// What an evaluator's store holds.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) known: HashMap<String, Vec<String>>,
    pub(super) memory: usize,
    memory_refused: bool,
    last_words: Option<String>,
}

impl panic::Host for State {
    fn panicked(&mut self, message: String, location: String) {
        self.last_words = Some(format!("{message} ({location})"));
    }
}

impl names::Host for State {
    fn resolve(&mut self, name: String) -> Result<Vec<String>, names::Unresolved> {
        match self.known.get(&name) {
            Some(found) if found.is_empty() => Err(names::Unresolved::NotFound),
            Some(found) => Ok(found.clone()),
            None => Err(names::Unresolved::Later),
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.memory_refused |= desired > MAX_EVALUATOR_MEMORY;
        if !self.memory_refused {
            self.memory = desired;
        }
        Ok(!self.memory_refused)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

pub(super) fn new(engine: &wasmtime::Engine, known: HashMap<String, Vec<String>>) -> Store<State> {
    let state = State {
        known,
        ..State::default()
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    store.set_max_component_handles(0);
    store.epoch_deadline_trap();
    store
}

/// Readies a store for a call that may take so long.
pub(super) fn arm(store: &mut Store<State>, limit: Duration) {
    let ticks = limit.as_millis().div_ceil(TICK.as_millis());
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    store.set_hostcall_fuel(CALL_BYTES);
}

/// Reads a failed call.
pub(super) fn ended(state: &State, error: &wasmtime::Error) -> Ended {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Ended::Hang,
        _ if state.memory_refused => Ended::Memory,
        trap => {
            let mut why = match (trap, &state.last_words) {
                (_, Some(words)) => words.clone(),
                (Some(trap), None) => trap.to_string(),
                (None, None) => format!("{error:#}"),
            };
            let end = why.floor_char_boundary(MAX_WHY_BYTES);
            why.truncate(end);
            Ended::Trap(why)
        }
    }
}
