//! A query that waits: for one name after another, for one or two types each.

use std::net::IpAddr;

use hickory_proto::rr::Name;

use crate::bounds::MAX_RECORDS;
use crate::cache::Known;
use crate::chain::Absence;
use crate::lookup::{LookupId, Settled};
use crate::names::text;
use crate::private::is_private;
use crate::trail::Trail;
use crate::types::{
    Answer, Cause, Failure, PrivateAnswers, Query, RecordData, RecordType, Security, Source, Step,
    Time, Wanted,
};

/// One type of one name.
#[derive(Debug)]
pub(crate) enum Leg {
    Waiting(LookupId),
    Settled(Settled),
}

#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) query: Query,
    pub(crate) taken: Time,
    pub(crate) trail: Trail,
    /// Names to try, in order, and which of them is being tried.
    pub(crate) candidates: Vec<Name>,
    pub(crate) at: usize,
    pub(crate) legs: Vec<Leg>,
    /// One of the names tried exists.
    exists: bool,
    /// The shortest life of the absences met so far, in seconds.
    absent_for: u32,
    /// What DNSSEC makes of them, if it was asked.
    absent: Option<Security>,
}

/// What to do with a query all of whose legs are settled.
pub(crate) enum Conclusion {
    Answer(Result<Answer, Failure>),
    /// There is nothing here; try the next name.
    NextName,
}

/// The types that are looked up. IPv6 first, as answers are in this order.
pub(crate) fn kinds(wanted: Wanted) -> Vec<RecordType> {
    match wanted {
        Wanted::Addresses => vec![RecordType::Aaaa, RecordType::A],
        Wanted::Records(kind) => vec![kind],
    }
}

impl Pending {
    pub(crate) fn new(query: Query, candidates: Vec<Name>, now: Time) -> Self {
        Pending {
            query,
            taken: now,
            trail: Trail::default(),
            candidates,
            at: 0,
            legs: Vec::new(),
            exists: false,
            absent_for: u32::MAX,
            absent: None,
        }
    }

    /// The name being tried.
    pub(crate) fn name(&self) -> Option<&Name> {
        self.candidates.get(self.at)
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.legs.iter().all(|leg| matches!(leg, Leg::Settled(_)))
    }

    pub(crate) fn begin_anew(&mut self) {
        self.at = 0;
        self.legs.clear();
        self.exists = false;
        self.absent_for = u32::MAX;
        self.absent = None;
    }

    /// A lookup it waits for has settled.
    pub(crate) fn settle(&mut self, lookup: LookupId, settled: &Settled) {
        for leg in &mut self.legs {
            if matches!(leg, Leg::Waiting(it) if *it == lookup) {
                *leg = Leg::Settled(settled.clone());
            }
        }
    }

    /// Puts the legs together. They are all settled, and are used up.
    pub(crate) fn conclude(&mut self) -> Conclusion {
        let mut sum = Sum::default();
        for leg in self.legs.drain(..) {
            if let Leg::Settled(settled) = leg {
                sum.add(settled);
            }
        }
        let name = self.candidates.get(self.at).map(text).unwrap_or_default();
        if let Some(source) = sum.source {
            let local = matches!(source, Source::HostTable | Source::BuiltIn);
            if self.query.private_answers == PrivateAnswers::Refused
                && !local
                && let Err(address) = sum.without_private()
            {
                return self.failed(name, Cause::PrivateAddress(address), 0, None);
            }
            return Conclusion::Answer(Ok(Answer {
                name,
                aliases: sum.aliases,
                records: sum.records,
                ttl_s: sum.ttl,
                authentic: sum.authentic,
                // An absence that led here can have been forged as well.
                security: sum.security.max(self.absent),
                source,
                steps: self.steps(),
            }));
        }
        if let Some(cause) = sum.failed {
            // Going on would make the name's meaning depend on a failure.
            return self.failed(name, cause, 0, None);
        }
        self.exists |= sum.exists;
        self.absent_for = self.absent_for.min(sum.ttl);
        self.absent = self.absent.max(sum.security);
        self.at += 1;
        if self.at < self.candidates.len() {
            return Conclusion::NextName;
        }
        let absence = if self.exists {
            Absence::Record
        } else {
            Absence::Name
        };
        self.failed(name, absence.cause(), self.absent_for, self.absent)
    }

    fn failed(
        &mut self,
        name: String,
        cause: Cause,
        ttl_s: u32,
        security: Option<Security>,
    ) -> Conclusion {
        Conclusion::Answer(Err(Failure {
            name,
            cause,
            ttl_s,
            security,
            steps: self.steps(),
        }))
    }

    pub(crate) fn steps(&mut self) -> Vec<Step> {
        if !self.query.traced {
            return Vec::new();
        }
        std::mem::take(&mut self.trail).steps(self.taken)
    }
}

/// Several legs in one.
struct Sum {
    aliases: Vec<String>,
    records: Vec<RecordData>,
    ttl: u32,
    authentic: bool,
    security: Option<Security>,
    source: Option<Source>,
    exists: bool,
    failed: Option<Cause>,
}

impl Default for Sum {
    fn default() -> Self {
        Sum {
            aliases: Vec::new(),
            records: Vec::new(),
            ttl: u32::MAX,
            authentic: true,
            security: None,
            source: None,
            exists: false,
            failed: None,
        }
    }
}

impl Sum {
    fn add(&mut self, settled: Settled) {
        let outcome = match settled {
            Ok(outcome) => outcome,
            Err(cause) => {
                self.failed = Some(cause);
                return;
            }
        };
        self.ttl = self.ttl.min(outcome.ttl);
        match outcome.known {
            Known::Nothing(absence, security) => {
                self.exists |= absence == Absence::Record;
                self.security = self.security.max(security);
            }
            Known::Found(found) => {
                self.source = Some(outcome.source);
                self.authentic &= found.authentic;
                self.security = self.security.max(found.security);
                if self.aliases.is_empty() {
                    self.aliases.clone_from(&found.aliases);
                }
                // Of both kinds together no more than of one.
                let room = MAX_RECORDS.saturating_sub(self.records.len());
                let fitting = found.records.iter().take(room);
                self.records.extend(fitting.cloned());
            }
        }
    }

    /// Leaves out private addresses; where no record is left, one of them.
    fn without_private(&mut self) -> Result<(), IpAddr> {
        let mut refused = None;
        self.records.retain(|record| match record.address() {
            Some(address) if is_private(address) => {
                refused = Some(address);
                false
            }
            _ => true,
        });
        match refused {
            Some(address) if self.records.is_empty() => Err(address),
            _ => Ok(()),
        }
    }
}
