//! What an answer must be like, and what must have been signed for it.

use std::net::IpAddr;

use fumehood_guest_dns::{
    Answer, Cause, Failure, MAX_ALIASES, MAX_NEGATIVE_TTL_SECONDS, MAX_RECORDS, MAX_TTL_SECONDS,
    PrivateAnswers, Query, RecordData, RecordType, Security, Source, TrustAnchor, Wanted,
};

use super::Outcome;
use super::denial::Absent;
use super::wire::{from_text, is_in};
use super::witness::{Signed, Witness};

const DELEGATION: Wanted = Wanted::Records(RecordType::Ds);

/// Holds an outcome against the rules, and against what was found to be signed.
pub(super) fn check(query: &Query, outcome: &Outcome, anchor: &TrustAnchor, signed: Vec<Signed>) {
    let witness = || Witness::new(anchor, signed);
    match outcome {
        Ok(answer) => {
            within_bounds(query, answer);
            match answer.security {
                Some(Security::Secure) => follows(answer, &witness()),
                Some(Security::Insecure) => assert!(witness().shows_an_end(), "{answer:?}"),
                // A delegation stands in the zone above.
                Some(Security::Indeterminate) if query.wanted == DELEGATION => {}
                Some(Security::Indeterminate) => {
                    let names = [&answer.name].into_iter().chain(&answer.aliases);
                    let zone = from_text(&anchor.zone);
                    let mut names = names.map(|it| from_text(it));
                    assert!(names.any(|it| !is_in(&it, &zone)), "{answer:?}");
                }
                None => {}
            }
        }
        Err(failure) => {
            assert!(failure.ttl_s <= MAX_NEGATIVE_TTL_SECONDS, "{failure:?}");
            match failure.security {
                Some(Security::Secure) => is_denied(query, failure, &witness()),
                Some(Security::Insecure) => assert!(witness().shows_an_end(), "{failure:?}"),
                Some(Security::Indeterminate) => assert_ne!(anchor.zone, ".", "{failure:?}"),
                None => {}
            }
        }
    }
}

/// Whether a failure is remembered: one for a single type that servers told, or that
/// there is none.
pub(super) fn is_kept(query: &Query, failure: &Failure) -> bool {
    match failure.cause {
        Cause::NoSuchName | Cause::NoSuchRecord => failure.ttl_s > 0,
        Cause::Bogus(_) | Cause::ServerFailure(_) | Cause::Malformed(_) | Cause::AliasLoop => {
            query.wanted != Wanted::Addresses
        }
        _ => false,
    }
}

fn within_bounds(query: &Query, answer: &Answer) {
    assert!(answer.aliases.len() <= MAX_ALIASES && answer.ttl_s <= MAX_TTL_SECONDS);
    assert!((1..=MAX_RECORDS).contains(&answer.records.len()));
    answer.aliases.iter().for_each(|it| drop(from_text(it)));
    for record in &answer.records {
        let wanted = match query.wanted {
            Wanted::Records(kind) => kind == type_of(record),
            Wanted::Addresses => record.address().is_some(),
        };
        assert!(wanted, "nobody asked for {record:?}");
        let refused = query.private_answers == PrivateAnswers::Refused;
        if refused && matches!(answer.source, Source::Server(_) | Source::Cache) {
            assert!(!record.address().is_some_and(is_private), "{record:?}");
        }
    }
}

/// Private by anybody's definition.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => it.is_private() || it.is_loopback() || it.is_link_local(),
        IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unspecified(),
    }
}

/// Every record is signed by who may, at the name or at what it stands for.
fn follows(answer: &Answer, witness: &Witness) {
    let Some(names) = witness.closure(&from_text(&answer.name)) else {
        return;
    };
    for alias in &answer.aliases {
        assert!(names.contains(&from_text(alias)), "{alias} is no alias");
    }
    for record in &answer.records {
        let kind = code(type_of(record));
        assert!(witness.has(&names, kind, record), "not signed: {record:?}");
    }
}

/// That there is none is signed by who may say so.
fn is_denied(query: &Query, failure: &Failure, witness: &Witness) {
    let Some(names) = witness.closure(&from_text(&failure.name)) else {
        return;
    };
    let kinds = match query.wanted {
        Wanted::Records(kind) => vec![kind],
        Wanted::Addresses => vec![RecordType::A, RecordType::Aaaa],
    };
    for kind in kinds {
        let record = Absent::Record(code(kind));
        let denied = names.iter().any(|name| {
            let no_record = witness.denies(name, record);
            let no_name = || witness.denies(name, Absent::Name);
            match (&failure.cause, query.wanted) {
                (Cause::NoSuchRecord, Wanted::Records(_)) => no_record,
                (Cause::NoSuchName, _) => no_name(),
                // One family's reply may have said this, and the other's that.
                _ => no_record || no_name(),
            }
        });
        assert!(denied, "nothing signed denies it: {failure:?}");
    }
}

fn type_of(record: &RecordData) -> RecordType {
    match record {
        RecordData::A(_) => RecordType::A,
        RecordData::Aaaa(_) => RecordType::Aaaa,
        RecordData::Caa { .. } => RecordType::Caa,
        RecordData::Cname(_) => RecordType::Cname,
        RecordData::Dnskey { .. } => RecordType::Dnskey,
        RecordData::Ds { .. } => RecordType::Ds,
        RecordData::Https(_) => RecordType::Https,
        RecordData::Mx { .. } => RecordType::Mx,
        RecordData::Ns(_) => RecordType::Ns,
        RecordData::Ptr(_) => RecordType::Ptr,
        RecordData::Soa(_) => RecordType::Soa,
        RecordData::Srv { .. } => RecordType::Srv,
        RecordData::Svcb(_) => RecordType::Svcb,
        RecordData::Txt(_) => RecordType::Txt,
    }
}

/// By the IANA registry.
fn code(kind: RecordType) -> u16 {
    match kind {
        RecordType::A => 1,
        RecordType::Ns => 2,
        RecordType::Cname => 5,
        RecordType::Soa => 6,
        RecordType::Ptr => 12,
        RecordType::Mx => 15,
        RecordType::Txt => 16,
        RecordType::Aaaa => 28,
        RecordType::Srv => 33,
        RecordType::Ds => 43,
        RecordType::Dnskey => 48,
        RecordType::Svcb => 64,
        RecordType::Https => 65,
        RecordType::Caa => 257,
    }
}
