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

/// Two handles: a TLS 1.2 key with its IV, which alone is too short for one.
pub(crate) fn pair_from_bytes(bytes: &[u8]) -> (Secret, Secret) {
    (
        from_bytes(bytes),
        from_bytes(bytes.get(HANDLE..).unwrap_or_default()),
    )
}

/// Writes two handles to the beginning of `out`, if it is long enough.
pub(crate) fn pair_to_bytes(first: Secret, second: Secret, out: &mut [u8]) {
    if let Some(space) = out.first_chunk_mut::<{ 2 * HANDLE }>() {
        space[..HANDLE].copy_from_slice(&to_bytes(first));
        space[HANDLE..].copy_from_slice(&to_bytes(second));
    }
}
