//! The search for a piece's end, as an exchange does it.

use crate::demand::{self, Collected, Collector};

/// What ends a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// The first empty line.
    EmptyLine,
    /// So many LFs.
    Lines(u32),
}

/// Collects a piece of at most `at_most` bytes from a stream that arrives cut
/// like this. Returns it once it is whole, or as long as it may be.
pub fn collect<'a>(
    delimiter: Delimiter,
    at_most: u32,
    stream: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    let delimiter = match delimiter {
        Delimiter::EmptyLine => demand::Delimiter::EmptyLine,
        Delimiter::Lines(count) => demand::Delimiter::Lines(count),
    };
    let mut collector = Collector::new(delimiter, at_most);
    for offered in stream {
        let (count, collected) = collector.take(offered);
        assert!(count <= offered.len(), "took more than was offered");
        match collected {
            Collected::Piece => return Some(collector.bytes().to_vec()),
            Collected::More => assert_eq!(count, offered.len(), "left bytes and wants more"),
        }
    }
    None
}
