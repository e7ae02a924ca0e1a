//! Modules in a running engine: versions, their states, and how they end.

use fumehood_policy::ServedScheme;
use serde::{Deserialize, Serialize};

use crate::ModuleHeader;

/// Most versions of one module an engine holds; the oldest that is neither
/// current nor in use goes first.
pub const MAX_VERSIONS: usize = 8;

/// Most frames of a backtrace, and most steps of a trail, in a report.
pub const MAX_REPORT_STEPS: usize = 64;

/// Most schemes of one driver. Gopher has one, FTP two.
pub const MAX_SCHEMES: usize = 4;

/// Most drivers in an engine.
pub const MAX_DRIVERS: usize = 16;

/// SHA-256 of a component: what a version is known by.
pub type Digest = [u8; 32];

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModuleState {
    /// Loaded and checked, not used. Becomes `Current` by a swap.
    Candidate,
    /// New connections take it.
    Current,
    /// Was current; exchanges begun with it are still under way. Becomes
    /// `Candidate` when the last is over or the deadline has passed, which ends
    /// none of them.
    Draining,
    /// Trapped too often; not used again unless asked for by name.
    Quarantined,
}

/// One version of a module, as an engine sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleStatus {
    /// Which.
    pub header: ModuleHeader,
    /// Where it stands.
    pub state: ModuleState,
    /// Interfaces it imports, sorted: its capabilities.
    pub imports: Vec<String>,
    /// Interfaces it exports, sorted.
    pub exports: Vec<String>,
    /// Size of its native code, in bytes.
    pub native_bytes: u64,
    /// Instances alive now.
    pub live: u64,
    /// Instances made since it was loaded.
    pub made: u64,
    /// Linear memory of the live instances together, in bytes.
    pub memory_bytes: u64,
    /// Instances that ended by a trap, a hang or for want of memory.
    pub faults: u64,
    /// Exchanges that went on in another instance after one of these faults.
    pub resumed: u64,
}

/// What a driver serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverSchemes {
    /// The module's name.
    pub name: String,
    /// Of the version.
    pub digest: Digest,
    /// At most [`MAX_SCHEMES`].
    pub schemes: Vec<ServedScheme>,
}

/// Why another version became current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwapReason {
    /// The embedder asked for it.
    Asked,
    /// The one before was quarantined.
    Quarantine,
}

/// A frame of a guest's backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Function name from the module's name section, demangled, at most 256 bytes.
    pub function: String,
    /// Offset into the module's code, in bytes; 0 where unknown.
    pub offset: u64,
}

/// A call into the guest, or what it answered, without any content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailStep {
    /// Microseconds since the instance was made.
    pub at_us: u64,
    /// "receive 412 bytes", "head 200, 7 fields", "demand payload 1048576".
    pub what: String,
}

/// A call into a guest with its content, from which a fault can be reproduced.
/// Kept only where the user asked for it: it may hold what the peer sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// The exported function's name.
    pub function: String,
    /// Its arguments, in postcard.
    pub arguments: Vec<u8>,
}

/// What became of the work that a guest ended in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aftermath {
    /// It ended too: an exchange with an error that says so, an idle connection
    /// without a word.
    #[default]
    Failed,
    /// Another instance took over where this one stood, on the same connection.
    Resumed,
    /// It was begun again on another connection, and came to a good end there.
    Retried,
    /// The connection went on without a guest. What its guest had left to do is lost.
    WentOn,
}

impl Aftermath {
    /// `failed`, `resumed`, `retried` or `went-on`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Aftermath::Failed => "failed",
            Aftermath::Resumed => "resumed",
            Aftermath::Retried => "retried",
            Aftermath::WentOn => "went-on",
        }
    }
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Counts faults since the engine began.
    pub number: u64,
    /// The version.
    pub header: ModuleHeader,
    /// `trap`, `hang`, `memory`, `table`, `handles`, `transfer` or `nonsense`.
    pub kind: String,
    /// wasmtime's name of the trap, or the panic's message; at most 1 KiB.
    pub detail: String,
    /// The panic's place; empty where there was none.
    pub location: String,
    /// Innermost first, at most [`MAX_REPORT_STEPS`].
    pub backtrace: Vec<Frame>,
    /// The last [`MAX_REPORT_STEPS`] steps.
    pub trail: Vec<TrailStep>,
    /// The calls themselves, where recording was asked for.
    pub recording: Vec<RecordedCall>,
    /// What became of what it was doing.
    pub aftermath: Aftermath,
    /// The version was quarantined for it.
    pub quarantined: bool,
}
