//! Everything a reply claims of the name that was asked for, and what must be
//! known to believe it.

use std::collections::VecDeque;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

use super::Tools;
use super::denial::{Denials, Shown, is_denial, present};
use super::flaw::{Flaw, What};
use super::names::{is_below, is_in, labels, parent, tail};
use super::rdata::Dnskey;
use super::sets::{RrSet, Section, Sets, code};
use super::zones::{Reach, Zones};
use crate::chain::{Absence, Verdict};
use crate::message;
use crate::names::text;
use crate::types::{RecordType, Security};

/// One thing that a reply says.
#[derive(Debug)]
enum Claim {
    /// These records.
    Present(RrSet),
    /// None of these.
    Absent {
        name: Name,
        code: u16,
        absence: Absence,
        /// The zone that says so: that of the nearest SOA, be it signed or not.
        zone: Option<Name>,
    },
}

/// A reply on its way to being believed.
#[derive(Debug)]
pub(crate) struct Proof {
    claims: VecDeque<Claim>,
    authority: Section,
    /// The least of what has been shown so far.
    security: Security,
    ttl: u32,
    /// What was asked for on the way, and not heard yet.
    asked: Option<(Name, RecordType)>,
}

/// What comes next.
pub(crate) enum Step {
    /// What it waits for must be asked.
    Ask,
    /// All claims have been weighed, and hold for so many seconds.
    Done(Security, u32),
}

impl Proof {
    /// What a reply says: `names` are the name that was asked for and its
    /// aliases in it, `verdict` what is at the last.
    ///
    /// # Errors
    /// An alias or a record is not in it as it would have to be.
    pub(crate) fn new(
        sets: Sets,
        names: &[Name],
        kind: RecordType,
        verdict: &Verdict,
        zones: &Zones,
    ) -> Result<Proof, Flaw> {
        let Sets {
            answers,
            mut authority,
        } = sets;
        let mut claims = VecDeque::new();
        for link in names.windows(2) {
            if let [name, target] = link {
                claims.push_back(Claim::Present(alias(&answers, name, target, zones)?));
            }
        }
        if let Some(end) = names.last() {
            let code = message::code(kind).into();
            match verdict {
                Verdict::Alias => {}
                Verdict::Found(_) => {
                    let set = answers.get(&(end.clone(), code));
                    let set = set.ok_or_else(|| Flaw::Malformed(What::new(end, code)))?;
                    claims.push_back(Claim::Present(set.clone()));
                }
                Verdict::Nothing(absence) => claims.push_back(Claim::Absent {
                    name: end.clone(),
                    code,
                    absence: *absence,
                    zone: answering(&authority, &place(end, code)),
                }),
            }
        }
        authority.retain(|_, set| is_denial(set));
        Ok(Proof {
            claims,
            authority,
            security: Security::Secure,
            ttl: u32::MAX,
            asked: None,
        })
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let claimed = self.claims.iter().map(|claim| match claim {
            Claim::Present(set) => set.bytes(),
            Claim::Absent { .. } => 0,
        });
        let denials = self.authority.values().map(RrSet::bytes);
        claimed.chain(denials).sum()
    }

    /// The record that it waits for.
    pub(crate) fn asked(&self) -> Option<(&Name, RecordType)> {
        self.asked.as_ref().map(|(name, kind)| (name, *kind))
    }

    /// Goes on as far as is known.
    ///
    /// # Errors
    /// A claim is bogus.
    pub(crate) fn advance(
        &mut self,
        zones: &mut Zones,
        tools: &mut Tools<'_>,
    ) -> Result<Step, Flaw> {
        while let Some(claim) = self.claims.front() {
            let place = claim.place();
            let signer = claim.signer(&self.authority);
            let signer = signer.filter(|it| zones.may_speak(it, &place));
            let place = signer.clone().unwrap_or(place);
            let (security, ttl) = match zones.reach(&place, tools.now) {
                Reach::Ask(name, kind) => {
                    let next = Some((name, kind));
                    // Who waited in vain for another's reply still needs the same.
                    if self.asked != next {
                        tools.work.question()?;
                    }
                    self.asked = next;
                    return Ok(Step::Ask);
                }
                Reach::Indeterminate => (Security::Indeterminate, u32::MAX),
                Reach::Insecure => (Security::Insecure, u32::MAX),
                Reach::Zone(zone, keys) => match signer {
                    None => return Err(claim.unsigned()),
                    Some(signer) if signer != zone => {
                        return Err(Flaw::WrongSigner {
                            what: claim.what(),
                            signer: text(&signer),
                        });
                    }
                    Some(_) => claim.check(&self.authority, &zone, &keys, tools)?,
                },
            };
            self.security = self.security.max(security);
            self.ttl = self.ttl.min(ttl);
            self.claims.pop_front();
        }
        Ok(Step::Done(self.security, self.ttl))
    }

    /// Takes the reply to what was asked for.
    ///
    /// # Errors
    /// Why it is not believed. It may be asked for again.
    pub(crate) fn hear(
        &mut self,
        sets: &Sets,
        zones: &mut Zones,
        tools: &mut Tools<'_>,
    ) -> Result<(), Flaw> {
        if let Some((name, kind)) = &self.asked {
            zones.learn(name, *kind, sets, tools)?;
        }
        self.asked = None;
        Ok(())
    }
}

impl Claim {
    fn what(&self) -> What {
        match self {
            Claim::Present(set) => What::new(&set.owner, set.code),
            Claim::Absent { name, code, .. } => What::new(name, *code),
        }
    }

    /// It has no signature, or only some of others.
    fn unsigned(&self) -> Flaw {
        match self {
            Claim::Present(set) if !set.signatures.is_empty() => Flaw::WrongSigner {
                what: self.what(),
                signer: text(&set.signatures[0].signer),
            },
            Claim::Absent { .. } => Flaw::NotDenied(self.what()),
            Claim::Present(_) => Flaw::Unsigned(self.what()),
        }
    }

    /// The name in whose zone it stands.
    fn place(&self) -> Name {
        match self {
            Claim::Present(set) => place(&set.owner, set.code),
            Claim::Absent { name, code, .. } => place(name, *code),
        }
    }

    /// The zone that it is signed in the name of: the nearest, if several. Of
    /// denials, those of zones above the one that answers are about aliases on the
    /// way from there, and say nothing of what is absent.
    fn signer(&self, authority: &Section) -> Option<Name> {
        let place = self.place();
        let signers = |set: &RrSet| -> Vec<Name> {
            let signers = set.signatures.iter().map(|it| it.signer.clone());
            signers.filter(|signer| is_in(&place, signer)).collect()
        };
        let all: Vec<Name> = match self {
            Claim::Present(set) => signers(set),
            Claim::Absent { zone, .. } => {
                let denials = authority.values().filter(|set| is_denial(set));
                let signers = denials.flat_map(signers);
                let answers = |it: &Name| zone.as_ref().is_none_or(|zone| is_in(it, zone));
                signers.filter(answers).collect()
            }
        };
        all.into_iter().max_by_key(labels)
    }

    /// Holds it against the keys of its zone.
    fn check(
        &self,
        authority: &Section,
        zone: &Name,
        keys: &[Dnskey],
        tools: &mut Tools<'_>,
    ) -> Result<(Security, u32), Flaw> {
        match self {
            Claim::Present(set) => {
                let (shown, ttl) = present(set, authority, zone, keys, tools)?;
                Ok((shown.security(), ttl))
            }
            Claim::Absent {
                name,
                code,
                absence,
                ..
            } => {
                let denials = Denials::verify(authority, zone, keys, tools)?;
                let shown = match absence {
                    Absence::Name => denials.no_name(name, tools),
                    Absence::Record => denials.no_record(name, *code, tools),
                };
                let shown = shown.ok_or_else(|| Flaw::NotDenied(self.what()))?;
                Ok((shown.security(), denials.ttl))
            }
        }
    }
}

impl Shown {
    fn security(self) -> Security {
        match self {
            Shown::Absent => Security::Secure,
            Shown::Unknown => Security::Insecure,
        }
    }
}

/// The name in whose zone a record stands: a delegation's is the one above.
fn place(name: &Name, code: u16) -> Name {
    match code {
        code::DS => parent(name),
        _ => name.clone(),
    }
}

/// The zone that answers for a name, as it says itself.
fn answering(authority: &Section, name: &Name) -> Option<Name> {
    let all = authority.values().filter(|set| set.code == code::SOA);
    let above = all.filter(|set| is_in(name, &set.owner));
    let nearest = above.max_by_key(|set| labels(&set.owner));
    nearest.map(|set| set.owner.clone())
}

/// The records that make one name an alias of another: its CNAME, or where that
/// is made of a DNAME above, that one (RFC 6672 section 5.3.1).
fn alias(answers: &Section, name: &Name, target: &Name, zones: &Zones) -> Result<RrSet, Flaw> {
    let own = answers.get(&(name.clone(), code::CNAME));
    let own = own.ok_or_else(|| Flaw::Malformed(What::new(name, code::CNAME)))?;
    if own.signatures.is_empty() {
        let made = answers.values().find(|it| {
            it.code == code::DNAME && zones.may_speak(&it.owner, name) && leads(it, name, target)
        });
        if let Some(made) = made {
            return Ok(made.clone());
        }
    }
    Ok(own.clone())
}

/// Whether a DNAME turns one name into the other (RFC 6672 section 2.2).
fn leads(dname: &RrSet, name: &Name, target: &Name) -> bool {
    let [data] = &dname.data[..] else {
        return false;
    };
    let Ok(to) = Name::read(&mut BinDecoder::new(data)) else {
        return false;
    };
    let kept = labels(name).saturating_sub(labels(&dname.owner));
    is_below(name, &dname.owner)
        && is_in(target, &to)
        && labels(target) == labels(&to) + kept
        && name.iter().take(kept).eq(target.iter().take(kept))
        && tail(target, labels(&to)) == to
}
