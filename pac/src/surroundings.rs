//! What a script can learn of where it runs: own addresses, the local clock.

use std::net::IpAddr;

use crate::bounds::{MAX_ADDRESSES, MAX_TRANSITIONS};

/// A change of the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// From here on: seconds since the Unix epoch.
    pub from: i64,
    /// Local time less UTC, in seconds; within a day.
    pub offset: i32,
}

/// The local time zone as data: offset by offset, so that the guest needs
/// neither a time zone database nor a clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Sorted. Before the first, the first one's offset holds; without any, UTC.
    transitions: Vec<Transition>,
}

/// Seconds of a day.
const DAY: i64 = 86_400;

impl Zone {
    /// Takes transitions in any order, the latest [`MAX_TRANSITIONS`] of them;
    /// offsets of a day and more count as none.
    #[must_use]
    pub fn new(mut transitions: Vec<Transition>) -> Self {
        transitions.retain(|transition| i64::from(transition.offset).abs() < DAY);
        transitions.sort_by_key(|transition| transition.from);
        let surplus = transitions.len().saturating_sub(MAX_TRANSITIONS);
        transitions.drain(..surplus);
        Self { transitions }
    }

    /// Local time less UTC at a time (seconds since the Unix epoch), in seconds.
    #[must_use]
    pub fn offset_at(&self, at: i64) -> i32 {
        let index = self.transitions.partition_point(|t| t.from <= at);
        self.transitions
            .get(index.saturating_sub(1))
            .map_or(0, |transition| transition.offset)
    }
}

/// What scripts learn of the machine. Changes rarely: with the network, with
/// the user's zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Own addresses, the preferred one first; loopback where there is none.
    pub addresses: Vec<IpAddr>,
    /// The local zone.
    pub zone: Zone,
}

impl Surroundings {
    /// Keeps the first [`MAX_ADDRESSES`].
    #[must_use]
    pub fn new(mut addresses: Vec<IpAddr>, zone: Zone) -> Self {
        addresses.truncate(MAX_ADDRESSES);
        Self { addresses, zone }
    }
}

/// A time as people write it, in the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// 0 to 11.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Sunday is 0.
    pub weekday: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

impl Civil {
    /// Of seconds since the Unix epoch, in UTC; add a zone's offset for local time.
    #[must_use]
    pub fn of(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        // Years that begin in March have their leap day last. 1970-01-01 is
        // 719,468 days after 0000-03-01, and 400 years have 146,097 days.
        let since = days + 719_468;
        let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let month = (march_month + 2) % 12;
        Self {
            year: era * 400 + year_of_era + i64::from(month < 2),
            month,
            day: of_year - (153 * march_month + 2) / 5 + 1,
            weekday: (days + 4).rem_euclid(7),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, (1970, 0, 1, 4, 0, 0, 0)),
            (-1, (1969, 11, 31, 3, 23, 59, 59)),
            (951_782_400, (2000, 1, 29, 2, 0, 0, 0)),
            (951_868_800, (2000, 2, 1, 3, 0, 0, 0)),
            (4_107_542_399, (2100, 1, 28, 0, 23, 59, 59)),
            (4_107_542_400, (2100, 2, 1, 1, 0, 0, 0)),
            (1_790_000_000, (2026, 8, 21, 1, 14, 13, 20)),
        ] {
            let civil = Civil::of(seconds);
            let fields = (
                civil.year,
                civil.month,
                civil.day,
                civil.weekday,
                civil.hour,
                civil.minute,
                civil.second,
            );
            assert_eq!(fields, expected, "{seconds}");
        }
    }

    #[test]
    fn zones_change_their_offset_when_they_say() {
        let zone = Zone::new(vec![
            Transition {
                from: 200,
                offset: 7200,
            },
            Transition {
                from: 100,
                offset: 3600,
            },
            Transition {
                from: 300,
                offset: 86_400,
            },
        ]);
        assert_eq!(zone.offset_at(50), 3600);
        assert_eq!(zone.offset_at(199), 3600);
        assert_eq!(zone.offset_at(200), 7200);
        assert_eq!(zone.offset_at(i64::MAX), 7200);
        assert_eq!(Zone::default().offset_at(0), 0);
    }
}
