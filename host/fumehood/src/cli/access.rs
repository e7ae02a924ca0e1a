//! The proxy's access log: a line a request that is over.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use fumehood::control::{AccessOutcome, AccessRecord, ClientProtocol};
use fumehood::policy::ClientName;
use jiff::Timestamp;
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
        "user": record.user.as_ref().map(ClientName::as_str),
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
        ClientProtocol::Dns => "dns",
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
    format!(
        "{} - {} [{}] \"{} {} {}\" {} {}",
        record
            .client
            .map_or("-".to_owned(), |it| it.ip().to_string()),
        record.user.as_ref().map_or("-", ClientName::as_str),
        moment(record.began_ms).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        dash(&record.method),
        dash(&record.target),
        match record.protocol {
            ClientProtocol::Http => "HTTP/1.1",
            ClientProtocol::Socks4 => "SOCKS4",
            ClientProtocol::Socks5 => "SOCKS5",
            ClientProtocol::Dns => "DNS",
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

/// RFC 3339 in UTC, with milliseconds.
fn time(milliseconds: u64) -> String {
    format!("{:.3}", moment(milliseconds))
}

/// The end of time for what is beyond it: the engine said when it began.
fn moment(milliseconds: u64) -> Timestamp {
    let known = i64::try_from(milliseconds).ok();
    let moment = known.and_then(|it| Timestamp::from_millisecond(it).ok());
    moment.unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood::control::ListenerId;

    #[test]
    fn moments_are_as_the_calendar_has_them() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_001, "2000-03-01T00:00:00.001Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-30T22:00:00.999Z"),
        ] {
            assert_eq!(time(milliseconds), text);
        }
    }

    #[test]
    fn a_common_line_is_as_others_write_it() {
        let record = AccessRecord {
            listener: ListenerId(1),
            client: Some("127.0.0.1:40000".parse().unwrap()),
            user: Some("ann".parse().unwrap()),
            protocol: ClientProtocol::Http,
            began_ms: 971_186_136_000,
            took_us: 1,
            method: "GET".to_owned(),
            target: "http://a.example/".to_owned(),
            status: 200,
            received: 0,
            sent: 2326,
            server: None,
            reused: false,
            outcome: AccessOutcome::Served,
        };
        assert_eq!(
            as_common(&record),
            "127.0.0.1 - ann [10/Oct/2000:13:55:36 +0000] \"GET http://a.example/ HTTP/1.1\" 200 2326"
        );
    }

    #[test]
    fn a_target_cannot_end_its_line() {
        assert_eq!(escaped("a\"b\\c\nd"), "a?b?c?d");
    }
}
