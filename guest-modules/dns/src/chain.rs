//! What a reply says of the name that was asked: the chain of aliases from it,
//! and the records at its end. Everything else in the reply is passed over.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record};

use crate::bounds::{MAX_ALIASES, MAX_NEGATIVE_TTL_SECONDS, MAX_RECORDS, MAX_TTL_SECONDS};
use crate::data;
use crate::message::code;
use crate::types::{Cause, RecordData, RecordType};

/// Where a name has led so far.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The name asked for, then every alias. Never empty.
    names: Vec<Name>,
    /// How long all of it holds, in seconds.
    ttl: u32,
}

/// What became of a chain by a reply.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The wanted records stand at its end.
    Found(Vec<RecordData>),
    /// It has grown, and must be followed by another question.
    Alias,
    /// There is nothing at its end.
    Nothing(Absence),
}

/// The two ways of not being there (RFC 2308).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    Name,
    Record,
}

impl Absence {
    pub(crate) fn cause(self) -> Cause {
        match self {
            Absence::Name => Cause::NoSuchName,
            Absence::Record => Cause::NoSuchRecord,
        }
    }
}

impl Chain {
    pub(crate) fn new(name: Name) -> Self {
        Chain {
            names: vec![name],
            ttl: MAX_TTL_SECONDS,
        }
    }

    /// The name that is asked for at present.
    pub(crate) fn end(&self) -> &Name {
        // There is always a first.
        &self.names[self.names.len() - 1]
    }

    pub(crate) fn aliases(&self) -> &[Name] {
        &self.names[1..]
    }

    /// The name asked for and its aliases, from the one at this place on.
    pub(crate) fn names_from(&self, at: usize) -> &[Name] {
        self.names.get(at..).unwrap_or_default()
    }

    pub(crate) fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Follows what a reply (NOERROR or NXDOMAIN) says.
    ///
    /// # Errors
    /// Aliases in a circle or too many, or more records than are read.
    pub(crate) fn follow(&mut self, reply: &Message, kind: RecordType) -> Result<Verdict, Cause> {
        let before = self.names.len();
        loop {
            let (records, ttl) = records_at(reply, self.end(), kind)?;
            if !records.is_empty() {
                self.holds_for(ttl);
                return Ok(Verdict::Found(records));
            }
            let Some((target, ttl)) = alias_at(reply, self.end()) else {
                break;
            };
            if self.names.contains(&target) || self.aliases().len() == MAX_ALIASES {
                return Err(Cause::AliasLoop);
            }
            self.holds_for(ttl);
            self.names.push(target);
        }
        let authority = authority_over(reply, self.end());
        // The code speaks of the chain's end (RFC 6604 section 3).
        if reply.metadata.response_code == ResponseCode::NXDomain {
            self.holds_for(authority.unwrap_or(0));
            return Ok(Verdict::Nothing(Absence::Name));
        }
        if self.names.len() > before && authority.is_none() {
            return Ok(Verdict::Alias);
        }
        self.holds_for(authority.unwrap_or(0));
        Ok(Verdict::Nothing(Absence::Record))
    }

    /// It does not hold for longer than these many seconds.
    pub(crate) fn holds_for(&mut self, ttl: u32) {
        self.ttl = self.ttl.min(ttl);
    }
}

/// A TTL as it counts: one with the highest bit set is none (RFC 2181 section 8).
fn effective(ttl: u32) -> u32 {
    i32::try_from(ttl).map_or(0, i32::cast_unsigned)
}

/// The wanted records of a name, without repetitions, and how long they hold.
fn records_at(
    reply: &Message,
    name: &Name,
    kind: RecordType,
) -> Result<(Vec<RecordData>, u32), Cause> {
    let mut found: Vec<RecordData> = Vec::new();
    let mut ttl = u32::MAX;
    for record in at(&reply.answers, name) {
        if record.record_type() != code(kind) {
            continue;
        }
        let Some(data) = data::convert(&record.data, kind) else {
            continue;
        };
        ttl = ttl.min(effective(record.ttl));
        if found.contains(&data) {
            continue;
        }
        if found.len() == MAX_RECORDS {
            let why = format!("more than {MAX_RECORDS} records of one type");
            return Err(Cause::Malformed(why));
        }
        found.push(data);
    }
    Ok((found, ttl))
}

/// What a name is an alias of, and for how long. Of several the first counts.
fn alias_at(reply: &Message, name: &Name) -> Option<(Name, u32)> {
    at(&reply.answers, name).find_map(|record| match &record.data {
        RData::CNAME(target) => {
            let mut target = target.0.to_lowercase();
            target.set_fqdn(true);
            Some((target, effective(record.ttl)))
        }
        _ => None,
    })
}

/// How long an absence may be believed: the SOA of a zone that the name is in
/// says so (RFC 2308 section 5). None: there is no such SOA.
fn authority_over(reply: &Message, name: &Name) -> Option<u32> {
    reply
        .authorities
        .iter()
        .filter(|record| record.dns_class == DNSClass::IN && record.name.zone_of(name))
        .find_map(|record| match &record.data {
            RData::SOA(soa) => {
                let ttl = effective(record.ttl).min(effective(soa.minimum));
                Some(ttl.min(MAX_NEGATIVE_TTL_SECONDS))
            }
            _ => None,
        })
}

fn at<'a>(records: &'a [Record], name: &'a Name) -> impl Iterator<Item = &'a Record> {
    records
        .iter()
        .filter(move |record| record.dns_class == DNSClass::IN && record.name == *name)
}
