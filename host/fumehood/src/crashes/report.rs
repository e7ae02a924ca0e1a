//! What a crash report and a recording say, in JSON.

use fumehood_control::{
    FaultReport, Frame, LayerReport, LayerState, ModuleHeader, RecordedCall, TrailStep,
};
use serde::{Deserialize, Serialize};

use crate::hex;

/// Format of both files; readers refuse others.
const FORMAT: u32 = 1;

/// How a guest ended. No content: neither what the peer sent nor what the
/// program asked for is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashReport {
    /// 1.
    pub format: u32,
    /// Its file's name.
    #[serde(default)]
    pub id: String,
    /// When, in UTC (RFC 3339).
    pub time: String,
    /// Fumehood's version.
    pub fumehood: String,
    /// `http1`, `tls`, `x509`, `dns`, `socks`, `pac`, or a
    /// driver's.
    pub module: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// `trap`, `hang`, `memory`, `table`, `handles`, `transfer` or `nonsense`.
    pub kind: String,
    /// wasmtime's name of the trap, or the panic's message.
    pub detail: String,
    /// The panic's place; empty where there was none.
    pub location: String,
    /// Functions, innermost first.
    pub backtrace: Vec<CrashFrame>,
    /// The last calls into the guest and what it answered, without content.
    pub trail: Vec<CrashStep>,
    /// What became of what it was doing: `resumed` by another instance on the
    /// same connection, `retried` with success on another connection,
    /// `went-on` without a guest, or `failed`.
    pub aftermath: String,
    /// The version was quarantined for it.
    pub quarantined: bool,
    /// Layers that the engine's sandbox held.
    pub layers: Vec<String>,
    /// The recording's file beside this one, where there is one.
    pub recording: Option<String>,
}

/// A function of a backtrace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashFrame {
    /// Its name.
    pub function: String,
    /// Offset into the module's code, in bytes; 0 where unknown.
    pub offset: u64,
}

/// A step of a trail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashStep {
    /// Microseconds since the instance was made.
    pub at_us: u64,
    /// What happened.
    pub what: String,
}

/// Calls with their content, from which a fault can be reproduced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// 1.
    pub format: u32,
    /// The module that faulted.
    pub module: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// How it ended.
    pub kind: String,
    /// The trap's name or the panic's message.
    pub detail: String,
    /// The calls, in order.
    pub calls: Vec<TrailCall>,
}

/// A recorded call: into the guest, or behind an interface's name and a slash
/// one of the guest's into the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailCall {
    /// The function's name.
    pub function: String,
    /// Its arguments, and of one into the host its answer (postcard), in hexadecimal.
    pub arguments: String,
}

impl CrashReport {
    pub(super) fn new(id: &str, time: String, fault: &FaultReport, layers: &[LayerReport]) -> Self {
        let holds = |report: &&LayerReport| matches!(report.state, LayerState::Holds(_));
        let layers = layers
            .iter()
            .filter(holds)
            .map(|it| it.layer.name().to_owned());
        let frame = |it: &Frame| CrashFrame {
            function: it.function.clone(),
            offset: it.offset,
        };
        let step = |it: &TrailStep| CrashStep {
            at_us: it.at_us,
            what: it.what.clone(),
        };
        CrashReport {
            format: FORMAT,
            id: id.to_owned(),
            time,
            fumehood: env!("CARGO_PKG_VERSION").to_owned(),
            module: fault.header.name.clone(),
            version: fault.header.version.clone(),
            digest: hex::encode(&fault.header.digest),
            kind: fault.kind.clone(),
            detail: fault.detail.clone(),
            location: fault.location.clone(),
            backtrace: fault.backtrace.iter().map(frame).collect(),
            trail: fault.trail.iter().map(step).collect(),
            aftermath: fault.aftermath.name().to_owned(),
            quarantined: fault.quarantined,
            layers: layers.collect(),
            recording: None,
        }
    }
}

impl Trail {
    pub(super) fn new(fault: &FaultReport) -> Self {
        let call = |call: &RecordedCall| TrailCall {
            function: call.function.clone(),
            arguments: hex::encode(&call.arguments),
        };
        Trail {
            format: FORMAT,
            module: fault.header.name.clone(),
            version: fault.header.version.clone(),
            digest: hex::encode(&fault.header.digest),
            kind: fault.kind.clone(),
            detail: fault.detail.clone(),
            calls: fault.recording.iter().map(call).collect(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!(
                "it has the format {}, and {FORMAT} is read",
                self.format
            ));
        }
        match (self.header(), self.recording()) {
            (Some(_), Some(_)) => Ok(()),
            _ => Err("it is damaged: a digest or a call is not in hexadecimal".to_owned()),
        }
    }

    /// The version that faulted; `None` in a damaged file.
    pub(crate) fn header(&self) -> Option<ModuleHeader> {
        Some(ModuleHeader {
            name: self.module.clone(),
            version: self.version.clone(),
            digest: hex::decode_exactly(&self.digest)?,
        })
    }

    /// The calls as an engine takes them; `None` in a damaged file.
    pub(crate) fn recording(&self) -> Option<Vec<RecordedCall>> {
        let call = |call: &TrailCall| {
            let arguments = hex::decode(&call.arguments)?;
            Some(RecordedCall {
                function: call.function.clone(),
                arguments,
            })
        };
        self.calls.iter().map(call).collect()
    }
}
