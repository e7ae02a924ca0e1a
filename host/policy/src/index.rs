//! Finds what speaks of a host or an address, without going through all of it.
//!
//! Entries are looked up by the whole name, by each of its parents, and by
//! each prefix length in use; then by port. What is left, a handful for any one
//! host, is for the caller to compare.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::{DnsName, Host, HostPattern, IpNet};

/// Entries by what they are about; each is known by a number of the caller's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    any: Ports,
    names: HashMap<DnsName, Ports>,
    under: HashMap<DnsName, Ports>,
    /// Most labels of a name in `under`: longer parents need no look.
    deepest: usize,
    nets: HashMap<IpNet, Ports>,
    /// Whether for IPv4, and how long.
    prefixes: BTreeSet<(bool, u8)>,
}

/// Entries about the same hosts, by port.
#[derive(Clone, Debug, Default)]
struct Ports {
    single: HashMap<u16, Vec<u32>>,
    ranges: Vec<(RangeInclusive<u16>, u32)>,
}

impl Index {
    pub(crate) fn insert(&mut self, host: &HostPattern, ports: &RangeInclusive<u16>, entry: u32) {
        let of_host = match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Name(name) => self.names.entry(name.clone()).or_default(),
            HostPattern::Under(parent) => {
                let labels = parent.as_str().split('.').count();
                self.deepest = self.deepest.max(labels);
                self.under.entry(parent.clone()).or_default()
            }
            HostPattern::Net(net) => {
                self.prefixes.insert(net.family_and_prefix());
                self.nets.entry(*net).or_default()
            }
        };
        of_host.insert(ports, entry);
    }

    /// Entries for this host by its name or as a literal, and for any host.
    pub(crate) fn for_host(&self, host: &Host, port: u16) -> impl Iterator<Item = u32> {
        let name = match host {
            Host::Name(name) => Some(name),
            Host::V4(_) | Host::V6(_) => None,
        };
        let itself = name.and_then(|name| self.names.get(name));
        let above = name.into_iter().flat_map(|name| self.for_parents(name));
        let literal = host.address();
        let around = literal.into_iter().flat_map(move |it| self.for_ranges(it));
        std::iter::once(&self.any)
            .chain(itself)
            .chain(above)
            .chain(around)
            .flat_map(move |ports| ports.at(port))
    }

    /// Entries for all names below this one, which they leave out.
    pub(crate) fn for_names_below(&self, host: &Host, port: u16) -> impl Iterator<Item = u32> {
        let below = match host {
            Host::Name(name) => self.under.get(name.as_str()),
            Host::V4(_) | Host::V6(_) => None,
        };
        below.into_iter().flat_map(move |ports| ports.at(port))
    }

    /// Entries for ranges that hold this address.
    pub(crate) fn for_address(&self, address: IpAddr, port: u16) -> impl Iterator<Item = u32> {
        self.for_ranges(address)
            .flat_map(move |ports| ports.at(port))
    }

    /// Entries for any range of addresses.
    pub(crate) fn for_any_range(&self, port: u16) -> impl Iterator<Item = u32> {
        self.nets.values().flat_map(move |ports| ports.at(port))
    }

    fn for_parents(&self, name: &DnsName) -> impl Iterator<Item = &Ports> {
        let text = name.as_str();
        // The first dot from the right precedes a parent of one label, and so on.
        let parents = text.rmatch_indices('.').take(self.deepest);
        parents.filter_map(|(dot, _)| self.under.get(&text[dot + 1..]))
    }

    fn for_ranges(&self, address: IpAddr) -> impl Iterator<Item = &Ports> {
        let of_family = (address.is_ipv4(), 0)..=(address.is_ipv4(), u8::MAX);
        self.prefixes
            .range(of_family)
            .filter_map(move |(_, prefix)| self.nets.get(&IpNet::around(address, *prefix)))
    }
}

impl Ports {
    fn insert(&mut self, ports: &RangeInclusive<u16>, entry: u32) {
        if ports.start() == ports.end() {
            self.single.entry(*ports.start()).or_default().push(entry);
        } else {
            self.ranges.push((ports.clone(), entry));
        }
    }

    fn at(&self, port: u16) -> impl Iterator<Item = u32> {
        let single = self.single.get(&port).into_iter().flatten().copied();
        let ranges = self.ranges.iter();
        single
            .chain(ranges.filter_map(move |(ports, entry)| ports.contains(&port).then_some(*entry)))
    }
}
