//! How an engine is: for `fumehood status` and whoever holds it.

use fumehood_control::{Activity, ToEngine};
use fumehood_policy::Mode;
use serde::{Deserialize, Serialize};

use crate::admitted::UsersStatus;
use crate::desk::{self, Answer};
use crate::live::Running;
use crate::pressure::resident_bytes;
use crate::{Engine, GrantStatus, Listing, Rest, Revision, Traffic};

/// How an engine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of this program.
    pub version: String,
    /// The process that dials.
    pub broker: ProcessStatus,
    /// The process with the guests.
    pub engine: ProcessStatus,
    /// Engines launched since the first, each in the place of one that died.
    pub restarts: u64,
    /// What went through, across launches.
    pub traffic: Traffic,
    /// The guests; empty while no engine lives.
    pub modules: Listing,
    /// The policy that holds.
    pub policy: PolicyStatus,
    /// Grants that somebody holds.
    pub grants: Vec<GrantStatus>,
    /// Of the proxies that serve users alone.
    pub users: Vec<UsersStatus>,
    /// Connections, names and scripts of the engine that lives; none while none does.
    #[serde(default)]
    pub activity: Option<Activity>,
    /// Too many engines in a row have died, and none is launched for a while.
    #[serde(default)]
    pub rest: Option<Rest>,
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// It lives, as far as is known. The next request starts another.
    pub alive: bool,
    /// From its launch's start to its word that it was ready, in microseconds.
    pub ready_us: u64,
    /// Memory of it that is in use, in bytes; none once it has ended.
    pub resident_bytes: Option<u64>,
}

/// The policy that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Which version.
    pub revision: Revision,
    /// Rules in it.
    pub rules: usize,
    /// Private hosts in it.
    pub private_hosts: usize,
    /// `enforce` or `report`: what becomes of denials by rules.
    pub mode: String,
    /// The same of denials by address checks.
    pub address_mode: String,
    /// It can be read again.
    pub follows: bool,
    /// Would-be denials since the launch.
    pub reported: u64,
    /// Why the last attempt to read it again failed, if it did.
    pub last_error: Option<String>,
    /// Why changes of its file are not noticed, where they should be and are not: then
    /// it is read again when asked, and no more.
    pub not_watched: Option<String>,
}

impl Engine {
    /// How it is now. Launches nothing.
    pub async fn status(&self) -> Status {
        let shared = &self.shared;
        let running = shared.as_it_is().await;
        // This very engine is asked: in the place of one that is gone none is launched.
        let asked = desk::ask(&running.engine, ToEngine::Inspect, None).await;
        let (modules, activity) = match asked {
            Ok(Answer::Inventory(all)) => {
                (self.modules().listing(&all.modules), Some(all.activity))
            }
            _ => (Listing::default(), None),
        };
        let now = shared.current.now();
        let (mode, address_mode) = now.policy.modes();
        let process = |alive, ready_us, pid| ProcessStatus {
            alive,
            ready_us,
            resident_bytes: resident_bytes(pid).filter(|_| alive),
        };
        let Running { broker, engine, .. } = &running;
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            broker: process(broker.life.lasts(), broker.readiness.ready_us, broker.pid),
            engine: process(engine.life.lasts(), engine.readiness.ready_us, engine.pid),
            restarts: shared.restarts(),
            traffic: shared.counters.snapshot(),
            modules,
            activity,
            grants: shared.grants.list(),
            users: shared.listeners.users(),
            policy: PolicyStatus {
                revision: now.revision.clone(),
                rules: now.policy.rules().len(),
                private_hosts: now.policy.private_hosts().len(),
                mode: mode_name(mode).to_owned(),
                address_mode: mode_name(address_mode).to_owned(),
                follows: shared.config.follow.is_some(),
                reported: shared.current.reported(),
                last_error: shared.current.last_error().map(|it| it.to_string()),
                not_watched: shared.current.not_watched().map(str::to_owned),
            },
            rest: shared.resting(),
        }
    }
}

/// As the configuration has it.
pub(crate) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Report => "report",
    }
}
