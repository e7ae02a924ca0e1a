//! Replies that nobody sane would send, and replies that somebody else sent.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test; its numbers are small"
)]

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use fumehood_guest_dns::{
    Cause, Happening, MAX_ALIASES, MAX_IGNORED_REPLIES, MAX_RECORDS, Mismatch, RecordType,
    Transport, Wanted,
};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{DNSClass, RecordType as Code};
use proptest::prelude::*;
use rig::*;

/// The same question, with one bit of one letter turned over.
fn in_other_letters(reply: &mut [u8]) {
    // After the header and the first label's length.
    reply[13] ^= 0x20;
}

fn good(reply: &mut Message) {
    reply.add_answer(a("victim.example", 60, "198.51.100.1"));
}

#[test]
fn a_forged_reply_must_match_in_everything() {
    type Forge = fn(&mut Rig, &Sent);
    let forgeries: [(Mismatch, Forge); 6] = [
        (Mismatch::Id, |rig, sent| {
            rig.reply(sent, |it| {
                it.metadata.id ^= 1;
                good(it);
            });
        }),
        (Mismatch::Sender, |rig, sent| {
            let bytes = reply_to(sent, good);
            let port = SocketAddr::new(sent.server.address.ip(), 54);
            rig.deliver_from(sent, port, bytes);
        }),
        (Mismatch::Question, |rig, sent| {
            rig.reply(sent, |it| {
                it.queries[0].query_type = Code::AAAA;
                good(it);
            });
        }),
        (Mismatch::Question, |rig, sent| {
            rig.reply(sent, |it| {
                it.queries[0].query_class = DNSClass::CH;
                good(it);
            });
        }),
        (Mismatch::Question, |rig, sent| {
            rig.reply(sent, |it| {
                it.queries.clear();
                good(it);
            });
        }),
        (Mismatch::Header, |rig, sent| {
            rig.deliver(sent, sent.bytes.clone());
        }),
    ];
    for (expected, forge) in forgeries {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("victim.example", A_RECORDS);
        let question = rig.one();
        forge(&mut rig, &question);
        assert!(rig.outcome(id).is_none(), "{expected:?} was believed");
        assert!(
            rig.actions().is_empty(),
            "the real reply is still waited for"
        );
        rig.reply(&question, good);
        let answer = rig.answer(id);
        assert_eq!(answer.records, [v4("198.51.100.1")]);
        let ignored = Happening::Ignored(expected);
        assert!(answer.steps.iter().any(|it| it.happening == ignored));
    }
}

#[test]
fn other_letters_are_not_believed_and_tcp_decides() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("victim.example", A_RECORDS);
    let question = rig.one();
    let mut forged = reply_to(&question, good);
    in_other_letters(&mut forged);
    rig.deliver(&question, forged);
    assert!(rig.outcome(id).is_none());
    let again = rig.one();
    assert!(matches!(again.way, Way::Stream(it) if it.transport == Transport::Tcp));
    // There nobody else can send, and letters do not matter.
    let mut reply = reply_to(&again, good);
    in_other_letters(&mut reply);
    rig.deliver(&again, reply);
    assert_eq!(rig.answer(id).records, [v4("198.51.100.1")]);
}

#[test]
fn letters_differ_from_question_to_question() {
    let mut rig = Rig::new(&config(1));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let id = rig.ask("a-name-with-many-letters.example", A_RECORDS);
        let question = rig.one();
        seen.insert((
            question.message.metadata.id,
            question.bytes[13..30].to_vec(),
        ));
        rig.resolver.cancel(id, rig.now);
        let _forgotten = rig.actions();
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn a_flood_of_guesses_moves_the_question_to_tcp() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("victim.example", A_RECORDS);
    let question = rig.one();
    for guess in 1..=MAX_IGNORED_REPLIES {
        rig.reply(&question, |it| {
            it.metadata.id = it.metadata.id.wrapping_add(guess as u16);
            good(it);
        });
    }
    let again = rig.one();
    assert!(matches!(again.way, Way::Stream(_)));
    // What is still on the way to the old socket does nothing.
    rig.reply(&question, |it| {
        it.add_answer(a("victim.example", 60, "203.0.113.66"));
    });
    assert!(rig.outcome(id).is_none());
}

#[test]
fn records_that_were_not_asked_for_are_passed_over() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("bank.example", 9999, "203.0.113.66"));
        it.add_answer(a("a.example", 60, "198.51.100.1"));
        it.add_answer(a("a.example", 60, "2001:db8::66"));
        it.add_answer(cname("bank.example", 9999, "evil.example"));
        it.add_additional(a("a.example", 9999, "203.0.113.66"));
        it.add_additional(a("bank.example", 9999, "203.0.113.66"));
        it.add_authority(a("a.example", 9999, "203.0.113.66"));
        let mut chaos = a("a.example", 9999, "203.0.113.66");
        chaos.dns_class = DNSClass::CH;
        it.add_answer(chaos);
    });
    let answer = rig.answer(id);
    assert_eq!(answer.records, [v4("198.51.100.1")]);
    assert!(answer.aliases.is_empty());
    for (other, wanted) in [
        ("bank.example", A_RECORDS),
        ("evil.example", A_RECORDS),
        ("a.example", Wanted::Records(RecordType::Aaaa)),
    ] {
        let id = rig.ask(other, wanted);
        assert!(rig.outcome(id).is_none(), "{other} was poisoned");
    }
}

#[test]
fn a_reply_about_another_name_alone_says_there_is_none() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("b.example", 60, "203.0.113.66"));
    });
    let failure = rig.failure(id);
    assert_eq!((failure.cause, failure.ttl_s), (Cause::NoSuchRecord, 0));
}

#[test]
fn aliases_in_circles_and_without_end_are_given_up() {
    for circle in [
        vec![cname("a.example", 60, "a.example")],
        vec![
            cname("a.example", 60, "b.example"),
            cname("b.example", 60, "A.example"),
        ],
        (0..=MAX_ALIASES)
            .map(|it| {
                let from = if it == 0 {
                    "a.example".into()
                } else {
                    format!("n{it}.example")
                };
                cname(&from, 60, &format!("n{}.example", it + 1))
            })
            .collect(),
    ] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        rig.reply(&question, |it| {
            it.add_answers(circle);
        });
        assert_eq!(rig.failure(id).cause, Cause::AliasLoop);
    }
    // One alias a reply comes to the same.
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("n0.example", A_RECORDS);
    for hop in 0..=MAX_ALIASES {
        let question = rig.one();
        rig.reply(&question, |it| {
            let (from, to) = (format!("n{hop}.example"), format!("n{}.example", hop + 1));
            it.add_answer(cname(&from, 60, &to));
        });
    }
    assert_eq!(rig.failure(id).cause, Cause::AliasLoop);
}

#[test]
fn promises_that_bytes_cannot_keep_are_not_allocated_for() {
    for at in [4, 6, 8, 10] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        let mut bytes = reply_to(&question, |_| {});
        bytes[at..at + 2].copy_from_slice(&[0xff, 0xff]);
        rig.deliver(&question, bytes.clone());
        let again = rig.one();
        assert!(matches!(again.way, Way::Stream(_)));
        bytes[..2].copy_from_slice(&again.bytes[..2]);
        rig.deliver(&again, bytes);
        let next = rig.one();
        assert!(matches!(next.way, Way::Datagram(_)), "the next attempt");
        rig.pass(Duration::from_secs(5));
        assert_eq!(rig.failure(id).cause, Cause::Timeout);
    }
}

#[test]
fn a_message_of_64_kib_is_read_and_too_many_records_are_not() {
    let of = |count: usize, bytes: usize| {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("a.example", Wanted::Records(RecordType::Txt));
        let question = rig.one();
        rig.reply(&question, |it| it.metadata.truncation = true);
        let again = rig.one();
        assert!(matches!(again.way, Way::Stream(_)));
        let reply = reply_to(&again, |it| {
            for number in 0..count {
                let mut text = vec![b'x'; bytes];
                text[..2].copy_from_slice(&(number as u16).to_be_bytes());
                it.add_answer(txt("a.example", &text));
            }
        });
        let length = reply.len();
        rig.deliver(&again, reply);
        (rig.outcome(id), length)
    };
    let (outcome, length) = of(240, 255);
    assert!(length > 60_000);
    assert_eq!(outcome.unwrap().unwrap().records.len(), 240);
    let (outcome, _) = of(MAX_RECORDS + 1, 8);
    assert!(matches!(
        outcome.unwrap().unwrap_err().cause,
        Cause::Malformed(_)
    ));
    let (outcome, _) = of(1100, 8);
    assert!(outcome.is_none(), "not read; the next attempt is under way");
}

#[test]
fn addresses_of_both_kinds_are_no_more_than_of_one() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", Wanted::Addresses);
    for question in rig.sent() {
        rig.reply(&question, |reply| {
            reply.metadata.truncation = true;
        });
    }
    for question in rig.sent() {
        rig.reply(&question, |reply| {
            let six = reply.queries[0].query_type == Code::AAAA;
            for last in 1..=200 {
                let address = match six {
                    true => format!("2001:db8::{last:x}"),
                    false => format!("198.51.100.{last}"),
                };
                reply.add_answer(a("a.example", 60, &address));
            }
        });
    }
    assert_eq!(rig.answer(id).records.len(), MAX_RECORDS);
}

#[test]
fn compression_that_leads_nowhere_is_malformed() {
    // Each is the answer's owner name, where the record begins at `at`.
    for owner in [
        |at: u16| vec![0xc0 | (at >> 8) as u8, at as u8],
        |at: u16| vec![1, b'a', 0xc0 | (at >> 8) as u8, at as u8],
        |_| vec![0xff, 0xff],
        |at: u16| vec![0xc0 | (at >> 8) as u8, (at + 2) as u8],
        |_| vec![0x80, 1],
        |_| vec![0x3f],
    ] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        let mut bytes = reply_to(&question, |it| it.edns = None);
        bytes[6..8].copy_from_slice(&[0, 1]);
        let at = u16::try_from(bytes.len()).unwrap();
        bytes.extend(owner(at));
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 66]);
        rig.deliver(&question, bytes);
        assert!(rig.outcome(id).is_none());
        assert!(matches!(rig.one().way, Way::Stream(_)), "TCP decides");
    }
}

#[test]
fn a_tiny_reply_on_a_channel_is_nothing() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| it.metadata.truncation = true);
    let again = rig.one();
    for bytes in [vec![], vec![0], vec![1, 2]] {
        rig.deliver(&again, bytes);
    }
    rig.reply(&again, |it| {
        it.add_answer(a("a.example", 60, "198.51.100.1"));
    });
    assert_eq!(rig.answer(id).records.len(), 1);
}

/// A whole reply with some of its bytes changed, cut or added to.
fn mangled() -> impl Strategy<Value = (Vec<(usize, u8)>, usize, Vec<u8>)> {
    let changes = proptest::collection::vec((2_usize..400, any::<u8>()), 0..12);
    let more = proptest::collection::vec(any::<u8>(), 0..40);
    (changes, 0_usize..400, more)
}

proptest! {
    #[test]
    fn no_reply_breaks_the_resolver((changes, cut, more) in mangled(), stream: bool) {
        let mut rig = Rig::new(&config(2));
        let id = rig.ask("www.victim.example", A_RECORDS);
        let mut question = rig.one();
        if stream {
            rig.reply(&question, |it| it.metadata.truncation = true);
            question = rig.one();
        }
        let mut bytes = reply_to(&question, |it| {
            it.add_answer(cname("www.victim.example", 60, "w.example"));
            it.add_answer(a("w.example", 60, "198.51.100.1"));
            it.add_authority(soa("example", 60, 60));
            it.add_additional(txt("x.example", b"text"));
        });
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(cut.max(2));
        bytes.extend(more);
        rig.deliver(&question, bytes);
        // Whatever it was, the query ends: by it, or by silence.
        for _ in 0..40 {
            rig.pass(Duration::from_secs(5));
        }
        prop_assert!(rig.outcome(id).is_some());
        prop_assert_eq!(rig.resolver.waiting(), 0);
        rig.pass(Duration::from_secs(60));
        prop_assert_eq!(rig.resolver.next_timeout(), None);
    }

    #[test]
    fn any_name_asked_for_ends(text in ".{0,80}") {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask(&text, A_RECORDS);
        for _ in 0..4 {
            rig.pass(Duration::from_secs(5));
        }
        prop_assert!(rig.outcome(id).is_some());
    }

    #[test]
    fn questions_are_what_was_asked(labels in proptest::collection::vec("[a-z_][a-z0-9_-]{0,20}", 1..6)) {
        let text = labels.join(".");
        prop_assume!(!["localhost", "invalid", "onion"].contains(&labels[labels.len() - 1].as_str()));
        let mut rig = Rig::new(&config(1));
        rig.ask(&text, A_RECORDS);
        let question = rig.one();
        let expected = [Query::query(name(&text), Code::A)];
        prop_assert_eq!(&question.message.queries[..], &expected[..]);
    }
}
