//! What would become of a request, found out without making it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use fumehood_control::{DialFailure, FromBroker, ToBroker};
use fumehood_policy::{Decision, Denial, Policy, Question, RequestUrl, Target, Terms};

use crate::config::Config;
use crate::error::ChannelError;
use crate::launch::{self, BrokerChannel};
use crate::process::Process;
use crate::{EngineBuilder, LaunchError, roles};

/// Asks a policy, and a broker of its own for addresses: names are resolved in
/// the process and the sandbox that would resolve them for a request. Made by
/// [`EngineBuilder::explainer`].
#[derive(Debug)]
pub struct Explainer {
    policy: Policy,
    broker: Option<Broker>,
    deadline_ms: u32,
    numbers: AtomicU64,
}

struct Broker {
    channel: BrokerChannel,
    /// Killed when this is dropped.
    _process: Process,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
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
    /// starts a broker, and nothing else; without, nothing at all.
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
        let broker = match resolve {
            true => {
                let launched = launch::broker_alone(&config, &config.policy).await?;
                Some(Broker {
                    channel: launched.channel,
                    _process: launched.process,
                })
            }
            false => None,
        };
        Ok(Explainer {
            policy: config.policy,
            broker,
            deadline_ms: config.deadlines.connect_ms,
            numbers: AtomicU64::new(1),
        })
    }

    /// What would become of a request to this URL on these terms.
    ///
    /// # Errors
    /// When the broker is gone. That a name does not resolve is an answer.
    pub async fn explain(
        &self,
        url: &RequestUrl,
        terms: &Terms,
    ) -> Result<Explained, ChannelError> {
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

    async fn resolve(&self, target: &Target, terms: &Terms) -> Result<Resolution, ChannelError> {
        let Some(broker) = &self.broker else {
            return Ok(Resolution::Skipped);
        };
        let wanted = self.numbers.fetch_add(1, Ordering::Relaxed);
        let look = ToBroker::Look {
            id: wanted,
            target: target.clone(),
            deadline_ms: self.deadline_ms,
        };
        broker.channel.send(&look, &[]).await?;
        let (answer, _none) = broker.channel.recv().await?;
        let FromBroker::Looked { id, addresses } = answer else {
            return Err(ChannelError::OutOfOrder);
        };
        if id != wanted {
            return Err(ChannelError::OutOfOrder);
        }
        Ok(match addresses {
            Err(failure) => Resolution::Failed(failure),
            Ok(addresses) => Resolution::Addresses(self.judged(target, terms, &addresses)),
        })
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
