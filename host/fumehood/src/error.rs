//! What can go wrong, split by who has to change something.

use fumehood_control::{Blame, Cause, DialFailure, Failure, LayerReport, RetrySafety};
use fumehood_policy::{Denial, Lapse, Reason, Target, UrlError};

use crate::proxies::NoWayOut;
use crate::{ChooseError, Role, describe};

/// Any error of the embedder's own: of a request body, say.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request brought no whole response; one variant for each party that
/// could have to change something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server broke a protocol, a bound, or its word.
    #[error(transparent)]
    Peer(Box<Problem>),
    /// What lies between: names, routes, resets, time.
    #[error(transparent)]
    Network(Box<Problem>),
    /// The policy said no; no packet was sent.
    #[error(transparent)]
    Policy(Box<Problem>),
    /// A guest trapped, hung or wanted too much memory. Only this exchange is lost.
    #[error(transparent)]
    Guest(Box<Problem>),
    /// The caller.
    #[error(transparent)]
    Caller(CallerError),
    /// The engine or the broker. The next request launches a new one.
    #[error(transparent)]
    Engine(EngineError),
}

/// A failed exchange: with whom, how, and whether it may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe::cause(.cause, .target))]
pub struct Problem {
    /// The origin asked.
    pub target: Target,
    /// What happened.
    pub cause: Cause,
    /// How far the request had come.
    pub retry: RetrySafety,
}

/// What a caller asked that cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallerError {
    /// The URL cannot be used.
    #[error("the URL cannot be used: {0}")]
    Url(#[from] UrlError),
    /// The request cannot be sent: one sentence.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// No way out is known: the script that chooses proxies cannot be had or has no
    /// answer, and there is no fallback.
    #[error(transparent)]
    NoWay(Box<ChooseError>),
    /// The request's body ended with an error of its own.
    #[error("the request's body could not be read: {0}")]
    Body(#[source] BoxError),
    /// A descriptor could not be made or passed.
    #[error("a file descriptor for the exchange could not be made: {0}")]
    Descriptor(#[source] std::io::Error),
    /// Told by the engine: a sink that cannot be written, a bad method.
    #[error(transparent)]
    Problem(Box<Problem>),
}

/// What went wrong with our own processes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It could not be launched again after it had died.
    #[error(transparent)]
    Launch(LaunchError),
    /// It ended, or failed by itself, with the exchange under way.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// It could not be reached.
    #[error("the engine cannot be reached: {0}")]
    Channel(#[source] ChannelError),
}

/// Why a message did not cross a process boundary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// It was not sent or received.
    #[error(transparent)]
    Channel(#[from] fumehood_sandbox::ChannelError),
    /// A head that does not fit or does not decode.
    #[error(transparent)]
    Assembly(#[from] fumehood_control::AssemblyError),
    /// A message that its sender had no leave to send then.
    #[error("the other process broke the order of messages")]
    OutOfOrder,
}

impl ChannelError {
    /// Whether the other process is simply gone.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(
            self,
            ChannelError::Channel(fumehood_sandbox::ChannelError::Closed)
        )
    }
}

/// Why the engine did not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// [`crate::init`] was not called.
    #[error("`fumehood::init()` was not called; call it first thing in `main`")]
    NotInitialised,
    /// A process could not be started; with what.
    #[error("the {} process could not be started: {source}", role.name())]
    Spawn {
        /// Which.
        role: Role,
        /// Why.
        source: std::io::Error,
    },
    /// A process refused to run.
    #[error("the {} refuses to run: {why}", role.name())]
    Refused {
        /// Which.
        role: Role,
        /// One sentence.
        why: String,
        /// How its sandbox was.
        layers: Vec<LayerReport>,
    },
    /// A required layer of the sandbox is missing.
    #[error("the {} runs without what is required of its sandbox: {}; see `fumehood doctor`, or allow it to be missing by name", role.name(), describe::layers(missing))]
    MissingLayers {
        /// Which.
        role: Role,
        /// Those required and not held.
        missing: Vec<LayerReport>,
    },
    /// A process of another build answered.
    #[error("the {} is of another build: it speaks protocol {theirs}, this program {ours}", role.name(), ours = fumehood_control::PROTOCOL_VERSION)]
    Version {
        /// Which.
        role: Role,
        /// What it said.
        theirs: u16,
    },
    /// It ended before it was ready.
    #[error("the {} ended before it was ready: {status}", role.name())]
    Died {
        /// Which.
        role: Role,
        /// Its exit status or signal.
        status: String,
    },
    /// It was not ready in time.
    #[error("the {} was not ready within {seconds} s", role.name())]
    TimedOut {
        /// Which.
        role: Role,
        /// The time given.
        seconds: u64,
    },
    /// The channel to it failed.
    #[error("the channel to the {} failed: {source}", role.name())]
    Channel {
        /// Which.
        role: Role,
        /// How.
        source: ChannelError,
    },
    /// Memory to pass on could not be made.
    #[error(transparent)]
    Memory(#[from] fumehood_sandbox::MemfdError),
    /// The admin socket cannot be had.
    #[error("the admin socket {path} cannot be used: {why}")]
    AdminSocket {
        /// Where.
        path: String,
        /// One clause.
        why: String,
    },
    /// The trust anchors could not be read.
    #[error("the trust anchors could not be read: {0}")]
    Anchors(String),
    /// The system's proxy settings could not be read.
    #[error(transparent)]
    Proxies(#[from] crate::SystemProxyError),
    /// Metrics are for this machine.
    #[error(
        "metrics are not told at {0}, which others can reach: they name hosts, rules and \
         files; take 127.0.0.1 or [::1], and a tunnel or an HTTP server that asks who is there"
    )]
    MetricsBeyondLoopback(std::net::SocketAddr),
    /// The port for metrics cannot be had.
    #[error("metrics cannot be told at {address}: {source}; take another port, or 0 for any")]
    MetricsPort {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Too many in a row have died; nothing is launched for a while.
    #[error(transparent)]
    Resting(#[from] crate::Rest),
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Error::Peer(_) => Blame::Peer,
            Error::Network(_) => Blame::Network,
            Error::Policy(_) => Blame::Policy,
            Error::Guest(_) => Blame::Guest,
            Error::Caller(_) => Blame::Caller,
            Error::Engine(_) => Blame::Engine,
        }
    }

    /// The machine-readable cause, where there was an exchange.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.problem().map(|problem| &problem.cause)
    }

    /// Whether sending the same request again could succeed and does nothing
    /// twice, whatever its method. For an idempotent method see [`Error::retry_safety`] too.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Policy(_) | Error::Caller(_) => false,
            Error::Engine(EngineError::Launch(_)) => self.rest().is_some(),
            _ => self.retry_safety() == RetrySafety::NotSent,
        }
    }

    /// What is left of a rest after engines that died one after the other, where
    /// that is why: sending again is of no use before.
    #[must_use]
    pub fn rest(&self) -> Option<&crate::Rest> {
        match self {
            Error::Engine(EngineError::Launch(LaunchError::Resting(rest))) => Some(rest),
            _ => None,
        }
    }

    /// How far the request had come.
    #[must_use]
    pub fn retry_safety(&self) -> RetrySafety {
        self.problem()
            .map_or(RetrySafety::NotSent, |problem| problem.retry)
    }

    fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Peer(p) | Error::Network(p) | Error::Policy(p) | Error::Guest(p) => Some(p),
            Error::Caller(CallerError::Problem(p)) | Error::Engine(EngineError::Problem(p)) => {
                Some(p)
            }
            Error::Caller(_) | Error::Engine(_) => None,
        }
    }

    /// What the engine said of an exchange with `target`.
    pub(crate) fn of_failure(target: Target, failure: Failure) -> Self {
        let problem = Box::new(Problem {
            target,
            cause: failure.cause,
            retry: failure.retry,
        });
        match failure.blame {
            Blame::Peer => Error::Peer(problem),
            Blame::Network => Error::Network(problem),
            Blame::Policy => Error::Policy(problem),
            Blame::Guest => Error::Guest(problem),
            Blame::Caller => Error::Caller(CallerError::Problem(problem)),
            Blame::Engine => Error::Engine(EngineError::Problem(problem)),
        }
    }

    /// The embedder's own look at the policy, before the broker's.
    pub(crate) fn denied(target: Target, denial: Denial) -> Self {
        Error::Policy(Box::new(Problem {
            target,
            cause: Cause::Dial(DialFailure::Denied(denial)),
            retry: RetrySafety::NotSent,
        }))
    }

    /// The grant it is asked under does not hold for it.
    pub(crate) fn lapsed(target: Target, lapse: Lapse) -> Self {
        let reason = Reason::Grant(lapse);
        Error::denied(target.clone(), Denial { target, reason })
    }

    /// As it is told of a request that it kept from being sent.
    fn before_any_request(mut self) -> Self {
        if let Error::Engine(EngineError::Problem(problem)) = &mut self {
            problem.retry = RetrySafety::NotSent;
        }
        self
    }

    /// The engine ended under the exchange.
    pub(crate) fn engine_died(target: Target, retry: RetrySafety) -> Self {
        Error::Engine(EngineError::Problem(Box::new(Problem {
            target,
            cause: Cause::EngineDied,
            retry,
        })))
    }
}

impl From<NoWayOut> for Error {
    fn from(error: NoWayOut) -> Self {
        Error::Caller(match error {
            NoWayOut::Choose(ChooseError::Engine(error)) => return error.before_any_request(),
            NoWayOut::Choose(error) => CallerError::NoWay(Box::new(error)),
            NoWayOut::Proxies(error) => CallerError::Request(error.to_string()),
        })
    }
}

impl From<LaunchError> for Error {
    fn from(error: LaunchError) -> Self {
        Error::Engine(EngineError::Launch(error))
    }
}

impl From<ChannelError> for Error {
    fn from(error: ChannelError) -> Self {
        Error::Engine(EngineError::Channel(error))
    }
}
