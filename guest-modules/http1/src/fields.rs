//! Field sections: what heads and trailers have in common.

use crate::bounds::MAX_LINE_BYTES;
use crate::types::Lent;
use crate::{Error, Limit, Line, Violation};

/// Checks what is stricter here than in httparse, in one pass: every line ends
/// in CRLF, none is over its bound (`start_line_bytes` before line
/// `first_field`), and from that line on none starts with white space.
///
/// `section` ends in LF.
pub(crate) fn check_lines(
    section: &[u8],
    first_field: usize,
    start_line_bytes: usize,
) -> Result<(), Error> {
    let mut start = 0;
    for (index, lf) in memchr::memchr_iter(b'\n', section).enumerate() {
        let line = &section[start..=lf];
        let at_most = if index < first_field {
            start_line_bytes
        } else {
            MAX_LINE_BYTES
        };
        if line.len() > at_most {
            return Err(Limit::LineBytes.into());
        }
        if !line.ends_with(b"\r\n") {
            return Err(bare_or_nul(line).into());
        }
        if index >= first_field && matches!(line[0], b' ' | b'\t') {
            return Err(Violation::ObsoleteFolding.into());
        }
        start = lf + 1;
    }
    Ok(())
}

/// Turns httparse's refusal into ours; `start_line` is that of its first line. It does not tell all control bytes
/// apart, so the section is looked at again.
pub(crate) fn refusal(section: &[u8], error: httparse::Error, start_line: Violation) -> Error {
    use httparse::Error as E;
    if matches!(error, E::TooManyHeaders) {
        return Limit::FieldCount.into();
    }
    if section.contains(&0) {
        return Violation::Nul.into();
    }
    if has_lone_cr(section) {
        return Violation::BareLineEnding.into();
    }
    match error {
        E::Version => Violation::BadVersion,
        E::Status | E::Token => start_line,
        E::HeaderName | E::HeaderValue | E::NewLine | E::TooManyHeaders => Violation::BadField,
    }
    .into()
}

/// The fields, in the section.
pub(crate) fn lent<'a>(headers: &[httparse::Header<'a>]) -> Vec<Lent<'a>> {
    headers
        .iter()
        .map(|header| (header.name, header.value))
        .collect()
}

/// The values of all fields of one name, which is given in lower case.
pub(crate) fn values<'a>(fields: &'a [impl Line], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name().eq_ignore_ascii_case(name))
        .map(Line::value)
}

/// Whether a comma-separated list (RFC 9110 section 5.6.1) has the member,
/// in any case.
pub(crate) fn lists(value: &[u8], member: &str) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

/// Whether the bytes may stand in a field value (RFC 9110 section 5.5): HTAB,
/// SP, visible ASCII and obs-text, without white space around them.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !blank(bytes.first()) && !blank(bytes.last()) && bytes.iter().copied().all(is_text)
}

/// HTAB, SP, visible ASCII or obs-text.
pub(crate) fn is_text(byte: u8) -> bool {
    KINDS[byte as usize] & TEXT != 0
}

/// Whether the text is a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// A `tchar`.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    KINDS[byte as usize] & TOKEN != 0
}

/// Of a byte that may stand in a value.
const TEXT: u8 = 1;

/// Of a byte that may stand in a name.
const TOKEN: u8 = 2;

/// What each byte may stand in: a table, since every head that is written is
/// looked at byte for byte.
static KINDS: [u8; 256] = {
    let mut kinds = [TEXT; 256];
    let mut byte = u8::MIN;
    loop {
        kinds[byte as usize] = match byte {
            b'\t' => TEXT,
            0..=0x1f | 0x7f => 0,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => TEXT | TOKEN,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~' => {
                TEXT | TOKEN
            }
            _ => TEXT,
        };
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

fn bare_or_nul(line: &[u8]) -> Violation {
    if line.contains(&0) {
        Violation::Nul
    } else {
        Violation::BareLineEnding
    }
}

fn has_lone_cr(section: &[u8]) -> bool {
    memchr::memchr_iter(b'\r', section).any(|cr| section.get(cr + 1) != Some(&b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_grammar() {
        for byte in 0..=u8::MAX {
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token_byte(byte), token, "{byte}");
            let text = matches!(byte, b'\t' | b' '..=0x7e | 0x80..);
            assert_eq!(is_text(byte), text, "{byte}");
        }
    }
}
