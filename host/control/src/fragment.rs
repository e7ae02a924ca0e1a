//! Heads that do not fit a packet: cut into fragments, put together under a bound.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of a head in one packet; the rest of the packet is its envelope.
pub const FRAGMENT_BYTES: usize = 15 * 1024;

/// Largest head put together, in bytes: 256 KiB of fields, 64 KiB of URL and
/// the encoding's overhead for 256 fields.
pub const MAX_BLOB_BYTES: usize = 384 * 1024;

/// Largest policy put together, in bytes: [`fumehood_policy::MAX_RULES`] rules
/// with names of the greatest length.
pub const MAX_POLICY_BYTES: usize = 6 << 20;

/// Why fragments did not become a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// More than it may have.
    #[error("something of more than {most} bytes was passed between processes")]
    TooLarge {
        /// The bound.
        most: usize,
    },
    /// What came is not the type expected.
    #[error("a fragmented head does not decode: the peer process is of another build or corrupt")]
    Malformed,
}

/// Collects the fragments of one head.
#[derive(Debug)]
pub struct Assembly {
    bytes: Vec<u8>,
    most: usize,
}

/// Of a head: at most [`MAX_BLOB_BYTES`].
impl Default for Assembly {
    fn default() -> Self {
        Assembly {
            bytes: Vec::new(),
            most: MAX_BLOB_BYTES,
        }
    }
}

impl Assembly {
    /// Of a policy: at most [`MAX_POLICY_BYTES`].
    #[must_use]
    pub fn of_policy() -> Self {
        Assembly {
            bytes: Vec::new(),
            most: MAX_POLICY_BYTES,
        }
    }

    /// Adds a fragment.
    ///
    /// # Errors
    /// [`AssemblyError::TooLarge`] when the sum is over the bound.
    pub fn push(&mut self, fragment: &[u8]) -> Result<(), AssemblyError> {
        if self.bytes.len() + fragment.len() > self.most {
            return Err(AssemblyError::TooLarge { most: self.most });
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
    cut(value, MAX_BLOB_BYTES)
}

/// As [`fragments`], of a policy.
///
/// # Errors
/// [`AssemblyError::TooLarge`] when it is over [`MAX_POLICY_BYTES`].
pub fn policy_fragments(policy: &fumehood_policy::Policy) -> Result<Vec<Vec<u8>>, AssemblyError> {
    cut(policy, MAX_POLICY_BYTES)
}

fn cut<T: Serialize>(value: &T, most: usize) -> Result<Vec<Vec<u8>>, AssemblyError> {
    let bytes = postcard::to_stdvec(value).map_err(|_| AssemblyError::Malformed)?;
    if bytes.len() > most {
        return Err(AssemblyError::TooLarge { most });
    }
    Ok(bytes.chunks(FRAGMENT_BYTES).map(<[u8]>::to_vec).collect())
}
