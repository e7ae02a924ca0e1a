//! What is known of zones: which are signed, with which keys, from the trust
//! anchors down.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::rr::Name;

use super::Tools;
use super::denial::{Cut, Denials, Shown, present};
use super::flaw::{Flaw, What};
use super::names::{is_below, is_in, labels, parent, tail};
use super::rdata::{Dnskey, Ds};
use super::sets::{RrSet, Section, Sets, code};
use super::signature::{is_whole, named, signs, usable, verify};
use crate::bounds::{
    MAX_TTL_SECONDS, MAX_ZONE_KEY_BYTES, MAX_ZONE_KEYS, MAX_ZONES, MIN_ZONE_SECONDS,
};
use crate::names::{Asked, text};
use crate::types::{RecordType, Time, TrustAnchor};

/// What stands at a name.
#[derive(Clone, Debug)]
enum Standing {
    /// A zone whose keys its parent names so; they have not been asked for yet.
    Delegated(Box<[Ds]>),
    /// A signed zone.
    Zone(Rc<[Dnskey]>),
    /// A zone of which nothing is signed, and so is all below.
    Insecure,
    /// The zone above goes on.
    NoCut,
    /// The zone above goes on, and there is nothing below.
    Nothing,
}

/// Where the way from an anchor towards a name leads.
pub(crate) enum Reach {
    /// To this signed zone.
    Zone(Name, Rc<[Dnskey]>),
    /// Out of what is signed.
    Insecure,
    /// Nowhere: no anchor is above the name.
    Indeterminate,
    /// No further until this record is known.
    Ask(Name, RecordType),
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    until: Time,
    /// Its place in the order of use.
    used: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    anchors: BTreeMap<Name, Vec<Ds>>,
    known: BTreeMap<Name, Entry>,
    uses: u64,
}

impl Zones {
    /// Leaves out anchors whose zone is no name.
    pub(crate) fn new(anchors: &[TrustAnchor]) -> Self {
        let mut zones = Zones::default();
        for anchor in anchors {
            let zone = match &anchor.zone[..] {
                "." => Name::root(),
                other => match Asked::parse(other) {
                    Ok(asked) => asked.name,
                    Err(_) => continue,
                },
            };
            zones.anchors.entry(zone).or_default().push(Ds {
                key_tag: anchor.key_tag,
                algorithm: anchor.algorithm,
                digest_type: anchor.digest_type,
                digest: anchor.digest.clone(),
            });
        }
        zones
    }

    /// Whether a zone may speak of a name in it: none above the name's nearest
    /// anchor may, signed or not (RFC 6840 appendix C.1).
    pub(crate) fn may_speak(&self, zone: &Name, name: &Name) -> bool {
        is_in(name, zone) && self.anchor(zone) == self.anchor(name)
    }

    /// The nearest anchor above a name, or at it.
    fn anchor(&self, name: &Name) -> Option<&Name> {
        let above = self.anchors.keys().filter(|zone| is_in(name, zone));
        above.max_by_key(|zone| labels(zone))
    }

    /// Goes from the nearest anchor towards a name, as far as is known.
    pub(crate) fn reach(&mut self, name: &Name, now: Time) -> Reach {
        let Some(anchor) = self.anchor(name).cloned() else {
            return Reach::Indeterminate;
        };
        self.uses += 1;
        let mut reached = None;
        for count in labels(&anchor)..=labels(name) {
            let at = tail(name, count);
            match self.standing(&at, now) {
                Some(Standing::Zone(keys)) => reached = Some((at, Rc::clone(keys))),
                Some(Standing::Insecure) => return Reach::Insecure,
                Some(Standing::NoCut) => {}
                Some(Standing::Nothing) => break,
                Some(Standing::Delegated(_)) => return Reach::Ask(at, RecordType::Dnskey),
                None if at == anchor => return Reach::Ask(at, RecordType::Dnskey),
                None => return Reach::Ask(at, RecordType::Ds),
            }
        }
        match reached {
            Some((zone, keys)) => Reach::Zone(zone, keys),
            None => Reach::Ask(anchor, RecordType::Dnskey),
        }
    }

    /// What is known of a name, which is used thereby.
    fn standing(&mut self, name: &Name, now: Time) -> Option<&Standing> {
        let entry = self.known.get_mut(name).filter(|it| it.until > now)?;
        entry.used = self.uses;
        Some(&entry.standing)
    }

    /// Takes the reply to a question that [`Zones::reach`] named. Where that is not
    /// the next step any more, nothing is learnt: another lookup has taken it
    /// meanwhile, or what it stands on has been forgotten.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(crate) fn learn(
        &mut self,
        name: &Name,
        kind: RecordType,
        sets: &Sets,
        tools: &mut Tools<'_>,
    ) -> Result<(), Flaw> {
        match self.reach(name, tools.now) {
            Reach::Ask(next, wanted) if next == *name && wanted == kind => {}
            _ => return Ok(()),
        }
        let (standing, ttl) = match kind {
            RecordType::Dnskey => self.keys(name, &sets.answers, tools)?,
            _ => self.delegation(name, sets, tools)?,
        };
        // A walk must end: what it stands on stays for a while.
        let ttl = ttl.clamp(MIN_ZONE_SECONDS, MAX_TTL_SECONDS);
        let until = tools.now + Duration::from_secs(ttl.into());
        self.insert(name.clone(), standing, until);
        Ok(())
    }

    /// The keys of a zone, against its delegation or anchor (RFC 4035 section 5.2).
    fn keys(
        &self,
        zone: &Name,
        answers: &Section,
        tools: &mut Tools<'_>,
    ) -> Result<(Standing, u32), Flaw> {
        let delegation = match self.known.get(zone).map(|it| &it.standing) {
            Some(Standing::Delegated(delegation)) => delegation.to_vec(),
            _ => usable(self.anchors.get(zone).cloned().unwrap_or_default()),
        };
        let what = What::new(zone, code::DNSKEY);
        let Some(set) = answers.get(&(zone.clone(), code::DNSKEY)) else {
            return Err(Flaw::Untrusted(text(zone)));
        };
        if set.data.len() > MAX_ZONE_KEYS {
            return Err(Flaw::TooManyKeys(text(zone)));
        }
        let read = |data: &Vec<u8>| Some((Dnskey::read(data)?, data.clone()));
        let all: Option<Vec<(Dnskey, Vec<u8>)>> = set.data.iter().map(read).collect();
        let all = all.ok_or(Flaw::Malformed(what))?;
        let named = named(zone, &all, &delegation, tools);
        if named.is_empty() {
            return Err(Flaw::Untrusted(text(zone)));
        }
        let named: Vec<Dnskey> = named.into_iter().cloned().collect();
        let verified = verify(set, zone, &named, tools)?;
        let keys = all.into_iter().map(|(key, _)| key);
        let keys: Rc<[Dnskey]> = keys.filter(signs).collect();
        if keys.iter().map(|it| it.key.len()).sum::<usize>() > MAX_ZONE_KEY_BYTES {
            return Err(Flaw::TooManyKeys(text(zone)));
        }
        Ok((Standing::Zone(keys), verified.ttl))
    }

    /// What the zone above says of a name: that another begins there, signed or
    /// not, or that none does.
    fn delegation(
        &mut self,
        name: &Name,
        sets: &Sets,
        tools: &mut Tools<'_>,
    ) -> Result<(Standing, u32), Flaw> {
        let what = || What::new(name, code::DS);
        let (zone, keys) = match self.reach(&parent(name), tools.now) {
            Reach::Zone(zone, keys) => (zone, keys),
            // The way to the name leads through a zone, or it would not be asked for.
            _ => return Err(Flaw::NotDenied(what())),
        };
        if let Some(set) = sets.answers.get(&(name.clone(), code::DS)) {
            let (_, ttl) = present(set, &sets.authority, &zone, &keys, tools)?;
            let all: Option<Vec<Ds>> = set.data.iter().map(|data| Ds::read(data)).collect();
            let usable = usable(all.ok_or(Flaw::Malformed(what()))?);
            // Nothing that we could check: as if unsigned (RFC 4035 section 5.2).
            let standing = match usable.is_empty() {
                true => Standing::Insecure,
                false => Standing::Delegated(usable.into_iter().filter(is_whole).collect()),
            };
            return Ok((standing, ttl));
        }
        if let Some(set) = alias(name, &sets.answers) {
            let (shown, ttl) = present(set, &sets.authority, &zone, &keys, tools)?;
            let standing = match shown {
                Shown::Absent => Standing::NoCut,
                // A zone may have been left out that stands nearer than a wildcard.
                Shown::Unknown => Standing::Insecure,
            };
            return Ok((standing, ttl));
        }
        let denials = Denials::verify(&sets.authority, &zone, &keys, tools)?;
        let standing = match denials.cut(name, tools) {
            Some(Cut::Unsigned) => Standing::Insecure,
            Some(Cut::None) => Standing::NoCut,
            Some(Cut::NoName) => Standing::Nothing,
            None => return Err(Flaw::NotDenied(what())),
        };
        Ok((standing, denials.ttl))
    }

    /// Makes room by what was not used for longest. That is none of what the
    /// present walk stands on, whatever TTLs others chose for themselves.
    fn insert(&mut self, name: Name, standing: Standing, until: Time) {
        if self.known.len() >= MAX_ZONES && !self.known.contains_key(&name) {
            let last = self.known.iter().min_by_key(|(_, it)| it.used);
            if let Some(last) = last.map(|(name, _)| name.clone()) {
                self.known.remove(&last);
            }
        }
        let used = self.uses;
        let entry = Entry {
            standing,
            until,
            used,
        };
        self.known.insert(name, entry);
    }
}

/// The alias that a name is: by itself, or below one for a whole tree. Where an
/// alias is, no zone begins.
fn alias<'a>(name: &Name, answers: &'a Section) -> Option<&'a RrSet> {
    let own = answers.get(&(name.clone(), code::CNAME));
    let signed = own.filter(|it| !it.signatures.is_empty());
    let above = || {
        answers
            .values()
            .find(|it| it.code == code::DNAME && is_below(name, &it.owner))
    };
    signed.or_else(above)
}
