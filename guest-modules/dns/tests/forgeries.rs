//! What is not believed: each way of lying about a signed zone, and that the
//! answer says which.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use std::time::Duration;

use fumehood_guest_dns::{
    Answer, Cause, Config, Failure, Happening, RecordType, Security, TrustAnchor, Wanted,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Record;
use proptest::prelude::*;
use rig::zones::{
    A, CNAME, DNAME, DNSKEY, DS, Denial, NS, NSEC, NSEC3, RRSIG, SOA, World, Zone, anchor,
    bytes_of, raw, wire,
};
use rig::*;

const TXT: Wanted = Wanted::Records(RecordType::Txt);

/// Asks, while somebody changes what the world replies.
fn resolve(
    world: &World,
    name: &str,
    wanted: Wanted,
    change: impl FnMut(&Sent, &mut Message),
) -> Result<Answer, Failure> {
    resolve_from(vec![world.anchor()], world, name, wanted, change)
}

/// The same with these anchors.
fn resolve_from(
    anchors: Vec<TrustAnchor>,
    world: &World,
    name: &str,
    wanted: Wanted,
    mut change: impl FnMut(&Sent, &mut Message),
) -> Result<Answer, Failure> {
    let mut rig = Rig::new(&Config {
        dnssec: Some(anchors),
        ..config(1)
    });
    let id = rig.ask(name, wanted);
    loop {
        let sent = rig.sent();
        if sent.is_empty() {
            return rig.outcome(id).expect("it waits, and asks nobody");
        }
        for question in sent {
            let mut reply = world.reply(&question);
            change(&question, &mut reply);
            rig.deliver(&question, reply.to_vec().unwrap());
        }
    }
}

/// Why an answer is bogus.
fn bogus(name: &str, wanted: Wanted, change: impl FnMut(&Sent, &mut Message)) -> String {
    bogus_in(&World::new(), name, wanted, change)
}

fn bogus_in(
    world: &World,
    name: &str,
    wanted: Wanted,
    change: impl FnMut(&Sent, &mut Message),
) -> String {
    reason(resolve(world, name, wanted, change))
}

fn reason(outcome: Result<Answer, Failure>) -> String {
    match outcome.expect_err("it is believed").cause {
        Cause::Bogus(why) => why,
        other => panic!("{other:?}"),
    }
}

/// Whether the question is for this.
fn asks(sent: &Sent, owner: &str, code: u16) -> bool {
    let asked = &sent.message.queries[0];
    asked.name == name(owner) && u16::from(asked.query_type) == code
}

fn code(record: &Record) -> u16 {
    record.record_type().into()
}

#[test]
fn an_altered_record_is_seen() {
    let why = bogus("www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "www.signed.test", A) {
            bytes_of(&mut reply.answers[0])[3] = 66;
        }
    });
    assert_eq!(why, "the signature of www.signed.test A is wrong");
    let why = bogus("alias.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "alias.signed.test", A) {
            let at = reply.answers.iter_mut().find(|it| code(it) == CNAME);
            *bytes_of(at.unwrap()) = wire(&name("evil.test"));
        }
    });
    assert_eq!(why, "the signature of alias.signed.test CNAME is wrong");
}

#[test]
fn an_alias_of_a_whole_tree_leads_where_it_says() {
    let mut world = World::new();
    let mut zones = world.zones.iter_mut();
    let zone = zones.find(|it| it.apex == name("signed.test")).unwrap();
    let tree = name("tree.signed.test");
    zone.add(&tree, DNAME, wire(&name("wild.signed.test")));
    let www = "www.tree.signed.test";
    let missing = |what: &str| format!("{what} is in a signed zone, and its signature is missing");
    // Elsewhere; under another prefix; under more, and less.
    for target in [
        "www.evil.test",
        "other.wild.signed.test",
        "x.www.wild.signed.test",
        "wild.signed.test",
    ] {
        let why = bogus_in(&world, www, A_RECORDS, |to, reply| {
            if asks(to, www, A) {
                let alias = reply.answers.iter_mut().find(|it| code(it) == CNAME);
                *bytes_of(alias.unwrap()) = wire(&name(target));
            }
        });
        assert_eq!(why, missing("www.tree.signed.test CNAME"), "{target}");
    }
    // Without its signature; with another target; and with a name below it.
    let why = bogus_in(&world, www, A_RECORDS, |to, reply| {
        if asks(to, www, A) {
            reply.answers.retain(|it| code(it) != RRSIG);
        }
    });
    assert_eq!(why, missing("tree.signed.test DNAME"));
    let why = bogus_in(&world, www, A_RECORDS, |to, reply| {
        if asks(to, www, A) {
            for record in &mut reply.answers {
                match code(record) {
                    DNAME => *bytes_of(record) = wire(&name("evil.test")),
                    CNAME => *bytes_of(record) = wire(&name("www.evil.test")),
                    _ => {}
                }
            }
        }
    });
    assert_eq!(why, "the signature of tree.signed.test DNAME is wrong");
    let why = bogus_in(&world, www, A_RECORDS, |to, reply| {
        if asks(to, www, A) {
            reply.answers = vec![a(www, 300, "192.0.2.66")];
        }
    });
    assert_eq!(why, missing("www.tree.signed.test A"));
}

#[test]
fn a_record_that_is_added_or_left_out_is_seen() {
    let mut world = World::new();
    let signed = world
        .zones
        .iter()
        .position(|it| it.apex == name("signed.test"));
    world.zones[signed.unwrap()].add(&name("www.signed.test"), A, vec![192, 0, 2, 9]);
    for more in [true, false] {
        let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
            if asks(to, "www.signed.test", A) {
                match more {
                    true => reply.answers.push(a("www.signed.test", 300, "192.0.2.66")),
                    false => drop(reply.answers.remove(0)),
                }
            }
        });
        assert_eq!(why, "the signature of www.signed.test A is wrong");
    }
}

#[test]
fn a_signature_that_is_taken_away_is_missed() {
    let why = bogus("www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "www.signed.test", A) {
            reply.answers.retain(|it| code(it) != RRSIG);
        }
    });
    assert_eq!(
        why,
        "www.signed.test A is in a signed zone, and its signature is missing"
    );
    let why = bogus("www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "signed.test", DNSKEY) {
            reply.answers.retain(|it| code(it) != RRSIG);
        }
    });
    assert!(
        why.starts_with("signed.test DNSKEY is in a signed zone"),
        "{why}"
    );
}

#[test]
fn signatures_hold_within_their_dates() {
    let today = oracle::TODAY;
    for (from, until, wrong) in [
        (today - 9, today - 1, "has expired"),
        (today + 1, today + 9, "is not valid yet"),
    ] {
        let world = World::new();
        let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
            if asks(to, "www.signed.test", A) {
                reply.answers.retain(|it| code(it) != RRSIG);
                let (zone, owner) = (world.zone("signed.test"), name("www.signed.test"));
                let data = [vec![192, 0, 2, 1]];
                let signature = zone.signature(&owner, &owner, A, &data, (from, until));
                reply.answers.extend(signature);
            }
        });
        assert_eq!(why, format!("the signature of www.signed.test A {wrong}"));
    }
}

#[test]
fn another_zone_cannot_sign() {
    let world = World::new();
    let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "www.signed.test", A) {
            reply.answers.retain(|it| code(it) != RRSIG);
            let owner = name("www.signed.test");
            let dates = (oracle::TODAY - 9, oracle::TODAY + 9);
            let other = world.zone("hashed.test");
            let signature = other.signature(&owner, &owner, A, &[vec![192, 0, 2, 1]], dates);
            reply.answers.extend(signature);
        }
    });
    assert_eq!(
        why,
        "www.signed.test A is signed in the name of hashed.test, which is not its zone"
    );
}

/// A signed zone with an anchor of its own, `island.open.test`, below one that is
/// not signed; and who answers in the name of that one, with a key of their own.
fn island() -> (World, Vec<TrustAnchor>, Zone) {
    let mut world = World::new();
    let island = Zone::new("island.open.test", true, Denial::Names).furnish();
    let anchors = vec![world.anchor(), anchor(&island)];
    world.zones.push(island);
    let mut forger = Zone::new("open.test", true, Denial::Names);
    forger.add(&name("island.open.test"), NS, wire(&name("ns.test")));
    (world, anchors, forger)
}

const ISLANDER: &str = "www.island.open.test";

#[test]
fn a_zone_above_an_anchor_cannot_sign_below_it() {
    let (world, anchors, forger) = island();
    let honest = resolve_from(anchors.clone(), &world, ISLANDER, A_RECORDS, |_, _| {});
    assert_eq!(honest.unwrap().security, Some(Security::Secure));
    let dates = (oracle::TODAY - 9, oracle::TODAY + 9);
    let sign = |zone: &Zone, owner: &str, reply: &mut Message| {
        let (data, owner) = (vec![192, 0, 2, 66], name(owner));
        let data = std::slice::from_ref(&data);
        reply.answers = vec![raw(&owner, A, data[0].clone())];
        let signature = zone.signature(&owner, &owner, A, data, dates);
        reply.answers.extend(signature);
    };
    let outcome = resolve_from(anchors, &world, ISLANDER, A_RECORDS, |to, reply| {
        if asks(to, ISLANDER, A) {
            sign(&forger, ISLANDER, reply);
        }
    });
    let expected =
        "www.island.open.test A is signed in the name of open.test, which is not its zone";
    assert_eq!(reason(outcome), expected);
    // Nor where no anchor is above it, and be it with its own key.
    let anchors = vec![anchor(world.zone("signed.test"))];
    let outcome = resolve_from(
        anchors,
        &world,
        "www.signed.test",
        A_RECORDS,
        |to, reply| {
            if asks(to, "www.signed.test", A) {
                sign(world.zone("test"), "www.signed.test", reply);
            }
        },
    );
    let expected = "www.signed.test A is signed in the name of test, which is not its zone";
    assert_eq!(reason(outcome), expected);
}

#[test]
fn a_zone_above_an_anchor_cannot_deny_below_it() {
    let (world, anchors, forger) = island();
    let outcome = resolve_from(anchors, &world, ISLANDER, A_RECORDS, |to, reply| {
        if asks(to, ISLANDER, A) {
            reply.answers.clear();
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply.authorities = vec![soa("open.test", 300, 300)];
            let denials = forger.denials(&[name(ISLANDER), name("*.open.test")]);
            reply.authorities.extend(denials);
        }
    });
    let expected = "nothing signed shows that there is no www.island.open.test A";
    assert_eq!(reason(outcome), expected);
}

#[test]
fn a_zone_above_an_anchor_cannot_make_aliases_below_it() {
    let (world, anchors, forger) = island();
    let (apex, dates) = (name("open.test"), (oracle::TODAY - 9, oracle::TODAY + 9));
    let (target, led) = (wire(&name("evil.open.test")), "www.island.evil.open.test");
    for signed in [true, false] {
        let outcome = resolve_from(anchors.clone(), &world, ISLANDER, A_RECORDS, |to, reply| {
            if asks(to, ISLANDER, A) {
                reply.answers = vec![
                    raw(&apex, DNAME, target.clone()),
                    cname(ISLANDER, 300, led),
                    a(led, 300, "192.0.2.66"),
                ];
                let target = std::slice::from_ref(&target);
                let signature = forger.signature(&apex, &apex, DNAME, target, dates);
                reply.answers.extend(signature.filter(|_| signed));
            }
        });
        let expected =
            "www.island.open.test CNAME is in a signed zone, and its signature is missing";
        assert_eq!(reason(outcome), expected);
    }
}

/// Of a zone with an anchor of its own nothing can be made out to be indeterminate.
#[test]
fn who_is_above_an_anchor_cannot_sign_below_it() {
    let world = World::new();
    for signer in ["test", "."] {
        let mut rig = Rig::new(&Config {
            dnssec: Some(vec![anchor(world.zone("signed.test"))]),
            ..config(1)
        });
        let id = rig.ask("www.signed.test", A_RECORDS);
        loop {
            let sent = rig.sent();
            if sent.is_empty() {
                break;
            }
            for question in sent {
                let mut reply = world.reply(&question);
                if asks(&question, "www.signed.test", A) {
                    reply.answers.retain(|it| code(it) != RRSIG);
                    let owner = name("www.signed.test");
                    let dates = (oracle::TODAY - 9, oracle::TODAY + 9);
                    let data = [vec![192, 0, 2, 1]];
                    let other = world.zone(signer);
                    let signature = other.signature(&owner, &owner, A, &data, dates);
                    reply.answers.extend(signature);
                }
                rig.deliver(&question, reply.to_vec().unwrap());
            }
        }
        let why =
            format!("www.signed.test A is signed in the name of {signer}, which is not its zone");
        assert_eq!(rig.failure(id).cause, Cause::Bogus(why));
    }
}

#[test]
fn a_delegation_is_not_a_wildcard_s() {
    let world = World::new();
    let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "test", DS) {
            reply.answers.retain(|it| code(it) != RRSIG);
            let (owner, source) = (name("test"), name("*"));
            let dates = (oracle::TODAY - 9, oracle::TODAY + 9);
            let data = [world.zone("test").ds()];
            let signature = world.zone(".").signature(&owner, &source, DS, &data, dates);
            reply.answers.extend(signature);
        }
    });
    assert!(why.starts_with("test DS comes of a wildcard"), "{why}");
}

/// Not even its own key can make a name of a wildcard that is another zone's.
#[test]
fn a_wildcard_above_the_zone_is_none_of_its_own() {
    let world = World::new();
    for above in ["*", "*.test"] {
        let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
            if asks(to, "www.signed.test", A) {
                reply.answers.retain(|it| code(it) != RRSIG);
                let (owner, source) = (name("www.signed.test"), name(above));
                let dates = (oracle::TODAY - 9, oracle::TODAY + 9);
                let data = [vec![192, 0, 2, 1]];
                let zone = world.zone("signed.test");
                let signature = zone.signature(&owner, &source, A, &data, dates);
                reply.answers.extend(signature);
            }
        });
        assert_eq!(why, "the signature of www.signed.test A is wrong");
    }
}

#[test]
fn a_zone_cannot_be_made_out_to_be_unsigned() {
    let world = World::new();
    let missing = "nothing signed shows that there is no signed.test DS";
    let no_ds = |reply: &mut Message| {
        reply.answers.clear();
        reply.authorities.clear();
    };
    // Nothing in its place; the denial of another delegation; of the zone itself.
    for instead in ["", "open.test", "signed.test"] {
        let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
            if asks(to, "signed.test", DS) {
                no_ds(reply);
                let mut like = to.clone();
                if instead.is_empty() {
                    return;
                }
                like.message.queries[0].name = name(instead);
                let code = if instead == "signed.test" { 16 } else { DS };
                like.message.queries[0].query_type = code.into();
                reply.authorities = world.reply(&like).authorities;
            } else if asks(to, "www.signed.test", A) {
                // As if it were not signed below either.
                reply.answers.retain(|it| code(it) != RRSIG);
            }
        });
        assert_eq!(why, missing, "{instead}");
    }
}

#[test]
fn keys_that_the_parent_does_not_name_are_not_believed() {
    let (world, other) = (World::new(), World::new());
    for zone in ["signed.test", "test", "."] {
        let why = bogus_in(&world, "www.signed.test", A_RECORDS, |to, reply| {
            let asked = &to.message.queries[0];
            let is_zone = wire(&asked.name) == wire(&world.zone(zone).apex);
            if is_zone && u16::from(asked.query_type) == DNSKEY {
                *reply = other.reply(to);
            }
        });
        assert_eq!(
            why,
            format!(
                "none of the keys of {zone} is the one that its parent or a trust anchor names"
            )
        );
    }
}

#[test]
fn denials_of_other_names_and_zones_deny_nothing() {
    let world = World::new();
    let like = |to: &Sent, owner: &str, code: u16| {
        let mut like = to.clone();
        like.message.queries[0].name = name(owner);
        like.message.queries[0].query_type = code.into();
        world.reply(&like)
    };
    for zone in ["signed.test", "hashed.test"] {
        let www = format!("www.{zone}");
        for (owner, kind, code) in [
            // Of a name that is indeed not there.
            ("no", 16, ResponseCode::NXDomain),
            // Of another type of the same name.
            ("www", 16, ResponseCode::NoError),
            // By a neighbour.
            ("alias", 16, ResponseCode::NoError),
        ] {
            let why = bogus_in(&world, &www, A_RECORDS, |to, reply| {
                if asks(to, &www, A) {
                    let mut other = like(to, &format!("{owner}.{zone}"), kind);
                    other.queries.clone_from(&reply.queries);
                    other.metadata.response_code = code;
                    other.answers.clear();
                    *reply = other;
                }
            });
            let expected = format!("nothing signed shows that there is no {www} A");
            assert_eq!(why, expected, "{owner}");
        }
        // By the parent, which knows of nothing below the delegation.
        let why = bogus_in(&world, &www, A_RECORDS, |to, reply| {
            if asks(to, &www, A) {
                let other = like(to, zone, DS);
                reply.answers.clear();
                reply.metadata.response_code = ResponseCode::NXDomain;
                reply.authorities = world.zone("test").denials(&[name(zone), name("*.test")]);
                assert!(!other.answers.is_empty());
            }
        });
        assert_eq!(
            why,
            format!("nothing signed shows that there is no {www} A")
        );
    }
}

#[test]
fn a_denial_needs_all_its_parts() {
    for zone in ["signed.test", "hashed.test"] {
        let owner = format!("no.{zone}");
        let whole = World::new();
        let denials = |reply: &Message| {
            let all = reply.authorities.iter();
            let all = all.filter(|it| matches!(code(it), NSEC | NSEC3));
            all.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        let mut count = 0;
        resolve(&whole, &owner, TXT, |_, reply| {
            count = count.max(denials(reply).len());
        })
        .unwrap_err();
        assert!(count >= 2, "{zone}");
        for left_out in 0..count {
            let why = bogus_in(&whole, &owner, TXT, |to, reply| {
                if asks(to, &owner, 16) {
                    let without = denials(reply).remove(left_out);
                    reply
                        .authorities
                        .retain(|it| it.name != without || code(it) == SOA);
                }
            });
            let expected = format!("nothing signed shows that there is no {owner} TXT");
            assert_eq!(why, expected, "{left_out}");
        }
    }
}

#[test]
fn a_wildcard_does_not_stand_for_names_that_are_there() {
    for zone in ["signed.test", "hashed.test"] {
        let mut world = World::new();
        let at = world.zones.iter().position(|it| it.apex == name(zone));
        let (own, other) = (format!("own.wild.{zone}"), format!("other.wild.{zone}"));
        world.zones[at.unwrap()].add(&name(&own), 16, b"\x01x".to_vec());
        for keep in [true, false] {
            let why = bogus_in(&world, &own, A_RECORDS, |to, reply| {
                if asks(to, &own, A) {
                    let mut like = to.clone();
                    like.message.queries[0].name = name(&other);
                    *reply = world.reply(&like);
                    reply.queries.clone_from(&to.message.queries);
                    for record in &mut reply.answers {
                        record.name = name(&own);
                    }
                    if !keep {
                        reply.authorities.clear();
                    }
                }
            });
            assert!(why.contains("comes of a wildcard"), "{why}");
        }
    }
}

#[test]
fn a_wildcard_does_not_stand_for_zones_that_begin() {
    for parent in ["signed.test", "hashed.test"] {
        let mut world = World::new();
        let (child, www) = (format!("sub.{parent}"), format!("www.sub.{parent}"));
        let sub = Zone::new(&child, true, Denial::Names).furnish();
        let above = world.zones.iter_mut().find(|it| it.apex == name(parent));
        let above = above.unwrap();
        above.add(&sub.apex, NS, wire(&name("ns.test")));
        above.add(&sub.apex, DS, sub.ds());
        world.zones.push(sub);
        let forged = |reply: &mut Message| {
            reply.authorities.clear();
            reply.answers = world.zone(parent).wild_alias(&child, "www.open.test");
        };
        let why = bogus_in(&world, &www, A_RECORDS, |to, reply| {
            if asks(to, &child, DS) {
                forged(reply);
            }
        });
        let expected = format!(
            "{child} CNAME comes of a wildcard, and nothing signed shows that the name itself is not there"
        );
        assert_eq!(why, expected);
        // Nor is it remembered.
        let mut first = true;
        let answer = resolve(&world, &www, A_RECORDS, |to, reply| {
            if asks(to, &child, DS) && std::mem::take(&mut first) {
                forged(reply);
            }
        });
        assert_eq!(answer.unwrap().security, Some(Security::Secure));
    }
}

#[test]
fn a_wildcard_does_not_stand_for_zones_that_were_left_out() {
    let world = World::new();
    let zone = world.zone("loose.test");
    let answer = resolve(&world, "www.left.loose.test", A_RECORDS, |to, reply| {
        if asks(to, "left.loose.test", DS) {
            reply.answers = zone.wild_alias("left.loose.test", "www.open.test");
            reply.authorities = zone.denials(&[name("left.loose.test")]);
        }
    });
    assert_eq!(answer.unwrap().security, Some(Security::Insecure));
}

#[test]
fn the_work_that_a_reply_may_make_has_an_end() {
    // More keys than any zone has.
    let why = bogus("www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "signed.test", DNSKEY) {
            for number in 0..40 {
                let key = [&[1, 0, 3, 15], &[number; 32][..]].concat();
                reply.answers.push(raw(&name("signed.test"), DNSKEY, key));
            }
        }
    });
    assert_eq!(why, "signed.test has more keys than are looked at");
    // Many signatures of one key, all wrong but the last.
    let mut checked = 0;
    let failure = resolve(&World::new(), "www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "www.signed.test", A) {
            checked += 1;
            let real = reply
                .answers
                .iter()
                .position(|it| code(it) == RRSIG)
                .unwrap();
            let real = reply.answers.remove(real);
            for number in 0..200 {
                let mut forged = real.clone();
                *bytes_of(&mut forged).last_mut().unwrap() ^= number + 1;
                reply.answers.push(forged);
            }
            reply.answers.push(real);
        }
    });
    let cause = Cause::Bogus("checking it takes more work than one answer may".to_owned());
    assert_eq!(failure.unwrap_err().cause, cause);
    assert_eq!(checked, 1, "it is not asked for again");
}

#[test]
fn a_forged_reply_is_followed_by_another_question() {
    let mut first = true;
    let answer = resolve(&World::new(), "www.signed.test", A_RECORDS, |to, reply| {
        if asks(to, "www.signed.test", A) && std::mem::take(&mut first) {
            bytes_of(&mut reply.answers[0])[3] = 66;
        }
    });
    let answer = answer.unwrap();
    assert_eq!(answer.security, Some(Security::Secure));
    assert_eq!(answer.records, [v4("192.0.2.1")]);
    let is_bogus = |it: &Happening| matches!(it, Happening::Bogus(_));
    assert!(answer.steps.iter().any(|it| is_bogus(&it.happening)));
    assert!(answer.steps.iter().all(|it| it.at == Duration::ZERO));
}

#[test]
fn a_server_cannot_be_made_out_to_know_no_signatures() {
    let world = World::new();
    for code in [
        ResponseCode::FormErr,
        ResponseCode::NotImp,
        ResponseCode::BADVERS,
    ] {
        let mut first = true;
        let answer = resolve(&world, "www.signed.test", A_RECORDS, |to, reply| {
            let edns = to.message.edns.as_ref();
            assert!(edns.is_some_and(|it| it.flags().dnssec_ok));
            if std::mem::take(&mut first) {
                *reply = Message::from_vec(&reply_to(to, |_| {})).unwrap();
                reply.metadata.response_code = code;
                // Such a reply need not say to which question.
                reply.queries.clear();
            }
        });
        assert_eq!(answer.unwrap().security, Some(Security::Secure), "{code}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to the bytes of replies, what is called secure is what
    /// the zone has, and what is secure is called nothing else.
    #[test]
    fn nothing_else_is_ever_secure(
        owner in prop::sample::select(vec!["www", "alias", "x.wild", "no"]),
        zone in prop::sample::select(vec!["signed.test", "hashed.test", "loose.test"]),
        which in 0_usize..12,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4),
    ) {
        let world = World::new();
        let mut rig = Rig::new(&Config { dnssec: Some(vec![world.anchor()]), ..config(1) });
        let id = rig.ask(&format!("{owner}.{zone}"), A_RECORDS);
        let mut count = 0;
        loop {
            let sent = rig.sent();
            if sent.is_empty() {
                if rig.resolver.waiting() == 0 {
                    break;
                }
                // What was passed over is not waited for for ever.
                rig.pass(Duration::from_secs(6));
                continue;
            }
            for question in sent {
                let mut bytes = world.reply(&question).to_vec().unwrap();
                if count == which {
                    for (at, bit) in &flips {
                        // Not the ID, by which it would be passed over.
                        let at = 2 + at.index(bytes.len() - 2);
                        bytes[at] ^= 1 << bit;
                    }
                }
                count += 1;
                rig.deliver(&question, bytes);
            }
        }
        let outcome = rig.outcome(id).expect("it ended, and is not answered");
        let security = match &outcome {
            Ok(answer) => answer.security,
            // Where the name is not shown to be absent, nothing is said of it.
            Err(failure) => failure.security.or(Some(Security::Secure)),
        };
        // Of these zones nothing else is right.
        if zone != "loose.test" {
            prop_assert_eq!(security, Some(Security::Secure));
        }
        match outcome {
            Ok(answer) if answer.security == Some(Security::Secure) => {
                let address = if owner == "x.wild" { "192.0.2.2" } else { "192.0.2.1" };
                prop_assert_eq!(answer.records, vec![v4(address)]);
            }
            Err(failure) if failure.security == Some(Security::Secure) => {
                prop_assert_eq!(owner, "no");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
