//! How often servers are asked: what lookups share on the way to a signed zone, and
//! what is remembered of failures. The server counts.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use fumehood_guest_dns::{
    Cause, Config, FAILURE_SECONDS, Failure, MAX_FAILURE_SECONDS, MAX_PROOF_QUESTIONS, Preferences,
    Security,
};
use hickory_proto::op::{Message, ResponseCode};
use rig::zones::{A, DNSKEY, DS, RRSIG, World};
use rig::*;

const AAAA: u16 = 28;

/// How often each question came.
type Count = BTreeMap<(String, u16), usize>;

fn validating(world: &World) -> Rig {
    Rig::new(&Config {
        dnssec: Some(vec![world.anchor()]),
        ..config(1)
    })
}

/// Answers, changed, whatever is asked, until nothing more is.
fn serve(rig: &mut Rig, world: &World, change: impl Fn(&Sent, &mut Message)) -> Count {
    let mut count = Count::new();
    loop {
        let sent = rig.sent();
        if sent.is_empty() {
            return count;
        }
        for question in sent {
            *count.entry(asked(&question)).or_default() += 1;
            let mut reply = world.reply(&question);
            change(&question, &mut reply);
            rig.deliver(&question, reply.to_vec().unwrap());
        }
    }
}

fn asked(sent: &Sent) -> (String, u16) {
    let asked = &sent.message.queries[0];
    (
        asked.name.to_lowercase().to_ascii(),
        asked.query_type.into(),
    )
}

fn honest(_: &Sent, _: &mut Message) {}

/// Takes the signatures off the replies to such questions.
fn stripped(owner: &'static str, code: u16) -> impl Fn(&Sent, &mut Message) {
    move |to, reply| {
        if asked(to) == (owner.to_owned(), code) {
            reply
                .answers
                .retain(|it| u16::from(it.record_type()) != RRSIG);
        }
    }
}

/// Of these questions each came so often, and no other came.
fn assert_counts(count: &Count, expected: &[(&str, u16, usize)]) {
    let expected: Count = expected
        .iter()
        .map(|(owner, code, times)| (((*owner).to_owned(), *code), *times))
        .collect();
    assert_eq!(count, &expected);
}

fn failed(rig: &mut Rig, id: u64) -> Cause {
    let Failure { cause, .. } = rig.failure(id);
    cause
}

#[test]
fn both_families_go_the_way_to_a_cold_zone_once() {
    let world = World::new();
    let mut rig = validating(&world);
    let id = rig.ask("www.signed.test", ADDRESSES);
    let count = serve(&mut rig, &world, honest);
    assert_counts(
        &count,
        &[
            (".", DNSKEY, 1),
            ("test.", DS, 1),
            ("test.", DNSKEY, 1),
            ("signed.test.", DS, 1),
            ("signed.test.", DNSKEY, 1),
            ("www.signed.test.", A, 1),
            ("www.signed.test.", AAAA, 1),
        ],
    );
    assert_eq!(rig.answer(id).security, Some(Security::Secure));
}

#[test]
fn so_do_many_names_and_types_at_once() {
    let world = World::new();
    let mut rig = validating(&world);
    let names = [
        "www.signed.test",
        "deep.er.signed.test",
        "a.wild.signed.test",
    ];
    let ids = names.map(|name| rig.ask(name, ADDRESSES));
    let other = rig.ask("www.hashed.test", A_RECORDS);
    let count = serve(&mut rig, &world, honest);
    assert!(count.values().all(|times| *times == 1), "{count:?}");
    for id in ids.into_iter().chain([other]) {
        assert_eq!(rig.answer(id).security, Some(Security::Secure));
    }
}

#[test]
fn who_follows_goes_on_where_who_leads_is_cancelled() {
    let world = World::new();
    let mut rig = validating(&world);
    let leads = rig.ask("www.signed.test", A_RECORDS);
    let follows = ["deep.er.signed.test", "a.wild.signed.test"].map(|it| rig.ask(it, A_RECORDS));
    for question in rig.sent() {
        let reply = world.reply(&question).to_vec().unwrap();
        rig.deliver(&question, reply);
    }
    let key = rig.one();
    assert_eq!(asked(&key), (".".to_owned(), DNSKEY));
    rig.resolver.cancel(leads, rig.now);
    let again = rig.one();
    assert_eq!(asked(&again), (".".to_owned(), DNSKEY));
    // The first one's reply is nobody's any more.
    rig.deliver(&key, world.reply(&key).to_vec().unwrap());
    assert!(rig.sent().is_empty());
    rig.deliver(&again, world.reply(&again).to_vec().unwrap());
    let count = serve(&mut rig, &world, honest);
    assert!(count.values().all(|times| *times == 1), "{count:?}");
    for id in follows {
        assert_eq!(rig.answer(id).security, Some(Security::Secure));
    }
    assert!(rig.outcome(leads).is_none());
    // Who only follows can go without a trace.
    let mut rig = validating(&world);
    let ids = ["www.signed.test", "deep.er.signed.test"].map(|it| rig.ask(it, A_RECORDS));
    for question in rig.sent() {
        rig.deliver(&question, world.reply(&question).to_vec().unwrap());
    }
    rig.resolver.cancel(ids[1], rig.now);
    serve(&mut rig, &world, honest);
    assert_eq!(rig.answer(ids[0]).security, Some(Security::Secure));
    assert!(rig.outcome(ids[1]).is_none());
}

#[test]
fn who_follows_does_not_pay_for_those_who_led() {
    let world = World::new();
    let mut rig = validating(&world);
    let ask = |number: u32| rig.ask(&format!("n{number}.wild.signed.test"), A_RECORDS);
    let lead: Vec<u64> = (0..=MAX_PROOF_QUESTIONS).map(ask).collect();
    let last = rig.ask("www.signed.test", A_RECORDS);
    for question in rig.sent() {
        rig.deliver(&question, world.reply(&question).to_vec().unwrap());
    }
    // All but the last give up, and each time the next asks in their place.
    for id in lead {
        assert_eq!(asked(&rig.one()), (".".to_owned(), DNSKEY));
        rig.resolver.cancel(id, rig.now);
    }
    serve(&mut rig, &world, honest);
    assert_eq!(rig.answer(last).security, Some(Security::Secure));
}

#[test]
fn a_way_that_fails_fails_for_all_and_is_not_gone_again_at_once() {
    let world = World::new();
    let mut rig = validating(&world);
    let strip = stripped("signed.test.", DNSKEY);
    let ids = ["www.signed.test", "deep.er.signed.test"].map(|it| rig.ask(it, A_RECORDS));
    let count = serve(&mut rig, &world, &strip);
    // One server, two rounds.
    assert_eq!(count[&("signed.test.".to_owned(), DNSKEY)], 2);
    for id in ids {
        assert!(matches!(failed(&mut rig, id), Cause::Bogus(_)));
    }
    // Another name there: its own question, and nothing of the zone's.
    let id = rig.ask("alias.signed.test", A_RECORDS);
    let count = serve(&mut rig, &world, &strip);
    assert_counts(&count, &[("alias.signed.test.", A, 1)]);
    assert!(matches!(failed(&mut rig, id), Cause::Bogus(_)));
    // After a moment the zone may have been mended.
    rig.pass(Duration::from_secs(FAILURE_SECONDS.into()));
    let id = rig.ask("www.signed.test", A_RECORDS);
    let count = serve(&mut rig, &world, honest);
    assert_counts(
        &count,
        &[("signed.test.", DNSKEY, 1), ("www.signed.test.", A, 1)],
    );
    assert_eq!(rig.answer(id).security, Some(Security::Secure));
}

#[test]
fn what_is_bogus_is_remembered_for_a_while_that_grows_to_its_bound() {
    let world = World::new();
    let mut rig = validating(&world);
    let strip = stripped("www.signed.test.", A);
    let questions = |rig: &mut Rig, cached: bool| {
        let mut query = rig.query("www.signed.test", A_RECORDS);
        query.cached = cached;
        let id = query.id;
        rig.resolver.resolve(query, rig.now);
        let count = serve(rig, &world, &strip);
        assert!(matches!(failed(rig, id), Cause::Bogus(_)));
        count.get(&("www.signed.test.".to_owned(), A)).copied()
    };
    for seconds in [5, 10, 20, 40, 60, 60] {
        assert!(seconds <= MAX_FAILURE_SECONDS);
        assert_eq!(questions(&mut rig, true), Some(2));
        rig.pass(Duration::from_secs(u64::from(seconds) - 1));
        assert_eq!(questions(&mut rig, true), None);
        rig.pass(Duration::from_secs(1));
    }
    // Who wants no cache asks.
    assert_eq!(questions(&mut rig, false), Some(2));
    // An answer ends it.
    rig.pass(Duration::from_secs(u64::from(MAX_FAILURE_SECONDS)));
    rig.ask("www.signed.test", A_RECORDS);
    serve(&mut rig, &world, honest);
    rig.pass(Duration::from_secs(300));
    assert_eq!(questions(&mut rig, true), Some(2));
    rig.pass(Duration::from_secs(FAILURE_SECONDS.into()));
    assert_eq!(questions(&mut rig, true), Some(2));
}

#[test]
fn a_failure_hides_no_answer_that_still_holds() {
    let mut rig = Rig::new(&config(1));
    rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("a.example", 3, "192.0.2.1"));
    });
    // Who wants no cache asks, in vain.
    let mut query = rig.query("a.example", A_RECORDS);
    query.cached = false;
    let uncached = query.id;
    rig.resolver.resolve(query, rig.now);
    while let Some(question) = rig.sent().pop() {
        rig.reply(&question, |it| {
            it.metadata.response_code = ResponseCode::ServFail;
        });
    }
    assert_eq!(failed(&mut rig, uncached), Cause::ServerFailure(2));
    let id = rig.ask("a.example", A_RECORDS);
    assert!(rig.sent().is_empty());
    assert_eq!(rig.answer(id).records, [v4("192.0.2.1")]);
    // Once that has expired, the failure is all that is known.
    rig.pass(Duration::from_secs(3));
    let id = rig.ask("a.example", A_RECORDS);
    assert!(rig.sent().is_empty());
    assert_eq!(failed(&mut rig, id), Cause::ServerFailure(2));
}

#[test]
fn other_failures_of_servers_are_remembered_and_where_nothing_is_kept_none_is() {
    let refused = |rig: &mut Rig| {
        let id = rig.ask("a.example", A_RECORDS);
        let mut questions = 0;
        while let Some(question) = rig.sent().pop() {
            questions += 1;
            rig.reply(&question, |it| {
                it.metadata.response_code = ResponseCode::Refused;
            });
        }
        assert_eq!(failed(rig, id), Cause::ServerFailure(5));
        questions
    };
    let mut rig = Rig::new(&config(1));
    assert_eq!([refused(&mut rig), refused(&mut rig)], [2, 0]);
    // Silence may end at any time.
    let id = rig.ask("b.example", A_RECORDS);
    while let Some(at) = rig.resolver.next_timeout() {
        rig.now = at;
        rig.pass(Duration::ZERO);
    }
    assert_eq!(failed(&mut rig, id), Cause::Timeout);
    rig.sent();
    rig.pass(Duration::from_secs(1));
    rig.ask("b.example", A_RECORDS);
    assert_eq!(rig.sent().len(), 1);
    // New settings may be better ones.
    rig.resolver.configure(&config(1), rig.now);
    rig.sent();
    assert_eq!(refused(&mut rig), 2);
    rig.resolver.prefer(Preferences::new(0, 60));
    assert_eq!([refused(&mut rig), refused(&mut rig)], [2, 2]);
}
