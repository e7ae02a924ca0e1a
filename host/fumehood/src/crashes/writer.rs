//! Writes reports as they come.

use std::path::PathBuf;
use std::time::SystemTime;

use fumehood_control::{FaultReport, LayerReport};

use super::report::{CrashReport, Trail};
use super::{CrashReports, MAX_BYTES, MAX_FILES, REPORT_SUFFIX, TRAIL_SUFFIX};
use crate::clock;
use crate::store::{Store, StoreError};

/// Writes the reports of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    folder: Option<PathBuf>,
    layers: Vec<LayerReport>,
}

impl Writer {
    pub(crate) fn new(reports: &CrashReports, layers: &[LayerReport]) -> Self {
        Writer {
            folder: reports.folder(),
            layers: layers.to_vec(),
        }
    }

    /// Writes one. What cannot be written is said in the log.
    pub(crate) async fn write(&self, fault: FaultReport) {
        let writer = self.clone();
        let written = tokio::task::spawn_blocking(move || writer.write_now(&fault)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a crash report was not written"),
            Err(error) => tracing::warn!(%error, "a crash report was not written"),
        }
    }

    pub(super) fn write_now(&self, fault: &FaultReport) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let store = Store::open(folder)?;
        let now = SystemTime::now();
        let id = id(now, fault);
        let mut report = CrashReport::new(&id, clock::rfc3339(now), fault, &self.layers);
        if !fault.recording.is_empty() {
            let name = format!("{id}{TRAIL_SUFFIX}");
            let trail = serde_json::to_vec(&Trail::new(fault)).map_err(std::io::Error::from)?;
            store.write(&name, &[&trail])?;
            report.recording = Some(name);
        }
        let json = serde_json::to_vec_pretty(&report).map_err(std::io::Error::from)?;
        store.write(&format!("{id}{REPORT_SUFFIX}"), &[&json])?;
        store.prune(MAX_FILES, MAX_BYTES)
    }
}

/// Sorts by time, and tells processes and their faults apart:
/// `20261121T222048.123456Z-http1-4711-2`.
fn id(now: SystemTime, fault: &FaultReport) -> String {
    let time = clock::rfc3339(now).replace(['-', ':', 'Z'], "");
    let micros = clock::since_epoch(now).subsec_micros();
    // An engine says what its modules are called, and it may have been taken over.
    let sound = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let module: String = fault.header.name.chars().filter(sound).take(32).collect();
    let process = std::process::id();
    format!("{time}.{micros:06}Z-{module}-{process}-{}", fault.number)
}
