//! What every guest's store holds: limits, a meter and its last words.

use std::sync::Arc;
use std::time::Duration;

use fumehood_control::Http1Preferences;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::recording::Recording;
use super::ticker::{CALL_DEADLINE_TICKS, ticks};
use super::trail::Trail;
use crate::registry::{About, Alive};

/// Largest linear memory of one guest, in bytes; the pool's slots are this big.
const MAX_MEMORY_BYTES: usize = fumehood_wasm::MAX_GUEST_MEMORY;

/// Most elements of a guest's table. The largest of ours has some 600 functions.
const MAX_TABLE_ELEMENTS: usize = 16 * 1024;

/// How large one guest may grow. The pool it is of has slots as big.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Linear memory.
    pub memory_bytes: usize,
    pub table_elements: usize,
}

/// Of all guests but evaluators.
const BOUNDS: Bounds = Bounds {
    memory_bytes: MAX_MEMORY_BYTES,
    table_elements: MAX_TABLE_ELEMENTS,
};

/// Most resource handles a guest may hold; a handshake has about ten.
pub(super) const MAX_HANDLES: usize = 256;

/// Most bytes that one call may move between guest and host (wasmtime's
/// "hostcall fuel"): twice the largest thing passed, a 384 KiB head.
pub(super) const CALL_BYTES: usize = 1 << 20;

/// Most bytes kept of a panic's message, and of its place.
pub(crate) const MAX_LAST_WORDS: usize = 1024;

/// What a guest said before it trapped.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords {
    /// The panic's message.
    pub message: String,
    /// File, line and column.
    pub location: String,
}

/// The part of a store's data that all guests share.
#[derive(Debug)]
pub(crate) struct GuestState {
    /// Its place in its version's tally; memory is counted there.
    pub alive: Alive,
    bounds: Bounds,
    /// What it was asked and said.
    pub trail: Trail,
    /// The same with content, where asked for.
    pub recording: Recording,
    /// What an `http1` guest is told where it asks. No other can ask.
    pub preferences: Http1Preferences,
    /// Set by `fumehood:guest/panic`.
    pub last_words: Option<LastWords>,
    /// The instance stands, and calls go into it.
    pub entered: bool,
    /// How long the guest has waited for another guest in the present call;
    /// its own deadline is put off by so much.
    pub away: Duration,
    /// Calls made into the guest.
    pub calls: u64,
    /// Growth beyond the guest's own bound was refused.
    pub memory_refused: bool,
    /// Growth of a table beyond its bound was refused.
    pub table_refused: bool,
    /// Growth was refused for what other guests have.
    pub starved: bool,
}

impl GuestState {
    /// For a new instance of a version.
    pub(crate) fn new(about: &Arc<About>) -> GuestState {
        GuestState::within(about, BOUNDS)
    }

    /// The same, with bounds of its kind.
    pub(crate) fn within(about: &Arc<About>, bounds: Bounds) -> GuestState {
        GuestState {
            alive: Alive::new(about),
            bounds,
            trail: Trail::new(about),
            recording: Recording::new(about.supervisor.limits.record),
            preferences: Http1Preferences::default(),
            last_words: None,
            entered: false,
            away: Duration::ZERO,
            calls: 0,
            memory_refused: false,
            table_refused: false,
            starved: false,
        }
    }

    /// Keeps a bounded copy of a guest's last words.
    pub(crate) fn note_panic(&mut self, message: &str, location: &str) {
        self.last_words = Some(LastWords {
            message: bounded(message),
            location: bounded(location),
        });
    }
}

/// As much of the text as takes [`MAX_LAST_WORDS`] bytes once control characters are
/// replaced: it comes from a guest that may be in a peer's hands.
pub(crate) fn bounded(text: &str) -> String {
    bounded_to(text, MAX_LAST_WORDS)
}

/// The same of another length, in bytes.
pub(crate) fn bounded_to(text: &str, most: usize) -> String {
    let mut printable = String::with_capacity(text.len().min(most));
    for it in text.chars() {
        // Its place takes three bytes, and a control character's as few as one.
        let it = if it.is_control() { '\u{fffd}' } else { it };
        if printable.len() + it.len_utf8() > most {
            break;
        }
        printable.push(it);
    }
    printable
}

impl ResourceLimiter for GuestState {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.bounds.memory_bytes {
            self.memory_refused = true;
        } else if !self.alive.grow(desired as u64) {
            self.starved = true;
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.table_refused |= desired > self.bounds.table_elements;
        Ok(desired <= self.bounds.table_elements)
    }
}

/// A store whose guest can be stopped, and holds no more than it may. `shared`
/// finds the part that all guests' stores have.
pub(crate) fn new_store<T: 'static>(
    engine: &wasmtime::Engine,
    data: T,
    shared: fn(&mut T) -> &mut GuestState,
) -> Store<T> {
    let mut store = Store::new(engine, data);
    store.limiter(move |data| shared(data));
    store.set_max_component_handles(MAX_HANDLES);
    store.epoch_deadline_callback(move |mut store| {
        let away = std::mem::take(&mut shared(store.data_mut()).away);
        Ok(match ticks(away) {
            0 => UpdateDeadline::Interrupt,
            ticks => UpdateDeadline::Continue(ticks),
        })
    });
    arm(&mut store);
    store
}

/// Readies a store for its next call: a fresh deadline and a fresh allowance.
pub(crate) fn arm<T: 'static>(store: &mut Store<T>) {
    store.set_epoch_deadline(CALL_DEADLINE_TICKS);
    store.set_hostcall_fuel(CALL_BYTES);
}

#[cfg(test)]
mod tests {
    use fumehood_control::ModuleHeader;

    use super::*;
    use crate::registry::{Limits, Supervisor};

    fn state() -> GuestState {
        let header = ModuleHeader {
            name: String::new(),
            version: String::new(),
            digest: [0; 32],
        };
        let supervisor = Supervisor::new(Limits::for_one());
        GuestState::new(&About::new(header, &supervisor))
    }

    #[test]
    fn memory_grows_to_its_bound_and_no_byte_further() -> wasmtime::Result<()> {
        let mut state = state();
        assert!(state.memory_growing(0, MAX_MEMORY_BYTES, None)?);
        assert!(!state.memory_growing(MAX_MEMORY_BYTES, MAX_MEMORY_BYTES + 1, None)?);
        assert!(state.memory_refused && !state.starved);
        assert_eq!(state.alive.memory_bytes(), MAX_MEMORY_BYTES as u64);
        Ok(())
    }

    #[test]
    fn tables_grow_to_their_bound_and_no_element_further() -> wasmtime::Result<()> {
        let mut state = state();
        assert!(state.table_growing(0, MAX_TABLE_ELEMENTS, None)?);
        assert!(!state.table_refused);
        assert!(!state.table_growing(0, MAX_TABLE_ELEMENTS + 1, None)?);
        assert!(state.table_refused);
        Ok(())
    }

    #[test]
    fn what_others_have_is_nobodys_fault() -> wasmtime::Result<()> {
        let (mut state, mut hungry) = (state(), Vec::new());
        while state.memory_growing(0, MAX_MEMORY_BYTES, None)? {
            let about = Arc::clone(&state.alive.about);
            hungry.push(std::mem::replace(&mut state, GuestState::new(&about)));
        }
        assert!(state.starved && !state.memory_refused && !hungry.is_empty());
        hungry.pop();
        assert!(state.memory_growing(0, MAX_MEMORY_BYTES, None)?);
        Ok(())
    }

    #[test]
    fn last_words_are_cut_and_cannot_break_out() {
        let long = "\u{1b}[2J".to_owned() + &"ä".repeat(MAX_LAST_WORDS);
        let told = bounded(&long);
        assert!(told.len() <= MAX_LAST_WORDS && told.starts_with("\u{fffd}[2J"));
        let controls = bounded(&"\n".repeat(MAX_LAST_WORDS));
        assert_eq!(controls, "\u{fffd}".repeat(MAX_LAST_WORDS / 3));
        assert_eq!(bounded_to("a\u{7}b", 4), "a\u{fffd}");
    }
}
