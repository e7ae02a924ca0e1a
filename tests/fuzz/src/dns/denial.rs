//! The second validator on what is not there (RFC 4035 section 5.4, RFC 5155
//! section 8).

use fumehood_crypto::zone::{Digest, digest};
use fumehood_guest_dns::MAX_NSEC3_ITERATIONS;

use super::wire::{self, Wire, is_below, is_in, labels, order, shared, tail, wildcard};
use super::witness::{Signed, Witness, code};

/// What is said not to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    Name,
    Record(u16),
}

impl Witness {
    /// Whether what is signed shows that a name, or a record of it, is not there.
    pub(super) fn denies(&self, name: &[u8], what: Absent) -> bool {
        self.denies_in_order(name, what) || self.denies_by_hashes(name, what)
    }

    /// Whether no name is nearer than so many labels.
    pub(super) fn is_nearest(&self, name: &[u8], count: usize) -> bool {
        let in_order = self.in_order().any(|it| {
            let enclosed = shared(&it.owner, name).max(shared(&it.next, name));
            it.covers(name) && enclosed <= count
        });
        let next = tail(name, count + 1);
        in_order || self.hashed().any(|it| !it.opt_out && it.covers(&next))
    }

    /// Whether anything is signed that shows where what is signed ends: a delegation
    /// without DS, or with none that anybody goes by; hashes that leave such out, or
    /// that are too costly.
    pub(super) fn shows_an_end(&self) -> bool {
        let of = |kind: u16| self.good.iter().filter(move |it| it.code == kind);
        of(code::DS).any(|it| !it.data.iter().any(|ds| is_usable(ds)))
            || of(code::NSEC3).any(is_costly)
            || self.in_order().any(|it| is_unsigned(&it.types))
            || self.hashed().any(|it| it.opt_out || is_unsigned(&it.types))
    }

    fn in_order(&self) -> impl Iterator<Item = InOrder> {
        let sets = self.good.iter().filter(|it| it.code == code::NSEC);
        sets.filter_map(InOrder::read)
    }

    fn denies_in_order(&self, name: &[u8], what: Absent) -> bool {
        let lacks = |owner: &[u8], code| {
            let mut own = self.in_order().filter(|it| it.owner == owner);
            own.any(|it| lacks(&it.types, owner, code))
        };
        if let Absent::Record(code) = what
            && lacks(name, code)
        {
            return true;
        }
        self.in_order().filter(|it| it.covers(name)).any(|it| {
            if is_below(&it.next, name) {
                // It is there, with nothing but names below it.
                return what != Absent::Name;
            }
            let count = shared(&it.owner, name).max(shared(&it.next, name));
            let Some(wild) = wildcard(&tail(name, count)) else {
                return what == Absent::Name;
            };
            match what {
                Absent::Name => self.in_order().any(|it| it.covers(&wild)),
                Absent::Record(code) => lacks(&wild, code),
            }
        })
    }

    fn hashed(&self) -> impl Iterator<Item = Hashed> {
        let sets = self.good.iter().filter(|it| it.code == code::NSEC3);
        sets.filter_map(Hashed::read)
    }

    fn denies_by_hashes(&self, name: &[u8], what: Absent) -> bool {
        let lacks = |owner: &[u8], code| {
            let mut own = self.hashed().filter(|it| it.is_at(owner));
            own.any(|it| lacks(&it.types, owner, code))
        };
        if let Absent::Record(code) = what
            && lacks(name, code)
        {
            return true;
        }
        (0..labels(name).len()).any(|count| {
            let (encloser, next) = (tail(name, count), tail(name, count + 1));
            let stands = |it: Hashed| it.is_at(&encloser) && !is_left(&it.types);
            let stands = self.hashed().any(stands);
            let gap = self.hashed().any(|it| !it.opt_out && it.covers(&next));
            let of_wildcard = match (wildcard(&encloser), what) {
                (None, _) => what == Absent::Name,
                (Some(wild), Absent::Name) => self.hashed().any(|it| it.covers(&wild)),
                (Some(wild), Absent::Record(code)) => lacks(&wild, code),
            };
            stands && gap && of_wildcard
        })
    }
}

/// A NSEC record.
struct InOrder {
    owner: Wire,
    next: Wire,
    types: Vec<u16>,
    zone: Wire,
}

impl InOrder {
    fn read(signed: &Signed) -> Option<InOrder> {
        let (next, bits) = wire::name(signed.data.first()?)?;
        Some(InOrder {
            owner: signed.owner.clone(),
            next,
            types: types(bits)?,
            zone: signed.signer.clone(),
        })
    }

    /// Whether it leaves no room for a name of its own zone.
    fn covers(&self, name: &[u8]) -> bool {
        let ends = order(&self.next, &self.owner).is_le();
        let before = match ends {
            true => is_in(name, &self.next),
            false => order(name, &self.next).is_lt(),
        };
        let another_s = is_below(name, &self.owner) && is_left(&self.types);
        is_in(name, &self.zone) && order(&self.owner, name).is_lt() && before && !another_s
    }
}

/// A NSEC3 record, of those that anybody goes by.
struct Hashed {
    hash: Vec<u8>,
    next: Vec<u8>,
    opt_out: bool,
    iterations: u16,
    salt: Vec<u8>,
    types: Vec<u16>,
    zone: Wire,
}

impl Hashed {
    fn read(signed: &Signed) -> Option<Hashed> {
        let own = labels(&signed.owner);
        let hash = base32hex(own.first()?)?;
        let [_sha1, flags, a, b, salt_length, rest @ ..] = &signed.data.first()?[..] else {
            return None;
        };
        let (salt, rest) = rest.split_at_checked(usize::from(*salt_length))?;
        let (length, rest) = rest.split_first()?;
        let (next, bits) = rest.split_at_checked(usize::from(*length))?;
        let iterations = u16::from_be_bytes([*a, *b]);
        let directly_in_zone = wire::of(&own[1..]) == signed.signer;
        (directly_in_zone && iterations <= MAX_NSEC3_ITERATIONS).then_some(())?;
        Some(Hashed {
            hash,
            next: next.to_vec(),
            opt_out: flags & 1 != 0,
            iterations,
            salt: salt.to_vec(),
            types: types(bits)?,
            zone: signed.signer.clone(),
        })
    }

    fn hash(&self, name: &[u8]) -> Option<Vec<u8>> {
        is_in(name, &self.zone).then_some(())?;
        let again = |bytes: Vec<u8>, _| digest(Digest::Sha1, &[&bytes[..], &self.salt].concat());
        Some((0..=self.iterations).fold(name.to_vec(), again))
    }

    fn is_at(&self, name: &[u8]) -> bool {
        self.hash(name).is_some_and(|hash| hash == self.hash)
    }

    fn covers(&self, name: &[u8]) -> bool {
        self.hash(name).is_some_and(|hash| {
            let (after, before) = (self.hash < hash, hash < self.next);
            match self.hash < self.next {
                true => after && before,
                false => after || before,
            }
        })
    }
}

/// Whether a name with these types has none of that one, nor an alias in its place,
/// and the zone is the one to say so.
fn lacks(types: &[u16], owner: &[u8], code: u16) -> bool {
    let has = |code| types.contains(&code);
    let begins_here = has(code::SOA);
    let ours = match code {
        code::DS => !begins_here || owner == [0],
        _ => begins_here || !has(code::NS),
    };
    ours && !has(code) && !has(code::CNAME)
}

/// Whether what is below a name with these types is another zone's, or moved.
fn is_left(types: &[u16]) -> bool {
    let has = |code| types.contains(&code);
    has(code::DNAME) || (has(code::NS) && !has(code::SOA))
}

/// Whether another zone begins at a name with these types, of which nothing is signed.
fn is_unsigned(types: &[u16]) -> bool {
    let has = |code| types.contains(&code);
    has(code::NS) && !has(code::SOA) && !has(code::DS)
}

/// Whether anybody goes by a DS record: by its algorithm, and its kind of digest.
fn is_usable(ds: &[u8]) -> bool {
    matches!(ds, [_, _, 8 | 10 | 13 | 14 | 15, 1 | 2 | 4, ..])
}

/// Whether a NSEC3 record asks for more hashing than anybody has to do.
fn is_costly(signed: &Signed) -> bool {
    match signed.data.first().map(Vec::as_slice) {
        Some([_, _, a, b, ..]) => u16::from_be_bytes([*a, *b]) > MAX_NSEC3_ITERATIONS,
        _ => false,
    }
}

/// All types of a bitmap (RFC 4034 section 4.1.2).
fn types(mut bits: &[u8]) -> Option<Vec<u16>> {
    let mut types = Vec::new();
    while let [window, length, rest @ ..] = bits {
        let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
        for (at, byte) in bytes.iter().enumerate() {
            let set = (0..8).filter(|bit| byte & (0x80 >> bit) != 0);
            let first = u16::from(*window) << 8 | u16::try_from(at * 8).ok()?;
            types.extend(set.map(|bit| first | bit));
        }
        bits = rest;
    }
    Some(types)
}

fn base32hex(label: &[u8]) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for letter in label {
        let value = char::from(*letter).to_digit(32)?;
        bits.extend((0..5).rev().map(|bit| value >> bit & 1));
    }
    let byte = |bits: &[u32]| bits.iter().fold(0, |sum, bit| sum << 1 | bit);
    let bytes = bits.chunks_exact(8).map(byte);
    bytes.map(|it| u8::try_from(it).ok()).collect()
}
