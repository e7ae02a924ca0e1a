//! The host table: what the user's own file says of names (`hosts(5)`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::rr::Name;

use crate::bounds::{MAX_HOST_ENTRIES, MAX_HOST_NAMES, MAX_HOST_TABLE_NAMES};
use crate::names::{Asked, text};
use crate::types::{HostEntry, RecordData, RecordType};

/// Names to addresses and back.
#[derive(Debug, Default)]
pub(crate) struct HostTable {
    addresses: BTreeMap<Name, Vec<IpAddr>>,
    /// The canonical name of an address, by its name for PTR.
    names: BTreeMap<Name, Name>,
}

impl HostTable {
    /// Names that are none are left out.
    pub(crate) fn new(entries: &[HostEntry]) -> Self {
        let mut table = HostTable::default();
        let mut left = MAX_HOST_TABLE_NAMES;
        for entry in entries.iter().take(MAX_HOST_ENTRIES) {
            let names = entry.names.iter().take(MAX_HOST_NAMES.min(left));
            left -= names.len();
            for asked in names.filter_map(|name| Asked::parse(name).ok()) {
                let mut reverse = Name::from(entry.address);
                reverse.set_fqdn(true);
                let canonical = table.names.entry(reverse);
                canonical.or_insert_with(|| asked.name.clone());
                let known = table.addresses.entry(asked.name).or_default();
                if !known.contains(&entry.address) {
                    known.push(entry.address);
                }
            }
        }
        table
    }

    /// The records of a name, possibly none; no answer where the table does
    /// not know the name. A name with addresses of one family has none of the
    /// other, whatever servers may say.
    pub(crate) fn records(&self, name: &Name, kind: RecordType) -> Option<Vec<RecordData>> {
        match kind {
            RecordType::A => Some(addresses(self.addresses.get(name)?, IpAddr::is_ipv4)),
            RecordType::Aaaa => Some(addresses(self.addresses.get(name)?, IpAddr::is_ipv6)),
            RecordType::Ptr => Some(vec![RecordData::Ptr(text(self.names.get(name)?))]),
            _ => None,
        }
    }
}

fn addresses(all: &[IpAddr], of_family: fn(&IpAddr) -> bool) -> Vec<RecordData> {
    all.iter()
        .filter(|it| of_family(it))
        .map(|it| match *it {
            IpAddr::V4(it) => RecordData::A(it),
            IpAddr::V6(it) => RecordData::Aaaa(it),
        })
        .collect()
}
