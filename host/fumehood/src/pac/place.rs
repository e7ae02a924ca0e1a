//! What scripts learn of this machine: its addresses and its local time.

use std::net::IpAddr;

use fumehood_control::PacSurroundings;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::network::own_addresses;

/// Most own addresses that are told.
const MAX_ADDRESSES: usize = 64;

/// Changes of the clock that are told: two a year, for a lifetime.
const MAX_TRANSITIONS: usize = 200;

/// How long before now they begin, in hours: scripts look at today.
const ZONE_SINCE_HOURS: i64 = 2 * 366 * 24;

/// A local time. The default is the system's.
#[derive(Clone, Debug)]
pub struct PacZone(TimeZone);

/// There is no such zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no time zone called {0:?} on this machine; names are as in Europe/Berlin, or UTC"
)]
pub struct ZoneError(String);

impl Default for PacZone {
    fn default() -> Self {
        PacZone(TimeZone::system())
    }
}

impl std::str::FromStr for PacZone {
    type Err = ZoneError;

    /// A name of the system's zone database.
    fn from_str(name: &str) -> Result<Self, ZoneError> {
        let found = TimeZone::get(name);
        found
            .map(PacZone)
            .map_err(|_| ZoneError(name.chars().take(64).collect()))
    }
}

impl PacZone {
    /// From when on, and how far from UTC, both in seconds.
    fn transitions(&self, now: Timestamp) -> Vec<(i64, i32)> {
        let since = SignedDuration::from_hours(ZONE_SINCE_HOURS);
        let since = now.checked_sub(since).unwrap_or(Timestamp::MIN);
        let before = (since.as_second(), self.0.to_offset(since).seconds());
        let after = self.0.following(since);
        let after = after.map(|it| (it.timestamp().as_second(), it.offset().seconds()));
        let all = std::iter::once(before).chain(after);
        all.take(MAX_TRANSITIONS).collect()
    }
}

/// What a script is told, where its caller says nothing else.
pub(super) fn surroundings(addresses: Option<Vec<IpAddr>>, zone: &PacZone) -> PacSurroundings {
    let mut addresses = addresses.unwrap_or_else(own_addresses);
    addresses.truncate(MAX_ADDRESSES);
    PacSurroundings {
        addresses,
        zone: zone.transitions(Timestamp::now()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn a_zone_is_told_with_its_changes() {
        let now: Timestamp = "2026-09-21T14:13:20Z".parse().unwrap();
        let utc: PacZone = "UTC".parse().unwrap();
        assert_eq!(utc.transitions(now).len(), 1);
        assert!("Nowhere/At_All".parse::<PacZone>().is_err());
        let rules = "CET-1CEST,M3.5.0,M10.5.0/3";
        let central = PacZone(TimeZone::posix(rules).unwrap());
        let changes = central.transitions(now);
        assert_eq!(changes.len(), MAX_TRANSITIONS);
        // 2026-10-25, 01:00 UTC.
        assert!(changes.contains(&(1_792_890_000, 3600)), "{changes:?}");
    }
}
