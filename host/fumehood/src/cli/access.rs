//! The proxy's access log: a line a request that is over.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use fumehood::control::{AccessOutcome, AccessRecord, ClientProtocol};
use serde_json::json;

use super::args::AccessFormat;

/// Where lines go.
pub(crate) struct AccessLog {
    to: File,
    format: AccessFormat,
}

impl AccessLog {
    /// Opens a file for appending; "-" is standard output.
    pub(crate) fn open(path: &Path, format: AccessFormat) -> io::Result<Self> {
        let to = match path == Path::new("-") {
            true => {
                use std::os::fd::AsFd as _;
                io::stdout().as_fd().try_clone_to_owned()?.into()
            }
            false => OpenOptions::new().append(true).create(true).open(path)?,
        };
        Ok(AccessLog { to, format })
    }

    /// Writes some lines at once.
    pub(crate) fn write(&mut self, records: &[AccessRecord]) -> io::Result<()> {
        let mut lines = String::new();
        for record in records {
            match self.format {
                AccessFormat::Json => lines.push_str(&as_json(record)),
                AccessFormat::Common => lines.push_str(&as_common(record)),
            }
            lines.push('\n');
        }
        self.to.write_all(lines.as_bytes())
    }
}

fn as_json(record: &AccessRecord) -> String {
    let (outcome, reason) = match &record.outcome {
        AccessOutcome::Served => ("served", None),
        AccessOutcome::Tunnelled => ("tunnelled", None),
        AccessOutcome::Denied(reason) => ("denied", Some(reason)),
        AccessOutcome::Failed(reason) => ("failed", Some(reason)),
    };
    json!({
        "time": time(record.began_ms),
        "client": record.client.map(|it| it.to_string()),
        "user": record.user.as_ref().map(|it| it.as_str()),
        "protocol": protocol(record.protocol),
        "method": record.method,
        "target": record.target,
        "status": record.status,
        "outcome": outcome,
        "reason": reason,
        "received": record.received,
        "sent": record.sent,
        "took_ms": record.took_us as f64 / 1000.0,
        "server": record.server,
        "reused": record.reused,
    })
    .to_string()
}

fn protocol(protocol: ClientProtocol) -> &'static str {
    match protocol {
        ClientProtocol::Http => "http",
        ClientProtocol::Socks4 => "socks4",
        ClientProtocol::Socks5 => "socks5",
    }
}

/// `127.0.0.1 - ann [10/Oct/2000:13:55:36 +0000] "GET http://a/ HTTP/1.1" 200 2326`.
/// HTTP's version is not known any more; it is written as 1.1.
fn as_common(record: &AccessRecord) -> String {
    let dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            escaped(text)
        }
    };
    let moment = Moment::of(record.began_ms);
    format!(
        "{} - {} [{:02}/{}/{}:{:02}:{:02}:{:02} +0000] \"{} {} {}\" {} {}",
        record
            .client
            .map_or("-".to_owned(), |it| it.ip().to_string()),
        record.user.as_ref().map_or("-", |it| it.as_str()),
        moment.day,
        MONTHS[usize::from(moment.month - 1)],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
        dash(&record.method),
        dash(&record.target),
        match record.protocol {
            ClientProtocol::Http => "HTTP/1.1",
            ClientProtocol::Socks4 => "SOCKS4",
            ClientProtocol::Socks5 => "SOCKS5",
        },
        record.status,
        record.sent,
    )
}

/// What cannot end the quotes or the line.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '"' | '\\' => '?',
            letter if letter.is_control() => '?',
            letter => letter,
        })
        .collect()
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// RFC 3339 in UTC, with milliseconds.
fn time(milliseconds: u64) -> String {
    let it = Moment::of(milliseconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        it.year,
        it.month,
        it.day,
        it.hour,
        it.minute,
        it.second,
        milliseconds % 1000
    )
}

/// A moment in the Gregorian calendar, UTC.
struct Moment {
    year: u64,
    month: u8,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Moment {
    fn of(milliseconds: u64) -> Self {
        let seconds = milliseconds / 1000;
        let (mut day, rest) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970;
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        while day >= 365 + u64::from(is_leap(year)) {
            day -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let february = 28 + u64::from(is_leap(year));
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 1;
        for length in lengths {
            if day < length {
                break;
            }
            day -= length;
            month += 1;
        }
        Moment {
            year,
            month,
            day: day + 1,
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
    fn moments_are_as_the_calendar_has_them() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(milliseconds), text);
        }
    }

    #[test]
    fn a_target_cannot_end_its_line() {
        assert_eq!(escaped("a\"b\\c\nd"), "a?b?c?d");
    }
}
