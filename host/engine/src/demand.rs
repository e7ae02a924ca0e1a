//! Collects exactly the piece of the stream that the codec demanded.

use crate::instance::LineDemand;

/// What ends a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// The first empty line, its line ending included.
    EmptyLine,
    /// So many LFs.
    Lines(u32),
}

/// A piece under collection. The delimiter is looked for, nothing is parsed:
/// the bytes' meaning is the guest's business.
#[derive(Debug)]
pub(crate) struct Collector {
    delimiter: Delimiter,
    at_most: usize,
    bytes: Vec<u8>,
}

/// What a step of collecting brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// Took all that was offered; the piece goes on.
    More,
    /// The piece is whole, or as long as it may be.
    Piece,
}

impl Collector {
    pub(crate) fn new(delimiter: Delimiter, at_most: u32) -> Collector {
        Collector {
            delimiter,
            at_most: at_most as usize,
            bytes: Vec::new(),
        }
    }

    /// For so many lines.
    pub(crate) fn of(lines: LineDemand) -> Collector {
        Collector::new(Delimiter::Lines(lines.count), lines.at_most)
    }

    /// Takes bytes up to the piece's end. Returns how many, and whether it ended.
    pub(crate) fn take(&mut self, offered: &[u8]) -> (usize, Collected) {
        let before = self.bytes.len();
        let room = self.at_most - before;
        let offered = &offered[..offered.len().min(room)];
        let end = if before == 0 {
            // As a rule it comes whole, and what follows it is not copied.
            let end = self.delimiter.find_end(offered, 0);
            let piece = &offered[..end.unwrap_or(offered.len())];
            self.bytes.extend_from_slice(piece);
            end
        } else {
            self.bytes.extend_from_slice(offered);
            let end = self.delimiter.find_end(&self.bytes, before);
            self.bytes.truncate(end.unwrap_or(usize::MAX));
            end
        };
        match end {
            Some(end) => (end - before, Collected::Piece),
            None if self.bytes.len() == self.at_most => (offered.len(), Collected::Piece),
            None => (offered.len(), Collected::More),
        }
    }

    /// What was collected.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Delimiter {
    /// Where the piece ends, given that it did not end within the first `seen` bytes.
    fn find_end(&mut self, bytes: &[u8], seen: usize) -> Option<usize> {
        match self {
            Delimiter::EmptyLine => empty_line_end(bytes, seen),
            Delimiter::Lines(left) => {
                let mut end = seen;
                while *left > 0 {
                    end += memchr::memchr(b'\n', &bytes[end..])? + 1;
                    *left -= 1;
                }
                Some(end)
            }
        }
    }
}

/// The end of the first empty line. A line that was incomplete at `seen`
/// began at most two bytes (LF CR) before.
fn empty_line_end(bytes: &[u8], seen: usize) -> Option<usize> {
    if let Some(end) = line_ending(bytes) {
        return Some(end);
    }
    let from = seen.saturating_sub(2);
    memchr::memchr_iter(b'\n', &bytes[from..])
        .map(|at| from + at + 1)
        .find_map(|start| Some(start + line_ending(&bytes[start..])?))
}

/// The length of the line ending that `bytes` begins with.
fn line_ending(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects from `stream` in pieces of every size and returns the piece's end.
    fn collect(delimiter: Delimiter, at_most: u32, stream: &[u8]) -> Option<usize> {
        let ends: Vec<Option<usize>> = (1..=stream.len().max(1))
            .map(|size| {
                let mut collector = Collector::new(delimiter, at_most);
                let mut taken = 0;
                for chunk in stream.chunks(size) {
                    let (count, collected) = collector.take(chunk);
                    taken += count;
                    if collected == Collected::Piece {
                        assert_eq!(collector.bytes(), &stream[..taken]);
                        return Some(taken);
                    }
                    assert_eq!(count, chunk.len());
                }
                None
            })
            .collect();
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
        ends[0]
    }

    #[test]
    fn an_empty_line_ends_a_head_however_it_is_cut() {
        for (stream, end) in [
            (
                &b"HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\r\n\r\n"[..],
                Some(25),
            ),
            (b"HTTP/1.1 200 OK\na: b\n\nbody", Some(22)),
            (b"a\r\n\nbody", Some(4)),
            (b"a\n\r\nbody", Some(4)),
            (b"\r\nbody", Some(2)),
            (b"\nbody", Some(1)),
            (b"a\r\n\r", None),
            (b"\r", None),
            (b"a\r\nb\r\n", None),
            (b"", None),
        ] {
            assert_eq!(
                collect(Delimiter::EmptyLine, 1000, stream),
                end,
                "{stream:?}"
            );
        }
    }

    #[test]
    fn lines_are_counted_however_they_are_cut() {
        assert_eq!(
            collect(Delimiter::Lines(2), 100, b"\r\n1a\r\nbody\n"),
            Some(6)
        );
        assert_eq!(collect(Delimiter::Lines(1), 100, b"ff\nbody"), Some(3));
        assert_eq!(collect(Delimiter::Lines(2), 100, b"\r\n1a\r"), None);
    }

    #[test]
    fn a_piece_is_never_longer_than_allowed() {
        assert_eq!(
            collect(Delimiter::EmptyLine, 8, b"0123456789\r\n\r\n"),
            Some(8)
        );
        assert_eq!(collect(Delimiter::Lines(1), 4, b"0123456\n"), Some(4));
    }
}
