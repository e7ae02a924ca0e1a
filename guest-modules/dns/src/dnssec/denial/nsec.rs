//! Denial by names in order (RFC 4035 section 5.4).

use std::cmp::Ordering;

use hickory_proto::rr::Name;

use super::{Cut, cut_at, is_left, lacks};
use crate::dnssec::names::{is_below, is_in, order, shared, tail, wildcard};
use crate::dnssec::rdata::Nsec;

/// That a name has no record of a type: it stands there without, it only has
/// names below it, or the wildcard in its place lacks it.
pub(super) fn no_record(all: &[Nsec], name: &Name, code: u16) -> bool {
    if let Some(nsec) = at(all, name) {
        return lacks(&nsec.types, name, code);
    }
    let Some(nsec) = over(all, name) else {
        return false;
    };
    if is_below(&nsec.next, name) {
        return true;
    }
    let wild = wildcard(&encloser(nsec, name)).and_then(|wild| at(all, &wild));
    wild.is_some_and(|it| lacks(&it.types, &it.owner, code))
}

/// That a name is not there, nor a wildcard in its place.
pub(super) fn no_name(all: &[Nsec], name: &Name) -> bool {
    let Some(nsec) = over(all, name) else {
        return false;
    };
    if is_below(&nsec.next, name) {
        return false;
    }
    // Too long to be a name, it is not there either.
    let wild = wildcard(&encloser(nsec, name));
    wild.is_none_or(|wild| over(all, &wild).is_some())
}

/// That no name stands nearer than so many labels.
pub(super) fn no_nearer(all: &[Nsec], name: &Name, count: usize) -> bool {
    over(all, name)
        .is_some_and(|nsec| shared(&nsec.owner, name).max(shared(&nsec.next, name)) <= count)
}

pub(super) fn cut(all: &[Nsec], name: &Name) -> Option<Cut> {
    if let Some(nsec) = at(all, name) {
        return cut_at(&nsec.types);
    }
    let nsec = over(all, name)?;
    Some(match is_below(&nsec.next, name) {
        true => Cut::None,
        false => Cut::NoName,
    })
}

fn at<'a>(all: &'a [Nsec], name: &Name) -> Option<&'a Nsec> {
    all.iter().find(|it| it.owner == *name)
}

/// One that leaves no room for a name.
fn over<'a>(all: &'a [Nsec], name: &Name) -> Option<&'a Nsec> {
    all.iter().find(|it| covers(it, name))
}

fn covers(nsec: &Nsec, name: &Name) -> bool {
    let after = order(&nsec.owner, name) == Ordering::Less;
    // The last one points back to the zone's own name.
    let is_last = order(&nsec.next, &nsec.owner) != Ordering::Greater;
    let before = match is_last {
        true => is_in(name, &nsec.next),
        false => order(name, &nsec.next) == Ordering::Less,
    };
    let left = is_below(name, &nsec.owner) && is_left(&nsec.types);
    after && before && !left
}

/// The nearest name above that is there, as the neighbours show it.
fn encloser(nsec: &Nsec, name: &Name) -> Name {
    let count = shared(&nsec.owner, name).max(shared(&nsec.next, name));
    tail(name, count)
}
