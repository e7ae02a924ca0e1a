//! What the embedder prefers: bounds tighter than the codec's own.

use crate::bounds::{MAX_FIELDS, MAX_HEAD_BYTES};

/// Bounds on the heads that a peer sends. Made by [`Preferences::new`], so none is
/// over the codec's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub(crate) max_head_bytes: usize,
    pub(crate) max_fields: usize,
}

impl Preferences {
    /// Most bytes of a head, at most [`MAX_HEAD_BYTES`]; most fields in it, at most
    /// [`MAX_FIELDS`].
    #[must_use]
    pub fn new(max_head_bytes: u32, max_fields: u32) -> Self {
        let within = |value: u32, most: usize| usize::try_from(value).unwrap_or(most).min(most);
        Self {
            max_head_bytes: within(max_head_bytes, MAX_HEAD_BYTES),
            max_fields: within(max_fields, MAX_FIELDS),
        }
    }
}

impl Default for Preferences {
    /// The codec's own bounds.
    fn default() -> Self {
        Self {
            max_head_bytes: MAX_HEAD_BYTES,
            max_fields: MAX_FIELDS,
        }
    }
}
