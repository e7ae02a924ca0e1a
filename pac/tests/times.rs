//! The three ranges of time, with clocks and zones that stand still.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{NOW, at, check_bool};

/// Seconds of an hour.
const HOUR: i32 = 3600;

fn check_at(now: i64, zone: &[(i64, i32)], cases: &[(&str, bool)]) {
    for (expression, expected) in cases {
        assert_eq!(
            at(expression, now, zone),
            expected.to_string(),
            "{expression}"
        );
    }
}

// NOW is Monday, 2026-09-21 14:13:20 UTC.

#[test]
fn weekday_range() {
    check_bool(&[
        ("weekdayRange('MON')", true),
        ("weekdayRange('TUE')", false),
        ("weekdayRange('MON', 'FRI')", true),
        ("weekdayRange('TUE', 'SUN')", false),
        ("weekdayRange('FRI', 'MON')", true),
        ("weekdayRange('SAT', 'SUN')", false),
        ("weekdayRange('MON', 'MON')", true),
        ("weekdayRange('MON', 'GMT')", true),
        ("weekdayRange('MON', 'FRI', 'GMT')", true),
        ("weekdayRange('mon')", false),
        ("weekdayRange('MON', 'X')", false),
        ("weekdayRange('GMT')", false),
        ("weekdayRange()", false),
    ]);
}

#[test]
fn days_begin_by_the_local_clock_unless_told_otherwise() {
    let tokyo = [(0, 10 * HOUR)];
    check_at(
        NOW,
        &tokyo,
        &[
            ("weekdayRange('TUE')", true),
            ("weekdayRange('MON', 'GMT')", true),
            ("dateRange(22)", true),
            ("dateRange(21, 'GMT')", true),
            ("timeRange(0)", true),
            ("timeRange(14, 'GMT')", true),
            ("new Date().getHours() === 0", true),
            ("new Date().getTimezoneOffset() === -600", true),
        ],
    );
    // Half hours, and west of Greenwich.
    check_at(
        NOW,
        &[(0, -3 * HOUR - 1800)],
        &[("timeRange(10, 43, 10, 43)", true), ("timeRange(10)", true)],
    );
}

#[test]
fn the_clock_changes_when_the_zone_says() {
    // Berlin: summer time ends on 2026-10-25 at 01:00 UTC.
    let end = 1_792_890_000;
    let berlin = [(0, 2 * HOUR), (end, HOUR)];
    let before = (end - 1) * 1000;
    check_at(
        before,
        &berlin,
        &[("timeRange(2, 59, 59, 2, 59, 59)", true)],
    );
    check_at(
        end * 1000,
        &berlin,
        &[("timeRange(2, 0, 0, 2, 0, 0)", true)],
    );
    check_at(
        before,
        &berlin,
        &[(
            "new Date(2026, 9, 24).getTimezoneOffset() - new Date(2026, 9, 26).getTimezoneOffset() === -60",
            true,
        )],
    );
}

#[test]
fn date_range() {
    check_bool(&[
        ("dateRange(21)", true),
        ("dateRange(20)", false),
        ("dateRange('21')", true),
        ("dateRange(1, 21)", true),
        ("dateRange(22, 30)", false),
        ("dateRange(25, 21)", true),
        ("dateRange('SEP')", true),
        ("dateRange('OCT')", false),
        ("dateRange('JUN', 'DEC')", true),
        ("dateRange('OCT', 'JAN')", false),
        ("dateRange('NOV', 'SEP')", true),
        ("dateRange(2026)", true),
        ("dateRange(2027)", false),
        ("dateRange(2025, 2026)", true),
        ("dateRange(2020, 2025)", false),
        ("dateRange(21, 'SEP', 21, 'SEP')", true),
        ("dateRange(22, 'SEP', 30, 'SEP')", false),
        ("dateRange(24, 'DEC', 21, 'SEP')", true),
        ("dateRange(24, 'DEC', 20, 'SEP')", false),
        // The 31st of a month that follows one with 30 days.
        ("dateRange(31, 'AUG', 31, 'OCT')", true),
        ("dateRange('SEP', 2026, 'OCT', 2026)", true),
        ("dateRange('OCT', 2025, 'AUG', 2026)", false),
        ("dateRange(1, 'JUN', 1995, 15, 'AUG', 2096)", true),
        ("dateRange(1, 'JUN', 1995, 20, 'SEP', 2026)", false),
        ("dateRange(1, 'JUN', 1995, 21, 'SEP', 2026, 'GMT')", true),
        ("dateRange()", false),
        ("dateRange('GMT')", false),
        ("dateRange(0)", false),
        ("dateRange('sep')", false),
        ("dateRange(1, 'SEP')", false),
        ("dateRange(1, 2, 3)", false),
        ("dateRange(1, 2, 3, 4, 5, 6, 7, 8, 9)", false),
    ]);
}

#[test]
fn time_range() {
    check_bool(&[
        ("timeRange(14)", true),
        ("timeRange(13)", false),
        ("timeRange('14')", true),
        ("timeRange(9, 17)", true),
        // The last hour counts as a whole, as in browsers.
        ("timeRange(9, 14)", true),
        ("timeRange(9, 13)", false),
        // Two hours do not go over midnight in browsers.
        ("timeRange(22, 15)", false),
        ("timeRange(14, 13, 14, 13)", true),
        ("timeRange(14, 14, 15, 0)", false),
        ("timeRange(22, 0, 14, 13)", true),
        ("timeRange(22, 0, 14, 12)", false),
        ("timeRange(14, 13, 20, 14, 13, 20)", true),
        ("timeRange(14, 13, 21, 15, 0, 0)", false),
        ("timeRange(0, 0, 0, 0, 0, 30)", false),
        ("timeRange(14, 'GMT')", true),
        ("timeRange('x')", false),
    ]);
    for wrong in [
        "timeRange()",
        "timeRange(1,2,3)",
        "timeRange(1,2,3,4,5,6,7,8)",
    ] {
        let thrown = format!(
            "(() => {{ try {{ {wrong}; }} catch (e) {{ return e instanceof TypeError; }} }})()"
        );
        assert_eq!(common::value(&thrown), "true", "{wrong}");
    }
}

#[test]
fn the_clock_stands_still() {
    check_bool(&[
        ("Date.now() === 1790000000000", true),
        (
            "new Date().toISOString() === '2026-09-21T14:13:20.000Z'",
            true,
        ),
    ]);
}
