//! What is remembered of zones: it has a bound, and whoever fills it up takes nothing
//! from others.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use fumehood_guest_dns::{Config, MAX_ZONES, QueryId, Security};
use rig::zones::{DNSKEY, DS, Denial, NS, World, Zone, wire};
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
