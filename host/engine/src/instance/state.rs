//! What every guest's store holds: limits, a meter and its last words.

use fumehood_control::{Cause, ModuleHeader};
use wasmtime::{AsContextMut, ResourceLimiter, Store, StoreContextMut, Trap};

use super::ticker::CALL_DEADLINE_TICKS;

/// Largest linear memory of one guest, in bytes; the pool's slots are this big.
const MAX_MEMORY_BYTES: usize = fumehood_wasm::MAX_GUEST_MEMORY;

/// Most elements of a guest's table. The largest of ours has some 600 functions.
const MAX_TABLE_ELEMENTS: usize = 16 * 1024;

/// Most bytes that one call may move between guest and host (wasmtime's
/// "hostcall fuel"): twice the largest thing passed, a 384 KiB head.
const CALL_BYTES: usize = 1 << 20;

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
#[derive(Debug, Default)]
pub(crate) struct GuestState {
    /// Set by `fumehood:guest/panic`.
    pub last_words: Option<LastWords>,
    /// Linear memory now, in bytes. It only grows.
    pub memory_bytes: u64,
    /// Calls made into the guest.
    pub calls: u64,
    /// Growth was refused at least once.
    pub memory_refused: bool,
}

impl GuestState {
    /// Keeps a bounded copy of a guest's last words.
    pub(crate) fn note_panic(&mut self, message: &str, location: &str) {
        self.last_words = Some(LastWords {
            message: bounded(message),
            location: bounded(location),
        });
    }
}

/// The text's first [`MAX_LAST_WORDS`] bytes, control characters replaced: it
/// comes from a guest that may be in a peer's hands.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_LAST_WORDS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl ResourceLimiter for GuestState {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= MAX_MEMORY_BYTES;
        if granted {
            self.memory_bytes = desired as u64;
        } else {
            self.memory_refused = true;
        }
        Ok(granted)
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

/// Readies a store for its next call: a fresh deadline and a fresh allowance.
pub(crate) fn arm<T: 'static>(store: &mut Store<T>) {
    store.set_epoch_deadline(CALL_DEADLINE_TICKS);
    let mut context: StoreContextMut<'_, T> = store.as_context_mut();
    context.set_hostcall_fuel(CALL_BYTES);
}

/// A guest that ended: its store is of no further use.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {module} guest ({version}) ended: {kind}: {detail}")]
pub(crate) struct Fault {
    /// Module name.
    pub module: String,
    /// Module version.
    pub version: String,
    /// `trap`, `hang`, `memory`, `no-instance` or `nonsense`.
    pub kind: &'static str,
    /// What it said, or the trap's name.
    pub detail: String,
}

impl Fault {
    /// Reads a failed call.
    pub(crate) fn new(module: &ModuleHeader, error: &wasmtime::Error, state: &GuestState) -> Fault {
        let trap = error.downcast_ref::<Trap>();
        let kind = match trap {
            Some(Trap::Interrupt) => "hang",
            _ if state.memory_refused => "memory",
            Some(_) => "trap",
            None if state.last_words.is_some() => "trap",
            None => "no-instance",
        };
        let detail = match (&state.last_words, trap) {
            (Some(words), _) => format!("{} ({})", words.message, words.location),
            (None, Some(trap)) => trap.to_string(),
            (None, None) => bounded(&format!("{error:#}")),
        };
        Fault {
            module: module.name.clone(),
            version: module.version.clone(),
            kind,
            detail,
        }
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Cause {
        Cause::Guest {
            module: fault.module,
            version: fault.version,
            kind: fault.kind.to_owned(),
            detail: fault.detail,
        }
    }
}
