//! What the embedder has given leave to dial.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::time::Duration;

use fumehood_control::{
    FirstHop, Grant, GrantId, MAX_NAMED_PROXIES, MAX_STANDING_GRANTS, ProxyLeave, StandingGrant,
};
use fumehood_policy::{ClientName, Method, Naming, Scheme, Target, Terms};
use tokio::time::Instant;

/// Most grants held at once: eight for each of 512 connections. One more is
/// not taken, and a dial that presents it fails with `NoGrant`.
pub const MAX_GRANTS: usize = 4096;

/// The grants that hold.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    held: HashMap<GrantId, Held>,
    /// Of listeners, at most [`MAX_STANDING_GRANTS`]: no target, no end, any number
    /// of uses.
    standing: HashMap<GrantId, Option<ClientName>>,
    /// Where listeners' clients may be led.
    proxies: ProxyLeave,
}

#[derive(Debug)]
struct Held {
    leave: Leave,
    uses: u32,
    /// From this moment on it holds no more.
    end: Instant,
}

/// What a grant gives leave for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leave {
    pub(crate) target: Target,
    /// Dialled in the target's place.
    pub(crate) proxy: Option<FirstHop>,
    pub(crate) terms: Terms,
    /// Where our own listeners are, to which no client is led.
    pub(crate) own: Vec<SocketAddr>,
}

impl Grants {
    /// Takes a grant in. Expired ones make room first.
    pub(crate) fn insert(&mut self, grant: Grant, now: Instant) {
        if self.held.len() >= MAX_GRANTS {
            self.held.retain(|_, it| now < it.end);
        }
        if self.held.len() >= MAX_GRANTS || grant.uses == 0 {
            return;
        }
        let end = now + Duration::from_millis(grant.lifetime_ms.into());
        self.held.insert(
            grant.id,
            Held {
                leave: Leave {
                    target: grant.target,
                    proxy: grant.proxy,
                    terms: grant.terms,
                    own: Vec::new(),
                },
                uses: grant.uses,
                end,
            },
        );
    }

    /// Takes a listener's grant in.
    pub(crate) fn stand(&mut self, grant: StandingGrant) {
        if self.standing.len() < MAX_STANDING_GRANTS {
            self.standing.insert(grant.id, grant.client);
        }
    }

    /// Takes in where listeners' clients may be led. A list that is too long gives
    /// leave for nothing.
    pub(crate) fn lead(&mut self, proxies: ProxyLeave) {
        let fits = proxies.named.len() <= MAX_NAMED_PROXIES;
        self.proxies = if fits { proxies } else { ProxyLeave::default() };
    }

    /// Leave for a listener's client; the policy decides on it as on any other.
    pub(crate) fn take_for(
        &self,
        id: GrantId,
        target: Target,
        method: Option<Method>,
    ) -> Option<Leave> {
        Some(Leave {
            target,
            proxy: None,
            terms: self.terms_of(id, method)?,
            own: Vec::new(),
        })
    }

    /// What rules know a listener's client by.
    pub(crate) fn terms_of(&self, id: GrantId, method: Option<Method>) -> Option<Terms> {
        let client = self.standing.get(&id)?.clone();
        Some(Terms {
            method,
            client,
            ..Terms::default()
        })
    }

    /// Leave to lead a listener's client to a proxy, unless it is one of our own
    /// listeners.
    pub(crate) fn lead_to(
        &self,
        leave: Leave,
        first: FirstHop,
        own: Vec<SocketAddr>,
    ) -> Option<Leave> {
        let may = match first.naming {
            // Proxies carry no datagrams here, and what goes to one is none.
            _ if leave.target.scheme == Scheme::Udp => false,
            Naming::User => self.proxies.named.contains(&first.server),
            Naming::Script => self.proxies.scripts,
        };
        may.then_some(Leave {
            proxy: Some(first),
            own,
            ..leave
        })
    }

    /// Whether names are looked up for proxies.
    pub(crate) fn may_lead(&self) -> bool {
        self.proxies.scripts || !self.proxies.named.is_empty()
    }

    /// Takes a grant back.
    pub(crate) fn revoke(&mut self, id: GrantId) {
        self.held.remove(&id);
        self.standing.remove(&id);
    }

    /// Uses a grant once, whether or not the dial then succeeds. `None` when it
    /// is unknown, used up, expired or revoked.
    pub(crate) fn take(&mut self, id: GrantId, now: Instant) -> Option<Leave> {
        let Entry::Occupied(mut entry) = self.held.entry(id) else {
            return None;
        };
        let held = entry.get_mut();
        if now >= held.end {
            entry.remove();
            return None;
        }
        held.uses -= 1;
        if held.uses == 0 {
            Some(entry.remove().leave)
        } else {
            Some(held.leave.clone())
        }
    }
}
