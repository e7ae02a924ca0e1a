//! One question on its way through servers and aliases, for all who wait for it.

use crate::cache::{Key, Known};
use crate::chain::Chain;
use crate::network::ExchangeId;
use crate::trail::Trail;
use crate::types::{Cause, QueryId, Source, Time};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LookupId(pub(crate) u64);

/// What a lookup, the cache or the host table came to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) known: Known,
    pub(crate) ttl: u32,
    pub(crate) source: Source,
}

/// An outcome, or why there is none.
pub(crate) type Settled = Result<Outcome, Cause>;

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// What was asked, and is cached in the end.
    pub(crate) key: Key,
    pub(crate) chain: Chain,
    pub(crate) waiters: Vec<QueryId>,
    /// Servers in the order to ask them, by index.
    pub(crate) order: Vec<usize>,
    /// How many times a server was given up, since the last alias.
    pub(crate) turn: usize,
    pub(crate) started: Time,
    pub(crate) exchange: Option<ExchangeId>,
    /// Why the last server was given up.
    pub(crate) last: Cause,
    /// Every reply so far was vouched for.
    pub(crate) authentic: bool,
    pub(crate) trail: Trail,
}

impl Lookup {
    pub(crate) fn new(key: Key, order: Vec<usize>, now: Time) -> Self {
        Lookup {
            chain: Chain::new(key.name.clone()),
            key,
            waiters: Vec::new(),
            order,
            turn: 0,
            started: now,
            exchange: None,
            last: Cause::NoServers,
            authentic: true,
            trail: Trail::default(),
        }
    }

    /// The server whose turn it is; none after the last of so many rounds.
    pub(crate) fn server(&self, rounds: u8) -> Option<usize> {
        let turns = self.order.len().checked_mul(rounds.into())?;
        if self.turn >= turns {
            return None;
        }
        self.order.get(self.turn % self.order.len()).copied()
    }
}
