//! Logs of all processes, on the standard error that they share.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The environment variable that says what is logged: levels by target, as
/// `info`, `warn,fumehood=debug` or `guest::tls=debug,guest::http1=debug`. While it
/// is set, engine and broker write to the embedder's standard error.
///
/// Targets are `fumehood`, `fumehood_engine`, `fumehood_broker` with their
/// modules, and for each guest `guest::` and its name: the calls it was given and
/// what it answered, kinds and sizes only. No content, key or credential is
/// logged at any level.
pub const LOG_VARIABLE: &str = "FUMEHOOD_LOG";

/// Why nothing is logged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// [`LOG_VARIABLE`] is not understood.
    #[error(
        "{LOG_VARIABLE} is not understood: {0}; write levels by target, such as \
         \"warn,guest::tls=debug\""
    )]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// It is not text.
    #[error("{LOG_VARIABLE} is not text")]
    Text,
    /// The program logs already, in its own way.
    #[error("this program has a log already")]
    Taken,
}

/// Logs to standard error what [`LOG_VARIABLE`] says, or else `unless_set`; with
/// neither, nothing. For programs without a `tracing` subscriber of their own.
///
/// # Errors
/// [`LogError`]; nothing is logged then.
pub fn log_to_stderr(unless_set: Option<&str>) -> Result<(), LogError> {
    let variable = match std::env::var(LOG_VARIABLE) {
        Ok(text) => Some(text),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => return Err(LogError::Text),
    };
    let Some(filter) = variable.as_deref().or(unless_set) else {
        return Ok(());
    };
    let filter: Targets = filter.parse()?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(|_| LogError::Taken)
}
