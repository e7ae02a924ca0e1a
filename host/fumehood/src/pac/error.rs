//! Why a script gave no answer.

use fumehood_control::{Blame, PacFailure};
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
    /// Our own processes' error, where it is one; itself where it is of the script or
    /// of whoever has it.
    pub(crate) fn of_our_own(self) -> Result<Error, PacError> {
        match self {
            PacError::Engine(error @ Error::Engine(_)) => Ok(error),
            PacError::Module(ModuleError::Engine(error)) if error.blame() == Blame::Engine => {
                Ok(*error)
            }
            other => Err(other),
        }
    }

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

#[cfg(test)]
mod tests {
    use fumehood_control::RetrySafety;

    use super::*;
    use crate::ChooseError;
    use crate::proxies::NoWayOut;
    use crate::relaunch::Rest;

    fn resting() -> LaunchError {
        LaunchError::Resting(Rest {
            left_ms: 100,
            deaths: 3,
            why: "the engine ended".to_owned(),
        })
    }

    fn refused(error: PacError) -> Error {
        NoWayOut::Choose(ChooseError::from(error)).into()
    }

    #[test]
    fn a_rest_under_a_script_is_told_as_any_rest() {
        for error in [
            PacError::from(resting()),
            PacError::Module(resting().into()),
        ] {
            let error = refused(error);
            assert!(error.rest().is_some() && error.is_retryable(), "{error:?}");
        }
    }

    #[test]
    fn an_engine_that_dies_under_the_script_s_fetch_leaves_the_request_unsent() {
        let url = fumehood_policy::RequestUrl::parse("http://a.example/proxy.pac");
        let target = url.expect("a URL").target;
        let died = Error::engine_died(target, RetrySafety::MaybeProcessed);
        let error = refused(PacError::Engine(died));
        assert!(matches!(error, Error::Engine(_)), "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
    }

    #[test]
    fn a_script_that_is_not_had_is_the_caller_s() {
        let unserved = Error::Caller(crate::CallerError::Request("no".to_owned()));
        for error in [PacError::Engine(unserved), PacFailure::NoFunction.into()] {
            let error = refused(error);
            assert!(matches!(error, Error::Caller(_)), "{error:?}");
        }
    }
}
