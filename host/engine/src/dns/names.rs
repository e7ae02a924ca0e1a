//! Who wants a name waits here; instances come and go behind it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fumehood_control::{
    Aftermath, AnswerSource, Cause, DialFailure, GrantId, NameActivity, NameAnswer, NameCause,
    NameFailure, NameQuery, RecordData, ResolverSetup, Unresolved, Wanted,
};
use fumehood_policy::{DnsName, Host};
use tokio::sync::Notify;

use super::inbox::{Burial, Inbox, Outcome, failure};
use super::secure::Ways;
use crate::dialer::Dialer;
use crate::driver::Access;
use crate::instance::{Fault, Ticker};
use crate::registry::Registry;

/// Most sockets that the resolver has at once: two for each of its 128
/// exchanges, as WASI's sockets over ours count, and a connection or two to
/// each of its servers.
const MAX_SOCKETS: usize = 288;

/// The engine's resolver.
#[derive(Debug, Default)]
pub(crate) struct Names {
    inbox: Arc<Inbox>,
    /// The instance is to make way for another.
    replace: Notify,
    /// What came of questions.
    answered: Mutex<NameActivity>,
}

impl Names {
    /// Without a setup, and so without an answer.
    pub(crate) fn new() -> Arc<Names> {
        Arc::default()
    }

    /// How it is to be from now on.
    pub(crate) fn set_up(&self, setup: ResolverSetup) {
        let before = self.inbox.setup();
        let access = |it: &ResolverSetup| (it.grant, it.timeout_ms);
        let other_access = before.is_some_and(|before| access(&before) != access(&setup));
        self.inbox.set_up(setup);
        if other_access {
            // An instance's sockets go by what it was made with.
            self.replace.notify_one();
        }
    }

    /// Another version may be current: it takes the place of the one that runs.
    pub(crate) fn follow_swap(&self) {
        self.replace.notify_one();
    }

    /// What came of questions so far, and how many are under way.
    pub(crate) fn activity(&self) -> NameActivity {
        let under_way = self.inbox.waiting() as u64;
        NameActivity {
            under_way,
            ..*self.answered()
        }
    }

    fn answered(&self) -> MutexGuard<'_, NameActivity> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves a name, or says why not, within the query's own deadline.
    pub(crate) async fn ask(&self, query: NameQuery) -> Outcome {
        let outcome = self.ask_guest(query).await;
        count(&mut self.answered(), &outcome);
        outcome
    }

    async fn ask_guest(&self, query: NameQuery) -> Outcome {
        let (name, deadline) = (query.name.clone(), query.deadline_ms);
        let mut waiting = self.inbox.ask(query)?;
        let deadline = Duration::from_millis(deadline.into());
        match tokio::time::timeout(deadline, &mut waiting.answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(failure(name, NameCause::Stopped)),
            Err(_) => Err(failure(name, NameCause::Timeout)),
        }
    }

    /// What a dial or a driver's lookup is to bring along: the addresses of a
    /// name, where names are dialled at what is found here. None where they are
    /// not, and for what the broker knows by itself.
    ///
    /// # Errors
    /// [`Cause::Dial`], as if the broker had said so, or the guest's end.
    pub(crate) async fn found(
        &self,
        host: &Host,
        deadline: Duration,
    ) -> Result<Option<Vec<IpAddr>>, Cause> {
        let Some(name) = self.to_find(host) else {
            return Ok(None);
        };
        let query = NameQuery {
            name: name.as_str().to_owned(),
            wanted: Wanted::Addresses,
            cached: true,
            traced: false,
            // Whether they may be dialled is for the policy to say.
            private: true,
            deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX),
        };
        match self.ask(query).await {
            Ok(answer) => Ok(Some(addresses(&answer))),
            Err(Unresolved::Guest(cause)) => Err(cause),
            Err(Unresolved::Failure(failure)) => Err(Cause::Dial(as_dial(&failure))),
        }
    }

    /// The same of what a grant may not cover, or the policy deny: the broker is
    /// asked first, so that no name server hears of it.
    ///
    /// # Errors
    /// As for [`Names::found`], and the broker's no.
    pub(crate) async fn found_under(
        &self,
        dialer: &Dialer,
        grant: GrantId,
        host: &Host,
        deadline: Duration,
    ) -> Result<Option<Vec<IpAddr>>, Cause> {
        if self.to_find(host).is_none() {
            return Ok(None);
        }
        let (asking, nothing_yet) = (Instant::now(), Some(Vec::new()));
        let leave = dialer.look_up(grant, host.clone(), deadline, nothing_yet);
        match leave.await {
            // There is leave; what it lacks are addresses.
            Ok(_) | Err(Cause::Dial(DialFailure::Resolve(_))) => {
                let left = deadline.saturating_sub(asking.elapsed());
                self.found(host, left).await
            }
            Err(no) => Err(no),
        }
    }

    /// The name, if it is one that is to be found here.
    fn to_find<'a>(&self, host: &'a Host) -> Option<&'a DnsName> {
        let Host::Name(name) = host else {
            return None;
        };
        let dials = self.inbox.setup().is_some_and(|setup| setup.dials);
        (dials && !name.is_localhost()).then_some(name)
    }

    /// Keeps an instance running while names are asked for; never returns.
    pub(crate) async fn serve(
        &self,
        registry: &Arc<Registry>,
        dialer: &Arc<Dialer>,
        ticker: &Ticker,
    ) {
        loop {
            self.inbox.has_query().await;
            let Some(setup) = self.inbox.setup() else {
                continue;
            };
            let version = match registry.dns.current() {
                Ok(version) => version,
                Err(cause) => {
                    self.inbox.fail_all(&cause);
                    continue;
                }
            };
            let patience = Duration::from_millis(setup.timeout_ms.into());
            // It looks no name up elsewhere: its world has no such import.
            let access = Access::new(Arc::clone(dialer), Names::new(), setup.grant, patience)
                .with_sockets(MAX_SOCKETS);
            let ways = Ways::new(&self.inbox, registry, dialer, ticker);
            let running = version.module.run(access, &self.inbox, ways, ticker);
            tokio::select! {
                fault = running => {
                    self.bury(fault);
                    registry.enforce();
                }
                () = self.replace.notified() => self.inbox.replace(),
            }
        }
    }

    /// An instance ended.
    fn bury(&self, fault: Fault) {
        if fault.is_for_want_of_room() {
            // Nobody's fault, and another try would be no better.
            return self.inbox.fail_all(&fault.into());
        }
        let aftermath = match self.inbox.bury(&fault.clone().into()) {
            Burial::GoesOn => Aftermath::Resumed,
            Burial::Convicted => Aftermath::Failed,
        };
        fault.settle(aftermath);
    }
}

fn count(answered: &mut NameActivity, outcome: &Outcome) {
    let count = match outcome {
        Ok(answer) => match answer.source {
            AnswerSource::Server(_) => &mut answered.from_servers,
            AnswerSource::Cache => &mut answered.from_cache,
            AnswerSource::HostTable | AnswerSource::BuiltIn => &mut answered.from_here,
        },
        Err(Unresolved::Failure(failure)) if failure.is_absence() => &mut answered.absent,
        Err(_) => &mut answered.failed,
    };
    *count += 1;
}

fn addresses(answer: &NameAnswer) -> Vec<IpAddr> {
    let addresses = answer.records.iter().filter_map(RecordData::address);
    addresses.take(fumehood_control::MAX_CANDIDATES).collect()
}

/// As the broker tells of names that do not resolve.
fn as_dial(failure: &NameFailure) -> DialFailure {
    match failure.cause {
        NameCause::Timeout => DialFailure::Timeout { resolving: true },
        NameCause::Busy => DialFailure::Busy,
        _ => DialFailure::Resolve(failure.cause.to_string()),
    }
}
