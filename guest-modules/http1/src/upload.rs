//! The outbound content: what is written around it, and when it is whole.

use crate::{Misuse, PayloadFrame, PayloadLength};

/// The chunk that ends chunked content, and an empty trailer section.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How much of the request's content is still owed.
#[derive(Debug)]
pub(crate) enum Upload {
    /// So many bytes of what `content-length` promised.
    Sized { left: u64 },
    /// As many chunks as there may be.
    Chunked,
    /// None.
    Ended,
}

impl Upload {
    /// The state after the request's head.
    pub(crate) fn begin(payload: PayloadLength) -> Self {
        match payload {
            PayloadLength::None => Self::Sized { left: 0 },
            PayloadLength::Known(left) => Self::Sized { left },
            PayloadLength::Unknown => Self::Chunked,
        }
    }

    /// Frames a piece of `length` bytes.
    pub(crate) fn frame(&mut self, length: u64) -> Result<PayloadFrame, Misuse> {
        if length == 0 {
            return Err(Misuse::EmptyPiece);
        }
        match self {
            Self::Sized { left } => {
                *left = left.checked_sub(length).ok_or(Misuse::OverPromised)?;
                Ok(PayloadFrame::default())
            }
            Self::Chunked => Ok(PayloadFrame {
                before: format!("{length:x}\r\n").into_bytes(),
                after: b"\r\n".to_vec(),
            }),
            Self::Ended => Err(Misuse::PayloadEnded),
        }
    }

    /// Ends the content.
    pub(crate) fn end(&mut self) -> Result<Vec<u8>, Misuse> {
        let last = match self {
            Self::Sized { left: 0 } => Vec::new(),
            Self::Sized { .. } => return Err(Misuse::UnderPromised),
            Self::Chunked => LAST_CHUNK.to_vec(),
            Self::Ended => return Err(Misuse::PayloadEnded),
        };
        *self = Self::Ended;
        Ok(last)
    }

    /// Whether the request is whole, as far as the codec was told.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Sized { left: 0 } | Self::Ended)
    }
}
