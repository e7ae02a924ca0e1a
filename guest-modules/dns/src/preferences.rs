//! What the embedder prefers: bounds tighter than the resolver's own.

use crate::bounds::{MAX_CACHE_ENTRIES, MAX_TTL_SECONDS};

/// Bounds on what is kept. Made by [`Preferences::new`], so none is over the
/// resolver's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub(crate) cache_entries: usize,
    pub(crate) max_ttl_s: u32,
}

impl Preferences {
    /// Most answers kept, at most [`MAX_CACHE_ENTRIES`]; the longest life of an
    /// answer in seconds, at most [`MAX_TTL_SECONDS`].
    #[must_use]
    pub fn new(cache_entries: u32, max_ttl_s: u32) -> Self {
        let entries = usize::try_from(cache_entries).unwrap_or(MAX_CACHE_ENTRIES);
        Preferences {
            cache_entries: entries.min(MAX_CACHE_ENTRIES),
            max_ttl_s: max_ttl_s.min(MAX_TTL_SECONDS),
        }
    }
}

impl Default for Preferences {
    /// The resolver's own bounds.
    fn default() -> Self {
        Preferences {
            cache_entries: MAX_CACHE_ENTRIES,
            max_ttl_s: MAX_TTL_SECONDS,
        }
    }
}
