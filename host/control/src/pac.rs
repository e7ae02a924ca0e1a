//! Proxy auto-configuration: scripts for the engine, questions to them, answers.

use std::net::IpAddr;

use fumehood_policy::{DnsName, Route};
use serde::{Deserialize, Serialize};

use crate::GrantId;

/// Longest script, in bytes: what Chromium accepts.
pub const MAX_PAC_SCRIPT_BYTES: usize = 1 << 20;

/// Most scripts that an engine holds at once. A program has one for each of its
/// networks; each takes up to 64 MiB.
pub const MAX_PAC_SCRIPTS: usize = 4;

/// Most names that may be given with their addresses in place of a resolver.
pub const MAX_PAC_NAMES: usize = 1024;

/// Names a script; chosen by the embedder, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PacScriptId(pub u64);

/// When a call is made, and its luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacMoment {
    /// Milliseconds since the Unix epoch. The script's clock stands here.
    pub now_ms: i64,
    /// What `Math.random` goes by.
    pub seed: u64,
}

/// What scripts learn of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacSurroundings {
    /// Own addresses, the preferred one first; the first 64 count.
    pub addresses: Vec<IpAddr>,
    /// Changes of the local clock: from when on, in seconds since the Unix
    /// epoch, and local time less UTC, in seconds. The first 256 count; none
    /// stands for UTC.
    pub zone: Vec<(i64, i32)>,
}

/// Who finds addresses for a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacNames {
    /// The broker, under a [`crate::SocketGrant`] that is good for lookups.
    Broker {
        /// The leave.
        grant: GrantId,
        /// For each name, in milliseconds.
        deadline_ms: u32,
    },
    /// This list, of at most [`MAX_PAC_NAMES`]. What is not in it has no address.
    Listed(Vec<(DnsName, Vec<IpAddr>)>),
}

/// A URL in parts, without credentials and fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacTarget {
    /// Lower case.
    pub scheme: String,
    /// In ASCII; IPv6 without brackets.
    pub host: String,
    /// Where it is not the scheme's own.
    pub port: Option<u16>,
    /// From the slash on. Scripts are not shown it for https and wss.
    pub path: String,
}

/// A question about a script. Each is answered by one [`PacAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacQuestion {
    /// Hold the script that comes with this, for calls to come.
    Load {
        /// Its name from now on.
        script: PacScriptId,
        /// Where it runs.
        surroundings: PacSurroundings,
        /// For its top level.
        at: PacMoment,
        /// Likewise.
        names: PacNames,
    },
    /// Ask which proxies to try.
    Find {
        /// Which script.
        script: PacScriptId,
        /// For what.
        target: PacTarget,
        /// When.
        at: PacMoment,
        /// By whom names are resolved.
        names: PacNames,
        /// Say what the script called, too.
        explain: bool,
    },
    /// Look the script that comes with this over, without running it.
    Lint,
}

/// What a question is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacAnswer {
    /// To [`PacQuestion::Load`].
    Loaded(Result<(), PacFailure>),
    /// To [`PacQuestion::Find`].
    Found(PacFound),
    /// To [`PacQuestion::Lint`].
    Linted(Result<Vec<PacRemark>, PacFailure>),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacFound {
    /// What the script chose, or why it did not.
    pub outcome: Result<PacFinding, PacFailure>,
    /// Names that were resolved for it: at most 20.
    pub names: Vec<PacName>,
    /// Built-in functions that it called, where that was asked for: the latest
    /// 512, in order.
    pub steps: Vec<PacStep>,
    /// How many there were before those.
    pub earlier_steps: u32,
}

/// A name, and what it was resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacName {
    /// In lower case.
    pub name: String,
    /// Its addresses, or why the script was told there are none.
    pub addresses: Result<Vec<IpAddr>, String>,
}

/// What a script chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacFinding {
    /// To be tried in this order: 1 to 32.
    pub routes: Vec<Route>,
    /// Entries of its answer that are none: at most 64, of about 300 bytes.
    pub skipped: Vec<String>,
    /// What it said by `alert`: at most 32, of 2,048 bytes each.
    pub alerts: Vec<String>,
    /// Alerts beyond that.
    pub dropped_alerts: u32,
    /// How often it asked for names beyond 20.
    pub refused_names: u32,
}

/// A call of a built-in function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacStep {
    /// Its name.
    pub function: String,
    /// What it was given, as in source text: at most 256 bytes.
    pub arguments: String,
    /// What it gave back, likewise.
    pub answer: String,
}

/// How bad a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PacSeverity {
    /// The script cannot be used.
    Error,
    /// It does something else than its author means.
    Warning,
    /// It works, at a price.
    Note,
}

/// Something to be said of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacRemark {
    /// The rule's name, such as `unknown-function`.
    pub rule: String,
    /// How bad it is.
    pub severity: PacSeverity,
    /// Line and column, counted from 1, where it has a place.
    pub position: Option<(u32, u32)>,
    /// A sentence, at most 1,024 bytes.
    pub message: String,
}

/// What a script threw; printable and at most 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacThrown {
    /// Such as `ReferenceError: x is not defined`.
    pub message: String,
    /// Line and column, counted from 1, where they are known.
    pub position: Option<(u32, u32)>,
}

impl std::fmt::Display for PacThrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

/// Why there is no answer. Whoever asked goes by its fallback; the next call
/// works all the same, unless the script cannot be loaded at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PacFailure {
    /// Longer than [`MAX_PAC_SCRIPT_BYTES`].
    #[error("the script is longer than {MAX_PAC_SCRIPT_BYTES} bytes")]
    TooLong,
    /// Not JavaScript.
    #[error("the script does not parse: {0}")]
    Syntax(PacThrown),
    /// It threw.
    #[error("the script failed: {0}")]
    Script(PacThrown),
    /// It looped or recursed without end.
    #[error("the script was stopped: {0}")]
    Limit(String),
    /// It ended its guest: it hung, wanted too much memory, or trapped.
    #[error("the script ended its evaluator: {kind}: {detail}")]
    Guest {
        /// `hang`, `memory`, `trap` and their kin, as in fault reports.
        kind: String,
        /// What is known.
        detail: String,
    },
    /// Neither `FindProxyForURL` nor `FindProxyForURLEx` is a function.
    #[error("the script defines no function FindProxyForURL(url, host)")]
    NoFunction,
    /// The target is none.
    #[error("the script cannot be asked about this URL: {0}")]
    Target(String),
    /// The answer is no string but this.
    #[error("FindProxyForURL returned {0} where a string is asked for")]
    NotAString(String),
    /// The answer is not ASCII.
    #[error("FindProxyForURL returned a string that is not ASCII")]
    NotAscii,
    /// The answer is longer than 16 KiB.
    #[error("FindProxyForURL returned a string of more than 16 KiB")]
    AnswerTooLong,
    /// The answer, at most 1,024 bytes of it, names nothing usable.
    #[error("FindProxyForURL returned `{0}`, which names no usable proxy")]
    NoProxy(String),
    /// The engine does not hold this script: another was launched meanwhile.
    #[error("the script is not loaded")]
    NotLoaded,
    /// [`MAX_PAC_SCRIPTS`] are held, or too many calls are under way.
    #[error("the engine holds as many scripts, or answers as many calls, as it may: try later")]
    Busy,
    /// There is no module `pac`, or no good version of it.
    #[error("there is no evaluator: {0}")]
    NoModule(String),
}

impl PacFailure {
    /// Its name in JSON; never changes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            PacFailure::TooLong => "too-long",
            PacFailure::Syntax(_) => "syntax",
            PacFailure::Script(_) => "threw",
            PacFailure::Limit(_) => "limit",
            PacFailure::Guest { .. } => "guest",
            PacFailure::NoFunction => "no-function",
            PacFailure::Target(_) => "target",
            PacFailure::NotAString(_) => "not-a-string",
            PacFailure::NotAscii => "not-ascii",
            PacFailure::AnswerTooLong => "answer-too-long",
            PacFailure::NoProxy(_) => "no-proxy",
            PacFailure::NotLoaded => "not-loaded",
            PacFailure::Busy => "busy",
            PacFailure::NoModule(_) => "no-module",
        }
    }
}
