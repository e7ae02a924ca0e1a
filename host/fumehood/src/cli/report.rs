//! What `--json` says of a transfer. The schema is in `docs/fetch-json.md`.

use fumehood::control::{
    Instance, JourneyEvent, LayerReport, LayerState, Summary, TlsSummary, TlsVersion,
};
use fumehood::{Journey, LaunchReport};
use serde_json::{Value, json};

use super::exit::{Failed, blame_name};

/// What is known of a transfer, as it happens.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) url: String,
    pub(crate) effective_url: String,
    pub(crate) status: Option<u16>,
    pub(crate) minor_version: u8,
    pub(crate) redirects: Vec<String>,
    pub(crate) retries: u32,
    pub(crate) journey: Journey,
    /// Resolving and connecting, as the broker measured them.
    pub(crate) dialled: Option<(u64, u64)>,
    pub(crate) refused_addresses: Vec<String>,
    pub(crate) summary: Option<Summary>,
    pub(crate) output: String,
    pub(crate) elapsed_us: u64,
    pub(crate) failed: Option<Failed>,
}

impl Record {
    /// A new hop or attempt: what the last one found is forgotten.
    pub(crate) fn begin(&mut self, url: String) {
        self.effective_url = url;
        self.status = None;
        self.journey = Journey::default();
        self.dialled = None;
        self.refused_addresses.clear();
        self.summary = None;
    }

    /// A step of the current hop.
    pub(crate) fn note(&mut self, event: JourneyEvent) {
        if let JourneyEvent::Connected {
            refused,
            resolve_us,
            connect_us,
            ..
        } = &event
        {
            self.dialled = Some((*resolve_us, *connect_us));
            self.refused_addresses = refused.iter().map(ToString::to_string).collect();
        }
        self.journey.note(event);
    }

    pub(crate) fn to_json(&self, launch: &LaunchReport) -> Value {
        json!({
            "url": self.url,
            "effective_url": self.effective_url,
            "status": self.status,
            "http_version": self.status.map(|_| format!("1.{}", self.minor_version)),
            "redirects": self.redirects,
            "retries": self.retries,
            "peer": self.journey.peer.map(|peer| peer.to_string()),
            "connection_reused": self.journey.reused,
            "refused_addresses": self.refused_addresses,
            "tls": self.journey.tls.as_ref().map(tls),
            "modules": self.journey.instances.iter().map(instance).collect::<Vec<_>>(),
            "resumed": self.journey.resumed.iter().map(instance).collect::<Vec<_>>(),
            "timings": self.timings(),
            "bytes": self.summary.map(|summary| json!({
                "received": summary.payload_received,
                "sent": summary.payload_sent,
                "through_guests": summary.bytes_through_guests,
                "past_guests": summary.bytes_past_guests,
            })),
            "guests": self.summary.map(|summary| json!({
                "calls": summary.guest_calls,
                "memory_bytes": summary.guest_memory_bytes,
            })),
            "connection_kept": self.summary.map(|summary| summary.connection_kept),
            "output": self.output,
            "launch": launch_json(launch),
            "error": self.failed.as_ref().map(error),
        })
    }

    fn timings(&self) -> Value {
        let timings = self
            .summary
            .map(|summary| summary.timings)
            .unwrap_or_default();
        json!({
            "dial_resolve_us": self.dialled.map(|dialled| dialled.0),
            "dial_connect_us": self.dialled.map(|dialled| dialled.1),
            "resolved_us": timings.resolved_us,
            "connected_us": timings.connected_us,
            "tls_us": timings.tls_us,
            "sent_us": timings.sent_us,
            "head_us": timings.head_us,
            "total_us": self.summary.map(|summary| summary.timings.total_us),
            "elapsed_us": self.elapsed_us,
        })
    }
}

/// The name of a TLS version, as people write it.
pub(crate) fn tls_name(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::V1_2 => "TLS 1.2",
        TlsVersion::V1_3 => "TLS 1.3",
    }
}

fn tls(tls: &TlsSummary) -> Value {
    json!({
        "version": tls_name(tls.version),
        "cipher": tls.cipher,
        "group": tls.group,
        "alpn": tls.alpn,
        "verified": tls.verified,
    })
}

fn instance(instance: &Instance) -> Value {
    json!({
        "name": instance.module,
        "version": instance.version,
        "digest": instance.digest,
        "instance": instance.number,
    })
}

pub(crate) fn error(failed: &Failed) -> Value {
    json!({
        "blame": blame_name(failed.blame),
        "code": failed.exit.name(),
        "message": failed.message,
        "exit_code": failed.exit.code(),
        "retryable": failed.retryable,
        "reason": failed.denial.as_ref().map(|it| it.reason.name()),
        "remedy": failed.denial.as_ref().and_then(|it| it.remedy()),
    })
}

/// Times and layers of both processes.
pub(crate) fn launch_json(launch: &LaunchReport) -> Value {
    json!({
        "broker_ready_us": launch.broker.ready_us,
        "engine_ready_us": launch.engine.ready_us,
        "layers": {
            "broker": layers(&launch.broker.layers),
            "engine": layers(&launch.engine.layers),
        },
    })
}

/// Each layer by name.
pub(crate) fn layers(reports: &[LayerReport]) -> Value {
    let one = |report: &LayerReport| {
        let state = match &report.state {
            LayerState::Holds(detail) => json!({ "state": "holds", "detail": detail }),
            LayerState::Missing { syscall, errno } => {
                json!({ "state": "missing", "syscall": syscall, "errno": errno })
            }
            LayerState::NotUsed => json!({ "state": "not-used" }),
        };
        (report.layer.name().to_owned(), state)
    };
    Value::Object(reports.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn a_failure_has_its_code_and_nothing_that_did_not_happen() {
        let failed = Failed::new(Exit::Redirects, "too many");
        let record = Record {
            url: "http://a/".into(),
            failed: Some(failed),
            ..Record::default()
        };
        let json = record.to_json(&LaunchReport::default());
        assert_eq!(json["error"]["exit_code"], 47);
        assert_eq!(json["error"]["code"], "redirects");
        assert_eq!(json["error"]["blame"], "caller");
        assert_eq!(json["launch"]["engine_ready_us"], 0);
        assert!(json["status"].is_null() && json["bytes"].is_null() && json["tls"].is_null());
    }
}
