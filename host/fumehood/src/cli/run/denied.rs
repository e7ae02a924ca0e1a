//! What the program was denied, and which flag would allow it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fumehood::control::{AccessOutcome, AccessRecord};
use fumehood::policy::RequestUrl;
use serde_json::{Value, json};

use crate::cli::escape::for_terminal;

/// Most endpoints that are told one by one: a program that tries more is not
/// helped by a longer list. The rest is counted.
const MAX_ENDPOINTS: usize = 100;

/// Denials, by where to and why.
#[derive(Debug, Default)]
pub(super) struct Denied {
    counts: BTreeMap<(String, String), u64>,
    /// Denials of endpoints beyond [`MAX_ENDPOINTS`].
    further: u64,
    /// Requests of which nothing is known.
    lost: u64,
}

impl Denied {
    /// Counts a request, if it was denied.
    pub(super) fn hear(&mut self, record: &AccessRecord) {
        let AccessOutcome::Denied(reason) = &record.outcome else {
            return;
        };
        let key = (endpoint(&record.target), reason.clone());
        let known = self.counts.contains_key(&key);
        if known || self.counts.len() < MAX_ENDPOINTS {
            *self.counts.entry(key).or_default() += 1;
        } else {
            self.further += 1;
        }
    }

    /// Counts requests that were not told of in time.
    pub(super) fn lost(&mut self, records: u64) {
        self.lost += records;
    }

    /// Lines for people; none where nothing was denied.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        for ((endpoint, reason), count) in &self.counts {
            let place = for_terminal(endpoint.as_bytes());
            let advice = match flag(endpoint, reason) {
                Some(flag) => format!("to allow it: {}", for_terminal(flag.as_bytes())),
                None => advice(reason).to_owned(),
            };
            let times = match count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            };
            let _infallible = writeln!(
                text,
                "fumehood: denied {place} ({reason}), {times}; {advice}"
            );
        }
        if self.further > 0 {
            let _infallible = writeln!(text, "fumehood: denied others, {} times", self.further);
        }
        if self.lost > 0 {
            let _infallible = writeln!(
                text,
                "fumehood: {} requests came too fast to be told of",
                self.lost
            );
        }
        text
    }

    /// One object for machines.
    pub(super) fn report(&self, exit_code: u8) -> Value {
        let denied: Vec<Value> = self
            .counts
            .iter()
            .map(|((endpoint, reason), count)| {
                json!({
                    "endpoint": endpoint,
                    "reason": reason,
                    "count": count,
                    "flag": flag(endpoint, reason),
                })
            })
            .collect();
        json!({
            "exit-code": exit_code,
            "denied": denied,
            "denied-further": self.further,
            "records-lost": self.lost,
        })
    }
}

/// `HOST:PORT` of what was asked for.
fn endpoint(target: &str) -> String {
    match RequestUrl::parse(target) {
        Ok(url) => url.target.host_and_port(),
        Err(_) => target.to_owned(),
    }
}

/// The flag that would have let it through, where one would.
fn flag(endpoint: &str, reason: &str) -> Option<String> {
    match reason {
        "not-allowed" => Some(format!("--allow {endpoint}")),
        "localhost" | "local-address" | "loopback-address" => {
            Some(format!("--allow-private {endpoint}"))
        }
        _ => None,
    }
}

/// What else there is to do.
fn advice(reason: &str) -> &'static str {
    match reason {
        "denied-by-rule" => "a rule of the configuration says so (see `fumehood policy explain`)",
        "not-confirmed" => "a rule of the configuration asks first, and here nobody answers",
        "blocked-port" => "that port is never dialled",
        _ => "no flag allows it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fumehood::control::{ClientProtocol, ListenerId};

    fn record(target: &str, outcome: AccessOutcome) -> AccessRecord {
        AccessRecord {
            listener: ListenerId(1),
            client: None,
            user: None,
            protocol: ClientProtocol::Http,
            began_ms: 0,
            took_us: 0,
            method: "CONNECT".to_owned(),
            target: target.to_owned(),
            status: 403,
            received: 0,
            sent: 0,
            server: None,
            reused: false,
            outcome,
        }
    }

    fn denied(target: &str, reason: &str) -> AccessRecord {
        record(target, AccessOutcome::Denied(reason.to_owned()))
    }

    #[test]
    fn each_endpoint_is_told_once_with_its_flag() {
        let mut all = Denied::default();
        for _ in 0..3 {
            all.hear(&denied("example.test:443", "not-allowed"));
        }
        all.hear(&denied("http://10.0.0.8/secret?a=b", "local-address"));
        all.hear(&record("example.com:443", AccessOutcome::Tunnelled));
        assert_eq!(
            all.summary(),
            "fumehood: denied 10.0.0.8:80 (local-address), once; \
             to allow it: --allow-private 10.0.0.8:80\n\
             fumehood: denied example.test:443 (not-allowed), 3 times; \
             to allow it: --allow example.test:443\n"
        );
        let report = all.report(7);
        assert_eq!(report["exit-code"], 7);
        assert_eq!(report["denied"][1]["count"], 3);
        assert_eq!(report["denied"][1]["flag"], "--allow example.test:443");
    }

    #[test]
    fn nothing_denied_is_nothing_said() {
        assert_eq!(Denied::default().summary(), "");
    }

    #[test]
    fn what_a_program_can_make_up_is_bounded_and_harmless() {
        let mut all = Denied::default();
        for port in 0..10_000 {
            all.hear(&denied(&format!("a:{port}"), "not-allowed"));
        }
        assert_eq!(all.summary().lines().count(), 100 + 1);
        let mut all = Denied::default();
        all.hear(&denied("\u{1b}[2Jx", "not-allowed"));
        assert!(!all.summary().contains('\u{1b}'));
    }
}
