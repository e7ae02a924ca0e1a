//! What is believed: signed answers and denials, from the anchor down; and what
//! is shown not to be signed.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use std::time::Duration;

use fumehood_guest_dns::{Answer, Cause, Config, Failure, RecordType, Security, Wanted};
use hickory_proto::op::ResponseCode;
use rig::zones::{A, CNAME, DNAME, DS, Denial, NS, RRSIG, World, Zone, wire};
use rig::*;

/// A resolver that validates.
fn validating(world: &World) -> Rig {
    Rig::new(&Config {
        dnssec: Some(vec![world.anchor()]),
        ..config(1)
    })
}

/// Has the world answer until there is nothing more to say.
fn resolve(rig: &mut Rig, world: &World, name: &str, wanted: Wanted) -> Result<Answer, Failure> {
    let id = rig.ask(name, wanted);
    serve(rig, world);
    rig.outcome(id).expect("it waits, and asks nobody")
}

fn serve(rig: &mut Rig, world: &World) {
    loop {
        let sent = rig.sent();
        if sent.is_empty() {
            return;
        }
        for question in sent {
            let edns = question.message.edns.as_ref().unwrap();
            assert!(edns.flags().dnssec_ok && question.message.metadata.checking_disabled);
            let reply = world.reply(&question).to_vec().unwrap();
            rig.deliver(&question, reply);
        }
    }
}

#[test]
fn a_signed_answer_is_secure_from_the_anchor_down() {
    let world = World::new();
    let mut rig = validating(&world);
    for zone in ["signed.test", "hashed.test", "loose.test", "costly.test"] {
        for (owner, address) in [("www", "192.0.2.1"), ("deep.er", "192.0.2.3")] {
            let owner = format!("{owner}.{zone}");
            let answer = resolve(&mut rig, &world, &owner, A_RECORDS).unwrap();
            assert_eq!(answer.security, Some(Security::Secure), "{owner}");
            assert_eq!(answer.records, [v4(address)]);
            assert_eq!(answer.ttl_s, 300);
        }
        let answer = resolve(&mut rig, &world, &format!("alias.{zone}"), A_RECORDS).unwrap();
        assert_eq!(answer.security, Some(Security::Secure));
        assert_eq!(answer.aliases, [format!("www.{zone}")]);
    }
    // What is kept is as good, and needs no question.
    let id = rig.ask("www.signed.test", A_RECORDS);
    assert!(rig.sent().is_empty());
    assert_eq!(rig.answer(id).security, Some(Security::Secure));
}

/// Two lookups go the same way at once, and each hears what the other has learnt.
#[test]
fn both_families_are_believed_together() {
    let mut world = World::new();
    let at = world
        .zones
        .iter()
        .position(|it| it.apex == name("signed.test"));
    let six = std::net::Ipv6Addr::LOCALHOST.octets().to_vec();
    world.zones[at.unwrap()].add(&name("www.signed.test"), 28, six);
    let mut rig = validating(&world);
    let answer = resolve(&mut rig, &world, "www.signed.test", ADDRESSES).unwrap();
    assert_eq!(answer.records, [v6("::1"), v4("192.0.2.1")]);
    assert_eq!(answer.security, Some(Security::Secure));
}

#[test]
fn a_wildcard_s_answer_needs_that_the_name_is_not_there() {
    let world = World::new();
    let mut rig = validating(&world);
    for (zone, security) in [
        ("signed.test", Security::Secure),
        ("hashed.test", Security::Secure),
        // Whether a delegation was left out cannot be told.
        ("loose.test", Security::Insecure),
        ("costly.test", Security::Insecure),
    ] {
        let owner = format!("a.b.wild.{zone}");
        let answer = resolve(&mut rig, &world, &owner, A_RECORDS).unwrap();
        assert_eq!(answer.security, Some(security), "{zone}");
        assert_eq!(answer.records, [v4("192.0.2.2")]);
    }
}

#[test]
fn an_absence_is_as_secure_as_its_proof() {
    let world = World::new();
    let mut rig = validating(&world);
    let text = Wanted::Records(RecordType::Txt);
    for (zone, security) in [
        ("signed.test", Security::Secure),
        ("hashed.test", Security::Secure),
        ("loose.test", Security::Insecure),
        ("costly.test", Security::Insecure),
        ("open.test", Security::Insecure),
    ] {
        for (owner, cause) in [
            ("no", Cause::NoSuchName),
            ("x.y.no", Cause::NoSuchName),
            ("zzz.www", Cause::NoSuchName),
            ("a.wild", Cause::NoSuchRecord),
        ] {
            let owner = format!("{owner}.{zone}");
            let failure = resolve(&mut rig, &world, &owner, text).unwrap_err();
            let found = (failure.cause, failure.security);
            assert_eq!(found, (cause, Some(security)), "{owner}");
        }
        // A name that is there, and one that only has names below it.
        for owner in ["www", "er"] {
            let owner = format!("{owner}.{zone}");
            let failure = resolve(&mut rig, &world, &owner, text).unwrap_err();
            let least = match security {
                // Nothing is hashed nearer than the name itself.
                Security::Insecure if zone == "loose.test" => Security::Secure,
                other => other,
            };
            let found = (failure.cause, failure.security);
            assert_eq!(found, (Cause::NoSuchRecord, Some(least)), "{owner}");
        }
    }
}

#[test]
fn an_alias_of_a_whole_tree_is_as_secure_as_that() {
    let mut world = World::new();
    let mut zones = world.zones.iter_mut();
    let zone = zones.find(|it| it.apex == name("signed.test")).unwrap();
    for (owner, target) in [
        ("tree.signed.test", "wild.signed.test"),
        ("bush.signed.test", "open.test"),
    ] {
        zone.add(&name(owner), DNAME, wire(&name(target)));
    }
    let mut rig = validating(&world);
    for (owner, target, address, security) in [
        (
            "a.tree.signed.test",
            "a.wild.signed.test",
            "192.0.2.2",
            Security::Secure,
        ),
        (
            "deep.er.bush.signed.test",
            "deep.er.open.test",
            "192.0.2.3",
            Security::Insecure,
        ),
    ] {
        let answer = resolve(&mut rig, &world, owner, A_RECORDS).unwrap();
        assert_eq!(answer.security, Some(security), "{owner}");
        assert_eq!(answer.aliases, [target]);
        assert_eq!(answer.records, [v4(address)]);
    }
}

/// The denial that a wildcard's alias needs is not one of what it leads to.
#[test]
fn an_alias_of_a_wildcard_may_lead_to_an_absence_that_is_not_signed() {
    let mut world = World::new();
    let target = "www.gslb.signed.test";
    let mut zones = world.zones.iter_mut();
    let zone = zones.find(|it| it.apex == name("signed.test")).unwrap();
    zone.add(&name("*.signed.test"), CNAME, wire(&name(target)));
    zone.add(&name("gslb.signed.test"), NS, wire(&name("ns.test")));
    let gslb = Zone::new("gslb.signed.test", false, Denial::Names).furnish();
    world.zones.push(gslb);
    let zone = world.zone("signed.test");
    let mut rig = validating(&world);
    let id = rig.ask("x.signed.test", Wanted::Records(RecordType::Txt));
    let question = rig.one();
    let mut reply = world.reply(&question);
    reply.metadata.response_code = ResponseCode::NoError;
    reply.answers = zone.wild_alias("x.signed.test", target);
    reply.authorities = zone.denials(&[name("x.signed.test")]);
    reply.add_authority(soa("gslb.signed.test", 300, 300));
    rig.deliver(&question, reply.to_vec().unwrap());
    serve(&mut rig, &world);
    let failure = rig.failure(id);
    let found = (failure.cause, failure.security);
    assert_eq!(found, (Cause::NoSuchRecord, Some(Security::Insecure)));
}

#[test]
fn what_is_shown_to_be_unsigned_is_insecure() {
    let world = World::new();
    let mut rig = validating(&world);
    for owner in ["www.open.test", "alias.open.test", "www.left.loose.test"] {
        let answer = resolve(&mut rig, &world, owner, A_RECORDS).unwrap();
        assert_eq!(answer.security, Some(Security::Insecure), "{owner}");
        assert!(!answer.records.is_empty());
    }
}

#[test]
fn an_answer_is_as_secure_as_the_absences_that_led_to_it() {
    let mut world = World::new();
    let mut zones = world.zones.iter_mut();
    let zone = zones.find(|it| it.apex == name("signed.test")).unwrap();
    zone.add(&name("only.signed.test"), A, vec![192, 0, 2, 7]);
    for (first, security) in [
        ("hashed.test", Security::Secure),
        ("open.test", Security::Insecure),
    ] {
        let mut rig = Rig::new(&Config {
            dnssec: Some(vec![world.anchor()]),
            search: vec![first.to_owned(), "signed.test".to_owned()],
            ..config(1)
        });
        let answer = resolve(&mut rig, &world, "only", A_RECORDS).unwrap();
        assert_eq!(answer.name, "only.signed.test");
        assert_eq!(answer.security, Some(security), "{first}");
    }
}

#[test]
fn without_an_anchor_above_nothing_can_be_told() {
    let world = World::new();
    let mut rig = Rig::new(&Config {
        dnssec: Some(vec![zones::anchor(world.zone("signed.test"))]),
        ..config(1)
    });
    let answer = resolve(&mut rig, &world, "www.signed.test", A_RECORDS).unwrap();
    assert_eq!(answer.security, Some(Security::Secure));
    let answer = resolve(&mut rig, &world, "www.hashed.test", A_RECORDS).unwrap();
    assert_eq!(answer.security, Some(Security::Indeterminate));
}

#[test]
fn keys_and_delegations_can_be_asked_for() {
    let world = World::new();
    let mut rig = validating(&world);
    for (owner, kind) in [
        ("signed.test", RecordType::Ds),
        ("signed.test", RecordType::Dnskey),
    ] {
        let answer = resolve(&mut rig, &world, owner, Wanted::Records(kind)).unwrap();
        assert_eq!(answer.security, Some(Security::Secure), "{kind:?}");
        assert_eq!(answer.records.len(), 1);
    }
    let wanted = Wanted::Records(RecordType::Ds);
    let failure = resolve(&mut rig, &world, "open.test", wanted).unwrap_err();
    let found = (failure.cause, failure.security);
    assert_eq!(found, (Cause::NoSuchRecord, Some(Security::Secure)));
}

#[test]
fn an_algorithm_that_is_not_known_makes_a_zone_insecure() {
    let mut world = World::new();
    // As if signed with Ed448, and a digest of GOST: both alone are not known.
    for (zone, algorithm, digest_type) in [("open.test", 16, 2), ("open.test", 15, 3)] {
        let parent = world.zones.iter().position(|it| it.apex == name("test"));
        let mut ds = vec![0, 1, algorithm, digest_type];
        ds.extend([7; 32]);
        world.zones[parent.unwrap()].add(&name(zone), DS, ds);
        let mut rig = validating(&world);
        let answer = resolve(&mut rig, &world, "www.open.test", A_RECORDS).unwrap();
        assert_eq!(answer.security, Some(Security::Insecure));
    }
}

#[test]
fn it_is_kept_no_longer_than_its_signature_holds() {
    let world = World::new();
    let mut rig = validating(&world);
    let id = rig.ask("www.signed.test", A_RECORDS);
    let zone = world.zone("signed.test");
    loop {
        let sent = rig.sent();
        if sent.is_empty() {
            break;
        }
        for question in sent {
            let mut reply = world.reply(&question);
            let asked = &question.message.queries[0];
            if u16::from(asked.query_type) == 1 {
                reply
                    .answers
                    .retain(|it| u16::from(it.record_type()) != RRSIG);
                let owner = name("www.signed.test");
                let dates = (oracle::TODAY - 5, oracle::TODAY + 7);
                let data = [vec![192, 0, 2, 1]];
                let signature = zone.signature(&owner, &owner, 1, &data, dates);
                reply.answers.extend(signature);
            }
            rig.deliver(&question, reply.to_vec().unwrap());
        }
    }
    assert_eq!(rig.answer(id).ttl_s, 7);
    rig.pass(Duration::from_secs(7));
    rig.ask("www.signed.test", A_RECORDS);
    assert_eq!(rig.sent().len(), 1);
}
