//! Denial by hashes of names in order (RFC 5155 section 8).

use std::cell::Cell;

use hickory_proto::rr::Name;

use super::{Cut, Shown, cut_at, is_left, lacks};
use crate::bounds::MAX_NSEC3_HASHES;
use crate::dnssec::names::{is_in, labels, tail, wildcard, wire};
use crate::dnssec::rdata::Nsec3;
use crate::dnssec::{Digest, Oracle};

/// A zone whose names are hashed, as far as one reply shows it.
pub(super) struct Zone<'a> {
    all: &'a [Nsec3],
    /// Says how they hash, all of them.
    like: &'a Nsec3,
    apex: &'a Name,
    oracle: &'a dyn Oracle,
    hashes: Cell<u32>,
}

/// The nearest name above that is there, and that the one below it is not.
struct Encloser<'a> {
    name: Name,
    /// Where the next nearer name would be.
    gap: &'a Nsec3,
}

impl<'a> Zone<'a> {
    pub(super) fn new(
        all: &'a [Nsec3],
        like: &'a Nsec3,
        apex: &'a Name,
        oracle: &'a dyn Oracle,
    ) -> Self {
        Zone {
            all,
            like,
            apex,
            oracle,
            hashes: Cell::new(0),
        }
    }

    /// That a name has no record of a type (RFC 5155 sections 8.5 to 8.7).
    pub(super) fn no_record(&self, name: &Name, code: u16) -> Option<Shown> {
        if let Some(nsec) = self.at(name) {
            return lacks(&nsec.types, name, code).then_some(Shown::Absent);
        }
        let encloser = self.encloser(name)?;
        let wild = wildcard(&encloser.name);
        match wild.and_then(|wild| Some((self.at(&wild)?, wild))) {
            Some((it, wild)) => lacks(&it.types, &wild, code).then(|| encloser.shown()),
            // An unsigned delegation may have been left out here.
            None => encloser.gap.opt_out.then_some(Shown::Unknown),
        }
    }

    /// That a name is not there, nor a wildcard in its place (section 8.4).
    pub(super) fn no_name(&self, name: &Name) -> Option<Shown> {
        let encloser = self.encloser(name)?;
        if let Some(wild) = wildcard(&encloser.name) {
            self.over(&wild)?;
        }
        Some(encloser.shown())
    }

    /// That no name stands nearer than so many labels (section 8.8).
    pub(super) fn no_nearer(&self, name: &Name, count: usize) -> Option<Shown> {
        let gap = self.over(&tail(name, count + 1))?;
        Some(match gap.opt_out {
            true => Shown::Unknown,
            false => Shown::Absent,
        })
    }

    /// Whether a zone begins at a name (section 8.9).
    pub(super) fn cut(&self, name: &Name) -> Option<Cut> {
        if let Some(nsec) = self.at(name) {
            return cut_at(&nsec.types);
        }
        Some(match self.encloser(name)?.shown() {
            Shown::Unknown => Cut::Unsigned,
            Shown::Absent => Cut::NoName,
        })
    }

    /// RFC 5155 section 8.3.
    fn encloser(&self, name: &Name) -> Option<Encloser<'a>> {
        if !is_in(name, self.apex) {
            return None;
        }
        let mut nearer = name.clone();
        for count in (labels(self.apex)..labels(name)).rev() {
            let above = tail(name, count);
            if let Some(found) = self.at(&above) {
                if is_left(&found.types) {
                    return None;
                }
                let gap = self.over(&nearer)?;
                return Some(Encloser { name: above, gap });
            }
            nearer = above;
        }
        None
    }

    fn at(&self, name: &Name) -> Option<&'a Nsec3> {
        let hash = self.hash(name)?;
        self.all.iter().find(|it| it.hash == hash)
    }

    /// One that leaves no room for a name.
    fn over(&self, name: &Name) -> Option<&'a Nsec3> {
        let hash = self.hash(name)?;
        self.all.iter().find(|it| {
            let (after, before) = (it.hash < hash, hash < it.next);
            match it.hash < it.next {
                true => after && before,
                // The last one points back to the first.
                false => after || before,
            }
        })
    }

    /// None over [`MAX_NSEC3_HASHES`] (CVE-2023-50868).
    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        self.hashes.set(self.hashes.get() + 1);
        if self.hashes.get() > MAX_NSEC3_HASHES {
            return None;
        }
        let mut bytes = wire(name);
        for _ in 0..=self.like.iterations {
            bytes.extend(&self.like.salt);
            bytes = self.oracle.digest(Digest::Sha1, &bytes);
        }
        Some(bytes)
    }
}

impl Encloser<'_> {
    fn shown(&self) -> Shown {
        match self.gap.opt_out {
            true => Shown::Unknown,
            false => Shown::Absent,
        }
    }
}
