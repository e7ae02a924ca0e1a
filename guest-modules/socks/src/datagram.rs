//! The header of an association's datagrams (RFC 1928 section 7): read from what a
//! client sends, written before what it gets. What follows it is never shown.

use crate::address::{length_v5, read_v5};
use crate::wire::V5_DOMAIN;
use crate::{Endpoint, Error};

/// How much is seen of a datagram to tell how long its header is, in bytes: two
/// reserved, the fragment's number, the address's type, and its length or first.
pub const DATAGRAM_START_BYTES: usize = 5;

/// Shortest header, in bytes: a name of one letter.
pub const MIN_DATAGRAM_HEADER_BYTES: usize = 8;

/// Longest header, in bytes: a name of 255.
pub const MAX_DATAGRAM_HEADER_BYTES: usize = 262;

/// Of the reserved bytes and the fragment's number.
const ADDRESS_TYPE: usize = 3;

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// What it begins with is no header.
    #[error("malformed")]
    Malformed,
    /// It is a piece of a datagram; none are put together, as the RFC lets one.
    #[error("fragment")]
    Fragment,
}

/// How long the header is that begins so, from [`MIN_DATAGRAM_HEADER_BYTES`] to
/// [`MAX_DATAGRAM_HEADER_BYTES`].
///
/// # Errors
/// [`Flaw`] where it is none, whatever follows.
pub fn measure(start: [u8; DATAGRAM_START_BYTES]) -> Result<u16, Flaw> {
    let [high, low, fragment, kind, first] = start;
    match (high, low, fragment) {
        (0, 0, 0) => {}
        (0, 0, _) => return Err(Flaw::Fragment),
        _ => return Err(Flaw::Malformed),
    }
    // The start, and what follows it.
    match length_v5(kind, first) {
        Ok(rest) => Ok(5 + rest),
        Err(_) => Err(Flaw::Malformed),
    }
}

/// Where a datagram goes: reads the whole of its header and nothing behind it.
///
/// # Errors
/// [`Flaw`]
pub fn read(header: &[u8]) -> Result<Endpoint, Flaw> {
    let start = header.first_chunk().ok_or(Flaw::Malformed)?;
    if header.len() != usize::from(measure(*start)?) {
        return Err(Flaw::Malformed);
    }
    let kind = start[ADDRESS_TYPE];
    let address = match kind {
        V5_DOMAIN => &header[DATAGRAM_START_BYTES..],
        _ => &header[ADDRESS_TYPE + 1..],
    };
    read_v5(kind, address).map_err(|_| Flaw::Malformed)
}

/// The header of a datagram that came from there.
///
/// # Errors
/// [`Error::Misuse`] where a name is none.
pub fn write(source: &Endpoint) -> Result<Vec<u8>, Error> {
    let mut header = vec![0, 0, 0];
    source.write_v5(&mut header)?;
    Ok(header)
}
