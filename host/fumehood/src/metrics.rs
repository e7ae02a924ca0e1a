//! A status as Prometheus reads it (text exposition format 0.0.4).

mod activity;

use std::fmt::Write as _;

use crate::status::Status;
use crate::traffic::{DURATION_BOUNDS_US, Durations, Outcome, ProxyTraffic};
use crate::{ModuleInfo, ModuleUse, UsersStatus};

/// What an HTTP answer with it says of its content.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Status {
    /// As metrics, each with its help and type. Names and labels never change;
    /// there may be more of them in a later version.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut page = Page(String::new());
        page.about(self);
        page.traffic(self);
        page.processes(self);
        page.modules(&self.modules.modules);
        if let Some(activity) = &self.activity {
            page.activity(activity);
        }
        page.0
    }
}

/// Metrics so far.
struct Page(String);

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn value(&mut self, name: &str, labels: Labels<'_>, value: impl std::fmt::Display) {
        let mut written = String::new();
        for (label, value) in labels {
            let comma = if written.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _infallible = write!(written, "{comma}{label}=\"{}\"", escaped(value));
        }
        match written.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{written}}} {value}")),
        }
    }

    /// A metric with one value.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.metric(name, kind, help);
        self.value(name, &[], value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _infallible = writeln!(self.0, "{line}");
    }

    fn about(&mut self, status: &Status) {
        self.metric("fumehood_info", "gauge", "The version that runs.");
        self.value("fumehood_info", &[("version", &status.version)], 1);
        self.metric(
            "fumehood_policy_info",
            "gauge",
            "The policy that holds: its number and digest.",
        );
        let revision = &status.policy.revision;
        let number = revision.number.to_string();
        let labels = [("version", &number[..]), ("digest", &revision.digest[..])];
        self.value("fumehood_policy_info", &labels, 1);
        self.single(
            "fumehood_policy_rules",
            "gauge",
            "Rules of the policy that holds.",
            status.policy.rules as u64,
        );
        self.single(
            "fumehood_would_be_denials_total",
            "counter",
            "Denials that the policy only reports.",
            status.policy.reported,
        );
        self.single(
            "fumehood_policy_stale",
            "gauge",
            "1 when the last attempt to read the policy again failed, or its file is not watched.",
            u64::from(status.policy.last_error.is_some() || status.policy.not_watched.is_some()),
        );
        let refused = |it: &UsersStatus| it.last_error.is_some();
        self.single(
            "fumehood_users_stale",
            "gauge",
            "1 when the last attempt to read a proxy's users again failed.",
            u64::from(status.users.iter().any(refused)),
        );
    }

    fn traffic(&mut self, status: &Status) {
        let traffic = &status.traffic;
        self.single(
            "fumehood_exchanges_under_way",
            "gauge",
            "Exchanges under way.",
            traffic.under_way,
        );
        let name = "fumehood_exchanges_total";
        self.metric(
            name,
            "counter",
            "Exchanges by how they ended: ok, or whom to blame.",
        );
        for outcome in Outcome::ALL {
            let count = traffic.exchanges.get(&outcome).unwrap_or(&0);
            self.value(name, &[("outcome", outcome.name())], count);
        }
        let name = "fumehood_responses_total";
        self.metric(name, "counter", "Final responses by class of status.");
        for (class, count) in &traffic.responses {
            self.value(name, &[("class", &format!("{class}xx"))], count);
        }
        let name = "fumehood_denials_total";
        self.metric(name, "counter", "Denials by reason and rule.");
        for (ground, count) in &traffic.denials {
            let labels = [("reason", &ground.reason[..]), ("rule", &ground.rule[..])];
            self.value(name, &labels, count);
        }
        self.bytes(status);
        self.proxied(&traffic.proxy);
        self.durations(&traffic.durations);
    }

    fn bytes(&mut self, status: &Status) {
        let traffic = &status.traffic;
        let name = "fumehood_payload_bytes_total";
        self.metric(name, "counter", "Payload of exchanges that succeeded.");
        self.value(name, &[("direction", "received")], traffic.payload_received);
        self.value(name, &[("direction", "sent")], traffic.payload_sent);
        let name = "fumehood_bytes_total";
        self.metric(name, "counter", "Bytes that guests saw, and that none saw.");
        self.value(
            name,
            &[("way", "through-guests")],
            traffic.bytes_through_guests,
        );
        self.value(name, &[("way", "past-guests")], traffic.bytes_past_guests);
        self.single(
            "fumehood_guest_calls_total",
            "counter",
            "Calls into guests for exchanges that succeeded.",
            traffic.guest_calls,
        );
    }

    fn proxied(&mut self, proxy: &ProxyTraffic) {
        let name = "fumehood_proxy_requests_total";
        self.metric(name, "counter", "Requests of a proxy's clients.");
        for (outcome, count) in [
            ("served", proxy.served),
            ("tunnelled", proxy.tunnelled),
            ("denied", proxy.denied),
            ("failed", proxy.failed),
        ] {
            self.value(name, &[("outcome", outcome)], count);
        }
        let name = "fumehood_proxy_denials_total";
        self.metric(name, "counter", "Their denials by reason and rule.");
        for (ground, count) in &proxy.denials {
            let labels = [("reason", &ground.reason[..]), ("rule", &ground.rule[..])];
            self.value(name, &labels, count);
        }
        let name = "fumehood_proxy_bytes_total";
        self.metric(name, "counter", "Content from them and to them.");
        self.value(name, &[("direction", "received")], proxy.received);
        self.value(name, &[("direction", "sent")], proxy.sent);
        let name = "fumehood_proxy_datagrams_total";
        self.metric(
            name,
            "counter",
            "Datagrams from them and to them, passed on.",
        );
        let datagrams = &proxy.datagrams;
        self.value(name, &[("direction", "received")], datagrams.received);
        self.value(name, &[("direction", "sent")], datagrams.sent);
        let name = "fumehood_proxy_datagrams_dropped_total";
        self.metric(name, "counter", "Datagrams that were not passed on.");
        for (ground, count) in &datagrams.dropped {
            self.value(name, &[("reason", ground.name())], *count);
        }
    }

    /// A histogram counts up to each bound; ours between two.
    fn durations(&mut self, durations: &Durations) {
        let name = "fumehood_exchange_duration_seconds";
        self.metric(name, "histogram", "How long exchanges that succeeded took.");
        let bounds = DURATION_BOUNDS_US.iter().map(|bound| seconds(*bound));
        let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
        let mut so_far = 0;
        for (bound, count) in bounds.zip(durations.counts) {
            so_far += count;
            self.value(&format!("{name}_bucket"), &[("le", &bound)], so_far);
        }
        self.value(&format!("{name}_sum"), &[], seconds(durations.sum_us));
        self.value(&format!("{name}_count"), &[], so_far);
    }

    fn processes(&mut self, status: &Status) {
        let both = [("broker", status.broker), ("engine", status.engine)];
        let name = "fumehood_process_up";
        self.metric(name, "gauge", "1 while the process lives.");
        for (process, it) in both {
            self.value(name, &[("process", process)], u8::from(it.alive));
        }
        let name = "fumehood_process_resident_memory_bytes";
        self.metric(name, "gauge", "Memory of the process that is in use.");
        for (process, it) in both {
            if let Some(bytes) = it.resident_bytes {
                self.value(name, &[("process", process)], bytes);
            }
        }
        self.single(
            "fumehood_engine_restarts_total",
            "counter",
            "Engines launched in the place of one that died.",
            status.restarts,
        );
    }

    fn modules(&mut self, modules: &[ModuleInfo]) {
        type Count = fn(&ModuleUse) -> u64;
        let metrics: [(&str, &str, &str, Count); 5] = [
            (
                "fumehood_module_instances",
                "gauge",
                "Instances alive.",
                |it| it.live,
            ),
            (
                "fumehood_module_instances_total",
                "counter",
                "Instances made.",
                |it| it.made,
            ),
            (
                "fumehood_module_memory_bytes",
                "gauge",
                "Linear memory of the live instances.",
                |it| it.memory_bytes,
            ),
            (
                "fumehood_module_faults_total",
                "counter",
                "Instances that trapped, hung or wanted too much.",
                |it| it.faults,
            ),
            (
                "fumehood_module_resumed_total",
                "counter",
                "Exchanges that went on after a fault.",
                |it| it.resumed,
            ),
        ];
        for (name, kind, help, count) in metrics {
            self.metric(name, kind, help);
            for module in modules {
                let Some(in_use) = &module.in_use else {
                    continue;
                };
                let labels = [
                    ("module", &module.name[..]),
                    ("version", &module.version[..]),
                    ("digest", &module.digest[..]),
                    ("state", module.state.as_deref().unwrap_or("")),
                ];
                self.value(name, &labels, count(in_use));
            }
        }
    }
}

/// Microseconds as seconds, exactly.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_written_exactly() {
        let written = [0, 1, 2_500, 1_000_000, 61_500_000].map(seconds);
        assert_eq!(written, ["0", "0.000001", "0.0025", "1", "61.5"]);
    }

    #[test]
    fn labels_cannot_break_out() {
        let mut page = Page(String::new());
        page.value("m", &[("a", "x\"} 1\ny\\"), ("b", "")], 2);
        assert_eq!(page.0, "m{a=\"x\\\"} 1\\ny\\\\\",b=\"\"} 2\n");
    }

    #[test]
    fn buckets_count_up() {
        let mut durations = Durations::default();
        durations.counts[0] = 2;
        durations.counts[DURATION_BOUNDS_US.len()] = 1;
        durations.sum_us = 70_000_000;
        let mut page = Page(String::new());
        page.durations(&durations);
        let name = "fumehood_exchange_duration_seconds";
        for line in [
            format!("{name}_bucket{{le=\"0.001\"}} 2"),
            format!("{name}_bucket{{le=\"60\"}} 2"),
            format!("{name}_bucket{{le=\"+Inf\"}} 3"),
            format!("{name}_sum 70"),
            format!("{name}_count 3"),
        ] {
            assert!(
                page.0.lines().any(|it| it == line),
                "{line} is not in\n{}",
                page.0
            );
        }
    }
}
