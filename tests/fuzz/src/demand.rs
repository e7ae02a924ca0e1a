//! The engine's search for the end of a piece: the same piece however the
//! stream is cut, and the one that a plain search finds.
//!
//! An input is a byte for the delimiter, one for the cuts, one for the bound,
//! and the stream.

use fumehood_engine::fuzz::{Delimiter, collect};

/// Collects whole, cut, and by a plain search.
pub fn run(data: &[u8]) {
    let Some((&[delimiter, cuts, bound], stream)) = data.split_first_chunk() else {
        return;
    };
    let delimiter = match delimiter % 4 {
        0 => Delimiter::EmptyLine,
        count => Delimiter::Lines(count.into()),
    };
    let at_most = 1 + u32::from(bound) * 4;
    let plain = search(delimiter, at_most as usize, stream);
    let whole = collect(delimiter, at_most, [stream]);
    assert_eq!(whole.as_deref(), plain, "the search finds another piece");
    let size = 1 + usize::from(cuts) % 64;
    let cut = collect(delimiter, at_most, stream.chunks(size));
    assert_eq!(whole, cut, "the piece depends on how the stream is cut");
}

fn search(delimiter: Delimiter, at_most: usize, stream: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    let mut lines = 0;
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        lines += u32::from(line.ends_with(b"\n"));
        let ends = match delimiter {
            Delimiter::EmptyLine => line == b"\n" || line == b"\r\n",
            Delimiter::Lines(count) => lines == count,
        };
        if ends && end <= at_most {
            return Some(&stream[..end]);
        }
    }
    stream.get(..at_most)
}
