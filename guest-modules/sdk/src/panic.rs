//! Last words: what a guest says between a panic and the trap.

use std::panic::PanicHookInfo;

#[cfg(target_family = "wasm")]
pub mod bindings;

/// Most bytes of a message or a place that are handed over. The host keeps no
/// more (`wit/guest/panic.wit`), so a longer text would only be copied in vain.
pub const MAX_TEXT_BYTES: usize = 1024;

/// A panic's message and place, each within [`MAX_TEXT_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords {
    /// What the panic said, or that it said nothing printable.
    pub message: String,
    /// `file:line:column`.
    pub location: String,
}

impl LastWords {
    /// Takes them from what the panic hook is given.
    #[must_use]
    pub fn of(info: &PanicHookInfo<'_>) -> Self {
        let message = info.payload_as_str().unwrap_or("a panic without a text");
        let location = info
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        Self {
            message: bounded(message),
            location: bounded(&location),
        }
    }
}

/// Installs the hook, at the first call only. Every export of a guest calls
/// this before anything else.
#[cfg(target_family = "wasm")]
pub fn install() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let words = LastWords::of(info);
            bindings::fumehood::guest::panic::panicked(&words.message, &words.location);
        }));
    });
}

/// The longest prefix of whole characters within the bound.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Runs `dying` under a hook of ours and returns its last words. One test
    /// calls it, as hooks are per process.
    fn last_words_of(dying: fn()) -> LastWords {
        static HEARD: Mutex<Option<LastWords>> = Mutex::new(None);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|info| {
            *HEARD.lock().unwrap() = Some(LastWords::of(info));
        }));
        let outcome = std::panic::catch_unwind(dying);
        std::panic::set_hook(before);
        assert!(outcome.is_err(), "it did not panic");
        HEARD.lock().unwrap().take().unwrap()
    }

    #[test]
    fn message_and_place_are_kept() {
        let plain = last_words_of(|| panic!("boom"));
        assert_eq!(plain.message, "boom");
        assert!(plain.location.contains("panic.rs:"), "{}", plain.location);

        let formatted = last_words_of(|| panic!("{} of {}", 7, 9));
        assert_eq!(formatted.message, "7 of 9");

        let mute = last_words_of(|| std::panic::panic_any(3_u8));
        assert_eq!(mute.message, "a panic without a text");

        let long = last_words_of(|| panic!("{}", "ä".repeat(MAX_TEXT_BYTES)));
        assert_eq!(long.message.len(), MAX_TEXT_BYTES);
    }

    #[test]
    fn a_bound_never_splits_a_character() {
        let text = format!("x{}", "ä".repeat(MAX_TEXT_BYTES));
        assert_eq!(bounded(&text).len(), MAX_TEXT_BYTES - 1);
        assert_eq!(bounded(""), "");
    }
}
