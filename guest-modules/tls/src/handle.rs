//! Handles where rustls keeps secrets.
//!
//! rustls passes secrets about as opaque bytes of at least 8; a handle is
//! written into their beginning. Bytes that are no handle name nothing, and
//! the host ends a guest that uses such a name.

use crate::imports::Secret;

/// Length of a handle as bytes.
pub(crate) const HANDLE: usize = 8;

pub(crate) fn to_bytes(secret: Secret) -> [u8; HANDLE] {
    secret.to_le_bytes()
}

/// The handle that `bytes` begin with; 0, which names nothing, if there are too few.
pub(crate) fn from_bytes(bytes: &[u8]) -> Secret {
    bytes
        .first_chunk()
        .map_or(0, |bytes| Secret::from_le_bytes(*bytes))
}

/// Writes a handle to the beginning of `out`, if it is long enough.
pub(crate) fn write(secret: Secret, out: &mut [u8]) {
    if let Some(space) = out.first_chunk_mut() {
        *space = to_bytes(secret);
    }
}
