//! Leave for drivers: which names may be looked up, which addresses connected to.
//!
//! A driver's sockets know addresses only, and its grant knows names. What
//! ties them is what this process itself looked up under the grant: an address
//! may be connected to where a place of the grant has it, or where a name that
//! a place has was resolved to it here, and it passed the policy then. It is
//! asked about again at each connect, since the policy may be another by now.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::{
    DialFailure, GrantId, MAX_CANDIDATES, MAX_PLACES, Outside, Place, SocketGrant,
};
use fumehood_policy::{Decision, Denial, Host, Policy, Scheme, Target, Terms, Transport};
use tokio::time::Instant;

/// Most drivers' grants held at once: four for each of the 64 drivers that an
/// engine runs, and those of exchanges that wait.
pub const MAX_SOCKET_GRANTS: usize = 1024;

/// Most names that are looked up under one grant. A transfer has one, a call of
/// a PAC script up to 20; more under a wildcard would be a way to tell a name
/// server things.
pub const MAX_GRANTED_NAMES: usize = 20;

/// Attempts to connect for each socket that a grant is good for: a name may
/// have some dead addresses.
const ATTEMPTS_PER_USE: u32 = 8;

/// Drivers' grants that hold.
#[derive(Debug, Default)]
pub(crate) struct SocketGrants {
    held: HashMap<GrantId, Held>,
}

#[derive(Debug)]
struct Held {
    scheme: Scheme,
    terms: Terms,
    places: Vec<Place>,
    /// Sockets that may still be connected.
    uses: Uses,
    attempts: u32,
    known: Known,
    end: Instant,
}

/// Hosts that were looked up, with those addresses that passed; shared with
/// lookups under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<Vec<LookedUp>>>);

/// A host and those of its addresses that passed.
type LookedUp = (Host, Vec<IpAddr>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, Vec<LookedUp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a host that is looked up. False when there is none left.
    fn admit(&self, host: &Host) -> bool {
        let mut known = self.lock();
        if known.iter().any(|(known, _)| known == host) {
            return true;
        }
        let room = known.len() < MAX_GRANTED_NAMES;
        if room {
            known.push((host.clone(), Vec::new()));
        }
        room
    }

    /// Remembers what a host stands for. Addresses of an earlier answer stay
    /// good: a driver may be half way through them.
    pub(crate) fn learn(&self, host: &Host, addresses: &[IpAddr]) {
        let mut known = self.lock();
        let Some((_, held)) = known.iter_mut().find(|(known, _)| known == host) else {
            return;
        };
        for address in addresses {
            if held.len() < MAX_CANDIDATES && !held.contains(address) {
                held.push(*address);
            }
        }
    }
}

/// Leave to look a host up.
#[derive(Debug)]
pub(crate) struct LookupLeave {
    /// As which its addresses are judged.
    pub(crate) targets: Vec<Target>,
    /// Under which terms.
    pub(crate) terms: Terms,
    /// Where they are to be remembered, before they are told.
    pub(crate) known: Known,
}

impl LookupLeave {
    /// For one target of a listener's client. Nothing is remembered of it.
    pub(crate) fn of(policy: &Policy, target: Target, terms: Terms) -> Result<Self, DialFailure> {
        let mut denial = None;
        let allowed = allows(policy.decide(&target, &terms), &mut denial);
        match denial.filter(|_| !allowed) {
            Some(denial) => Err(DialFailure::Denied(denial)),
            None => Ok(LookupLeave {
                targets: vec![target],
                terms,
                known: Known::default(),
            }),
        }
    }
}

/// What is left of a grant's sockets; shared with attempts under way.
#[derive(Clone, Debug)]
pub(crate) struct Uses(Arc<AtomicU32>);

/// One use, which comes back unless it is spent.
#[derive(Debug)]
pub(crate) struct Use {
    of: Uses,
    spent: bool,
}

impl Uses {
    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn take(&self) -> Option<Use> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .ok()?;
        Some(Use {
            of: self.clone(),
            spent: false,
        })
    }
}

impl Use {
    /// A socket was connected.
    pub(crate) fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if !self.spent {
            self.of.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl SocketGrants {
    /// Takes a grant in. Those that expired or are used up make room first, then
    /// the one that ends soonest. One with too many places is not taken, and who
    /// presents it is told `NoGrant`.
    pub(crate) fn insert(&mut self, grant: SocketGrant, now: Instant) {
        if grant.places.len() > MAX_PLACES {
            return;
        }
        if self.held.len() >= MAX_SOCKET_GRANTS {
            self.held
                .retain(|_, it| now < it.end && !it.uses.is_empty());
        }
        if self.held.len() >= MAX_SOCKET_GRANTS {
            let soonest = self.held.iter().min_by_key(|(_, it)| it.end);
            if let Some(id) = soonest.map(|(id, _)| *id) {
                self.held.remove(&id);
            }
        }
        let held = Held {
            scheme: grant.scheme,
            terms: grant.terms,
            places: grant.places,
            uses: Uses(Arc::new(AtomicU32::new(grant.uses))),
            attempts: grant.uses.saturating_mul(ATTEMPTS_PER_USE),
            known: Known::default(),
            end: now + Duration::from_millis(grant.lifetime_ms.into()),
        };
        self.held.insert(grant.id, held);
    }

    /// Takes a grant back.
    pub(crate) fn revoke(&mut self, id: GrantId) {
        self.held.remove(&id);
    }

    fn get(&mut self, id: GrantId, now: Instant) -> Result<&mut Held, DialFailure> {
        if self.held.get(&id).is_some_and(|it| now >= it.end) {
            self.held.remove(&id);
        }
        self.held.get_mut(&id).ok_or(DialFailure::NoGrant)
    }

    /// Leave to look a host up.
    pub(crate) fn lookup(
        &mut self,
        policy: &Policy,
        id: GrantId,
        host: &Host,
        now: Instant,
    ) -> Result<LookupLeave, DialFailure> {
        let held = self.get(id, now)?;
        let places = held.places.iter().filter(|it| it.host.matches(host));
        let mut targets: Vec<Target> = places
            .map(|place| held.target(host, *place.ports.start()))
            .collect();
        if targets.is_empty() {
            return Err(DialFailure::Outside(Outside::Host(host.clone())));
        }
        let mut denial = None;
        targets.retain(|target| allows(policy.decide(target, &held.terms), &mut denial));
        if let (true, Some(denial)) = (targets.is_empty(), denial) {
            return Err(DialFailure::Denied(denial));
        }
        if !held.known.admit(host) {
            return Err(DialFailure::Outside(Outside::Names));
        }
        Ok(LookupLeave {
            targets,
            terms: held.terms.clone(),
            known: held.known.clone(),
        })
    }

    /// Leave to connect a socket to this address.
    pub(crate) fn connect(
        &mut self,
        policy: &Policy,
        id: GrantId,
        address: SocketAddr,
        transport: Transport,
        now: Instant,
    ) -> Result<Use, DialFailure> {
        let held = self.get(id, now)?;
        let mut denial = None;
        let hosts = held.hosts_at(address, transport);
        let passes = hosts.iter().any(|host| {
            let target = held.target(host, address.port());
            allows(policy.decide(&target, &held.terms), &mut denial)
                && allows(
                    policy.decide_address(&target, &held.terms, address.ip()),
                    &mut denial,
                )
        });
        if !passes {
            return Err(denial.map_or(
                DialFailure::Outside(Outside::Address(address, transport)),
                DialFailure::Denied,
            ));
        }
        held.attempts = held.attempts.checked_sub(1).ok_or(DialFailure::NoGrant)?;
        held.uses.take().ok_or(DialFailure::NoGrant)
    }
}

impl Held {
    fn target(&self, host: &Host, port: u16) -> Target {
        Target {
            scheme: self.scheme,
            host: host.clone(),
            port,
        }
    }

    /// As which hosts an address is granted.
    fn hosts_at(&self, address: SocketAddr, transport: Transport) -> Vec<Host> {
        let literal = Host::from(address.ip());
        let mut hosts = Vec::new();
        for place in &self.places {
            if place.transport != transport || !place.ports.contains(&address.port()) {
                continue;
            }
            if place.host.matches(&literal) {
                hosts.push(literal.clone());
            }
            let known = self.known.lock();
            let named = known.iter().filter(|(host, addresses)| {
                place.host.matches(host) && addresses.contains(&address.ip())
            });
            hosts.extend(named.map(|(host, _)| host.clone()));
        }
        hosts
    }
}

/// A host's addresses, judged.
pub(crate) struct Judged {
    /// Those that pass as one of the targets, each once, at least one.
    pub(crate) passed: Vec<IpAddr>,
    /// Denials that are told of and do not hold.
    pub(crate) reported: Vec<Denial>,
}

/// Judges the first [`MAX_CANDIDATES`] addresses.
///
/// # Errors
/// Why none passes.
pub(crate) fn judge(
    policy: &Policy,
    terms: &Terms,
    targets: &[Target],
    candidates: &[IpAddr],
) -> Result<Judged, DialFailure> {
    let mut denial = None;
    let mut judged = Judged {
        passed: Vec::new(),
        reported: Vec::new(),
    };
    for address in candidates.iter().take(MAX_CANDIDATES) {
        if judged.passed.contains(address) {
            continue;
        }
        for target in targets {
            let decision = policy.decide_address(target, terms, *address);
            if let Decision::Report(denial) = &decision {
                judged.reported.push(denial.clone());
            }
            if allows(decision, &mut denial) {
                judged.passed.push(*address);
                break;
            }
        }
    }
    match (judged.passed.is_empty(), denial) {
        (false, _) => Ok(judged),
        (true, Some(denial)) => Err(DialFailure::Denied(denial)),
        (true, None) => Err(crate::dial::no_address()),
    }
}

/// Whether it is a yes; the first no is kept.
fn allows(decision: Decision, denial: &mut Option<Denial>) -> bool {
    let why = match decision {
        Decision::Allow(_) | Decision::Report(_) => return true,
        Decision::Deny(why) => why,
        Decision::Ask(question) => question.unanswered(),
    };
    denial.get_or_insert(why);
    false
}
