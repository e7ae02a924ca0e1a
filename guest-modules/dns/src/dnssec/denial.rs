//! That a name or a record is not there (RFC 4035 section 5.4, RFC 5155 section 8).

mod nsec;
mod nsec3;

use hickory_proto::rr::Name;

use super::Tools;
use super::flaw::{Flaw, What};
use super::rdata::{Dnskey, Nsec, Nsec3, Types};
use super::sets::{RrSet, Section, code};
use super::signature::verify;
use crate::bounds::{MAX_DENIALS, MAX_NSEC3_ITERATIONS};

/// What a denial comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is not there; or nothing had to be denied.
    Absent,
    /// The zone leaves unsigned delegations out, or asks for more hashing than
    /// it is worth: nothing is shown, and nothing is contradicted.
    Unknown,
}

/// What stands at a name where a zone might begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Another zone, of which nothing is signed; or it cannot be told.
    Unsigned,
    /// The same zone goes on.
    None,
    /// Nothing, and so nothing below.
    NoName,
}

/// The denials of one zone in a reply, each signed.
#[derive(Debug)]
pub(crate) struct Denials {
    nsec: Vec<Nsec>,
    nsec3: Vec<Nsec3>,
    zone: Name,
    /// For how many seconds they may be kept.
    pub(crate) ttl: u32,
}

/// Whether a set denies anything.
pub(crate) fn is_denial(set: &RrSet) -> bool {
    matches!(set.code, code::NSEC | code::NSEC3) && !set.signatures.is_empty()
}

/// Checks a set; and where it comes of a wildcard, that no name stands nearer (RFC
/// 4035 section 5.3.4). For how many seconds it may be kept.
///
/// # Errors
/// It is not signed as it would have to be, or a name may stand nearer.
pub(crate) fn present(
    set: &RrSet,
    authority: &Section,
    zone: &Name,
    keys: &[Dnskey],
    tools: &mut Tools<'_>,
) -> Result<(Shown, u32), Flaw> {
    let verified = verify(set, zone, keys, tools)?;
    let Some(count) = verified.expanded else {
        return Ok((Shown::Absent, verified.ttl));
    };
    let denials = Denials::verify(authority, zone, keys, tools)?;
    let shown = denials.no_nearer(&set.owner, count, tools);
    let shown = shown.ok_or_else(|| Flaw::Expanded(What::new(&set.owner, set.code)))?;
    Ok((shown, verified.ttl.min(denials.ttl)))
}

impl Denials {
    /// Takes those that the zone signed.
    ///
    /// # Errors
    /// One whose signature is wrong.
    pub(crate) fn verify(
        section: &Section,
        zone: &Name,
        keys: &[Dnskey],
        tools: &mut Tools<'_>,
    ) -> Result<Denials, Flaw> {
        let mut denials = Denials {
            nsec: Vec::new(),
            nsec3: Vec::new(),
            zone: zone.clone(),
            ttl: u32::MAX,
        };
        let of_zone =
            |set: &&RrSet| is_denial(set) && set.signatures.iter().any(|it| it.signer == *zone);
        for set in section.values().filter(of_zone).take(MAX_DENIALS) {
            let verified = verify(set, zone, keys, tools)?;
            // What a wildcard has does not deny anything of another name.
            let [data] = &set.data[..] else {
                return Err(Flaw::Malformed(What::new(&set.owner, set.code)));
            };
            if verified.expanded.is_some() {
                continue;
            }
            denials.ttl = denials.ttl.min(verified.ttl);
            if set.code == code::NSEC {
                denials.nsec.extend(Nsec::read(&set.owner, data));
            } else {
                denials.nsec3.extend(Nsec3::read(&set.owner, zone, data));
            }
        }
        Ok(denials)
    }

    /// That a name has no record of a type.
    pub(crate) fn no_record(&self, name: &Name, code: u16, tools: &Tools<'_>) -> Option<Shown> {
        match self.hashed(tools)? {
            Hashed::Not => nsec::no_record(&self.nsec, name, code).then_some(Shown::Absent),
            Hashed::Costly => Some(Shown::Unknown),
            Hashed::With(zone) => zone.no_record(name, code),
        }
    }

    /// That a name is not there, nor a wildcard in its place.
    pub(crate) fn no_name(&self, name: &Name, tools: &Tools<'_>) -> Option<Shown> {
        match self.hashed(tools)? {
            Hashed::Not => nsec::no_name(&self.nsec, name).then_some(Shown::Absent),
            Hashed::Costly => Some(Shown::Unknown),
            Hashed::With(zone) => zone.no_name(name),
        }
    }

    /// That no name stands nearer than the wildcard below these many labels.
    pub(crate) fn no_nearer(&self, name: &Name, count: usize, tools: &Tools<'_>) -> Option<Shown> {
        match self.hashed(tools)? {
            Hashed::Not => nsec::no_nearer(&self.nsec, name, count).then_some(Shown::Absent),
            Hashed::Costly => Some(Shown::Unknown),
            Hashed::With(zone) => zone.no_nearer(name, count),
        }
    }

    /// Whether a zone begins at a name that has no DS record.
    pub(crate) fn cut(&self, name: &Name, tools: &Tools<'_>) -> Option<Cut> {
        match self.hashed(tools)? {
            Hashed::Not => nsec::cut(&self.nsec, name),
            Hashed::Costly => Some(Cut::Unsigned),
            Hashed::With(zone) => zone.cut(name),
        }
    }

    /// How they are to be read; None where there are none, or where those with
    /// hashes do not agree on how to hash (RFC 5155 section 8.2).
    fn hashed<'a>(&'a self, tools: &'a Tools<'_>) -> Option<Hashed<'a>> {
        let Some(first) = self.nsec3.first() else {
            return (!self.nsec.is_empty()).then_some(Hashed::Not);
        };
        let same = |it: &Nsec3| (it.iterations, &it.salt) == (first.iterations, &first.salt);
        if !self.nsec3.iter().all(same) {
            return None;
        }
        if first.iterations > MAX_NSEC3_ITERATIONS {
            return Some(Hashed::Costly);
        }
        Some(Hashed::With(nsec3::Zone::new(
            &self.nsec3,
            first,
            &self.zone,
            tools.oracle,
        )))
    }
}

enum Hashed<'a> {
    Not,
    /// With more iterations than anybody has to do (RFC 9276 section 3.2).
    Costly,
    With(nsec3::Zone<'a>),
}

/// Whether a name with these types lacks that one, as its own zone tells it.
/// Where a zone begins, the parent knows DS and nothing else of it, and the
/// zone itself everything but DS (RFC 4035 section 5.4, RFC 6840 section 4.4).
fn lacks(types: &Types, name: &Name, code: u16) -> bool {
    let of_child = types.has(code::SOA);
    let of_parent = types.has(code::NS) && !of_child;
    let right_side = match code {
        code::DS => !of_child || name.is_root(),
        _ => !of_parent,
    };
    right_side && !types.has(code) && !types.has(code::CNAME)
}

/// Whether names below one with these types are another's to deny: below a
/// delegation, or an alias for a whole tree (RFC 6840 section 4.1).
fn is_left(types: &Types) -> bool {
    types.has(code::DNAME) || (types.has(code::NS) && !types.has(code::SOA))
}

/// What a name of these types without DS begins; None where they are those of
/// the zone that begins.
fn cut_at(types: &Types) -> Option<Cut> {
    if types.has(code::DS) || types.has(code::SOA) {
        return None;
    }
    Some(match types.has(code::NS) {
        true => Cut::Unsigned,
        false => Cut::None,
    })
}
