//! Names, resolved by the engine's own resolver.
//!
//! ```text
//! anchors  the keys from which DNSSEC is believed
//! config   who resolves, which servers, what of the answers
//! files    resolv.conf and hosts, read here: no other process reads a file
//! setup    both together, told to broker and engine, and again when they change
//! answers  what the engine says, to whom it belongs
//! inside   names for a confined program, over sockets of its own network
//! ```

mod anchors;
mod answers;
mod config;
mod files;
mod inside;
mod setup;

use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{
    Cause, NameAnswer, NameFailure, NameQuery, NameServer, ToEngine, Unresolved, Wanted,
};
use fumehood_policy::{DnsName, Host, Policy};

pub(crate) use anchors::MAX_DNS_ANCHORS;
pub use anchors::{DnsAnchor, DnsAnchorError};
pub(crate) use answers::Answers;
pub use config::{Dns, DnsMode, DnsServer, DnsServerError};
pub use inside::NameOptions;
pub(crate) use inside::Replies;
pub(crate) use setup::Teller;

use crate::error::{CallerError, ChannelError};
use crate::live::Running;
use crate::{Engine, Error};

/// How long a question may take where it does not say: as long as browsers wait
/// for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Engines that a question is put to: one that dies under it is replaced once.
const ENGINES: u32 = 2;

/// What is asked of the resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    name: String,
    wanted: Wanted,
    cached: bool,
    traced: bool,
    private: Option<bool>,
    within: Duration,
}

impl Question {
    /// About a name: in Unicode or ASCII, `.` for the root. A trailing dot makes
    /// it absolute, so that no search domain is tried.
    ///
    /// # Errors
    /// [`ResolveError::Name`] where it is no name, or an address.
    pub fn new(name: &str, wanted: Wanted) -> Result<Self, ResolveError> {
        Ok(Question {
            name: canonical(name)?,
            wanted,
            cached: true,
            traced: false,
            private: None,
            within: PATIENCE,
        })
    }

    /// Has the servers asked for it, whatever is known already. With DNSSEC, what was
    /// learnt of the zones above it holds; that they failed, for a minute at most.
    #[must_use]
    pub fn uncached(mut self) -> Self {
        self.cached = false;
        self
    }

    /// Has the steps told.
    #[must_use]
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Says whether private addresses are answered. Default: where the settings
    /// say so, and for hosts that the policy allows to be private. What was
    /// answered is still not dialled unless the policy allows it.
    #[must_use]
    pub fn private(mut self, answered: bool) -> Self {
        self.private = Some(answered);
        self
    }

    /// When to give up. Default 30 s.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }
}

/// What the resolver found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The records, and where they are from.
    pub answer: NameAnswer,
    /// The servers that steps and source speak of.
    pub servers: Arc<[NameServer]>,
}

/// Why a name has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// It is no name, so nobody was asked.
    #[error("{name:?} cannot be resolved: {why}")]
    Name {
        /// As it was given.
        name: String,
        /// One clause.
        why: String,
    },
    /// There is none, or no server said so.
    #[error("{} does not resolve: {}", .failure.name, .failure.cause)]
    Failure {
        /// Which, and the steps that led there.
        failure: Box<NameFailure>,
        /// The servers that the steps speak of.
        servers: Arc<[NameServer]>,
    },
    /// The resolver's guest ended over it, or there is none that is sound.
    #[error("the name was not resolved: the resolver failed: {}", crate::describe::guest(.0))]
    Guest(Box<Cause>),
    /// A file that says how to resolve cannot be used.
    #[error("{path} cannot be used: {why}")]
    File {
        /// `resolv.conf` or `hosts`.
        path: String,
        /// One clause.
        why: String,
    },
    /// The engine or the broker.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// As an exchange fails whose name cannot be resolved for it.
impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Engine(error) => error,
            other => Error::Caller(CallerError::Request(other.to_string())),
        }
    }
}

impl From<ChannelError> for ResolveError {
    fn from(error: ChannelError) -> Self {
        ResolveError::Engine(error.into())
    }
}

/// What is put behind names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    /// By the engine's own resolver, in their order.
    pub(crate) domains: Vec<DnsName>,
    /// By the system's, where that dials; as they are written.
    pub(crate) system: Vec<String>,
}

impl Engine {
    /// The search domains that are configured, or that `resolv.conf` has now.
    ///
    /// # Errors
    /// [`ResolveError::File`].
    pub(crate) async fn search(&self) -> Result<Search, ResolveError> {
        let dns = Arc::clone(&self.shared.current.now().dns);
        let path = dns.resolv_conf.display().to_string();
        let reading = tokio::task::spawn_blocking(move || {
            let read = files::read(&dns)?.resolv_conf;
            Ok(Search {
                domains: dns.search.clone().unwrap_or(read.search),
                system: match dns.mode {
                    DnsMode::System => files::system_search()?,
                    DnsMode::Guest => Vec::new(),
                },
            })
        });
        reading.await.unwrap_or_else(|error| {
            let why = error.to_string();
            Err(ResolveError::File { path, why })
        })
    }

    /// Resolves a name with the engine's own resolver, the `dns` guest: `hosts`
    /// and the rules for special names first, then the servers that the settings
    /// or `resolv.conf` name, with their search domains. The policy is not
    /// asked: it speaks of connections.
    ///
    /// # Errors
    /// [`ResolveError`]. An engine that dies under it is replaced once.
    pub async fn resolve(&self, question: &Question) -> Result<Resolved, ResolveError> {
        let now = self.shared.current.now();
        let private = question
            .private
            .unwrap_or_else(|| now.dns.private_answers || is_private(&now.policy, &question.name));
        let query = NameQuery {
            name: question.name.clone(),
            wanted: question.wanted,
            cached: question.cached,
            traced: question.traced,
            private,
            deadline_ms: u32::try_from(question.within.as_millis()).unwrap_or(u32::MAX),
        };
        for _ in 1..ENGINES {
            if let Some(answered) = self.ask_once(&query).await? {
                return Ok(answered);
            }
        }
        let last = self.ask_once(&query).await?;
        last.ok_or_else(|| ChannelError::Channel(fumehood_sandbox::ChannelError::Closed).into())
    }

    /// Nothing if the engine died under it.
    async fn ask_once(&self, query: &NameQuery) -> Result<Option<Resolved>, ResolveError> {
        let running = self.shared.running().await.map_err(Error::from)?;
        let servers = self.shared.tell_names(&running).await?;
        let id = self.shared.number();
        let Some(waiting) = running.engine.answers.open(id, &running.engine.orders) else {
            return Ok(None);
        };
        let asked = ToEngine::Resolve {
            id,
            query: query.clone(),
        };
        if let Err(error) = running.engine.channel.send(&asked, &[]).await {
            running.engine.life.note(&error);
            let error = ChannelError::from(error);
            return match error.is_closed() {
                true => Ok(None),
                false => Err(error.into()),
            };
        }
        match waiting.answer().await {
            None => Ok(None),
            Some(Ok(answer)) => Ok(Some(Resolved { answer, servers })),
            Some(Err(Unresolved::Guest(cause))) => Err(ResolveError::Guest(Box::new(cause))),
            Some(Err(Unresolved::Failure(failure))) => Err(ResolveError::Failure {
                failure: Box::new(failure),
                servers,
            }),
        }
    }
}

impl crate::shared::Shared {
    /// Has both processes know how names are resolved, and tells by which servers.
    pub(crate) async fn tell_names(
        &self,
        running: &Running,
    ) -> Result<Arc<[NameServer]>, ResolveError> {
        let dns = Arc::clone(&self.current.now().dns);
        self.names.tell(&dns, running).await
    }

    /// The same where the guest finds what is dialled, or did until now, and where
    /// a listener serves names: to be called before anything is dialled for anybody.
    pub(crate) async fn tell_names_to_dial(&self, running: &Running) -> Result<(), ResolveError> {
        let by_guest = self.current.now().dns.mode == DnsMode::Guest;
        match by_guest || self.names.dials() || self.listeners.serve_names() {
            true => self.tell_names(running).await.map(drop),
            false => Ok(()),
        }
    }
}

/// A name as the resolver takes it.
fn canonical(name: &str) -> Result<String, ResolveError> {
    let refused = |why: String| ResolveError::Name {
        name: name.to_owned(),
        why,
    };
    if name == "." {
        return Ok(name.to_owned());
    }
    match Host::parse(name) {
        Ok(Host::Name(canonical)) if name.ends_with(['.', '\u{3002}']) => {
            Ok(format!("{canonical}."))
        }
        Ok(Host::Name(canonical)) => Ok(canonical.into()),
        Ok(Host::V4(_) | Host::V6(_)) => Err(refused("it is an address already".to_owned())),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// Whether the policy allows a host of that name to have a private address.
fn is_private(policy: &Policy, name: &str) -> bool {
    let Ok(host) = Host::parse(name) else {
        return false;
    };
    let mut allowed = policy.private_hosts().iter();
    allowed.any(|private| private.host.matches(&host))
}

#[cfg(test)]
mod tests;
