//! Why a script was not taken, and why a call has no answer.

use crate::TargetError;
use crate::bounds::{MAX_ANSWER_BYTES, MAX_SCRIPT_BYTES};

/// What a script threw, or what its syntax lacks. Printable, within
/// [`MAX_ERROR_BYTES`](crate::bounds::MAX_ERROR_BYTES).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thrown {
    /// Such as `ReferenceError: x is not defined`.
    pub message: String,
    /// Line and column, counted from 1, where they are known: of the place, or
    /// of the function around it.
    pub position: Option<(u32, u32)>,
}

impl std::fmt::Display for Thrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

/// Why a script was not taken: its author has to change something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Longer than [`MAX_SCRIPT_BYTES`].
    #[error("the script is longer than {MAX_SCRIPT_BYTES} bytes")]
    TooLong,
    /// Not JavaScript.
    #[error("the script does not parse: {0}")]
    Syntax(Thrown),
    /// Its top level threw.
    #[error("the script failed while it was loaded: {0}")]
    Script(Thrown),
    /// Its top level looped or recursed without end.
    #[error("the script was stopped while it was loaded: {0}")]
    Limit(String),
    /// It waits for a name: resolve it, load again.
    #[error("the script needs the address of {0} to load")]
    Needs(String),
    /// Neither `FindProxyForURL` nor `FindProxyForURLEx` is a function.
    #[error("the script defines no function FindProxyForURL(url, host)")]
    NoFunction,
}

/// Why a call has no answer. The caller goes by its configured fallback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No script was loaded, or its last load failed: our caller's mistake.
    #[error("no script is loaded")]
    NotLoaded,
    /// The target is none: our caller's mistake.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The resolver has to find this name first; then the same call can be
    /// made again.
    #[error("the script needs the address of {0}")]
    Needs(String),
    /// The script threw.
    #[error("the script failed: {0}")]
    Script(Thrown),
    /// The script looped or recursed without end.
    #[error("the script was stopped: {0}")]
    Limit(String),
    /// The script took `FindProxyForURL` away.
    #[error("FindProxyForURL is no function any more")]
    NoFunction,
    /// The answer is no string; says what it is instead.
    #[error("FindProxyForURL returned {0} where a string is asked for")]
    NotAString(&'static str),
    /// The answer has characters other than ASCII.
    #[error("FindProxyForURL returned a string that is not ASCII")]
    NotAscii,
    /// The answer is longer than [`MAX_ANSWER_BYTES`].
    #[error("FindProxyForURL returned a string of more than {MAX_ANSWER_BYTES} bytes")]
    AnswerTooLong,
    /// The answer names no proxy that we know, nor DIRECT.
    #[error("FindProxyForURL returned `{0}`, which names no usable proxy")]
    NoProxy(String),
}
