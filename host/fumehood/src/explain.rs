//! What would become of a request, found out without making it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fumehood_control::{
    DialFailure, FromBroker, NameCause, NameFailure, RecordData, ToBroker, Wanted,
};
use fumehood_policy::{Decision, Denial, Host, Policy, Question, RequestUrl, Target, Terms};

use crate::config::Config;
use crate::error::ChannelError;
use crate::launch::{self, BrokerChannel};
use crate::names::DnsMode;
use crate::process::Process;
use crate::{Engine, EngineBuilder, LaunchError, ResolveError, roles};

/// Asks a policy, and for addresses whoever would find them for a request, in the
/// same sandbox: a broker of its own, or, with [`DnsMode::Guest`], the resolver of
/// an engine of its own. Made by [`EngineBuilder::explainer`].
#[derive(Debug)]
pub struct Explainer {
    policy: Policy,
    finder: Finder,
    deadline_ms: u32,
    numbers: AtomicU64,
}

/// Who finds addresses.
enum Finder {
    Nobody,
    Broker(Broker),
    Guest(Engine),
}

struct Broker {
    channel: BrokerChannel,
    /// Killed when this is dropped.
    _process: Process,
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Finder::Nobody => "Nobody",
            Finder::Broker(_) => "Broker",
            Finder::Guest(_) => "Guest",
        })
    }
}

/// What would become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Whom it would go to, in canonical form.
    pub target: Target,
    /// What the policy says before the name is resolved.
    pub decision: Decision,
    /// What came of resolving.
    pub resolution: Resolution,
}

/// What came of resolving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It was not tried: the target is denied, or nobody wanted it.
    Skipped,
    /// These addresses, each with what the policy says of it.
    Addresses(Vec<(IpAddr, Decision)>),
    /// There is none.
    Failed(DialFailure),
}

/// How it would end, as far as it can be told without connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// A connection would be tried.
    Allowed,
    /// It would be denied.
    Denied(&'a Denial),
    /// It would be asked about.
    Asked(&'a Question),
    /// The name would not resolve.
    Unresolved(&'a DialFailure),
}

impl Explained {
    /// How it would end. One address that passes is enough.
    #[must_use]
    pub fn verdict(&self) -> Verdict<'_> {
        match &self.decision {
            Decision::Deny(denial) => return Verdict::Denied(denial),
            Decision::Ask(question) => return Verdict::Asked(question),
            Decision::Allow(_) | Decision::Report(_) => {}
        }
        let addresses = match &self.resolution {
            Resolution::Skipped => return Verdict::Allowed,
            Resolution::Failed(failure) => return Verdict::Unresolved(failure),
            Resolution::Addresses(addresses) => addresses,
        };
        let denial = |(_, decision): &'_ (IpAddr, Decision)| match decision {
            Decision::Deny(_) => true,
            Decision::Allow(_) | Decision::Report(_) | Decision::Ask(_) => false,
        };
        match addresses.first() {
            Some((_, Decision::Deny(first))) if addresses.iter().all(denial) => {
                Verdict::Denied(first)
            }
            _ => Verdict::Allowed,
        }
    }
}

impl EngineBuilder {
    /// An explainer for the policy as it was said up to now. With `resolve` it
    /// starts a broker, and an engine where that finds what is dialled; without,
    /// nothing at all.
    ///
    /// # Errors
    /// As for [`EngineBuilder::launch`].
    pub async fn explainer(self, resolve: bool) -> Result<Explainer, LaunchError> {
        Explainer::launch(self.into_config(), resolve).await
    }
}

impl Explainer {
    async fn launch(config: Config, resolve: bool) -> Result<Self, LaunchError> {
        if resolve && !roles::initialised() {
            return Err(LaunchError::NotInitialised);
        }
        let (policy, deadline_ms) = (config.policy.clone(), config.deadlines.connect_ms);
        let finder = match config.dns.mode {
            _ if !resolve => Finder::Nobody,
            DnsMode::Guest => Finder::Guest(Engine::launch(config).await?),
            DnsMode::System => {
                let launched = launch::broker_alone(&config, &policy).await?;
                Finder::Broker(Broker {
                    channel: launched.channel,
                    _process: launched.process,
                })
            }
        };
        Ok(Explainer {
            policy,
            finder,
            deadline_ms,
            numbers: AtomicU64::new(1),
        })
    }

    /// What would become of a request to this URL on these terms.
    ///
    /// # Errors
    /// When who finds addresses is gone, or cannot be set up. That a name does not
    /// resolve is an answer.
    pub async fn explain(
        &self,
        url: &RequestUrl,
        terms: &Terms,
    ) -> Result<Explained, ResolveError> {
        let target = url.target.clone();
        let decision = self.policy.decide(&target, terms);
        let resolution = match &decision {
            Decision::Allow(_) | Decision::Report(_) => self.resolve(&target, terms).await?,
            Decision::Deny(_) | Decision::Ask(_) => Resolution::Skipped,
        };
        Ok(Explained {
            target,
            decision,
            resolution,
        })
    }

    async fn resolve(&self, target: &Target, terms: &Terms) -> Result<Resolution, ResolveError> {
        let found = match &self.finder {
            Finder::Nobody => return Ok(Resolution::Skipped),
            Finder::Broker(broker) => self.look(broker, target).await?,
            Finder::Guest(engine) => self.ask(engine, &target.host).await?,
        };
        Ok(match found {
            Err(failure) => Resolution::Failed(failure),
            Ok(addresses) => Resolution::Addresses(self.judged(target, terms, &addresses)),
        })
    }

    /// Has the broker look the target up.
    async fn look(&self, broker: &Broker, target: &Target) -> Result<Found, ChannelError> {
        let wanted = self.numbers.fetch_add(1, Ordering::Relaxed);
        let look = ToBroker::Look {
            id: wanted,
            target: target.clone(),
            deadline_ms: self.deadline_ms,
        };
        broker.channel.send(&look, &[]).await?;
        match broker.channel.recv().await? {
            (FromBroker::Looked { id, addresses }, _none) if id == wanted => Ok(addresses),
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// Has the engine's resolver find the host, as it would for a dial: whether an
    /// address may be dialled is for the policy to say.
    async fn ask(&self, engine: &Engine, host: &Host) -> Result<Found, ResolveError> {
        let name = match host {
            Host::V4(address) => return Ok(Ok(vec![(*address).into()])),
            Host::V6(address) => return Ok(Ok(vec![(*address).into()])),
            Host::Name(name) => name,
        };
        let question = crate::Question::new(name.as_str(), Wanted::Addresses)?
            .private(true)
            .within(Duration::from_millis(self.deadline_ms.into()));
        match engine.resolve(&question).await {
            Ok(resolved) => Ok(Ok(resolved
                .answer
                .records
                .iter()
                .filter_map(address)
                .collect())),
            Err(ResolveError::Failure { failure, .. }) => Ok(Err(as_dial(&failure))),
            Err(error) => Err(error),
        }
    }

    /// Each address once, judged as the broker would.
    fn judged(
        &self,
        target: &Target,
        terms: &Terms,
        addresses: &[IpAddr],
    ) -> Vec<(IpAddr, Decision)> {
        let mut judged: Vec<(IpAddr, Decision)> = Vec::new();
        for address in addresses {
            if !judged.iter().any(|(known, _)| known == address) {
                let decision = self.policy.decide_address(target, terms, *address);
                judged.push((*address, decision));
            }
        }
        judged
    }
}

/// What a name stands for, or how dialling it would fail.
type Found = Result<Vec<IpAddr>, DialFailure>;

fn address(record: &RecordData) -> Option<IpAddr> {
    match record {
        RecordData::A(address) => Some((*address).into()),
        RecordData::Aaaa(address) => Some((*address).into()),
        _ => None,
    }
}

/// As a request would fail.
fn as_dial(failure: &NameFailure) -> DialFailure {
    match failure.cause {
        NameCause::Timeout => DialFailure::Timeout { resolving: true },
        NameCause::Busy => DialFailure::Busy,
        _ => DialFailure::Resolve(failure.cause.to_string()),
    }
}
