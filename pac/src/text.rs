//! Text from scripts, made fit for people: bounded and printable.

/// As much of the text as takes `most` bytes once control characters are replaced.
pub(crate) fn bounded(text: &str, most: usize) -> String {
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

/// A script's bytes as text: UTF-8, or else Latin-1, which is every byte a
/// character. A byte order mark is no part of it.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// The place that a syntax error's text names: `… at line 3, col 5`.
pub(crate) fn position_in_words(message: &str) -> Option<(u32, u32)> {
    let (_, rest) = message.rsplit_once("line ")?;
    let (line, rest) = rest.split_once(", col ")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((line.parse().ok()?, rest[..end].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_first_then_latin1() {
        assert_eq!(decode("ä".as_bytes()), "ä");
        assert_eq!(decode(b"\xe4"), "ä");
        assert_eq!(decode(b"\xef\xbb\xbfx"), "x");
    }

    #[test]
    fn bounds_never_split_a_character() {
        assert_eq!(bounded("aä", 2), "a");
        assert_eq!(bounded("a\nb", 9), "a\u{fffd}b");
    }

    #[test]
    fn bounds_count_what_takes_the_place_of_control_characters() {
        assert_eq!(bounded("\n\n\n", 8), "\u{fffd}\u{fffd}");
    }
}
