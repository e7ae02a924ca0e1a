//! Text that a stranger wrote, made safe for a terminal.

use std::fmt::Write as _;

/// Escapes what could move a cursor, change colours or answer back: control
/// characters, C1 ones and what is not UTF-8.
pub(crate) fn for_terminal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => text.push('\t'),
                c if c.is_control() || is_bidi(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _infallible = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Characters that turn the direction of what follows (Unicode TR 9).
fn is_bidi(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::for_terminal;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(for_terminal(b"\x1b[2J"), "\\u{1b}[2J");
        assert_eq!(for_terminal("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(for_terminal("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(for_terminal(b"a\rb\x07"), "a\\u{d}b\\u{7}");
    }

    #[test]
    fn what_is_not_text_is_shown_as_bytes_and_text_stays() {
        assert_eq!(for_terminal(b"\xff\xfe"), "\\xff\\xfe");
        assert_eq!(for_terminal("grüße\t✓".as_bytes()), "grüße\t✓");
    }
}
