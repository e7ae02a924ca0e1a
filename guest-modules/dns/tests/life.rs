//! An instance's life: cancelling, new settings, and its successor.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use fumehood_guest_dns::{Action, Preferences};
use rig::*;

#[test]
fn a_cancelled_query_is_not_answered_and_its_socket_closes() {
    let mut rig = Rig::new(&config(1));
    let ids = [(); 2].map(|()| rig.ask("a.example", A_RECORDS));
    let question = rig.one();
    rig.resolver.cancel(ids[0], rig.now);
    assert!(rig.actions().is_empty(), "somebody still waits");
    rig.resolver.cancel(ids[1], rig.now);
    let Way::Datagram(exchange) = question.way else {
        panic!("not UDP")
    };
    assert_eq!(rig.actions(), [Action::Forget(exchange)]);
    rig.reply(&question, |it| {
        it.add_answer(a("a.example", 60, "198.51.100.1"));
    });
    assert!(ids.iter().all(|id| rig.outcome(*id).is_none()));
    assert_eq!(rig.resolver.next_timeout(), None);
    // Also when the answer lies ready, and when there never was one.
    let id = rig.ask("localhost", A_RECORDS);
    rig.resolver.cancel(id, rig.now);
    assert!(rig.outcome(id).is_none());
    rig.resolver.cancel(999, rig.now);
}

#[test]
fn new_settings_begin_everything_anew() {
    let mut rig = Rig::new(&config(1));
    let kept = rig.ask("kept.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("kept.example", 60, "198.51.100.1"));
    });
    rig.answer(kept);
    let id = rig.ask("a.example", A_RECORDS);
    let old = rig.one();
    let mut other = config(0);
    other.servers = vec![server(9)];
    rig.resolver.configure(&other, rig.now);
    let new = rig.one();
    assert_eq!(new.server, server(9));
    rig.reply(&old, |it| {
        it.add_answer(a("a.example", 60, "203.0.113.66"));
    });
    assert!(rig.outcome(id).is_none());
    rig.reply(&new, |it| {
        it.add_answer(a("a.example", 60, "198.51.100.1"));
    });
    assert_eq!(rig.answer(id).records, [v4("198.51.100.1")]);
    rig.ask("kept.example", A_RECORDS);
    assert_eq!(rig.sent().len(), 1, "the cache was emptied");
}

#[test]
fn a_successor_answers_what_was_left_unanswered() {
    let mut rig = Rig::new(&config(1));
    let queries: Vec<_> = ["a.example", "b.example", "c.example"]
        .map(|name| rig.query(name, A_RECORDS))
        .into();
    for query in &queries {
        rig.resolver.resolve(query.clone(), rig.now);
    }
    let first = rig.sent().remove(0);
    rig.reply(&first, |it| {
        it.add_answer(a("a.example", 60, "198.51.100.1"));
    });
    rig.answer(queries[0].id);
    // It dies here. The host has the queries without an answer, and no more.
    let mut heir = Rig::new(&config(1));
    for query in &queries[1..] {
        heir.resolver.resolve(query.clone(), heir.now);
    }
    for question in heir.sent() {
        let owner = question.message.queries[0].name.to_ascii();
        heir.reply(&question, |it| {
            it.add_answer(a(&owner, 60, "198.51.100.1"));
        });
    }
    for query in &queries[1..] {
        assert_eq!(heir.answer(query.id).records, [v4("198.51.100.1")]);
    }
}

#[test]
fn an_answer_lives_no_longer_than_is_preferred() {
    let mut rig = Rig::new(&config(1));
    let ask = |rig: &mut Rig| {
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        rig.reply(&question, |it| {
            it.add_answer(a("a.example", 600, "198.51.100.1"));
        });
        rig.answer(id).ttl_s
    };
    assert_eq!(ask(&mut rig), 600);
    // What was kept for longer is not kept any more.
    rig.resolver.prefer(Preferences::new(10, 30));
    assert_eq!(ask(&mut rig), 30);
    rig.now += std::time::Duration::from_secs(29);
    let id = rig.ask("a.example", A_RECORDS);
    assert_eq!(rig.answer(id).ttl_s, 1);
    rig.now += std::time::Duration::from_secs(1);
    assert_eq!(ask(&mut rig), 30);
}
