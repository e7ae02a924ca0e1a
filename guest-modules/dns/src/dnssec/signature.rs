//! A set against the keys of its zone (RFC 4035 section 5.3).

use hickory_proto::rr::Name;

use super::flaw::{Flaw, What};
use super::names::{is_in, labels, tail, wildcard, wire};
use super::rdata::{Dnskey, Ds, Rrsig};
use super::sets::RrSet;
use super::{Algorithm, Digest, Tools};
use crate::bounds::{MAX_CHECKS_PER_SET, MAX_DELEGATIONS};
use crate::names::text;

/// A set that one of its zone's keys has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// For how many seconds it may be kept.
    pub(crate) ttl: u32,
    /// Labels of the name below which a wildcard stood that it comes of.
    pub(crate) expanded: Option<usize>,
}

/// Checks a set against a zone's keys.
///
/// # Errors
/// What is wrong with the signature that came nearest to being right.
pub(crate) fn verify(
    set: &RrSet,
    zone: &Name,
    keys: &[Dnskey],
    tools: &mut Tools<'_>,
) -> Result<Verified, Flaw> {
    let what = || What::new(&set.owner, set.code);
    let Some(first) = set.signatures.first() else {
        return Err(Flaw::Unsigned(what()));
    };
    if !is_in(&set.owner, zone) || set.signatures.iter().all(|it| it.signer != *zone) {
        return Err(Flaw::WrongSigner {
            what: what(),
            signer: text(&first.signer),
        });
    }
    let mut flaw = Flaw::NoKey(what());
    let mut checks = 0;
    for signature in set.signatures.iter().filter(|it| it.signer == *zone) {
        let date = tools.date();
        let found = keys.iter().filter(|key| {
            (key.tag, key.algorithm) == (signature.key_tag, signature.algorithm) && key.signs_zone()
        });
        for key in found {
            if !is_past(signature.inception, date) {
                flaw = Flaw::NotYetValid(what());
                continue;
            }
            if !is_past(date, signature.expiration) {
                flaw = Flaw::Expired(what());
                continue;
            }
            checks += 1;
            if checks > MAX_CHECKS_PER_SET {
                return Err(Flaw::TooMuchWork);
            }
            tools.work.check()?;
            let signed = signed_bytes(set, signature);
            if signed.is_some_and(|it| is_signed(key, &it, &signature.signature, tools)) {
                return Ok(Verified {
                    ttl: set
                        .ttl
                        .min(signature.original_ttl)
                        .min(signature.expiration.wrapping_sub(date)),
                    expanded: expanded(&set.owner, signature),
                });
            }
            flaw = Flaw::BadSignature(what());
        }
    }
    Err(flaw)
}

/// The keys among a zone's that a delegation or an anchor names.
pub(crate) fn named<'a>(
    zone: &Name,
    keys: &'a [(Dnskey, Vec<u8>)],
    delegation: &[Ds],
    tools: &Tools<'_>,
) -> Vec<&'a Dnskey> {
    let is_named = |key: &Dnskey, data: &[u8]| {
        delegation.iter().any(|ds| {
            (ds.key_tag, ds.algorithm) == (key.tag, key.algorithm)
                && digest(ds.digest_type).is_some_and(|digest| {
                    let bytes = [&wire(zone), data].concat();
                    tools.oracle.digest(digest, &bytes) == ds.digest
                })
        })
    };
    let found = keys.iter().filter(|(key, data)| is_named(key, data));
    found.map(|(key, _)| key).collect()
}

/// Those of a delegation that can be gone by: of known algorithm and digest,
/// and with SHA-1 only where there is nothing better (RFC 4509 section 3).
pub(crate) fn usable(mut delegation: Vec<Ds>) -> Vec<Ds> {
    delegation.retain(|it| algorithm(it.algorithm).is_some() && digest(it.digest_type).is_some());
    let is_old = |it: &Ds| digest(it.digest_type) == Some(Digest::Sha1);
    if !delegation.iter().all(is_old) {
        delegation.retain(|it| !is_old(it));
    }
    delegation.truncate(MAX_DELEGATIONS);
    delegation
}

/// Whether one of a delegation has a digest as long as its type is. Others name no
/// key.
pub(crate) fn is_whole(ds: &Ds) -> bool {
    digest(ds.digest_type).is_some_and(|it| it.length() == ds.digest.len())
}

/// Whether a signature that is this key's can be checked, and counts.
pub(crate) fn signs(key: &Dnskey) -> bool {
    key.signs_zone() && algorithm(key.algorithm).is_some()
}

/// By the number of RFC 9904.
fn algorithm(number: u8) -> Option<Algorithm> {
    Some(match number {
        8 => Algorithm::RsaSha256,
        10 => Algorithm::RsaSha512,
        13 => Algorithm::EcdsaP256,
        14 => Algorithm::EcdsaP384,
        15 => Algorithm::Ed25519,
        _ => return None,
    })
}

fn digest(number: u8) -> Option<Digest> {
    Some(match number {
        1 => Digest::Sha1,
        2 => Digest::Sha256,
        4 => Digest::Sha384,
        _ => return None,
    })
}

/// Whether `earlier` is not after `later`, in the arithmetic of serial numbers
/// (RFC 1982).
fn is_past(earlier: u32, later: u32) -> bool {
    later.wrapping_sub(earlier).cast_signed() >= 0
}

/// Labels as a signature counts them: without a leading `*` (RFC 4034 section 3.1.3).
fn counted(name: &Name) -> usize {
    let wild = name.iter().next() == Some(&b"*"[..]);
    labels(name) - usize::from(wild)
}

fn expanded(owner: &Name, signature: &Rrsig) -> Option<usize> {
    let signed = usize::from(signature.labels);
    (signed < counted(owner)).then_some(signed)
}

/// What was signed (RFC 4034 section 3.1.8.1); none where the signature counts
/// more labels than there are, or a wildcard's above its own zone.
fn signed_bytes(set: &RrSet, signature: &Rrsig) -> Option<Vec<u8>> {
    let owner = match usize::from(signature.labels) {
        count if count > counted(&set.owner) || count < labels(&signature.signer) => return None,
        count if count < counted(&set.owner) => wildcard(&tail(&set.owner, count))?,
        _ => set.owner.clone(),
    };
    let mut head = wire(&owner);
    head.extend(set.code.to_be_bytes());
    head.extend(1_u16.to_be_bytes());
    head.extend(signature.original_ttl.to_be_bytes());
    let mut data: Vec<&Vec<u8>> = set.data.iter().collect();
    data.sort_unstable();
    data.dedup();
    let mut bytes = signature.head.clone();
    for data in data {
        bytes.extend(&head);
        bytes.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        bytes.extend(data);
    }
    Some(bytes)
}

fn is_signed(key: &Dnskey, bytes: &[u8], signature: &[u8], tools: &Tools<'_>) -> bool {
    let Some(algorithm) = algorithm(key.algorithm) else {
        return false;
    };
    let public = match algorithm {
        Algorithm::RsaSha256 | Algorithm::RsaSha512 => rsa_key(&key.key),
        // An uncompressed point (SEC 1 section 2.3.3).
        Algorithm::EcdsaP256 | Algorithm::EcdsaP384 => Some([&[4], &key.key[..]].concat()),
        Algorithm::Ed25519 => Some(key.key.clone()),
    };
    public.is_some_and(|public| tools.oracle.verify(algorithm, &public, bytes, signature))
}

/// An RSA key (RFC 3110 section 2) as an RSAPublicKey in DER.
fn rsa_key(key: &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = match key.split_first()? {
        (0, rest) => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (u16::from_be_bytes(*length), rest)
        }
        (length, rest) => (u16::from(*length), rest),
    };
    let (exponent, modulus) = rest.split_at_checked(length.into())?;
    let content = [der_integer(modulus)?, der_integer(exponent)?].concat();
    der(0x30, &content)
}

fn der_integer(bytes: &[u8]) -> Option<Vec<u8>> {
    let zeros = bytes.iter().take_while(|it| **it == 0).count();
    let significant = &bytes[zeros..];
    let first = significant.first()?;
    let sign: &[u8] = if first & 0x80 == 0 { &[] } else { &[0] };
    der(2, &[sign, significant].concat())
}

fn der(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let [a, b] = u16::try_from(content.len()).ok()?.to_be_bytes();
    let head = match (a, b) {
        (0, 0..0x80) => vec![tag, b],
        (0, _) => vec![tag, 0x81, b],
        _ => vec![tag, 0x82, a, b],
    };
    Some([head, content.to_vec()].concat())
}
