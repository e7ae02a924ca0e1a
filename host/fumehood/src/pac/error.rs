//! Why a script gave no answer.

use fumehood_control::PacFailure;
use fumehood_policy::UrlError;

use super::source::SourceFailure;
use crate::error::{ChannelError, Error, LaunchError};
use crate::modules::ModuleError;

/// Why a script gave no answer. Whoever asked goes by its fallback.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PacError {
    /// The URL that it was to be asked about cannot be used.
    #[error("the URL cannot be used: {0}")]
    Url(#[from] UrlError),
    /// The script could not be had from where it is.
    #[error(transparent)]
    Source(#[from] SourceFailure),
    /// The script, or what it does.
    #[error(transparent)]
    Script(#[from] PacFailure),
    /// The module that runs scripts was refused by the engine.
    #[error("scripts cannot be run: {0}")]
    Module(#[from] ModuleError),
    /// The engine or the broker.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<LaunchError> for PacError {
    fn from(error: LaunchError) -> Self {
        PacError::Engine(error.into())
    }
}

impl From<ChannelError> for PacError {
    fn from(error: ChannelError) -> Self {
        PacError::Engine(error.into())
    }
}

/// The engine ended before it answered.
pub(super) fn gone() -> PacError {
    ChannelError::Channel(fumehood_sandbox::ChannelError::Closed).into()
}

impl PacError {
    /// Whether the engine ended, so that another may be asked.
    pub(super) fn is_engines_death(&self) -> bool {
        match self {
            PacError::Engine(Error::Engine(crate::EngineError::Channel(error))) => {
                error.is_closed()
            }
            // The engine that held it is gone, and this one is another.
            PacError::Script(PacFailure::NotLoaded) => true,
            _ => false,
        }
    }
}
