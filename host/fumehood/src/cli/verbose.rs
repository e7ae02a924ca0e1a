//! `-v`: the journey, told on standard error in curl's style.

use std::io::{IsTerminal as _, Write as _};

use fumehood::LaunchReport;
use fumehood::control::{JourneyEvent, LayerReport, LayerState, ResponseHead, Summary};
use fumehood::policy::{ClientName, Decision, Grounds, Policy, RequestUrl, Terms};
use http::{HeaderMap, Method};

use super::escape::for_terminal;
use super::report::tls_name;
use super::transfer::Ask;

/// Tells, or keeps silent.
#[derive(Clone, Copy)]
pub(crate) struct Teller {
    speaks: bool,
}

impl Teller {
    pub(crate) fn new(speaks: bool) -> Self {
        Teller { speaks }
    }

    fn line(self, mark: char, text: &str) {
        if self.speaks {
            // A standard error that is closed changes nothing.
            let _unheard = writeln!(std::io::stderr().lock(), "{mark} {text}");
        }
    }

    /// A remark of our own.
    pub(crate) fn remark(self, text: &str) {
        self.line('*', text);
    }

    pub(crate) fn launched(self, report: &LaunchReport) {
        if !self.speaks {
            return;
        }
        for (name, process) in [("broker", &report.broker), ("engine", &report.engine)] {
            let ready = process.ready_us;
            self.remark(&format!(
                "{name} ready in {ready} µs; layers: {}",
                layers(&process.layers)
            ));
        }
    }

    pub(crate) fn policy(self, policy: &Policy, ask: &Ask, client: Option<&ClientName>) {
        if !self.speaks {
            return;
        }
        let target = &ask.url.target;
        let terms = Terms {
            method: ask.method.as_str().parse().ok(),
            client: client.cloned(),
            ..Terms::default()
        };
        match policy.decide(target, &terms) {
            Decision::Report(denial) => self.remark(&format!("policy only reports: {denial}")),
            Decision::Ask(question) => {
                self.remark(&format!("policy denies: {}", question.unanswered()));
            }
            Decision::Deny(denial) => self.remark(&format!("policy denies: {denial}")),
            Decision::Allow(grounds) => {
                let why = match grounds {
                    Grounds::Default => "no rule against it",
                    Grounds::Rule { .. } => "by a rule",
                    Grounds::Confirmed => "it was asked about",
                    Grounds::Private => "as a private host, allowed by name",
                    Grounds::Addresses => "if its address passes",
                };
                self.remark(&format!("policy allows {target}: {why}"));
            }
        }
    }

    pub(crate) fn request(self, method: &Method, url: &RequestUrl, headers: &HeaderMap) {
        if !self.speaks {
            return;
        }
        self.line('>', &format!("{method} {} HTTP/1.1", url.path_and_query));
        if !headers.contains_key(http::header::HOST) {
            self.line('>', &format!("host: {}", url.target.authority()));
        }
        for (name, value) in headers {
            let value = if value.is_sensitive() {
                "[hidden]".into()
            } else {
                shown(value.as_bytes())
            };
            self.line('>', &format!("{name}: {value}"));
        }
        self.line('>', "");
    }

    pub(crate) fn step(self, event: &JourneyEvent) {
        if !self.speaks {
            return;
        }
        match event {
            JourneyEvent::Reused { peer } => {
                self.remark(&format!("kept connection to {peer} taken"));
            }
            JourneyEvent::Connected {
                peer,
                refused,
                attempts,
                resolve_us,
                connect_us,
            } => {
                for address in refused {
                    self.remark(&format!("policy refuses address {address}"));
                }
                for attempt in attempts.iter().filter(|attempt| attempt.address != *peer) {
                    let outcome = match attempt.errno {
                        Some(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
                        None => "overtaken".to_owned(),
                    };
                    self.remark(&format!("tried {}: {outcome}", attempt.address));
                }
                self.remark(&format!(
                    "connected to {peer} (resolved in {resolve_us} µs, connected in {connect_us} µs)"
                ));
            }
            JourneyEvent::Instantiated(it) => self.remark(&format!(
                "guest {} {} ({}), instance {}",
                it.module, it.version, it.digest, it.number
            )),
            JourneyEvent::Resumed(it) => self.remark(&format!(
                "a guest ended; {} {} ({}), instance {}, goes on in its place",
                it.module, it.version, it.digest, it.number
            )),
            JourneyEvent::Tls(tls) => self.remark(&format!(
                "{}, {}, {}; certificate {}",
                tls_name(tls.version),
                tls.cipher,
                tls.group,
                if tls.verified {
                    "verified"
                } else {
                    "NOT verified, as you asked"
                }
            )),
            JourneyEvent::Sent => self.remark("request sent"),
            JourneyEvent::Retried => {
                self.remark("kept connection was dead; the request goes out on a new one");
            }
        }
    }

    pub(crate) fn response(self, head: &ResponseHead) {
        if !self.speaks {
            return;
        }
        for line in head_text(head).split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.line('<', &shown(line));
            if line.is_empty() {
                break;
            }
        }
    }

    pub(crate) fn summary(self, summary: &Summary) {
        self.remark(&format!(
            "{} bytes of content, {} bytes past guests, {} bytes through them in {} calls; \
             guest memory {} KiB; connection {}",
            summary.payload_received,
            summary.bytes_past_guests,
            summary.bytes_through_guests,
            summary.guest_calls,
            summary.guest_memory_bytes / 1024,
            if summary.connection_kept {
                "kept"
            } else {
                "closed"
            }
        ));
    }
}

/// On a terminal, a stranger's text is escaped; a file gets it as it is.
fn shown(bytes: &[u8]) -> String {
    if std::io::stderr().is_terminal() {
        for_terminal(bytes)
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// A head as it would be sent, empty line included.
pub(crate) fn head_text(head: &ResponseHead) -> Vec<u8> {
    let mut text = format!("HTTP/1.{} {} ", head.minor_version, head.status).into_bytes();
    text.extend(&head.reason);
    text.extend(b"\r\n");
    for field in &head.fields {
        text.extend(field.name.as_bytes());
        text.extend(b": ");
        text.extend(&field.value);
        text.extend(b"\r\n");
    }
    text.extend(b"\r\n");
    text
}

/// The same for a terminal.
pub(crate) fn head_text_escaped(head: &ResponseHead) -> Vec<u8> {
    let text = head_text(head);
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let escaped = lines.map(|line| for_terminal(line.trim_ascii_end()) + "\n");
    escaped.collect::<String>().into_bytes()
}

fn layers(reports: &[LayerReport]) -> String {
    let text = |report: &LayerReport| match &report.state {
        LayerState::Holds(_) => Some(report.layer.name().to_owned()),
        LayerState::Missing { .. } => Some(format!("{} MISSING", report.layer.name())),
        LayerState::NotUsed => None,
    };
    reports
        .iter()
        .filter_map(text)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fumehood::control::Field;

    #[test]
    fn a_hostile_head_does_not_reach_a_terminal() {
        let field = Field {
            name: "x".into(),
            value: b"\x1b]0;owned\x07".to_vec(),
        };
        let head = ResponseHead {
            minor_version: 1,
            status: 200,
            reason: b"O\x1bK".to_vec(),
            fields: vec![field],
        };
        let text = head_text_escaped(&head);
        assert!(!text.contains(&0x1b) && !text.contains(&7));
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 3);
        assert!(head_text(&head).ends_with(b"\r\n\r\n"));
    }
}
