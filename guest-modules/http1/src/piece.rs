//! Whether the bytes shown are exactly the piece that was demanded.

use crate::{Error, Misuse};

/// A piece that came whole, or up to its bound without being whole.
pub(crate) enum Piece<'a> {
    /// As demanded.
    Whole(&'a [u8]),
    /// The bound's worth of bytes, and the end is not among them.
    OverBound,
}

impl<'a> Piece<'a> {
    /// A piece that ends with its first empty line.
    pub(crate) fn to_empty_line(data: &'a [u8], at_most: usize) -> Result<Self, Error> {
        let mut start = 0;
        let end = memchr::memchr_iter(b'\n', data).find_map(|lf| {
            let empty = matches!(data.get(start..lf), Some(b"" | b"\r"));
            start = lf + 1;
            empty.then_some(start)
        });
        Self::judged(data, end, at_most)
    }

    /// A piece that ends with its LF number `count`.
    pub(crate) fn of_lines(data: &'a [u8], count: usize, at_most: usize) -> Result<Self, Error> {
        let end = memchr::memchr_iter(b'\n', data)
            .nth(count - 1)
            .map(|lf| lf + 1);
        Self::judged(data, end, at_most)
    }

    fn judged(data: &'a [u8], end: Option<usize>, at_most: usize) -> Result<Self, Error> {
        match end {
            Some(end) if end == data.len() && end <= at_most => Ok(Self::Whole(data)),
            None if data.len() == at_most => Ok(Self::OverBound),
            _ => Err(Misuse::NotTheDemandedPiece.into()),
        }
    }
}
