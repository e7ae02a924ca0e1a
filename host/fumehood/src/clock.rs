//! The time of day, as reports write it.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// UTC in RFC 3339 without fractions: `2031-02-28T23:59:60Z` has no place here,
/// as system time knows no leap seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = i64::try_from(since_epoch(time).as_secs()).ok();
    let moment = seconds.and_then(|it| Timestamp::from_second(it).ok());
    // The end of time for a clock that is beyond it.
    format!("{:.0}", moment.unwrap_or(Timestamp::MAX))
}

/// Since 1970; nothing for a clock that is set before it.
pub(crate) fn since_epoch(time: SystemTime) -> std::time::Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn known_moments() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
