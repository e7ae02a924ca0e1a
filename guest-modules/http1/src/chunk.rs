//! Chunk-size lines (RFC 9112 section 7.1).

use crate::bounds::{MAX_CHUNK_SIZE_DIGITS, MAX_LINE_BYTES};
use crate::piece::Piece;
use crate::{Error, Limit, Violation, fields};

/// What ends the chunk before.
pub(crate) const CRLF: &[u8] = b"\r\n";

/// Most bytes of the piece that follows a chunk: its CRLF and the next size line.
pub(crate) const MAX_NEXT_BYTES: usize = CRLF.len() + MAX_LINE_BYTES;

/// The size that the first size line states.
pub(crate) fn first_size(data: &[u8]) -> Result<u64, Error> {
    match Piece::of_lines(data, 1, MAX_LINE_BYTES)? {
        Piece::Whole(line) => size(line),
        Piece::OverBound => Err(Limit::LineBytes.into()),
    }
}

/// The size that the line after a chunk's CRLF states.
pub(crate) fn next_size(data: &[u8]) -> Result<u64, Error> {
    let Piece::Whole(lines) = Piece::of_lines(data, 2, MAX_NEXT_BYTES)? else {
        // Without a CRLF in front, it is the chunk that is wrong, not the line.
        let error: Error = match data.strip_prefix(CRLF) {
            Some(_) => Limit::LineBytes.into(),
            None => Violation::BadChunkEnd.into(),
        };
        return Err(error);
    };
    match lines.strip_prefix(CRLF) {
        Some(line) => size(line),
        None if lines.starts_with(b"\n") => Err(Violation::BareLineEnding.into()),
        None => Err(Violation::BadChunkEnd.into()),
    }
}

/// Parses one size line. Extensions are skipped: none is defined that a
/// client could use (section 7.1.1), and no byte in one can end the line.
fn size(line: &[u8]) -> Result<u64, Error> {
    let Some(line) = line.strip_suffix(CRLF) else {
        return Err(Violation::BareLineEnding.into());
    };
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (digits, rest) = line.split_at(digits);
    let extensions = rest.trim_ascii_start();
    let extended = extensions.is_empty() || extensions.starts_with(b";");
    if !extended || !rest.iter().copied().all(fields::is_text) {
        return Err(Violation::BadChunk.into());
    }
    if digits.is_empty() || digits.len() > MAX_CHUNK_SIZE_DIGITS {
        return Err(Violation::BadChunk.into());
    }
    Ok(digits
        .iter()
        .fold(0, |size, digit| size << 4 | u64::from(hex_value(*digit))))
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}
