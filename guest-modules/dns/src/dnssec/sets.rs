//! A reply's records by name and type, in the form in which they were signed.

use std::collections::BTreeMap;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, DecodeError};

use super::names::wire;
use super::rdata::Rrsig;

/// Numbers of types (the IANA registry "DNS Resource Record Types").
pub(crate) mod code {
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const MX: u16 = 15;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const DNAME: u16 = 39;
    pub(crate) const DS: u16 = 43;
    pub(crate) const RRSIG: u16 = 46;
    pub(crate) const NSEC: u16 = 47;
    pub(crate) const DNSKEY: u16 = 48;
    pub(crate) const NSEC3: u16 = 50;
}

/// The class "Internet".
const IN: u16 = 1;

/// Bytes of a header before its counts, and behind them.
const ID_AND_FLAGS: usize = 4;

/// Memory of a set beside its records, in bytes: maps, lengths, its name twice.
const SET_BYTES: usize = 512;

/// Memory of some bytes beside themselves, in bytes.
const ALLOCATION_BYTES: usize = 24;

/// Records of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RrSet {
    pub(crate) owner: Name,
    pub(crate) code: u16,
    /// The shortest of its records.
    pub(crate) ttl: u32,
    /// The data of each, its names uncompressed and in lower case.
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) signatures: Vec<Rrsig>,
}

impl RrSet {
    /// About how much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let data = self.data.iter().map(|it| ALLOCATION_BYTES + it.len());
        let signatures = self.signatures.iter().map(|it| {
            let beside = it.signer.len() + it.head.len() + it.signature.len();
            size_of::<Rrsig>() + 2 * ALLOCATION_BYTES + beside
        });
        SET_BYTES + data.sum::<usize>() + signatures.sum::<usize>()
    }
}

/// One section, by lower-case name and type.
pub(crate) type Section = BTreeMap<(Name, u16), RrSet>;

/// Answer and authority.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sets {
    pub(crate) answers: Section,
    pub(crate) authority: Section,
}

/// Reads a message whose counts have been checked.
///
/// # Errors
/// Says how it breaks the format.
pub(crate) fn read(message: &[u8]) -> Result<Sets, String> {
    decode(message).map_err(|why| why.to_string())
}

fn decode(message: &[u8]) -> Result<Sets, DecodeError> {
    let mut from = BinDecoder::new(message);
    from.read_slice(ID_AND_FLAGS)?;
    let mut counts = [0; 4];
    for count in &mut counts {
        *count = from.read_u16()?.unverified();
    }
    let [questions, answers, authorities, _] = counts;
    for _ in 0..questions {
        Name::read(&mut from)?;
        from.read_slice(4)?;
    }
    Ok(Sets {
        answers: section(&mut from, answers)?,
        authority: section(&mut from, authorities)?,
    })
}

fn section(from: &mut BinDecoder<'_>, count: u16) -> Result<Section, DecodeError> {
    let mut section = Section::new();
    for _ in 0..count {
        let owner = Name::read(from)?.to_lowercase();
        let code = from.read_u16()?.unverified();
        let class = from.read_u16()?.unverified();
        let ttl = from.read_u32()?.unverified();
        let length = from.read_u16()?.unverified();
        let data = canonical(from, code, length.into())?;
        if class != IN {
            continue;
        }
        let signature = (code == code::RRSIG).then(|| Rrsig::read(&data));
        let covered = match &signature {
            Some(Some(signature)) => signature.covered,
            // A signature that is none covers nothing.
            Some(None) => continue,
            None => code,
        };
        let set = section
            .entry((owner.clone(), covered))
            .or_insert_with(|| RrSet {
                owner,
                code: covered,
                ttl: u32::MAX,
                data: Vec::new(),
                signatures: Vec::new(),
            });
        set.ttl = set.ttl.min(ttl);
        match signature.flatten() {
            Some(signature) => set.signatures.push(signature),
            None => set.data.push(data),
        }
    }
    // Signatures without what they sign say nothing.
    section.retain(|_, set| !set.data.is_empty());
    Ok(section)
}

/// A record's data with its names as RFC 4034 section 6.2 has them (and RFC 6840
/// section 5.1, which leaves NSEC as it is).
fn canonical(from: &mut BinDecoder<'_>, code: u16, length: usize) -> Result<Vec<u8>, DecodeError> {
    let (fixed, names) = match code {
        code::NS | code::CNAME | code::PTR | code::DNAME => (0, 1),
        code::SOA => (0, 2),
        code::MX => (2, 1),
        code::SRV => (6, 1),
        code::RRSIG => (18, 1),
        _ => (0, 0),
    };
    let begin = from.index();
    let mut data = from.read_slice(fixed)?.unverified().to_vec();
    for _ in 0..names {
        data.extend(wire(&Name::read(from)?));
    }
    let read = from.index() - begin;
    let Some(rest) = length.checked_sub(read) else {
        return Err(DecodeError::InsufficientBytes);
    };
    data.extend(from.read_slice(rest)?.unverified());
    Ok(data)
}
