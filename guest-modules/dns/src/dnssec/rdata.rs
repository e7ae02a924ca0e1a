//! The records of DNSSEC: signatures, keys, delegations, denials.

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, Restrict};

use super::names::{labels, parent};

/// Flags of a key (RFC 4034 section 2.1.1, RFC 5011 section 2.1).
const ZONE_KEY: u16 = 0x0100;
const REVOKED: u16 = 0x0080;

/// The one protocol of keys (RFC 4034 section 2.1.2).
const PROTOCOL: u8 = 3;

/// The flag of NSEC3 that names are left out (RFC 5155 section 3.1.2.1).
const OPT_OUT: u8 = 1;

/// The one hash of NSEC3: SHA-1 (RFC 5155 section 11).
const HASH_SHA1: u8 = 1;

/// A signature (RFC 4034 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rrsig {
    pub(crate) covered: u16,
    pub(crate) algorithm: u8,
    pub(crate) labels: u8,
    pub(crate) original_ttl: u32,
    pub(crate) expiration: u32,
    pub(crate) inception: u32,
    pub(crate) key_tag: u16,
    pub(crate) signer: Name,
    pub(crate) signature: Vec<u8>,
    /// All of it before the signature, which is signed too.
    pub(crate) head: Vec<u8>,
}

impl Rrsig {
    /// Reads data in canonical form.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let mut from = BinDecoder::new(data);
        let (covered, algorithm) = (u16(&mut from)?, u8(&mut from)?);
        let labels = u8(&mut from)?;
        let (original_ttl, expiration) = (u32(&mut from)?, u32(&mut from)?);
        let (inception, key_tag) = (u32(&mut from)?, u16(&mut from)?);
        let signer = Name::read(&mut from).ok()?;
        let (head, signature) = data.split_at_checked(from.index())?;
        Some(Rrsig {
            covered,
            algorithm,
            labels,
            original_ttl,
            expiration,
            inception,
            key_tag,
            signer,
            signature: signature.to_vec(),
            head: head.to_vec(),
        })
    }
}

/// A zone's key (RFC 4034 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dnskey {
    pub(crate) flags: u16,
    pub(crate) protocol: u8,
    pub(crate) algorithm: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) tag: u16,
}

impl Dnskey {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (head, key) = data.split_first_chunk::<4>()?;
        let [a, b, protocol, algorithm] = *head;
        Some(Dnskey {
            flags: u16::from_be_bytes([a, b]),
            protocol,
            algorithm,
            key: key.to_vec(),
            tag: key_tag(data),
        })
    }

    /// Whether it may sign records of its zone.
    pub(crate) fn signs_zone(&self) -> bool {
        self.flags & ZONE_KEY != 0 && self.flags & REVOKED == 0 && self.protocol == PROTOCOL
    }
}

/// A number by which keys are found sooner (RFC 4034 appendix B).
fn key_tag(data: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for (at, byte) in data.iter().enumerate() {
        let shift = if at % 2 == 0 { 8 } else { 0 };
        sum = sum.wrapping_add(u32::from(*byte) << shift);
    }
    let [_, _, a, b] = (sum.wrapping_add(sum >> 16)).to_be_bytes();
    u16::from_be_bytes([a, b])
}

/// The digest of a key that a parent, or a trust anchor, vouches for (RFC 4034
/// section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ds {
    pub(crate) key_tag: u16,
    pub(crate) algorithm: u8,
    pub(crate) digest_type: u8,
    pub(crate) digest: Vec<u8>,
}

impl Ds {
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (head, digest) = data.split_first_chunk::<4>()?;
        let [a, b, algorithm, digest_type] = *head;
        Some(Ds {
            key_tag: u16::from_be_bytes([a, b]),
            algorithm,
            digest_type,
            digest: digest.to_vec(),
        })
    }
}

/// The types that a name has (RFC 4034 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Types(Vec<u8>);

impl Types {
    /// Reads windows of 256 types each, in order, each of 1 to 32 bytes.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (mut rest, mut next) = (bytes, 0_u16);
        while let Some(([window, length], after)) = rest.split_first_chunk::<2>() {
            if u16::from(*window) < next || !(1..=32).contains(length) {
                return None;
            }
            next = u16::from(*window) + 1;
            rest = after.get(usize::from(*length)..)?;
        }
        rest.is_empty().then(|| Types(bytes.to_vec()))
    }

    pub(crate) fn has(&self, code: u16) -> bool {
        let [wanted, bit] = code.to_be_bytes();
        let mut rest = &self.0[..];
        while let Some(([window, length], after)) = rest.split_first_chunk::<2>() {
            let Some((bits, after)) = after.split_at_checked((*length).into()) else {
                return false;
            };
            if *window == wanted {
                let byte = bits.get(usize::from(bit / 8)).copied().unwrap_or(0);
                return byte & (0x80 >> (bit % 8)) != 0;
            }
            rest = after;
        }
        false
    }
}

/// A name, the next one, and that there is none between (RFC 4034 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nsec {
    pub(crate) owner: Name,
    pub(crate) next: Name,
    pub(crate) types: Types,
}

impl Nsec {
    pub(crate) fn read(owner: &Name, data: &[u8]) -> Option<Self> {
        let mut from = BinDecoder::new(data);
        let next = Name::read(&mut from).ok()?.to_lowercase();
        Some(Nsec {
            owner: owner.clone(),
            next,
            types: Types::read(data.get(from.index()..)?)?,
        })
    }
}

/// The same with hashes in place of names (RFC 5155 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nsec3 {
    pub(crate) hash: Vec<u8>,
    pub(crate) next: Vec<u8>,
    pub(crate) opt_out: bool,
    pub(crate) iterations: u16,
    pub(crate) salt: Vec<u8>,
    pub(crate) types: Types,
}

impl Nsec3 {
    /// None for one of another zone, another hash, or with unknown flags
    /// (RFC 5155 section 8.2).
    pub(crate) fn read(owner: &Name, zone: &Name, data: &[u8]) -> Option<Self> {
        let hash = base32hex(owner.iter().next()?)?;
        let ([algorithm, flags, a, b, salt_length], rest) = data.split_first_chunk::<5>()?;
        let (salt, rest) = rest.split_at_checked((*salt_length).into())?;
        let (next_length, rest) = rest.split_first()?;
        let (next, types) = rest.split_at_checked((*next_length).into())?;
        let known = *algorithm == HASH_SHA1 && flags & !OPT_OUT == 0;
        if !known || parent(owner) != *zone || labels(owner) != labels(zone) + 1 {
            return None;
        }
        (next.len() == hash.len()).then_some(())?;
        Some(Nsec3 {
            hash,
            next: next.to_vec(),
            opt_out: flags & OPT_OUT != 0,
            iterations: u16::from_be_bytes([*a, *b]),
            salt: salt.to_vec(),
            types: Types::read(types)?,
        })
    }
}

/// Base 32 with the extended hex alphabet, without padding (RFC 4648 section 7).
fn base32hex(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text {
        let value = match letter.to_ascii_lowercase() {
            it @ b'0'..=b'9' => it - b'0',
            it @ b'a'..=b'v' => it - b'a' + 10,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(value)) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn u8(from: &mut BinDecoder<'_>) -> Option<u8> {
    from.read_u8().ok().map(Restrict::unverified)
}

fn u16(from: &mut BinDecoder<'_>) -> Option<u16> {
    from.read_u16().ok().map(Restrict::unverified)
}

fn u32(from: &mut BinDecoder<'_>) -> Option<u32> {
    from.read_u32().ok().map(Restrict::unverified)
}
