//! Every limit of the evaluator, with its unit and reason.

/// Longest script, in bytes: what Chromium accepts. Large real ones have 400 KiB.
pub const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// Longest URL that a call is about, in bytes: the project's bound on URLs.
pub const MAX_URL_BYTES: usize = 64 << 10;

/// Names that one call may have resolved, each counted once: Chromium's bound.
/// Further ones count as not found.
pub const MAX_NAMES: usize = 20;

/// Longest name that is handed to the resolver, in bytes (RFC 1035 section 2.3.4).
pub const MAX_NAME_BYTES: usize = 253;

/// Most addresses of one name that are looked at. Honest names have fewer than 20.
pub const MAX_ADDRESSES: usize = 64;

/// Longest text of one alert, in bytes: Chromium's bound. What is longer is cut.
pub const MAX_ALERT_BYTES: usize = 2048;

/// Most alerts kept of one call; the rest are counted. A person reads no more.
pub const MAX_ALERTS: usize = 32;

/// Most steps kept of a call that is explained, the latest. What decides comes last.
pub const MAX_STEPS: usize = 512;

/// Longest text of a step's arguments, and of its answer, in bytes.
pub const MAX_STEP_BYTES: usize = 256;

/// Longest answer of a script, in bytes: room for [`MAX_PROXIES`] of the
/// longest names.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;

/// Most proxies of one answer. More could not be tried within a request's patience.
pub const MAX_PROXIES: usize = 32;

/// Longest text of a script's error, in bytes.
pub const MAX_ERROR_BYTES: usize = 1024;

/// Changes of the local clock that are remembered: twice a year for a century
/// and more.
pub const MAX_TRANSITIONS: usize = 256;

/// Passes of one loop. A browser's deadline would end such a loop too; this
/// ends it with an error that says so. Honest scripts stay under 100,000.
pub const MAX_LOOP_PASSES: u64 = 10_000_000;

/// Depth of calls within the script. Each takes native stack.
pub const MAX_CALL_DEPTH: usize = 400;

/// Largest `ArrayBuffer`, in bytes. Scripts that choose proxies need none.
pub const MAX_BUFFER_BYTES: u64 = 1 << 20;

/// Compiled patterns that are kept for `shExpMatch`: more than the patterns
/// of this kind in any script seen.
pub const MAX_COMPILED_PATTERNS: usize = 512;
