//! Content that can be checked: a block that repeats without end, and looks
//! the same nowhere else.

use std::io::{self, Write};
use std::sync::LazyLock;

/// The repeating block, in bytes: longer than any buffer on the way is likely
/// to slip by, and no power of two.
pub(super) const BLOCK_BYTES: usize = 65_521;

/// What content consists of, from its first byte on, again and again.
static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(block);

/// Looks random, is the same every time (xorshift).
fn block() -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..BLOCK_BYTES).map(|_| next()).collect()
}

/// What stands at `offset`, at most so many bytes of it.
fn piece(offset: u64, most: usize) -> &'static [u8] {
    let begin = usize::try_from(offset % BLOCK_BYTES as u64).unwrap_or_default();
    &BLOCK[begin..(begin + most.min(BLOCK_BYTES)).min(BLOCK_BYTES)]
}

/// Whether `data` is what stands at `offset` of the content.
pub(super) fn matches(mut offset: u64, mut data: &[u8]) -> bool {
    while !data.is_empty() {
        let wanted = piece(offset, data.len());
        let (begin, rest) = data.split_at(wanted.len());
        if begin != wanted {
            return false;
        }
        offset += begin.len() as u64;
        data = rest;
    }
    true
}

/// Writes content from one offset to another.
pub(super) fn write(stream: &mut impl Write, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let left = usize::try_from(to - at).unwrap_or(usize::MAX);
        let piece = piece(at, left);
        stream.write_all(piece)?;
        at += piece.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_byte_is_noticed() {
        let mut data = Vec::new();
        assert!(write(&mut data, 100, 3 * BLOCK_BYTES as u64 + 5).is_ok());
        assert!(matches(100, &data) && matches(100 + BLOCK_BYTES as u64, &data));
        assert!(!matches(101, &data));
        data[BLOCK_BYTES] ^= 1;
        assert!(!matches(100, &data));
    }
}
