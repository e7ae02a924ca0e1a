//! `weekdayRange`, `dateRange`, `timeRange`: is it such a time now?
//!
//! Each takes `"GMT"` as its last argument; without it the local clock counts.

use boa_engine::{Context, JsNativeError, JsResult, JsValue};

use super::{shared, text};
use crate::Civil;

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// Most arguments that mean something: two dates or times and `GMT`.
const MOST: usize = 7;

/// The arguments as text, without `GMT`, and the time they are held against.
fn arguments(args: &[JsValue], context: &mut Context) -> JsResult<(Vec<String>, Civil)> {
    let mut words = Vec::with_capacity(args.len().min(MOST));
    // One more than there may be, so that too many are seen to be.
    for index in 0..args.len().min(MOST + 1) {
        words.push(text(args, index, context)?.to_std_string_lossy());
    }
    let utc = words.pop_if(|last| last == "GMT").is_some();
    Ok((words, shared(context).civil(utc)))
}

/// `weekdayRange(day)`, `weekdayRange(from, to)`: both ends count, and a
/// range may go over the week's end.
pub(super) fn weekday_range(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let (words, now) = arguments(args, context)?;
    let day = |word: &String| position(&WEEKDAYS, word);
    let inside = match words.as_slice() {
        [one] => day(one).is_some_and(|one| one == now.weekday),
        [from, to] => match (day(from), day(to)) {
            (Some(from), Some(to)) => within(from, now.weekday, to),
            _ => false,
        },
        _ => false,
    };
    Ok(inside.into())
}

/// A day, a month, a year; two of one kind; two dates of two or three parts.
/// Both ends count, and a range may go over the year's or the month's end.
pub(super) fn date_range(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let (words, now) = arguments(args, context)?;
    let Some(parts) = words
        .iter()
        .map(|word| DatePart::parse(word))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(false.into());
    };
    use DatePart::{Day, Month, Year};
    let inside = match parts.as_slice() {
        [Day(day)] => *day == now.day,
        [Month(month)] => *month == now.month,
        [Year(year)] => *year == now.year,
        [Day(from), Day(to)] => within(*from, now.day, *to),
        [Month(from), Month(to)] => within(*from, now.month, *to),
        [Year(from), Year(to)] => within(*from, now.year, *to),
        [Day(from_day), Month(from), Day(to_day), Month(to)] => {
            within((*from, *from_day), (now.month, now.day), (*to, *to_day))
        }
        [Month(from), Year(from_year), Month(to), Year(to_year)] => {
            within((*from_year, *from), (now.year, now.month), (*to_year, *to))
        }
        [Day(d1), Month(m1), Year(y1), Day(d2), Month(m2), Year(y2)] => within(
            (*y1, *m1, *d1),
            (now.year, now.month, now.day),
            (*y2, *m2, *d2),
        ),
        _ => false,
    };
    Ok(inside.into())
}

/// A part of a date. Numbers up to 31 are days, others years.
enum DatePart {
    Day(i64),
    Month(i64),
    Year(i64),
}

impl DatePart {
    fn parse(word: &str) -> Option<Self> {
        if let Some(month) = position(&MONTHS, word) {
            return Some(Self::Month(month));
        }
        match word.trim().parse().ok()? {
            day @ 1..=31 => Some(Self::Day(day)),
            year @ 32..=9999 => Some(Self::Year(year)),
            _ => None,
        }
    }
}

/// `timeRange(hour)`, `(hour, hour)`, `(h, m, h, m)`, `(h, m, s, h, m, s)`:
/// both ends count, the last hour, minute or second as a whole. Only the
/// longer two may go over midnight, as in browsers.
pub(super) fn time_range(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let (words, now) = arguments(args, context)?;
    let numbers: Vec<i64> = words
        .iter()
        // Never within any range.
        .map(|word| word.trim().parse().unwrap_or(i64::MIN))
        .collect();
    if numbers.contains(&i64::MIN) {
        return Ok(false.into());
    }
    let inside = match *numbers.as_slice() {
        [hour] => hour == now.hour,
        [from, to] => from <= now.hour && now.hour <= to,
        [h1, m1, h2, m2] => within((h1, m1), (now.hour, now.minute), (h2, m2)),
        [h1, m1, s1, h2, m2, s2] => within(
            (h1, m1, s1),
            (now.hour, now.minute, now.second),
            (h2, m2, s2),
        ),
        _ => {
            return Err(JsNativeError::typ()
                .with_message("timeRange takes 1, 2, 4 or 6 numbers")
                .into());
        }
    };
    Ok(inside.into())
}

/// Where the end comes before the beginning, the range goes round.
fn within<T: PartialOrd>(from: T, now: T, to: T) -> bool {
    if from <= to {
        from <= now && now <= to
    } else {
        from <= now || now <= to
    }
}

fn position(names: &[&str], name: &str) -> Option<i64> {
    let index = names.iter().position(|known| *known == name)?;
    i64::try_from(index).ok()
}
