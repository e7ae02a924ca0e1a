//! Signed zones, and a server that has them all.
//!
//! | zone | |
//! |---|---|
//! | `.`, `test.` | signed, with NSEC |
//! | `signed.test.` | signed, with NSEC: `www`, `alias` → `www`, `*.wild`, `deep.er` |
//! | `hashed.test.` | signed, with NSEC3 of 5 iterations: the same |
//! | `loose.test.` | signed, with NSEC3 and opt-out: the same, and `left.loose.test.` |
//! | `costly.test.` | signed, with NSEC3 of 51 iterations: the same |
//! | `open.test.` | not signed: the same |

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use fumehood_crypto::zone::{Digest, digest};
use fumehood_guest_dns::TrustAnchor;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::oracle::TODAY;
use super::{Sent, name};

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const DNAME: u16 = 39;
pub(crate) const DS: u16 = 43;
pub(crate) const RRSIG: u16 = 46;
pub(crate) const NSEC: u16 = 47;
pub(crate) const DNSKEY: u16 = 48;
pub(crate) const NSEC3: u16 = 50;

const ED25519: u8 = 15;
const TTL: u32 = 300;
const SALT: [u8; 2] = [0xab, 0xcd];

/// Records by type.
type Types = BTreeMap<u16, Vec<Vec<u8>>>;

/// How a zone denies.
#[derive(Clone, Copy)]
pub(crate) enum Denial {
    Names,
    Hashes { iterations: u16, opt_out: bool },
}

pub(crate) struct Zone {
    pub(crate) apex: Name,
    key: Option<Ed25519KeyPair>,
    denial: Denial,
    /// By labels from the last one, which is their order.
    names: BTreeMap<Vec<Vec<u8>>, Types>,
}

/// All zones.
pub(crate) struct World {
    pub(crate) zones: Vec<Zone>,
}

pub(crate) fn wire(name: &Name) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.iter() {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.to_ascii_lowercase());
    }
    bytes.push(0);
    bytes
}

pub(crate) fn raw(owner: &Name, code: u16, data: Vec<u8>) -> Record {
    let data = RData::Unknown {
        code: RecordType::from(code),
        rdata: NULL::with(data),
    };
    Record::from_rdata(owner.clone(), TTL, data)
}

/// A record's data, if it is one that [`raw`] made.
pub(crate) fn bytes_of(record: &mut Record) -> &mut Vec<u8> {
    match &mut record.data {
        RData::Unknown { rdata, .. } => &mut rdata.anything,
        other => panic!("{other:?}"),
    }
}

fn reversed(name: &Name) -> Vec<Vec<u8>> {
    let labels = name.iter().rev();
    labels.map(<[u8]>::to_ascii_lowercase).collect()
}

fn forward(labels: &[Vec<u8>]) -> Name {
    let mut name = Name::from_labels(labels.iter().rev().map(Vec::as_slice)).unwrap();
    name.set_fqdn(true);
    name
}

/// The key tag of RFC 4034 appendix B.
fn tag(data: &[u8]) -> u16 {
    let sum: u32 = data
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    let [_, _, a, b] = (sum + (sum >> 16)).to_be_bytes();
    u16::from_be_bytes([a, b])
}

fn bitmap(types: &BTreeSet<u16>) -> Vec<u8> {
    let mut bits = [0_u8; 32];
    for code in types {
        assert!(*code < 256, "one window is enough here");
        bits[usize::from(code / 8)] |= 0x80 >> (code % 8);
    }
    let used = bits.iter().rposition(|it| *it != 0).map_or(0, |at| at + 1);
    match used {
        0 => Vec::new(),
        _ => [&[0, u8::try_from(used).unwrap()], &bits[..used]].concat(),
    }
}

pub(crate) fn base32hex(bytes: &[u8]) -> String {
    let (mut bits, mut count, mut text) = (0_u32, 0, String::new());
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            let value = (bits >> count & 31) as usize;
            text.push(char::from(b"0123456789abcdefghijklmnopqrstuv"[value]));
        }
    }
    text
}

impl Zone {
    pub(crate) fn new(apex: &str, signed: bool, denial: Denial) -> Self {
        let apex = if apex == "." {
            Name::root()
        } else {
            name(apex)
        };
        let mut zone = Zone {
            key: signed.then(|| Ed25519KeyPair::generate().unwrap()),
            denial,
            names: BTreeMap::new(),
            apex: apex.clone(),
        };
        let mut soa = [wire(&name("ns.test")), wire(&name("mail.test"))].concat();
        for number in [1_u32, 2, 3, 4, TTL] {
            soa.extend(number.to_be_bytes());
        }
        zone.add(&apex, SOA, soa);
        zone.add(&apex, NS, wire(&name("ns.test")));
        if let Some(key) = zone.dnskey() {
            zone.add(&apex, DNSKEY, key);
        }
        zone
    }

    /// What every zone of the tests has.
    pub(crate) fn furnish(mut self) -> Self {
        let at = |label: &str| name(label).append_domain(&self.apex).unwrap();
        let own = [at("www"), at("*.wild"), at("deep.er"), at("alias")];
        for (last, owner) in own.iter().take(3).enumerate() {
            self.add(owner, A, vec![192, 0, 2, u8::try_from(last + 1).unwrap()]);
        }
        self.add(&own[3], CNAME, wire(&own[0]));
        self
    }

    pub(crate) fn add(&mut self, owner: &Name, code: u16, data: Vec<u8>) {
        let types = self.names.entry(reversed(owner)).or_default();
        types.entry(code).or_default().push(data);
    }

    fn dnskey(&self) -> Option<Vec<u8>> {
        let key = self.key.as_ref()?;
        Some([&[1, 1, 3, ED25519], key.public_key().as_ref()].concat())
    }

    pub(crate) fn ds(&self) -> Vec<u8> {
        let key = self.dnskey().unwrap();
        let digest = digest(Digest::Sha256, &[wire(&self.apex), key.clone()].concat());
        [&tag(&key).to_be_bytes()[..], &[ED25519, 2], &digest].concat()
    }

    /// The records of a set and its signature, as if from `source`: a wildcard's.
    fn set(&self, owner: &Name, source: &Name, code: u16, data: &[Vec<u8>]) -> Vec<Record> {
        let mut records: Vec<Record> = data
            .iter()
            .map(|data| raw(owner, code, data.clone()))
            .collect();
        let dates = (TODAY - 1000, TODAY + 1000);
        records.extend(self.signature(owner, source, code, data, dates));
        records
    }

    /// A signature that holds from one second to another.
    pub(crate) fn signature(
        &self,
        owner: &Name,
        source: &Name,
        code: u16,
        data: &[Vec<u8>],
        (from, until): (u32, u32),
    ) -> Option<Record> {
        let key = self.key.as_ref()?;
        let wild = source.iter().next() == Some(&b"*"[..]);
        let labels = u8::try_from(source.iter().count() - usize::from(wild)).unwrap();
        let mut head = code.to_be_bytes().to_vec();
        head.extend([ED25519, labels]);
        for number in [TTL, until, from] {
            head.extend(number.to_be_bytes());
        }
        head.extend(tag(&self.dnskey().unwrap()).to_be_bytes());
        head.extend(wire(&self.apex));
        let mut message = head.clone();
        let mut data: Vec<_> = data.to_vec();
        data.sort();
        for data in data {
            message.extend(wire(source));
            message.extend(code.to_be_bytes());
            message.extend(1_u16.to_be_bytes());
            message.extend(TTL.to_be_bytes());
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(data);
        }
        let signature = key.sign(&message);
        Some(raw(owner, RRSIG, [&head, signature.as_ref()].concat()))
    }

    /// What the zone's wildcard makes of a name: an alias, signed.
    pub(crate) fn wild_alias(&self, owner: &str, target: &str) -> Vec<Record> {
        let source = name("*").append_domain(&self.apex).unwrap();
        self.set(&name(owner), &source, CNAME, &[wire(&name(target))])
    }

    /// What a name is an alias of by a DNAME above it, which alone is signed.
    fn tree_alias(&self, labels: &[Vec<u8>]) -> Option<Vec<Record>> {
        let mut above = self.apex.iter().count()..labels.len();
        let (count, data) = above.find_map(|count| {
            let types = self.names.get(&labels[..count])?;
            Some((count, types.get(&DNAME)?))
        })?;
        let owner = forward(&labels[..count]);
        let mut records = self.set(&owner, &owner, DNAME, data);
        let kept: usize = labels[count..].iter().map(|it| 1 + it.len()).sum();
        let name = forward(labels);
        let target = [&wire(&name)[..kept], &data[0]].concat();
        records.push(raw(&name, CNAME, target));
        Some(records)
    }

    /// All names, and those that only have names below them.
    fn all(&self) -> BTreeMap<Vec<Vec<u8>>, BTreeSet<u16>> {
        let mut all = BTreeMap::<Vec<Vec<u8>>, BTreeSet<u16>>::new();
        for (labels, types) in &self.names {
            all.entry(labels.clone()).or_default().extend(types.keys());
            for count in self.apex.iter().count()..labels.len() {
                all.entry(labels[..count].to_vec()).or_default();
            }
        }
        all
    }

    /// The records that stand at these names, or leave no room for them.
    pub(crate) fn denials(&self, wanted: &[Name]) -> Vec<Record> {
        match (&self.key, self.denial) {
            (None, _) => Vec::new(),
            (_, Denial::Names) => self.by_names(wanted),
            (
                _,
                Denial::Hashes {
                    iterations,
                    opt_out,
                },
            ) => self.by_hashes(wanted, iterations, opt_out),
        }
    }

    fn by_names(&self, wanted: &[Name]) -> Vec<Record> {
        let names: Vec<_> = self.names.keys().collect();
        let at = |name: &Name| {
            let labels = reversed(name);
            names.iter().rposition(|it| **it <= labels).unwrap()
        };
        let found: BTreeSet<usize> = wanted.iter().map(at).collect();
        let nsec = |at: usize| {
            let mut types: BTreeSet<u16> = self.names[names[at]].keys().copied().collect();
            types.extend([RRSIG, NSEC]);
            let next = forward(names[(at + 1) % names.len()]);
            let data = [wire(&next), bitmap(&types)].concat();
            let owner = forward(names[at]);
            self.set(&owner, &owner, NSEC, &[data])
        };
        found.into_iter().flat_map(nsec).collect()
    }

    fn by_hashes(&self, wanted: &[Name], iterations: u16, opt_out: bool) -> Vec<Record> {
        // Under opt-out, unsigned delegations are left out.
        let left = |types: &BTreeSet<u16>| opt_out && types.contains(&NS) && types.len() == 1;
        let all: BTreeMap<Vec<u8>, BTreeSet<u16>> = self
            .all()
            .into_iter()
            .filter(|(_, types)| !left(types))
            .map(|(labels, types)| (hash(&forward(&labels), iterations), types))
            .collect();
        let hashes: Vec<_> = all.keys().collect();
        let at = |name: &Name| {
            let hash = hash(name, iterations);
            let at = hashes.iter().rposition(|it| **it <= hash);
            at.unwrap_or(hashes.len() - 1)
        };
        let found: BTreeSet<usize> = wanted.iter().map(at).collect();
        let nsec3 = |at: usize| {
            let mut data = vec![1, u8::from(opt_out)];
            data.extend(iterations.to_be_bytes());
            data.push(u8::try_from(SALT.len()).unwrap());
            data.extend(SALT);
            data.push(20);
            data.extend(hashes[(at + 1) % hashes.len()]);
            let mut types = all[hashes[at]].clone();
            if !types.is_empty() {
                types.insert(RRSIG);
            }
            data.extend(bitmap(&types));
            let owner = name(&base32hex(hashes[at]));
            let owner = owner.append_domain(&self.apex).unwrap();
            self.set(&owner, &owner, NSEC3, &[data])
        };
        found.into_iter().flat_map(nsec3).collect()
    }

    fn soa(&self) -> Vec<Record> {
        let data = &self.names[&reversed(&self.apex)][&SOA];
        self.set(&self.apex, &self.apex, SOA, data)
    }

    /// What a server of this zone says.
    fn answer(&self, asked: &Name, code: u16, reply: &mut Message) {
        let labels = reversed(asked);
        if let Some(alias) = self.tree_alias(&labels) {
            reply.answers.extend(alias);
            return;
        }
        let all = self.all();
        if all.contains_key(&labels) {
            let types = self.names.get(&labels).cloned().unwrap_or_default();
            let kind = if types.contains_key(&code) {
                code
            } else {
                CNAME
            };
            if let Some(data) = types.get(&kind) {
                reply.answers.extend(self.set(asked, asked, kind, data));
                return;
            }
            reply.authorities.extend(self.soa());
            let shown = match self.denial {
                // It may be left out.
                Denial::Hashes { opt_out: true, .. } => {
                    self.denials(&[forward(&labels[..labels.len() - 1]), asked.clone()])
                }
                _ => self.denials(std::slice::from_ref(asked)),
            };
            reply.authorities.extend(shown);
            return;
        }
        let count = (0..labels.len())
            .rev()
            .find(|count| all.contains_key(&labels[..*count]))
            .unwrap();
        let encloser = forward(&labels[..count]);
        let next = forward(&labels[..=count]);
        let mut wild = labels[..count].to_vec();
        wild.push(b"*".to_vec());
        let source = forward(&wild);
        if let Some(types) = self.names.get(&wild) {
            if let Some(data) = types.get(&code) {
                reply.answers.extend(self.set(asked, &source, code, data));
                reply.authorities.extend(self.denials(&[next]));
            } else {
                reply.authorities.extend(self.soa());
                let shown = self.denials(&[encloser, next, source]);
                reply.authorities.extend(shown);
            }
            return;
        }
        reply.metadata.response_code = ResponseCode::NXDomain;
        reply.authorities.extend(self.soa());
        let shown = match self.denial {
            Denial::Names => self.denials(&[asked.clone(), source]),
            Denial::Hashes { .. } => self.denials(&[encloser, next, source]),
        };
        reply.authorities.extend(shown);
    }
}

fn hash(name: &Name, iterations: u16) -> Vec<u8> {
    let mut bytes = wire(name);
    for _ in 0..=iterations {
        bytes.extend(SALT);
        bytes = digest(Digest::Sha1, &bytes);
    }
    bytes
}

impl World {
    pub(crate) fn new() -> Self {
        let hashes = |iterations, opt_out| Denial::Hashes {
            iterations,
            opt_out,
        };
        let children = [
            ("signed.test", true, Denial::Names),
            ("hashed.test", true, hashes(5, false)),
            ("loose.test", true, hashes(0, true)),
            ("costly.test", true, hashes(51, false)),
            ("open.test", false, Denial::Names),
        ];
        let mut zones: Vec<Zone> = children
            .into_iter()
            .map(|(apex, signed, denial)| Zone::new(apex, signed, denial).furnish())
            .collect();
        let left = name("left.loose.test");
        zones[2].add(&left, NS, wire(&name("ns.test")));
        zones.push(Zone::new("left.loose.test", false, Denial::Names).furnish());
        let mut test = Zone::new("test", true, Denial::Names);
        for zone in &zones[..5] {
            test.add(&zone.apex, NS, wire(&name("ns.test")));
            if zone.key.is_some() {
                test.add(&zone.apex, DS, zone.ds());
            }
        }
        let mut root = Zone::new(".", true, Denial::Names);
        root.add(&test.apex, NS, wire(&name("ns.test")));
        root.add(&test.apex, DS, test.ds());
        zones.push(test);
        zones.push(root);
        World { zones }
    }

    pub(crate) fn zone(&self, apex: &str) -> &Zone {
        let apex = if apex == "." {
            Name::root()
        } else {
            name(apex)
        };
        self.zones.iter().find(|it| it.apex == apex).unwrap()
    }

    /// The root's key.
    pub(crate) fn anchor(&self) -> TrustAnchor {
        anchor(self.zone("."))
    }

    /// What the server of all of them says.
    pub(crate) fn reply(&self, to: &Sent) -> Message {
        let mut reply = to.message.clone();
        let asked = &to.message.queries[0];
        let (asked, code) = (asked.name.to_lowercase(), u16::from(asked.query_type));
        let above = |zone: &&Zone| {
            let is_in = zone.apex.zone_of(&asked);
            is_in && (code != DS || zone.apex != asked || asked.is_root())
        };
        let zones = self.zones.iter().filter(above);
        let zone = zones.max_by_key(|it| it.apex.iter().count()).unwrap();
        reply.metadata.message_type = hickory_proto::op::MessageType::Response;
        zone.answer(&asked, code, &mut reply);
        reply
    }
}

/// A zone's key as an anchor.
pub(crate) fn anchor(zone: &Zone) -> TrustAnchor {
    let ds = zone.ds();
    TrustAnchor {
        zone: zone.apex.to_string(),
        key_tag: u16::from_be_bytes([ds[0], ds[1]]),
        algorithm: ds[2],
        digest_type: ds[3],
        digest: ds[4..].to_vec(),
    }
}
