//! A second validator, which has seen every signature that the guest found good, and
//! asks of what the guest says: does it follow from them?
//!
//! It reads the signed bytes alone, in the plainest way, and whatever it was shown in
//! the whole run counts. So it believes more than the guest may, and never less.

use std::collections::BTreeSet;

use fumehood_crypto::zone::{Digest, digest};
use fumehood_guest_dns::{RecordData, TrustAnchor};

use super::TODAY;
use super::wire::{self, MAX_NAME, Wire, from_text, is_below, is_in, labels};

/// Types (the IANA registry "DNS Resource Record Types").
pub(super) mod code {
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const DNAME: u16 = 39;
    pub(crate) const DS: u16 = 43;
    pub(crate) const NSEC: u16 = 47;
    pub(crate) const DNSKEY: u16 = 48;
    pub(crate) const NSEC3: u16 = 50;
}

/// Names that are tried at most: an alias for a tree may lead back into it.
const MAX_TRIED: usize = 256;

/// Bytes of a signature's data before the name of its signer.
const FIXED: usize = 18;

/// Records, and the key that the guest found their signature to be of.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) owner: Wire,
    pub(super) code: u16,
    pub(super) data: Vec<Vec<u8>>,
    /// Labels of the owner, a wildcard's `*` not counted.
    pub(super) labels: usize,
    pub(super) signer: Wire,
    algorithm: u8,
    key: Vec<u8>,
}

/// What a delegation or an anchor says of a zone's key: tag, algorithm, kind of
/// digest, digest.
type Vouched = (Wire, Vec<u8>);

/// See the module's documentation.
pub(super) struct Witness {
    /// All that was signed by keys which an anchor leads to.
    pub(super) good: Vec<Signed>,
}

impl Witness {
    /// Goes from the anchor to every zone that what was signed leads to.
    pub(super) fn new(anchor: &TrustAnchor, signed: Vec<Signed>) -> Witness {
        let mut vouched = BTreeSet::<Vouched>::new();
        let mut keys = BTreeSet::<(Wire, Vec<u8>)>::new();
        let words = [&anchor.key_tag.to_be_bytes()[..], &[anchor.algorithm]].concat();
        let data = [&words[..], &[anchor.digest_type], &anchor.digest].concat();
        let zone = anchor.zone.to_ascii_lowercase();
        vouched.insert((from_text(&zone), data));
        loop {
            let before = (vouched.len(), keys.len());
            for it in &signed {
                let own = |data: &Vec<u8>| (it.owner.clone(), data.clone());
                if it.code == code::DNSKEY && it.is_of_own_key(&vouched) {
                    keys.extend(it.data.iter().map(own));
                }
                let above = is_below(&it.owner, &it.signer);
                if it.code == code::DS && above && it.is_of_one(&keys) {
                    vouched.extend(it.data.iter().map(own));
                }
            }
            if before == (vouched.len(), keys.len()) {
                break;
            }
        }
        let good = signed.into_iter().filter(|it| it.is_of_one(&keys));
        Witness {
            good: good.collect(),
        }
    }

    /// What a name may stand for, by aliases that are signed; itself too. None where
    /// they are too many to be tried.
    pub(super) fn closure(&self, name: &[u8]) -> Option<BTreeSet<Wire>> {
        let mut all = BTreeSet::from([name.to_vec()]);
        while all.len() < MAX_TRIED {
            let targets = all.iter().flat_map(|name| self.targets(name));
            let fresh = |it: &Wire| it.len() <= MAX_NAME && !all.contains(it);
            let more: Vec<Wire> = targets.filter(fresh).collect();
            if more.is_empty() {
                return Some(all);
            }
            all.extend(more);
        }
        None
    }

    fn targets(&self, name: &[u8]) -> Vec<Wire> {
        let mut targets = Vec::new();
        for it in &self.good {
            let data = it.data.iter().filter_map(|data| wire::name(data));
            match it.code {
                code::CNAME if self.is_at(it, name) => targets.extend(data.map(|(name, _)| name)),
                code::DNAME if is_below(name, &it.owner) => {
                    let kept = labels(name).len() - labels(&it.owner).len();
                    targets.extend(data.map(|(target, _)| {
                        wire::of(&[&labels(name)[..kept], &labels(&target)].concat())
                    }));
                }
                _ => {}
            }
        }
        targets
    }

    /// Whether records stand at a name: they are its own, or those of a wildcard that
    /// it is shown to have no name nearer than.
    fn is_at(&self, signed: &Signed, name: &[u8]) -> bool {
        if signed.owner == name {
            return true;
        }
        let own = labels(&signed.owner);
        let wild = own.first() == Some(&&b"*"[..]);
        wild && is_below(name, &wire::of(&own[1..])) && self.is_nearest(name, signed.labels)
    }

    /// Whether such a record stands, signed, at one of the names.
    pub(super) fn has(&self, names: &BTreeSet<Wire>, kind: u16, record: &RecordData) -> bool {
        let data = data(record);
        let holds = |it: &&Signed| match &data {
            Some(data) => it.data.contains(data),
            None => !it.data.is_empty(),
        };
        let of_kind = self.good.iter().filter(|it| it.code == kind);
        let mut holding = of_kind.filter(holds);
        holding.any(|it| names.iter().any(|name| self.is_at(it, name)))
    }
}

impl Signed {
    /// Reads what was signed (RFC 4034 section 3.1.8.1).
    ///
    /// # Panics
    /// If nobody would have signed that.
    pub(super) fn read(key: &[u8], message: &[u8]) -> Signed {
        let (fixed, rest) = message.split_at(FIXED);
        let number = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let long = |at: usize| u32::from(number(at)) << 16 | u32::from(number(at + 2));
        let Some((signer, mut rest)) = wire::name(rest) else {
            panic!("signed without a signer")
        };
        let mut signed = Signed {
            owner: Wire::new(),
            code: number(0),
            data: Vec::new(),
            labels: usize::from(fixed[3]),
            signer,
            algorithm: fixed[2],
            key: key.to_vec(),
        };
        let not_after = |a: u32, b: u32| b.wrapping_sub(a) <= i32::MAX.cast_unsigned();
        let (expiration, inception) = (long(8), long(12));
        assert!(not_after(inception, TODAY) && not_after(TODAY, expiration));
        while !rest.is_empty() {
            let Some((owner, after)) = wire::name(rest) else {
                panic!("signed without an owner")
            };
            assert!(rest.starts_with(&owner), "not in lower case");
            let (head, after) = after.split_at(10);
            assert_eq!(head[..2], fixed[..2], "another type");
            assert_eq!(head[2..4], [0, 1], "another class");
            assert_eq!(head[4..8], fixed[4..8], "another TTL");
            let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
            let (data, after) = after.split_at(length);
            let last = signed.data.last();
            assert!(last.is_none_or(|it| &it[..] < data), "not in order");
            assert!(signed.data.is_empty() || signed.owner == owner);
            signed.owner = owner;
            signed.data.push(data.to_vec());
            rest = after;
        }
        assert!(!signed.data.is_empty(), "signed nothing");
        assert!(is_in(&signed.owner, &signed.signer), "another's zone");
        signed
    }

    /// Whether one of these zones' keys signed it.
    fn is_of_one(&self, keys: &BTreeSet<(Wire, Vec<u8>)>) -> bool {
        let of_zone = keys.iter().filter(|(zone, _)| *zone == self.signer);
        of_zone.into_iter().any(|(_, data)| self.is_of(data))
    }

    /// Whether a key among its own records signed it, which somebody vouches for.
    fn is_of_own_key(&self, vouched: &BTreeSet<Vouched>) -> bool {
        let is_vouched = |data: &&Vec<u8>| {
            vouched
                .iter()
                .any(|(zone, ds)| *zone == self.owner && is_digest(ds, zone, data))
        };
        let mut vouched = self.data.iter().filter(is_vouched);
        self.signer == self.owner && vouched.any(|data| self.is_of(data))
    }

    /// Whether the key in a DNSKEY record's data, a zone's and not revoked, is the one.
    fn is_of(&self, data: &[u8]) -> bool {
        let Some(([flags, low, protocol, algorithm], key)) = data.split_first_chunk::<4>() else {
            return false;
        };
        let may = flags & 1 != 0 && low & 0x80 == 0 && *protocol == 3;
        let same = match algorithm {
            13 | 14 => self.key.get(1..) == Some(key),
            15 => self.key == key,
            // Its parts stand in another order there, with other lengths before them.
            _ => modulus(key).is_some_and(|it| self.key.windows(it.len()).any(|at| at == it)),
        };
        may && *algorithm == self.algorithm && same
    }
}

/// The modulus of an RSA key (RFC 3110), without zeros before it.
fn modulus(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = match key {
        [0, a, b, rest @ ..] => (u16::from_be_bytes([*a, *b]), rest),
        [length, rest @ ..] => (u16::from(*length), rest),
        [] => return None,
    };
    let modulus = rest.get(usize::from(length)..)?;
    let zeros = modulus.iter().take_while(|it| **it == 0).count();
    Some(&modulus[zeros..]).filter(|it| !it.is_empty())
}

/// Whether a DS record is of this key.
fn is_digest(ds: &[u8], zone: &[u8], key: &[u8]) -> bool {
    let [_, _, algorithm, kind, ..] = ds else {
        return false;
    };
    let kind = match kind {
        1 => Digest::Sha1,
        2 => Digest::Sha256,
        4 => Digest::Sha384,
        _ => return false,
    };
    key.get(3) == Some(algorithm) && digest(kind, &[zone, key].concat()) == ds[4..]
}

/// A record's data in canonical form; none where that is not tried.
fn data(record: &RecordData) -> Option<Vec<u8>> {
    let parts: Vec<Vec<u8>> = match record {
        RecordData::A(it) => vec![it.octets().to_vec()],
        RecordData::Aaaa(it) => vec![it.octets().to_vec()],
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            vec![from_text(name)]
        }
        RecordData::Mx {
            preference,
            exchange,
        } => vec![preference.to_be_bytes().to_vec(), from_text(exchange)],
        RecordData::Srv {
            priority,
            weight,
            port,
            target,
        } => {
            let numbers = [priority, weight, port].map(|it| it.to_be_bytes());
            vec![numbers.concat(), from_text(target)]
        }
        RecordData::Soa(soa) => {
            let numbers = [
                soa.serial,
                soa.refresh_s,
                soa.retry_s,
                soa.expire_s,
                soa.minimum_s,
            ];
            let numbers = numbers.map(u32::to_be_bytes).concat();
            vec![from_text(&soa.primary), from_text(&soa.mailbox), numbers]
        }
        RecordData::Txt(parts) => parts
            .iter()
            .map(|part| {
                let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
                [&[length], &part[..]].concat()
            })
            .collect(),
        RecordData::Dnskey {
            flags,
            protocol,
            algorithm,
            key,
        } => vec![
            flags.to_be_bytes().to_vec(),
            vec![*protocol, *algorithm],
            key.clone(),
        ],
        RecordData::Ds {
            key_tag,
            algorithm,
            digest_type,
            digest,
        } => vec![
            key_tag.to_be_bytes().to_vec(),
            vec![*algorithm, *digest_type],
            digest.clone(),
        ],
        RecordData::Caa { .. } | RecordData::Https(_) | RecordData::Svcb(_) => return None,
    };
    Some(parts.concat())
}
