//! What PAC's functions give back, worked out another way than the evaluator does.

use std::net::{IpAddr, Ipv4Addr};

use super::calls::Call;
use super::{OWN, Place, addresses};

/// Longest name that is resolved, in bytes.
const MAX_NAME_BYTES: usize = 253;

const DAY: i64 = 24 * 60 * 60;

/// What a call gives back, as JSON; none where this knows no better.
pub(super) fn says(call: &Call, place: Place) -> Option<String> {
    let given: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
    // One that is missing becomes this text, where texts are taken.
    let text = |at: usize| given.get(at).copied().unwrap_or("undefined");
    let truth = |it: bool| Some(it.to_string());
    match call.function {
        "isPlainHostName" => truth(!text(0).contains(['.', ':'])),
        "dnsDomainIs" => truth(text(0).ends_with(text(1))),
        "localHostOrDomainIs" => {
            let rest = text(1).strip_prefix(text(0));
            truth(rest.is_some_and(|it| it.is_empty() || it.starts_with('.')))
        }
        "dnsDomainLevels" => Some(text(0).matches('.').count().to_string()),
        "shExpMatch" => glob(text(0), text(1)).map(|it| it.to_string()),
        "isResolvable" => truth(lookup(text(0))?.iter().any(IpAddr::is_ipv4)),
        "isResolvableEx" => truth(!lookup(text(0))?.is_empty()),
        "dnsResolve" => {
            let found = lookup(text(0))?.into_iter().find(IpAddr::is_ipv4);
            Some(found.map_or_else(|| "null".to_owned(), |it| format!("\"{it}\"")))
        }
        "dnsResolveEx" => Some(list(&lookup(text(0))?)),
        "myIpAddress" => Some(format!("\"{}\"", OWN[1])),
        "myIpAddressEx" => Some(list(&OWN)),
        "isInNet" => truth(is_in_net(&given)?),
        "isInNetEx" => truth(is_in_net_ex(&given).unwrap_or(false)),
        "sortIpAddressList" => Some(sorted(text(0))),
        "convert_addr" => {
            let address: Ipv4Addr = text(0).parse().ok()?;
            Some(i32::from_be_bytes(address.octets()).to_string())
        }
        "getClientVersion" => Some("\"1.0\"".to_owned()),
        "weekdayRange" => weekday_range(&given, place).map(|it| it.to_string()),
        "timeRange" => time_range(&given, place).map(|it| it.to_string()),
        "dateRange" => month_range(&given, place).map(|it| it.to_string()),
        _ => None,
    }
}

/// The name without which a call cannot go on, if it asks for one.
pub(super) fn waits_for(call: &Call) -> Option<String> {
    let host = call.arguments.first()?;
    let asks = match call.function {
        "isResolvable" | "isResolvableEx" | "dnsResolve" | "dnsResolveEx" => true,
        "isInNet" => match &call.arguments[1..] {
            [network, mask, ..] => four(network).is_some() && four(mask).is_some(),
            _ => false,
        },
        _ => false,
    };
    (asks && lookup(host).is_none()).then(|| name(host))
}

/// Whether a text is as a pattern says, by all ways through both. None for what is a
/// regular expression, or a text that no URL is.
fn glob(text: &str, pattern: &str) -> Option<bool> {
    let special = ['\\', '^', '$', '|', '(', ')', '[', ']', '{', '}', '+'];
    if pattern.contains(special) || !text.is_ascii() || text.contains(['\n', '\r']) {
        return None;
    }
    // Whether what precedes each place of the text is as the pattern says so far.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for it in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        if it == '*' {
            let mut any = false;
            for (next, fits) in next.iter_mut().zip(&fits) {
                any |= fits;
                *next = any;
            }
        } else {
            for (at, letter) in text.chars().enumerate() {
                next[at + 1] = fits[at] && (it == '?' || it == letter);
            }
        }
        fits = next;
    }
    fits.last().copied()
}

/// Four numbers of at most three digits.
fn four(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number =
        |it: &&str| (1..=3).contains(&it.len()) && it.chars().all(|digit| digit.is_ascii_digit());
    (parts.len() == 4 && parts.iter().all(is_number)).then_some(())?;
    parts.iter().try_fold(0, |sum, it| match it.parse::<u32>() {
        Ok(number @ ..256) => Some(sum * 256 + number),
        _ => None,
    })
}

fn address(text: &str) -> Option<IpAddr> {
    match four(text) {
        Some(number) => Some(Ipv4Addr::from_bits(number).into()),
        None => text.parse().ok(),
    }
}

/// As it is looked up.
fn name(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Of a name or a literal. None where a call would have ended.
fn lookup(host: &str) -> Option<Vec<IpAddr>> {
    if let Some(it) = address(host) {
        return Some(vec![it]);
    }
    let name = name(host);
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_".contains(&it);
    let labels = name.split('.');
    let is_name = name.len() <= MAX_NAME_BYTES
        && labels
            .into_iter()
            .all(|it| (1..=63).contains(&it.len()) && it.bytes().all(plain));
    match is_name {
        true => addresses(&name),
        false => Some(Vec::new()),
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    format!("\"{}\"", texts.join(";"))
}

/// Whether all bits agree that the mask has; none where the call would have ended.
fn is_in_net(given: &[&str]) -> Option<bool> {
    let [host, network, mask, ..] = given else {
        return Some(false);
    };
    let (Some(network), Some(mask)) = (four(network), four(mask)) else {
        return Some(false);
    };
    let found = lookup(host)?.into_iter().find_map(|it| match it {
        IpAddr::V4(it) => Some(it.to_bits()),
        IpAddr::V6(_) => None,
    });
    Some(found.is_some_and(|it| (it ^ network) & mask == 0))
}

/// The same for as many first bits; none where they are none.
fn is_in_net_ex(given: &[&str]) -> Option<bool> {
    let (network, bits) = given.get(1)?.split_once('/')?;
    let plain = bits.len() <= 3 && bits.bytes().all(|it| it.is_ascii_digit());
    let bits: usize = plain.then(|| bits.parse().ok())??;
    let octets = |it| match it {
        IpAddr::V4(it) => it.octets().to_vec(),
        IpAddr::V6(it) => it.octets().to_vec(),
    };
    let (one, other) = (octets(address(given[0])?), octets(address(network)?));
    let bit = |octets: &[u8], at: usize| octets[at / 8] >> (7 - at % 8) & 1;
    let fits = one.len() == other.len() && bits <= 8 * one.len();
    Some(fits && (0..bits).all(|at| bit(&one, at) == bit(&other, at)))
}

/// By selection: the least of those that are left, again and again.
fn sorted(text: &str) -> String {
    let words = text.split(';').map(str::trim);
    let addresses = words.map(|it| Some((address(it)?, it)));
    let addresses = addresses.collect::<Option<Vec<_>>>();
    // A list with other letters is none, even where they are but blanks at an end.
    let Some(mut left) = addresses.filter(|_| text.is_ascii()) else {
        return "false".to_owned();
    };
    let mut sorted = Vec::new();
    while let Some(least) = (0..left.len()).min_by_key(|at| (left[*at].0.is_ipv4(), left[*at].0)) {
        sorted.push(left.remove(least).1);
    }
    format!("\"{}\"", sorted.join(";"))
}

/// Seconds since the epoch by the clock that is meant, and the arguments without the
/// word for it.
fn clock<'a>(given: &'a [&'a str], place: Place) -> (&'a [&'a str], i64) {
    match given {
        [given @ .., "GMT"] => (given, place.seconds),
        _ => (given, place.seconds + i64::from(place.offset)),
    }
}

/// Whether a number is met on the way from one to another, on a round of so many.
fn on_the_way(from: i64, to: i64, now: i64, round: i64) -> bool {
    (now - from).rem_euclid(round) <= (to - from).rem_euclid(round)
}

fn weekday_range(given: &[&str], place: Place) -> Option<bool> {
    const DAYS: [&str; 7] = ["THU", "FRI", "SAT", "SUN", "MON", "TUE", "WED"];
    let (given, now) = clock(given, place);
    let (from, to) = ends(given)?;
    let number = |it: &str| (0..).zip(DAYS).find(|(_, day)| *day == it);
    let (Some((from, _)), Some((to, _))) = (number(from), number(to)) else {
        return Some(false);
    };
    Some(on_the_way(from, to, now.div_euclid(DAY).rem_euclid(7), 7))
}

/// Both ends of a range; one is both.
fn ends<'a>(given: &[&'a str]) -> Option<(&'a str, &'a str)> {
    match given {
        [one] => Some((one, one)),
        [from, to] => Some((from, to)),
        _ => None,
    }
}

/// Of times that there are.
fn time_range(given: &[&str], place: Place) -> Option<bool> {
    let (given, now) = clock(given, place);
    let number = |it: &&str| {
        let plain = (1..=2).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit());
        plain.then(|| it.parse::<i64>().ok())?
    };
    let numbers: Vec<i64> = given.iter().map(number).collect::<Option<_>>()?;
    let second = now.rem_euclid(DAY);
    let of_hour = |h: i64| (h < 24).then_some(h);
    let of_minute = |h, m| Some(of_hour(h)? * 60 + (m < 60).then_some(m)?);
    let of_second = |h, m, s| Some(of_minute(h, m)? * 60 + (s < 60).then_some(s)?);
    match numbers[..] {
        [hour] => Some(of_hour(hour)? == second / 3600),
        [from, to] => Some((of_hour(from)?..=of_hour(to)?).contains(&(second / 3600))),
        [h, m, i, n] => {
            let (from, to) = (of_minute(h, m)?, of_minute(i, n)?);
            Some(on_the_way(from, to, second / 60, DAY / 60))
        }
        [h, m, s, i, n, t] => {
            let (from, to) = (of_second(h, m, s)?, of_second(i, n, t)?);
            Some(on_the_way(from, to, second, DAY))
        }
        _ => None,
    }
}

/// Of months alone.
fn month_range(given: &[&str], place: Place) -> Option<bool> {
    const MONTHS: [(&str, i64); 12] = [
        ("JAN", 31),
        ("FEB", 28),
        ("MAR", 31),
        ("APR", 30),
        ("MAY", 31),
        ("JUN", 30),
        ("JUL", 31),
        ("AUG", 31),
        ("SEP", 30),
        ("OCT", 31),
        ("NOV", 30),
        ("DEC", 31),
    ];
    let (given, now) = clock(given, place);
    let (from, to) = ends(given)?;
    let number = |it: &str| {
        let found = (0..).zip(MONTHS).find(|(_, (month, _))| *month == it);
        found.map(|(number, _)| number)
    };
    let (from, to) = (number(from)?, number(to)?);
    let mut days = now.div_euclid(DAY);
    let (mut year, mut month) = (1970, 0);
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (_, length) = MONTHS[month];
        let length = length + i64::from(is_leap && month == 1);
        // The day before the epoch, as the clock may be behind, is of December too.
        if days < length {
            let month = if days < 0 { 11 } else { month };
            return Some(on_the_way(from, to, i64::try_from(month).ok()?, 12));
        }
        days -= length;
        (year, month) = (year + i64::from(month == 11), (month + 1) % 12);
    }
}
