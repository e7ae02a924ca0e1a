//! Grants: leave that an embedder gives to a part of itself, and takes back.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use fumehood_control::{Leave, ToEngine};
use fumehood_policy::{ANY_PORT, HostPattern, IpNet, Lapse, RequestUrl, Scheme, Spaces, Target};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::live::LiveEngine;

/// Most grants held at once; one for each of the parts of a large program, or
/// for each of its requests under way.
pub const MAX_HELD_GRANTS: usize = 1024;

/// What a grant is for. It narrows the policy and never widens it: a request
/// needs the leave of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// Which hosts.
    pub host: HostPattern,
    /// Which scheme, or all.
    pub scheme: Option<Scheme>,
    /// Which ports. Default all.
    pub ports: RangeInclusive<u16>,
    /// Where the addresses may be. Default wherever the policy lets them.
    pub spaces: Spaces,
    /// How many exchanges, at least 1. Default 1.
    pub uses: u32,
    /// How long it holds; an exchange under way ends then. Default a minute.
    pub lifetime: Duration,
    /// How much content may move under it, both directions and all exchanges
    /// together, in bytes; of a scheme that a driver serves, all that its sockets
    /// move, and for each exchange what it hands over. Default no bound. Such a
    /// grant ends with the engine process that counts it.
    pub bytes: u64,
}

/// Leave to make some requests: put it into [`crate::Options::grant`]. Clones
/// are the same grant; it ends with the last of them.
#[derive(Clone)]
pub struct Grant {
    held: Arc<Held>,
}

/// A grant, for people and over the admin socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantStatus {
    /// By which it is revoked.
    pub number: u64,
    /// Its hosts.
    pub host: String,
    /// Exchanges that may still begin.
    pub uses_left: u32,
    /// Time it still holds, in milliseconds.
    pub left_ms: u64,
}

/// [`MAX_HELD_GRANTS`] are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_HELD_GRANTS} grants are held already; drop those that are done with")]
pub struct TooManyGrants;

struct Held {
    number: u64,
    terms: GrantTerms,
    end: Instant,
    state: Mutex<State>,
}

struct State {
    uses_left: u32,
    revoked: bool,
    /// The engine that has been told of it.
    engine: Option<Weak<LiveEngine>>,
}

/// The grants of an engine that somebody holds.
#[derive(Default)]
pub(crate) struct Grants {
    all: Mutex<HashMap<u64, Weak<Held>>>,
}

impl GrantTerms {
    /// A grant for these hosts, good for one exchange within a minute.
    #[must_use]
    pub fn new(host: HostPattern) -> Self {
        GrantTerms {
            host,
            scheme: None,
            ports: ANY_PORT,
            spaces: Spaces::ALL,
            uses: 1,
            lifetime: Duration::from_secs(60),
            bytes: u64::MAX,
        }
    }

    /// A grant for exactly the origin of a URL, good for one exchange within a
    /// minute.
    #[must_use]
    pub fn once(url: &RequestUrl) -> Self {
        let Target { scheme, host, port } = &url.target;
        let host = match host {
            fumehood_policy::Host::Name(name) => HostPattern::Name(name.clone()),
            fumehood_policy::Host::V4(it) => HostPattern::Net(IpNet::of((*it).into())),
            fumehood_policy::Host::V6(it) => HostPattern::Net(IpNet::of((*it).into())),
        };
        GrantTerms {
            scheme: Some(*scheme),
            ports: *port..=*port,
            ..GrantTerms::new(host)
        }
    }

    fn covers(&self, target: &Target) -> bool {
        self.scheme.is_none_or(|it| it == target.scheme)
            && self.ports.contains(&target.port)
            && self.host.matches(&target.host)
    }
}

impl Grant {
    /// By which [`Engine::revoke`] and the admin socket know it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.held.number
    }

    /// Takes it back. No exchange begins under it any more, and those under way
    /// end with [`fumehood_control::Cause::Lapsed`]: the engine stops moving their
    /// content within 100 ms.
    pub fn revoke(&self) {
        self.held.revoke();
    }

    /// Where addresses may be.
    pub(crate) fn spaces(&self) -> Spaces {
        self.held.terms.spaces
    }

    /// How long it still holds, in milliseconds.
    pub(crate) fn left_ms(&self) -> u32 {
        u32::try_from(self.held.left().as_millis()).unwrap_or(u32::MAX)
    }

    /// Whether it holds for this target. Uses nothing.
    pub(crate) fn check(&self, target: &Target) -> Result<(), Lapse> {
        let state = self.held.state();
        if state.revoked {
            Err(Lapse::Revoked)
        } else if self.held.left().is_zero() {
            Err(Lapse::Expired)
        } else if !self.held.terms.covers(target) {
            Err(Lapse::Elsewhere)
        } else if state.uses_left == 0 {
            Err(Lapse::Used)
        } else {
            Ok(())
        }
    }

    /// Uses it once, on this engine, which will have to be told when it is revoked.
    pub(crate) fn begin(&self, target: &Target) -> Result<Leave, Lapse> {
        self.check(target)?;
        let mut state = self.held.state();
        // Another exchange may have been quicker.
        state.uses_left = state.uses_left.checked_sub(1).ok_or(Lapse::Used)?;
        Ok(Leave {
            id: self.held.number,
            bytes: self.held.terms.bytes,
        })
    }

    /// To be called when the engine has the exchange: a revocation that came
    /// between may have reached it before.
    pub(crate) fn catch_up(&self) {
        if self.held.state().revoked {
            self.held.revoke();
        }
    }

    /// The engine that an exchange under it goes to.
    pub(crate) fn bind(&self, engine: &Arc<LiveEngine>) -> Result<(), Lapse> {
        let mut state = self.held.state();
        let another = |known: &Weak<LiveEngine>| !Weak::ptr_eq(known, &Arc::downgrade(engine));
        if self.held.terms.bytes < u64::MAX && state.engine.as_ref().is_some_and(another) {
            // What it moved was counted by an engine that is gone.
            state.revoked = true;
        }
        if state.revoked {
            return Err(Lapse::Revoked);
        }
        state.engine = Some(Arc::downgrade(engine));
        Ok(())
    }
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn revoke(&self) {
        let mut state = self.state();
        state.revoked = true;
        let engine = state.engine.as_ref().and_then(Weak::upgrade);
        drop(state);
        if let Some(engine) = engine {
            let leave = self.number;
            // An engine that is gone moves nothing.
            let _gone = engine.orders.send(ToEngine::Revoke { leave });
        }
    }

    fn status(&self) -> GrantStatus {
        let state = self.state();
        GrantStatus {
            number: self.number,
            host: self.terms.host.to_string(),
            uses_left: if state.revoked { 0 } else { state.uses_left },
            left_ms: u64::try_from(self.left().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Nobody can use it any more, and no exchange runs under it: the engine need
/// not count.
impl Drop for Held {
    fn drop(&mut self) {
        self.revoke();
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("number", &self.held.number)
            .field("terms", &self.held.terms)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.held, &other.held)
    }
}

impl Eq for Grant {}

impl Grants {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<Held>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mint(&self, number: u64, terms: GrantTerms) -> Result<Grant, TooManyGrants> {
        let mut all = self.lock();
        if all.len() >= MAX_HELD_GRANTS {
            all.retain(|_, held| held.strong_count() > 0);
        }
        if all.len() >= MAX_HELD_GRANTS {
            return Err(TooManyGrants);
        }
        let now = Instant::now();
        let state = State {
            uses_left: terms.uses,
            revoked: false,
            engine: None,
        };
        let held = Arc::new(Held {
            number,
            // A time that cannot be told is for ever.
            end: now.checked_add(terms.lifetime).unwrap_or(now + FOR_EVER),
            terms,
            state: Mutex::new(state),
        });
        all.insert(number, Arc::downgrade(&held));
        Ok(Grant { held })
    }

    /// Those that somebody holds, in the order they were minted.
    pub(crate) fn list(&self) -> Vec<GrantStatus> {
        let held: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        let mut all: Vec<GrantStatus> = held.iter().map(|it| it.status()).collect();
        all.sort_unstable_by_key(|grant| grant.number);
        all
    }
}

/// A century.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Engine {
    /// Mints a grant: leave for a part of the program, to be used with
    /// [`crate::Options::grant`] and taken back at any time.
    ///
    /// # Errors
    /// [`TooManyGrants`].
    pub fn grant(&self, terms: GrantTerms) -> Result<Grant, TooManyGrants> {
        self.shared.grants.mint(self.shared.number(), terms)
    }

    /// Takes the grant of this number back, as [`Grant::revoke`]. False where
    /// nobody holds one.
    #[must_use]
    pub fn revoke(&self, number: u64) -> bool {
        let held = self
            .shared
            .grants
            .lock()
            .get(&number)
            .and_then(Weak::upgrade);
        held.inspect(|held| held.revoke()).is_some()
    }
}
