//! What an embedder prefers of its guests, each guest's keys apart.

use serde::{Deserialize, Serialize};

/// Least that [`Http1Preferences::max_head_bytes`] can be: real servers' heads have
/// one or two KiB, and a browser's request with its cookies up to four.
pub const MIN_HEAD_BYTES: u32 = 4 * 1024;

/// Most that it can be, and what holds where nothing is preferred: the codec's
/// own bound, as in Chromium.
pub const MAX_HEAD_BYTES: u32 = 256 * 1024;

/// Least that [`Http1Preferences::max_fields`] can be: real heads have about ten.
pub const MIN_FIELDS: u32 = 16;

/// Most that it can be, and what holds where nothing is preferred: the codec's
/// own bound.
pub const MAX_FIELDS: u32 = 256;

/// Most that [`DnsPreferences::cache_entries`] can be, and what holds where nothing
/// is preferred: the resolver's own bound, as many as browsers keep.
pub const MAX_DNS_CACHE_ENTRIES: u32 = 1600;

/// Most that [`DnsPreferences::max_ttl_s`] can be, and what holds where nothing is
/// preferred: the resolver's own bound, a day.
pub const MAX_DNS_TTL_S: u32 = 86_400;

/// Preferences of all guests. The engine tells each guest its own and no others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestPreferences {
    /// Of `http1`.
    pub http1: Http1Preferences,
    /// Of `dns`.
    pub dns: DnsPreferences,
}

/// What `http1` may be told: `fumehood:http1/preferences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http1Preferences {
    /// Most bytes of a head that a peer sends: [`MIN_HEAD_BYTES`] to
    /// [`MAX_HEAD_BYTES`], the default.
    pub max_head_bytes: u32,
    /// Most fields in such a head: [`MIN_FIELDS`] to [`MAX_FIELDS`], the default.
    pub max_fields: u32,
}

/// What `dns` may be told: `fumehood:dns/preferences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsPreferences {
    /// Most answers kept: 0, which keeps none, to [`MAX_DNS_CACHE_ENTRIES`], the
    /// default.
    pub cache_entries: u32,
    /// Longest life of an answer, in seconds: 0 to [`MAX_DNS_TTL_S`], the default.
    pub max_ttl_s: u32,
}

impl Default for Http1Preferences {
    fn default() -> Self {
        Http1Preferences {
            max_head_bytes: MAX_HEAD_BYTES,
            max_fields: MAX_FIELDS,
        }
    }
}

impl Default for DnsPreferences {
    fn default() -> Self {
        DnsPreferences {
            cache_entries: MAX_DNS_CACHE_ENTRIES,
            max_ttl_s: MAX_DNS_TTL_S,
        }
    }
}

impl GuestPreferences {
    /// The same, what is out of its bounds moved to the nearest.
    #[must_use]
    pub fn within_bounds(self) -> Self {
        let GuestPreferences { http1, dns } = self;
        GuestPreferences {
            http1: Http1Preferences {
                max_head_bytes: http1.max_head_bytes.clamp(MIN_HEAD_BYTES, MAX_HEAD_BYTES),
                max_fields: http1.max_fields.clamp(MIN_FIELDS, MAX_FIELDS),
            },
            dns: DnsPreferences {
                cache_entries: dns.cache_entries.min(MAX_DNS_CACHE_ENTRIES),
                max_ttl_s: dns.max_ttl_s.min(MAX_DNS_TTL_S),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_preference_leaves_its_bounds() {
        let both = |value| {
            GuestPreferences {
                http1: Http1Preferences {
                    max_head_bytes: value,
                    max_fields: value,
                },
                dns: DnsPreferences {
                    cache_entries: value,
                    max_ttl_s: value,
                },
            }
            .within_bounds()
        };
        assert_eq!(both(u32::MAX), GuestPreferences::default());
        let least = both(0);
        assert_eq!(
            (least.http1.max_head_bytes, least.http1.max_fields),
            (MIN_HEAD_BYTES, MIN_FIELDS)
        );
        assert_eq!((least.dns.cache_entries, least.dns.max_ttl_s), (0, 0));
        let inside = GuestPreferences {
            http1: Http1Preferences {
                max_head_bytes: 5000,
                max_fields: 17,
            },
            dns: DnsPreferences {
                cache_entries: 1,
                max_ttl_s: 30,
            },
        };
        assert_eq!(inside.within_bounds(), inside);
    }
}
