//! What is known of zones: which are signed, with which keys, from the trust
//! anchors down.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;

use super::Tools;
use super::denial::{Cut, Denials};
use super::flaw::{Flaw, What};
use super::names::{is_below, is_in, labels, parent, tail};
use super::rdata::{Dnskey, Ds};
use super::sets::{RrSet, Section, Sets, code};
use super::signature::{Verified, named, usable, verify};
use crate::bounds::{MAX_TTL_SECONDS, MAX_ZONE_KEYS, MAX_ZONES, MIN_ZONE_SECONDS};
use crate::names::{Asked, text};
use crate::types::{RecordType, Time, TrustAnchor};

/// What stands at a name.
#[derive(Clone, Debug)]
enum Standing {
    /// A zone whose keys its parent names so; they have not been asked for yet.
    Delegated(Vec<Ds>),
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
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Zones {
    anchors: BTreeMap<Name, Vec<Ds>>,
    known: BTreeMap<Name, Entry>,
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

    /// The nearest anchor that a name is below.
    pub(crate) fn anchor_of(&self, name: &Name) -> Option<&Name> {
        let above = self.anchors.keys().filter(|zone| is_in(name, zone));
        above.max_by_key(|zone| labels(zone))
    }

    /// Goes from the nearest anchor towards a name, as far as is known.
    pub(crate) fn reach(&self, name: &Name, now: Time) -> Reach {
        let Some(anchor) = self.anchor_of(name) else {
            return Reach::Indeterminate;
        };
        let mut reached = None;
        for count in labels(anchor)..=labels(name) {
            let at = tail(name, count);
            let known = self.known.get(&at).filter(|it| it.until > now);
            match known.map(|it| &it.standing) {
                Some(Standing::Zone(keys)) => reached = Some((at, Rc::clone(keys))),
                Some(Standing::Insecure) => return Reach::Insecure,
                Some(Standing::NoCut) => {}
                Some(Standing::Nothing) => break,
                Some(Standing::Delegated(_)) => return Reach::Ask(at, RecordType::Dnskey),
                None if at == *anchor => return Reach::Ask(at, RecordType::Dnskey),
                None => return Reach::Ask(at, RecordType::Ds),
            }
        }
        match reached {
            Some((zone, keys)) => Reach::Zone(zone, keys),
            None => Reach::Ask(anchor.clone(), RecordType::Dnskey),
        }
    }

    /// Takes the reply to a question that [`Zones::reach`] named.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(crate) fn learn(
        &mut self,
        name: &Name,
        kind: RecordType,
        sets: &Sets,
        response: ResponseCode,
        tools: &mut Tools<'_>,
    ) -> Result<(), Flaw> {
        // What another lookup has learnt meanwhile holds.
        let known = self.known.get(name).filter(|it| it.until > tools.now);
        if let Some(known) = known
            && (kind != RecordType::Dnskey || !matches!(known.standing, Standing::Delegated(_)))
        {
            return Ok(());
        }
        let (standing, ttl) = match kind {
            RecordType::Dnskey => self.keys(name, &sets.answers, tools)?,
            _ => self.delegation(name, sets, response, tools)?,
        };
        // A walk must end: what it stands on stays for a while.
        let ttl = ttl.clamp(MIN_ZONE_SECONDS, MAX_TTL_SECONDS);
        let until = tools.now + Duration::from_secs(ttl.into());
        self.insert(name.clone(), Entry { standing, until });
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
            Some(Standing::Delegated(delegation)) => delegation.clone(),
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
        let keys = keys.filter(Dnskey::signs_zone).collect();
        Ok((Standing::Zone(keys), verified.ttl))
    }

    /// What the zone above says of a name: that another begins there, signed or
    /// not, or that none does.
    fn delegation(
        &self,
        name: &Name,
        sets: &Sets,
        response: ResponseCode,
        tools: &mut Tools<'_>,
    ) -> Result<(Standing, u32), Flaw> {
        let what = || What::new(name, code::DS);
        let (zone, keys) = match self.reach(&parent(name), tools.now) {
            Reach::Zone(zone, keys) => (zone, keys),
            // What it stood on has been forgotten meanwhile.
            _ => return Err(Flaw::NotDenied(what())),
        };
        if let Some(set) = sets.answers.get(&(name.clone(), code::DS)) {
            let verified = of_its_own(set, verify(set, &zone, &keys, tools)?)?;
            let all: Option<Vec<Ds>> = set.data.iter().map(|data| Ds::read(data)).collect();
            let usable = usable(all.ok_or(Flaw::Malformed(what()))?);
            // Nothing that we could check: as if unsigned (RFC 4035 section 5.2).
            let standing = match usable.is_empty() {
                true => Standing::Insecure,
                false => Standing::Delegated(usable),
            };
            return Ok((standing, verified.ttl));
        }
        if let Some(set) = alias(name, &sets.answers) {
            let verified = of_its_own(set, verify(set, &zone, &keys, tools)?)?;
            return Ok((Standing::NoCut, verified.ttl));
        }
        let denials = Denials::verify(&sets.authority, &zone, &keys, tools)?;
        let cut = denials.cut(name, tools);
        let standing = match (cut, response) {
            (Some(Cut::Unsigned), _) => Standing::Insecure,
            (Some(Cut::None), _) => Standing::NoCut,
            (Some(Cut::NoName), _) => Standing::Nothing,
            (None, _) => return Err(Flaw::NotDenied(what())),
        };
        Ok((standing, denials.ttl))
    }

    /// Makes room by what would be forgotten first.
    fn insert(&mut self, name: Name, entry: Entry) {
        if self.known.len() >= MAX_ZONES && !self.known.contains_key(&name) {
            let first = self.known.iter().min_by_key(|(_, it)| it.until);
            if let Some(first) = first.map(|(name, _)| name.clone()) {
                self.known.remove(&first);
            }
        }
        self.known.insert(name, entry);
    }
}

/// No zone begins, and none goes on, by what a wildcard has.
fn of_its_own(set: &RrSet, verified: Verified) -> Result<Verified, Flaw> {
    match verified.expanded {
        None => Ok(verified),
        Some(_) => Err(Flaw::Expanded(What::new(&set.owner, set.code))),
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
