//! Servers: retries, rotation, EDNS, TCP, TLS, HTTPS, and many at once.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use std::time::Duration;

use fumehood_guest_dns::{
    Action, Cause, Config, Event, IDLE_TIME, MAX_EXCHANGES, MAX_QUERIES, PADDING_BLOCK_BYTES,
    Protocol, Server, Source, Transport,
};
use hickory_proto::op::{Message, ResponseCode};
use rig::*;

const TIMEOUT: Duration = Duration::from_secs(5);

fn good(reply: &mut Message) {
    reply.add_answer(a("a.example", 60, "198.51.100.1"));
}

fn fail(rig: &mut Rig, sent: &Sent, why: &str) {
    let event = match sent.way {
        Way::Datagram(exchange) | Way::Post(exchange) => Event::Failed {
            exchange,
            why: why.into(),
        },
        Way::Stream(channel) => Event::Closed {
            channel,
            why: why.into(),
        },
    };
    rig.resolver.handle_event(event, rig.now);
}

#[test]
fn servers_are_tried_in_turn_as_often_as_configured() {
    let mut rig = Rig::new(&config(3));
    let id = rig.ask("a.example", A_RECORDS);
    let mut asked = Vec::new();
    while rig.resolver.waiting() > 0 {
        let question = rig.one();
        asked.push(question.server.address.ip().to_string());
        assert_eq!(rig.resolver.next_timeout(), Some(rig.now + TIMEOUT));
        rig.pass(TIMEOUT);
    }
    let round = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    assert_eq!(asked, [round, round].concat());
    assert_eq!(rig.failure(id).cause, Cause::Timeout);
    assert_eq!(rig.resolver.next_timeout(), None);
}

#[test]
fn a_server_that_refuses_or_fails_hands_over_at_once() {
    let mut rig = Rig::new(&config(4));
    let id = rig.ask("a.example", A_RECORDS);
    let first = rig.one();
    fail(&mut rig, &first, "connection refused");
    let second = rig.one();
    rig.reply(&second, |it| {
        it.metadata.response_code = ResponseCode::Refused;
    });
    let third = rig.one();
    rig.reply(&third, |it| {
        // Some do not repeat the question when they fail.
        it.queries.clear();
        it.metadata.response_code = ResponseCode::ServFail;
    });
    let fourth = rig.one();
    rig.reply(&fourth, good);
    assert_eq!(rig.answer(id).source, Source::Server(3));
}

#[test]
fn without_servers_there_is_no_answer() {
    let mut rig = Rig::new(&config(0));
    let id = rig.ask("a.example", ADDRESSES);
    assert_eq!(rig.failure(id).cause, Cause::NoServers);
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", A_RECORDS);
    for _ in 0..2 {
        let question = rig.one();
        fail(&mut rig, &question, "host unreachable");
    }
    assert_eq!(
        rig.failure(id).cause,
        Cause::Unreachable("host unreachable".into())
    );
}

#[test]
fn a_server_without_edns_is_asked_again_without_and_remembered() {
    for code in [ResponseCode::FormErr, ResponseCode::NotImp] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        rig.reply(&question, |it| it.metadata.response_code = code);
        let again = rig.one();
        assert!(again.message.edns.is_none());
        rig.reply(&again, good);
        rig.answer(id);
        rig.ask("b.example", A_RECORDS);
        assert!(rig.one().message.edns.is_none());
    }
    let mut rig = Rig::new(&Config {
        edns: false,
        ..config(1)
    });
    rig.ask("a.example", A_RECORDS);
    assert!(rig.one().message.edns.is_none());
}

#[test]
fn a_truncated_reply_is_fetched_by_tcp_on_one_connection() {
    let mut rig = Rig::new(&config(1));
    let ids = [
        rig.ask("a.example", A_RECORDS),
        rig.ask("b.example", A_RECORDS),
    ];
    for question in rig.sent() {
        rig.reply(&question, |it| {
            it.metadata.truncation = true;
            // What there is of it does not count.
            it.add_answer(a("a.example", 60, "203.0.113.66"));
        });
    }
    let again = rig.sent();
    assert_eq!(again.len(), 2);
    assert_eq!(again[0].way, again[1].way);
    assert_ne!(again[0].message.metadata.id, again[1].message.metadata.id);
    // In another order than they were asked.
    for (question, name) in again.iter().zip(["a.example", "b.example"]).rev() {
        rig.reply(question, |it| {
            it.add_answer(a(name, 60, "198.51.100.1"));
        });
    }
    for id in ids {
        assert_eq!(rig.answer(id).records, [v4("198.51.100.1")]);
    }
    let Way::Stream(channel) = again[0].way else {
        panic!("not TCP")
    };
    assert_eq!(rig.resolver.next_timeout(), Some(rig.now + IDLE_TIME));
    rig.pass(IDLE_TIME);
    assert_eq!(rig.actions(), [Action::HangUp(channel)]);
    assert_eq!(rig.resolver.next_timeout(), None);
}

fn secure(protocol: Protocol) -> Config {
    Config {
        servers: vec![Server {
            protocol,
            ..server(1)
        }],
        ..Config::default()
    }
}

#[test]
fn encrypted_questions_are_padded_and_their_connection_is_kept() {
    let mut rig = Rig::new(&secure(Protocol::Tls("dns.example".into())));
    let id = rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    assert!(matches!(question.way, Way::Stream(it) if it.transport == Transport::Tls));
    assert_eq!(question.bytes.len() % PADDING_BLOCK_BYTES, 0);
    rig.reply(&question, good);
    rig.answer(id);
    rig.pass(IDLE_TIME / 2);
    rig.ask("b.example", A_RECORDS);
    assert_eq!(rig.one().way, question.way);
    rig.pass(IDLE_TIME / 4);
    assert!(rig.actions().is_empty(), "not idle");
}

#[test]
fn a_dead_connection_is_left_and_a_slow_name_does_not_end_one() {
    let mut rig = Rig::new(&secure(Protocol::Tls("dns.example".into())));
    let slow = rig.ask("slow.example", A_RECORDS);
    let question = rig.one();
    rig.pass(TIMEOUT / 2);
    let id = rig.ask("a.example", A_RECORDS);
    let quick = rig.one();
    rig.reply(&quick, good);
    rig.answer(id);
    rig.pass(TIMEOUT / 2);
    // The connection lives: the question is asked again, on it.
    let actions = rig.actions();
    assert!(
        matches!(actions[..], [Action::Stream { .. }]),
        "{actions:?}"
    );
    rig.pass(TIMEOUT);
    let actions = rig.actions();
    assert!(matches!(actions[..], [Action::HangUp(_)]), "{actions:?}");
    assert_eq!(rig.failure(slow).cause, Cause::Timeout);
    rig.reply(&question, good);
    assert_eq!(rig.resolver.waiting(), 0);
}

#[test]
fn a_connection_that_ends_takes_its_questions_elsewhere() {
    let mut config = secure(Protocol::Tls("dns.example".into()));
    config.servers.push(Server {
        protocol: Protocol::Https("https://dns.example/dns-query".into()),
        ..server(2)
    });
    let mut rig = Rig::new(&config);
    let ids = [
        rig.ask("a.example", A_RECORDS),
        rig.ask("b.example", A_RECORDS),
    ];
    let first = rig.sent();
    fail(&mut rig, &first[0], "the server closed the connection");
    let posts = rig.sent();
    assert_eq!(posts.len(), 2);
    for (post, name) in posts.iter().zip(["a.example", "b.example"]) {
        assert!(matches!(post.way, Way::Post(_)));
        assert_eq!(post.message.metadata.id, 0, "so that HTTP may cache");
        assert_eq!(post.bytes.len() % PADDING_BLOCK_BYTES, 0);
        rig.reply(post, |it| {
            it.add_answer(a(name, 60, "198.51.100.1"));
        });
    }
    for id in ids {
        assert_eq!(rig.answer(id).source, Source::Server(1));
    }
}

#[test]
fn an_encrypted_reply_to_another_question_is_not_taken() {
    let mut rig = Rig::new(&secure(Protocol::Https("https://dns.example/".into())));
    let id = rig.ask("a.example", A_RECORDS);
    for _ in 0..2 {
        let post = rig.one();
        rig.reply(&post, |it| {
            it.queries[0].name = name("b.example");
            it.add_answer(a("a.example", 60, "203.0.113.66"));
        });
    }
    assert!(matches!(rig.failure(id).cause, Cause::Malformed(_)));
}

#[test]
fn equal_questions_under_way_are_one() {
    let mut rig = Rig::new(&config(1));
    let ids: Vec<_> = (0..50).map(|_| rig.ask("a.example", A_RECORDS)).collect();
    let question = rig.one();
    rig.reply(&question, good);
    for id in ids {
        assert_eq!(rig.answer(id).records, [v4("198.51.100.1")]);
    }
}

#[test]
fn many_queries_wait_for_their_turn_and_too_many_are_told_so() {
    let mut rig = Rig::new(&config(1));
    let ids: Vec<_> = (0..MAX_QUERIES)
        .map(|it| rig.ask(&format!("n{it}.example"), A_RECORDS))
        .collect();
    let busy = rig.ask("one-more.example", A_RECORDS);
    assert_eq!(rig.failure(busy).cause, Cause::Busy);
    let mut open = rig.sent();
    assert_eq!(open.len(), MAX_EXCHANGES);
    let mut answered = 0;
    while let Some(question) = open.pop() {
        let owner = question.message.queries[0].name.to_ascii();
        rig.reply(&question, |it| {
            it.add_answer(a(&owner, 60, "198.51.100.1"));
        });
        answered += 1;
        open.extend(rig.sent());
        assert!(open.len() <= MAX_EXCHANGES);
    }
    assert_eq!(answered, MAX_QUERIES);
    for id in ids {
        rig.answer(id);
    }
}
