//! Heads that do not fit a packet: cut into fragments, put together under a bound.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of a head in one packet; the rest of the packet is its envelope.
pub const FRAGMENT_BYTES: usize = 15 * 1024;

/// Largest head put together, in bytes: 256 KiB of fields, 64 KiB of URL and
/// the encoding's overhead for 256 fields.
pub const MAX_BLOB_BYTES: usize = 384 * 1024;

/// Why fragments did not become a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// More than [`MAX_BLOB_BYTES`].
    #[error("a head of more than {MAX_BLOB_BYTES} bytes was passed between processes")]
    TooLarge,
    /// What came is not the type expected.
    #[error("a fragmented head does not decode: the peer process is of another build or corrupt")]
    Malformed,
}

/// Collects the fragments of one head.
#[derive(Debug, Default)]
pub struct Assembly {
    bytes: Vec<u8>,
}

impl Assembly {
    /// Adds a fragment.
    ///
    /// # Errors
    /// [`AssemblyError::TooLarge`] when the sum is over [`MAX_BLOB_BYTES`].
    pub fn push(&mut self, fragment: &[u8]) -> Result<(), AssemblyError> {
        if self.bytes.len() + fragment.len() > MAX_BLOB_BYTES {
            return Err(AssemblyError::TooLarge);
        }
        self.bytes.extend_from_slice(fragment);
        Ok(())
    }

    /// Adds the last fragment and decodes the whole.
    ///
    /// # Errors
    /// As for [`Assembly::push`], and [`AssemblyError::Malformed`].
    pub fn finish<T: DeserializeOwned>(mut self, last: &[u8]) -> Result<T, AssemblyError> {
        self.push(last)?;
        match postcard::take_from_bytes(&self.bytes) {
            Ok((value, [])) => Ok(value),
            _ => Err(AssemblyError::Malformed),
        }
    }
}

/// Cuts a value into fragments, at least one; the last closes the message.
///
/// # Errors
/// [`AssemblyError::TooLarge`] when it is over [`MAX_BLOB_BYTES`].
pub fn fragments<T: Serialize>(value: &T) -> Result<Vec<Vec<u8>>, AssemblyError> {
    let bytes = postcard::to_stdvec(value).map_err(|_| AssemblyError::Malformed)?;
    if bytes.len() > MAX_BLOB_BYTES {
        return Err(AssemblyError::TooLarge);
    }
    Ok(bytes.chunks(FRAGMENT_BYTES).map(<[u8]>::to_vec).collect())
}
