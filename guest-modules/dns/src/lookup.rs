//! One question on its way through servers and aliases, for all who wait for it.

use hickory_proto::op::Message;
use hickory_proto::rr::Name;

use crate::bounds::MAX_PROOF_BYTES;
use crate::cache::{Key, Known, record_size};
use crate::chain::{Chain, Verdict};
use crate::dnssec::{Proof, Work};
use crate::names::text;
use crate::network::ExchangeId;
use crate::room::{Part, Room};
use crate::trail::Trail;
use crate::types::{Cause, Happening, QueryId, RecordType, Security, Source, Time};

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
    /// What DNSSEC makes of the replies so far.
    pub(crate) security: Security,
    /// The last reply, while it is not believed yet.
    pub(crate) proving: Option<Box<Proving>>,
    /// What validating them has cost.
    pub(crate) work: Work,
    pub(crate) trail: Trail,
}

/// A reply that is being validated.
#[derive(Debug)]
pub(crate) struct Proving {
    pub(crate) proof: Proof,
    /// What it comes to, if it is believed, and from which server.
    pub(crate) verdict: Verdict,
    pub(crate) server: usize,
    /// The chain without it.
    pub(crate) before: Chain,
    /// The memory that it holds while it waits.
    pub(crate) held: Option<Part>,
}

impl Proving {
    /// Takes room for itself, once it has to wait.
    ///
    /// # Errors
    /// It is too large, or too many wait.
    pub(crate) fn hold(&mut self, room: &Room) -> Result<(), Cause> {
        if self.held.is_some() {
            return Ok(());
        }
        let records = match &self.verdict {
            Verdict::Found(records) => records.iter().map(record_size).sum(),
            Verdict::Alias | Verdict::Nothing(_) => 0,
        };
        let bytes = self.proof.bytes() + records;
        if bytes > MAX_PROOF_BYTES {
            return Err(Cause::Malformed(format!(
                "its records take {bytes} bytes; {MAX_PROOF_BYTES} are held at most to be validated"
            )));
        }
        self.held = Some(room.take(bytes).ok_or(Cause::Busy)?);
        Ok(())
    }
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
            security: Security::Secure,
            proving: None,
            work: Work::default(),
            trail: Trail::default(),
        }
    }

    /// What is to be asked at present: what was asked for or its alias, or what
    /// the last reply stands on.
    pub(crate) fn question(&self) -> (&Name, RecordType) {
        let proving = self.proving.as_ref();
        let asked = proving.and_then(|it| it.proof.asked());
        asked.unwrap_or((self.chain.end(), self.key.kind))
    }

    /// What the last reply stands on, while that is asked for.
    pub(crate) fn zone_question(&self) -> Option<Key> {
        let (name, kind) = self.proving.as_ref()?.proof.asked()?;
        let name = name.clone();
        Some(Key { name, kind })
    }

    /// Where a reply leads. A server is trusted, or not, to say that it is authentic.
    ///
    /// # Errors
    /// It leads nowhere.
    pub(crate) fn follow(
        &mut self,
        reply: &Message,
        trusted: bool,
        now: Time,
    ) -> Result<Verdict, Cause> {
        self.authentic &= trusted && reply.metadata.authentic_data;
        let before = self.chain.aliases().len();
        let verdict = self.chain.follow(reply, self.key.kind)?;
        for alias in self.chain.aliases().iter().skip(before) {
            self.trail.note(now, Happening::Alias(text(alias)));
        }
        Ok(verdict)
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
