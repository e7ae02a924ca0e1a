//! What becomes of queries when instances end. The tests play the instances.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_control::{AnswerSource, GrantId, Wanted};

use super::*;

fn setup() -> ResolverSetup {
    ResolverSetup {
        grant: GrantId(1),
        dials: false,
        servers: Vec::new(),
        search: Vec::new(),
        ndots: 1,
        timeout_ms: 1000,
        attempts: 1,
        rotate: false,
        trust_authentic: false,
        dnssec: None,
        hosts: Vec::new(),
    }
}

fn inbox() -> Inbox {
    let inbox = Inbox::default();
    inbox.set_up(setup());
    inbox
}

fn query(name: &str) -> NameQuery {
    NameQuery {
        name: name.to_owned(),
        wanted: Wanted::Addresses,
        cached: true,
        traced: false,
        private: false,
        deadline_ms: 1000,
    }
}

fn answer() -> Outcome {
    Ok(NameAnswer {
        name: String::new(),
        aliases: Vec::new(),
        records: Vec::new(),
        ttl_s: 0,
        authentic: false,
        security: None,
        source: AnswerSource::Cache,
        steps: Vec::new(),
    })
}

fn end() -> Cause {
    Cause::Guest {
        module: "dns".to_owned(),
        version: "0.0.0".to_owned(),
        kind: "trap".to_owned(),
        detail: String::new(),
    }
}

/// What an instance takes: `configure`, names, `-` and an ID for a cancellation.
fn taken(inbox: &Inbox) -> Vec<String> {
    let tasks = inbox.take().into_iter().map(|task| match task {
        Task::Configure(_) => "configure".to_owned(),
        Task::Resolve(_, query) => query.name,
        Task::Cancel(id) => format!("-{id}"),
    });
    tasks.collect()
}

#[test]
fn an_instance_is_told_of_the_setup_first_and_of_each_query_once() {
    let inbox = inbox();
    let _a = inbox.ask(query("a")).unwrap();
    assert_eq!(taken(&inbox), ["configure", "a"]);
    let _b = inbox.ask(query("b")).unwrap();
    assert_eq!(taken(&inbox), ["b"]);
    assert!(taken(&inbox).is_empty());
    inbox.set_up(setup());
    assert_eq!(taken(&inbox), ["configure"]);
}

#[test]
fn without_a_setup_there_is_no_answer_and_too_many_are_refused() {
    let cause = |refused: Result<Waiting<'_>, Unresolved>| match refused {
        Err(Unresolved::Failure(failure)) => failure.cause,
        other => panic!("{other:?}"),
    };
    let inbox = Inbox::default();
    assert_eq!(cause(inbox.ask(query("a"))), NameCause::NoServers);
    inbox.set_up(setup());
    let ask = |at: usize| inbox.ask(query(&at.to_string()));
    let waiting: Vec<_> = (0..MAX_QUERIES).map(|at| ask(at).unwrap()).collect();
    assert_eq!(cause(ask(0)), NameCause::Busy);
    assert_eq!(taken(&inbox).len(), MAX_TASKS);
    drop(waiting);
    assert!(ask(0).is_ok());
}

#[test]
fn who_goes_away_leaves_nothing_behind() {
    let inbox = inbox();
    let a = inbox.ask(query("a")).unwrap();
    drop(a);
    assert_eq!(taken(&inbox), ["configure"]);
    let b = inbox.ask(query("b")).unwrap();
    let id = b.id;
    assert_eq!(taken(&inbox), ["b"]);
    drop(b);
    assert_eq!(taken(&inbox), [format!("-{id}")]);
    // A late answer finds nobody.
    inbox.deliver(id, answer());
}

#[test]
fn an_answer_to_what_was_not_given_is_no_answer() {
    let inbox = inbox();
    let mut a = inbox.ask(query("a")).unwrap();
    inbox.deliver(a.id, answer());
    assert!(a.answer.try_recv().is_err());
    taken(&inbox);
    inbox.deliver(a.id, answer());
    assert!(a.answer.try_recv().is_ok());
}

#[test]
fn an_end_loses_no_query_and_the_one_at_fault_is_found() {
    let inbox = inbox();
    let mut good: Vec<_> = ["a", "b", "d"]
        .map(|name| inbox.ask(query(name)).unwrap())
        .into();
    let mut poison = inbox.ask(query("poison")).unwrap();
    taken(&inbox);
    let mut fresh = inbox.ask(query("fresh")).unwrap();
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    // The latest that it had, alone; and what it never had.
    assert_eq!(taken(&inbox), ["configure", "fresh", "poison"]);
    inbox.deliver(fresh.id, answer());
    assert!(fresh.answer.try_recv().is_ok());
    assert_eq!(inbox.bury(&end()), Burial::Convicted);
    let told = poison.answer.try_recv().unwrap();
    assert_eq!(told, Err(Unresolved::Guest(end())));
    // The others are as new.
    assert_eq!(taken(&inbox), ["configure", "a", "b", "d"]);
    for waiting in &mut good {
        inbox.deliver(waiting.id, answer());
        assert!(waiting.answer.try_recv().unwrap().is_ok());
    }
}

#[test]
fn the_innocent_pass_one_by_one() {
    let inbox = inbox();
    let mut all: Vec<_> = ["a", "b", "c"]
        .map(|name| inbox.ask(query(name)).unwrap())
        .into();
    taken(&inbox);
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    assert_eq!(taken(&inbox), ["configure", "c"]);
    inbox.deliver(all[2].id, answer());
    assert_eq!(taken(&inbox), ["b"]);
    // Who gives up makes way, too.
    all.remove(1);
    assert_eq!(taken(&inbox).last().unwrap(), "a");
    inbox.deliver(all[0].id, answer());
    assert!(taken(&inbox).is_empty());
    // Long after, it is a first end again.
    let _d = inbox.ask(query("d")).unwrap();
    taken(&inbox);
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    assert_eq!(taken(&inbox), ["configure", "d"]);
}

#[test]
fn one_that_the_next_instance_never_took_is_not_convicted() {
    let inbox = inbox();
    let mut a = inbox.ask(query("a")).unwrap();
    taken(&inbox);
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    // It ends in its start.
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    assert_eq!(taken(&inbox), ["configure", "a"]);
    inbox.deliver(a.id, answer());
    assert!(a.answer.try_recv().unwrap().is_ok());
}

#[test]
fn suspects_outlast_an_instance_that_took_none_of_them() {
    let inbox = inbox();
    let (_a, b) = (
        inbox.ask(query("a")).unwrap(),
        inbox.ask(query("b")).unwrap(),
    );
    taken(&inbox);
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    // It ends in its start.
    assert_eq!(inbox.bury(&end()), Burial::GoesOn);
    assert_eq!(taken(&inbox), ["configure", "b"]);
    inbox.deliver(b.id, answer());
    assert_eq!(taken(&inbox), ["a"]);
}

#[test]
fn a_replacement_has_all_the_work_of_the_one_before() {
    let inbox = inbox();
    let all = ["a", "b"].map(|name| inbox.ask(query(name)).unwrap());
    taken(&inbox);
    let _c = inbox.ask(query("c")).unwrap();
    inbox.replace();
    assert_eq!(taken(&inbox), ["configure", "a", "b", "c"]);
    drop(all);
}

#[test]
fn where_there_is_no_instance_all_are_told() {
    let inbox = inbox();
    let mut all = ["a", "b"].map(|name| inbox.ask(query(name)).unwrap());
    inbox.fail_all(&end());
    for waiting in &mut all {
        let told = waiting.answer.try_recv().unwrap();
        assert_eq!(told, Err(Unresolved::Guest(end())));
    }
    assert_eq!(taken(&inbox), ["configure"]);
}
