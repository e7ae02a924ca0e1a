//! The inbound content, from the end of the head to the end of the message.

use crate::bounds::{MAX_HEAD_BYTES, MAX_LINE_BYTES};
use crate::chunk::MAX_NEXT_BYTES;
use crate::framing::Framing;
use crate::types::Lent;
use crate::{Demand, Error, LineDemand, Misuse, Truncation, chunk, head};

/// Where in the content the stream is.
#[derive(Debug)]
pub(crate) enum Body {
    /// So many bytes of `content-length` are to come.
    Length { left: u64 },
    /// All is content until the peer closes.
    UntilClose,
    /// The first chunk-size line is to come.
    FirstChunkSize,
    /// So many bytes of a chunk are to come.
    Chunk { left: u64 },
    /// A chunk's CRLF and the next chunk-size line are to come. One piece, so
    /// that a chunk costs one look.
    NextChunkSize,
    /// Trailers, or the empty line that says there are none.
    Trailers,
}

/// What one look or move led to.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// There is more to come.
    More(Body),
    /// The message is whole. These are its trailers.
    End(Vec<Lent<'a>>),
}

impl Body {
    /// The state after a head with this framing; `None` when the message is whole.
    pub(crate) fn begin(framing: Framing) -> Option<Self> {
        match framing {
            Framing::Empty => None,
            Framing::Length(left) => Some(Self::Length { left }),
            Framing::Chunked => Some(Self::FirstChunkSize),
            Framing::UntilClose => Some(Self::UntilClose),
        }
    }

    /// What must be seen or moved next.
    pub(crate) fn demand(&self) -> Demand {
        match self {
            Self::Length { left } | Self::Chunk { left } => Demand::Payload(*left),
            Self::UntilClose => Demand::PayloadUntilClose,
            Self::FirstChunkSize => Demand::Lines(lines(1, MAX_LINE_BYTES)),
            Self::NextChunkSize => Demand::Lines(lines(2, MAX_NEXT_BYTES)),
            Self::Trailers => Demand::EmptyLine(bound(MAX_HEAD_BYTES)),
        }
    }

    /// What may be seen right after the demanded payload.
    pub(crate) fn then(&self) -> Option<LineDemand> {
        match self {
            Self::Chunk { .. } => Some(lines(2, MAX_NEXT_BYTES)),
            _ => None,
        }
    }

    /// The demanded piece has come, and what was to be moved before it.
    pub(crate) fn receive(self, data: &[u8]) -> Result<Step<'_>, Error> {
        let size = match self {
            Self::FirstChunkSize => chunk::first_size(data)?,
            Self::NextChunkSize | Self::Chunk { .. } => chunk::next_size(data)?,
            Self::Trailers => return head::trailers(data).map(Step::End),
            Self::Length { .. } | Self::UntilClose => {
                return Err(Misuse::NotTheDemandedPiece.into());
            }
        };
        Ok(Step::More(if size == 0 {
            Self::Trailers
        } else {
            Self::Chunk { left: size }
        }))
    }

    /// So much of the demanded payload has been moved.
    pub(crate) fn moved(self, count: u64) -> Result<Step<'static>, Error> {
        let rest = |left: u64| left.checked_sub(count).ok_or(Misuse::UndemandedPayload);
        Ok(match self {
            Self::Length { left } => match rest(left)? {
                0 => Step::End(Vec::new()),
                left => Step::More(Self::Length { left }),
            },
            Self::Chunk { left } => Step::More(match rest(left)? {
                0 => Self::NextChunkSize,
                left => Self::Chunk { left },
            }),
            Self::UntilClose | Self::FirstChunkSize | Self::NextChunkSize | Self::Trailers => {
                return Err(Misuse::UndemandedPayload.into());
            }
        })
    }

    /// The peer has closed. Fine only where that is the end of the content.
    pub(crate) fn closed(self, pending: u64) -> Result<(), Error> {
        match self {
            Self::UntilClose if pending == 0 => Ok(()),
            // It was all content; nothing can have been kept for a look.
            Self::UntilClose => Err(Misuse::NotTheDemandedPiece.into()),
            _ => Err(Truncation::InPayload.into()),
        }
    }
}

fn lines(count: u32, at_most: usize) -> LineDemand {
    LineDemand {
        count,
        at_most: bound(at_most),
    }
}

/// A bound as the WIT has it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the bounds are constants far below 4 GiB"
)]
pub(crate) const fn bound(bytes: usize) -> u32 {
    bytes as u32
}
