//! What is held in memory of zones and of replies that wait for them: it has a bound,
//! and whoever fills it up takes nothing from others.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use fumehood_guest_dns::{
    Answer, Cause, Config, Failure, MAX_PROOF_BYTES, MAX_PROOFS_BYTES, MAX_ZONE_KEY_BYTES,
    MAX_ZONES, QueryId, RecordType, Security, Wanted,
};
use rig::zones::{DNSKEY, DS, Denial, NS, World, Zone, raw, wire};
use rig::*;

/// More zones than are remembered.
const CROWD: usize = MAX_ZONES + 8;

/// `many.test` with its crowd of unsigned zones, `0.many.test` and so on.
fn crowded() -> World {
    let mut world = World::new();
    let mut many = Zone::new("many.test", true, Denial::Names);
    for number in 0..CROWD {
        let child = format!("{number}.many.test");
        many.add(&name(&child), NS, wire(&name("ns.test")));
        let child = Zone::new(&child, false, Denial::Names).furnish();
        world.zones.push(child);
    }
    let test = world.zones.iter_mut().find(|it| it.apex == name("test"));
    let test = test.unwrap();
    test.add(&many.apex, NS, wire(&name("ns.test")));
    test.add(&many.apex, DS, many.ds());
    world.zones.push(many);
    world
}

/// Answers all that is asked. What is said of `loose.test` and `hashed.test` holds for
/// less time than anything else. Gives back how often the root's keys were asked for.
fn serve(rig: &mut Rig, world: &World) -> usize {
    let mut roots = 0;
    loop {
        let sent = rig.sent();
        if sent.is_empty() {
            return roots;
        }
        for question in sent {
            roots += usize::from(asks(&question, ".", DNSKEY));
            answer(rig, world, &question);
        }
    }
}

fn answer(rig: &mut Rig, world: &World, question: &Sent) {
    let mut reply = world.reply(question);
    let asked = &question.message.queries[0].name;
    let short = ["loose.test", "hashed.test"];
    if short.iter().any(|zone| name(zone).zone_of(asked)) {
        for record in reply.answers.iter_mut().chain(&mut reply.authorities) {
            record.ttl = 60;
        }
    }
    rig.deliver(question, reply.to_vec().unwrap());
}

fn asks(question: &Sent, owner: &str, code: u16) -> bool {
    let asked = &question.message.queries[0];
    asked.name == name(owner) && u16::from(asked.query_type) == code
}

fn validating(world: &World) -> Rig {
    Rig::new(&Config {
        dnssec: Some(vec![world.anchor()]),
        ..config(1)
    })
}

/// Has somebody name the whole crowd.
fn fill_up(rig: &mut Rig, world: &World) -> usize {
    let ask = |number: usize| rig.ask(&format!("www.{number}.many.test"), A_RECORDS);
    let asked: Vec<QueryId> = (0..CROWD).map(ask).collect();
    let roots = serve(rig, world);
    for id in asked {
        assert_eq!(rig.answer(id).security, Some(Security::Insecure));
    }
    roots
}

#[test]
fn a_crowd_of_zones_takes_the_way_from_nobody() {
    let world = crowded();
    let mut rig = validating(&world);
    rig.ask("www.signed.test", A_RECORDS);
    assert_eq!(serve(&mut rig, &world), 1);
    // What all ways go through stays, however many they are.
    assert_eq!(fill_up(&mut rig, &world), 0);
    let id = rig.ask("www.left.loose.test", A_RECORDS);
    assert_eq!(serve(&mut rig, &world), 0);
    assert_eq!(rig.answer(id).security, Some(Security::Insecure));
}

#[test]
fn what_is_forgotten_on_the_way_is_asked_for_again() {
    let world = crowded();
    let mut rig = validating(&world);
    let id = rig.ask("www.hashed.test", A_RECORDS);
    let keys = loop {
        let question = rig.one();
        if asks(&question, "hashed.test", DNSKEY) {
            break question;
        }
        answer(&mut rig, &world, &question);
    };
    // Before they come, the delegation is forgotten that they are held against.
    fill_up(&mut rig, &world);
    answer(&mut rig, &world, &keys);
    let again = rig.one();
    assert!(asks(&again, "hashed.test", DS), "{again:?}");
    answer(&mut rig, &world, &again);
    serve(&mut rig, &world);
    assert_eq!(rig.answer(id).security, Some(Security::Secure));
}

fn resolve(rig: &mut Rig, world: &World, owner: &str) -> Result<Answer, Failure> {
    let id = rig.ask(owner, A_RECORDS);
    serve(rig, world);
    rig.outcome(id).unwrap()
}

fn zone<'a>(world: &'a mut World, apex: &str) -> &'a mut Zone {
    let mut zones = world.zones.iter_mut();
    zones.find(|it| it.apex == name(apex)).unwrap()
}

#[test]
fn of_a_zone_s_keys_only_those_are_kept_that_can_be_used() {
    let key = |algorithm: u8, bytes: usize| [vec![1, 0, 3, algorithm], vec![7; bytes]].concat();
    let apex = name("signed.test");
    // Of an algorithm that nobody knows, as many as a reply can have.
    let mut world = World::new();
    for bytes in 0..7 {
        zone(&mut world, "signed.test").add(&apex, DNSKEY, key(200, 8000 + bytes));
    }
    let answer = resolve(&mut validating(&world), &world, "www.signed.test");
    assert_eq!(answer.unwrap().security, Some(Security::Secure));
    // Of one that could be.
    let mut world = World::new();
    zone(&mut world, "signed.test").add(&apex, DNSKEY, key(8, MAX_ZONE_KEY_BYTES));
    let failure = resolve(&mut validating(&world), &world, "www.signed.test").unwrap_err();
    let why = "signed.test has more keys than are looked at";
    assert_eq!(failure.cause, Cause::Bogus(why.to_owned()));
}

#[test]
fn a_digest_of_another_length_names_no_key() {
    let ds = |bytes: usize| [vec![0, 1, 15, 2], vec![7; bytes]].concat();
    for length in [0, 31, 33, 20_000] {
        // Beside the right one.
        let mut world = World::new();
        zone(&mut world, "test").add(&name("signed.test"), DS, ds(length));
        let answer = resolve(&mut validating(&world), &world, "www.signed.test");
        assert_eq!(answer.unwrap().security, Some(Security::Secure));
        // Alone, it does not make the zone one without signatures.
        zone(&mut world, "test").add(&name("open.test"), DS, ds(length));
        let failure = resolve(&mut validating(&world), &world, "www.open.test").unwrap_err();
        let why =
            "none of the keys of open.test is the one that its parent or a trust anchor names";
        assert_eq!(failure.cause, Cause::Bogus(why.to_owned()));
    }
}

/// A text of so many bytes.
fn long(bytes: usize) -> Vec<u8> {
    let strings = [&[255][..], &[b'x'; 255]].concat();
    strings.repeat(bytes.div_ceil(strings.len()))
}

const TEXT: Wanted = Wanted::Records(RecordType::Txt);

#[test]
fn replies_that_wait_for_their_proof_have_a_bound_in_bytes() {
    let world = World::new();
    let mut rig = validating(&world);
    // Each takes twice that: as it was signed, and as it is answered.
    let count = MAX_PROOFS_BYTES / 100_000 + 1;
    let ask = |number: usize| rig.ask(&format!("{number}.test"), TEXT);
    let asked: Vec<QueryId> = (0..count).map(ask).collect();
    let mut roots = 0;
    for question in rig.sent() {
        let owner = question.message.queries[0].name.clone();
        rig.reply(&question, |it| {
            it.add_answer(raw(&owner, 16, long(50_000)));
        });
        roots += rig.sent().len();
    }
    assert_eq!(roots, 1, "the others wait for the first");
    let (mut refused, mut waiting) = (0, Vec::new());
    for id in asked {
        match rig.outcome(id) {
            Some(outcome) => {
                assert_eq!(outcome.unwrap_err().cause, Cause::Busy);
                refused += 1;
            }
            None => waiting.push(id),
        }
    }
    assert!((1..count / 2).contains(&refused), "{refused} of {count}");
    // What ends makes room.
    for id in waiting {
        rig.resolver.cancel(id, rig.now);
    }
    rig.sent();
    for _ in 0..2 {
        let id = rig.ask("www.signed.test", A_RECORDS);
        serve(&mut rig, &world);
        assert_eq!(rig.answer(id).security, Some(Security::Secure));
    }
}

#[test]
fn of_a_reply_nothing_is_held_that_proves_nothing_and_one_has_a_bound() {
    let world = World::new();
    let mut rig = validating(&world);
    let id = rig.ask("www.signed.test", A_RECORDS);
    let question = rig.one();
    let mut reply = world.reply(&question);
    for number in 0..1000 {
        reply.add_authority(soa(&format!("{number}.test"), 300, 300));
    }
    rig.deliver(&question, reply.to_vec().unwrap());
    serve(&mut rig, &world);
    assert_eq!(rig.answer(id).security, Some(Security::Secure));
    // Many small strings take far more memory than in a message.
    let mut rig = validating(&world);
    let id = rig.ask("a.test", TEXT);
    let question = rig.one();
    let owner = question.message.queries[0].name.clone();
    rig.reply(&question, |it| {
        it.add_answer(raw(&owner, 16, [1, b'x'].repeat(20_000)));
    });
    let why = format!("{MAX_PROOF_BYTES} are held at most");
    match rig.failure(id).cause {
        Cause::Malformed(it) => assert!(it.contains(&why), "{it}"),
        other => panic!("{other:?}"),
    }
}
