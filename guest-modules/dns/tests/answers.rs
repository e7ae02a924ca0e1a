//! What is answered: records, aliases, absences, the cache, search domains,
//! the host table, names that never leave.
#![allow(clippy::unwrap_used, reason = "a test")]

mod rig;

use std::time::Duration;

use fumehood_guest_dns::{
    Cause, Config, Happening, HostEntry, PrivateAnswers, RecordData, RecordType, Source, Wanted,
};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType as Code;
use rig::*;

#[test]
fn addresses_of_both_families_make_one_answer() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("Www.Example.COM", ADDRESSES);
    let sent = rig.sent();
    assert_eq!(sent.len(), 2);
    for question in &sent {
        assert_eq!(question.message.queries[0].name, name("www.example.com"));
        let edns = question.message.edns.as_ref().unwrap();
        assert_eq!(edns.max_payload(), 1232);
        assert!(rig.outcome(id).is_none());
        let six = question.message.queries[0].query_type == Code::AAAA;
        rig.reply(question, |reply| {
            let address = if six { "2001:db8::1" } else { "198.51.100.1" };
            reply.add_answer(a("www.example.com", if six { 60 } else { 20 }, address));
        });
    }
    let answer = rig.answer(id);
    assert_eq!(answer.name, "www.example.com");
    assert_eq!(answer.records, [v6("2001:db8::1"), v4("198.51.100.1")]);
    assert_eq!((answer.ttl_s, answer.source), (20, Source::Server(0)));
    assert!(!answer.authentic);
}

#[test]
fn one_family_alone_is_an_answer_and_so_is_one_whose_sister_failed() {
    for fails in [false, true] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("a.example", ADDRESSES);
        let [six, four] = &rig.sent()[..] else {
            panic!("not two questions")
        };
        if fails {
            // Twice: each server is tried as often as there are attempts.
            rig.reply(six, |it| it.metadata.response_code = ResponseCode::ServFail);
            let again = rig.one();
            rig.reply(&again, |it| {
                it.metadata.response_code = ResponseCode::ServFail;
            });
        } else {
            rig.reply(six, no_such_record);
        }
        rig.reply(four, |it| {
            it.add_answer(a("a.example", 60, "198.51.100.1"));
        });
        assert_eq!(rig.answer(id).records, [v4("198.51.100.1")]);
    }
}

#[test]
fn aliases_are_followed_within_a_reply_and_beyond() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", A_RECORDS);
    let first = rig.one();
    rig.reply(&first, |it| {
        it.add_answer(cname("B.example", 50, "c.example"));
        it.add_answer(cname("a.example", 300, "b.example"));
    });
    let second = rig.one();
    assert_eq!(second.message.queries[0].name, name("c.example"));
    rig.reply(&second, |it| {
        it.add_answer(a("c.example", 100, "198.51.100.7"));
    });
    let answer = rig.answer(id);
    assert_eq!(answer.aliases, ["b.example", "c.example"]);
    assert_eq!(answer.name, "a.example");
    assert_eq!(answer.ttl_s, 50);
    assert!(
        answer
            .steps
            .iter()
            .any(|it| it.happening == Happening::Alias("c.example".into()))
    );
    // Kept under the question, and under nothing that the reply spoke of.
    for (text, known) in [
        ("a.example", true),
        ("b.example", false),
        ("c.example", false),
    ] {
        let id = rig.ask(text, A_RECORDS);
        assert_eq!(rig.outcome(id).is_some(), known, "{text}");
    }
}

#[test]
fn an_answer_is_kept_as_long_as_its_ttl() {
    let mut rig = Rig::new(&config(1));
    let id = rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("a.example", 10, "198.51.100.1"));
        it.add_answer(a("a.example", 10, "198.51.100.1"));
    });
    assert_eq!(rig.answer(id).records.len(), 1, "a repetition counts once");
    rig.pass(Duration::from_secs(4));
    let id = rig.ask("A.EXAMPLE.", A_RECORDS);
    let answer = rig.answer(id);
    assert_eq!((answer.ttl_s, answer.source), (6, Source::Cache));
    // Who does not want the cache asks anew.
    let mut fresh = rig.query("a.example", A_RECORDS);
    fresh.cached = false;
    rig.resolver.resolve(fresh, rig.now);
    assert_eq!(rig.sent().len(), 1);
    rig.pass(Duration::from_secs(6));
    let mut rig = Rig::new(&config(1));
    for ttl in [0, 1 << 31] {
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        rig.reply(&question, |it| {
            it.add_answer(a("a.example", ttl, "198.51.100.1"));
        });
        assert_eq!(rig.answer(id).ttl_s, 0);
    }
    let id = rig.ask("a.example", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("a.example", u32::MAX >> 1, "198.51.100.1"));
    });
    assert_eq!(rig.answer(id).ttl_s, 86_400);
}

#[test]
fn absence_is_kept_as_long_as_the_zone_says_and_a_minute_at_most() {
    // (TTL of the SOA, its minimum, how long)
    for (ttl, minimum, kept) in [(30, 600, 30), (600, 20, 20), (900, 900, 60), (0, 900, 0)] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("none.example", A_RECORDS);
        let question = rig.one();
        rig.reply(&question, |it| {
            it.metadata.response_code = ResponseCode::NXDomain;
            it.add_authority(soa("example", ttl, minimum));
        });
        let failure = rig.failure(id);
        assert_eq!((failure.cause, failure.ttl_s), (Cause::NoSuchName, kept));
        let id = rig.ask("none.example", A_RECORDS);
        assert_eq!(rig.outcome(id).is_some(), kept > 0);
    }
}

#[test]
fn absence_without_the_word_of_its_zone_is_not_kept() {
    for zone in [None, Some("elsewhere.example")] {
        let mut rig = Rig::new(&config(1));
        let id = rig.ask("none.test", A_RECORDS);
        let question = rig.one();
        rig.reply(&question, |it| {
            it.metadata.response_code = ResponseCode::NXDomain;
            it.add_authorities(zone.map(|zone| soa(zone, 600, 600)));
        });
        assert_eq!(rig.failure(id).ttl_s, 0);
        rig.ask("none.test", A_RECORDS);
        assert_eq!(rig.sent().len(), 1);
    }
}

#[test]
fn search_domains_are_tried_by_the_number_of_dots() {
    let config = Config {
        search: vec![
            "one.example".into(),
            "two.example".into(),
            "not a name".into(),
        ],
        ndots: 1,
        ..config(1)
    };
    // (asked, names in the order they are tried)
    let cases: [(&str, &[&str]); 4] = [
        ("host", &["host.one.example", "host.two.example", "host"]),
        (
            "host.sub",
            &["host.sub", "host.sub.one.example", "host.sub.two.example"],
        ),
        ("host.", &["host"]),
        ("host.sub.", &["host.sub"]),
    ];
    for (asked, tried) in cases {
        let mut rig = Rig::new(&config);
        let id = rig.ask(asked, A_RECORDS);
        for candidate in tried {
            let question = rig.one();
            assert_eq!(question.message.queries[0].name, name(candidate));
            rig.reply(&question, no_such_name);
        }
        assert_eq!(rig.failure(id).cause, Cause::NoSuchName);
    }
    let mut rig = Rig::new(&config);
    let id = rig.ask("host", A_RECORDS);
    let question = rig.one();
    rig.reply(&question, no_such_record);
    let question = rig.one();
    rig.reply(&question, |it| {
        it.add_answer(a("host.two.example", 60, "198.51.100.1"));
    });
    assert_eq!(rig.answer(id).name, "host.two.example");
    // A failure is no absence: what the name means must not hang on it.
    let mut rig = Rig::new(&config);
    let id = rig.ask("host", A_RECORDS);
    for _ in 0..2 {
        let question = rig.one();
        rig.reply(&question, |it| {
            it.metadata.response_code = ResponseCode::ServFail;
        });
    }
    assert_eq!(rig.failure(id).cause, Cause::ServerFailure(2));
}

#[test]
fn some_names_never_leave() {
    let config = Config {
        search: vec!["example".into(), "onion".into()],
        ..config(1)
    };
    let mut rig = Rig::new(&config);
    for local in ["localhost", "LOCALHOST.", "a.b.localhost"] {
        let id = rig.ask(local, ADDRESSES);
        let answer = rig.answer(id);
        assert_eq!(answer.records, [v6("::1"), v4("127.0.0.1")]);
        assert_eq!(answer.source, Source::BuiltIn);
    }
    let id = rig.ask("localhost", Wanted::Records(RecordType::Mx));
    assert_eq!(rig.failure(id).cause, Cause::NoSuchRecord);
    for nowhere in ["invalid", "a.Invalid", "abc.onion", "onion."] {
        let id = rig.ask(nowhere, A_RECORDS);
        assert!(
            matches!(rig.failure(id).cause, Cause::SpecialName(_)),
            "{nowhere}"
        );
    }
    let id = rig.ask("plain", A_RECORDS);
    for _ in ["plain.example", "plain"] {
        let question = rig.one();
        rig.reply(&question, no_such_name);
    }
    assert_eq!(rig.failure(id).cause, Cause::NoSuchName);
    assert!(rig.actions().len() <= 1);
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    let mut rig = Rig::new(&config(1));
    let long = vec!["a".repeat(49); 6].join(".");
    let label = "a".repeat(64);
    for text in [
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a\0",
        "ä.example",
        "a%b",
        "127.0.0.1",
        "1",
        "a.0x7f",
        "a.0x",
        "::1",
        "*.example",
        &long,
        &label,
    ] {
        let id = rig.ask(text, A_RECORDS);
        assert!(
            matches!(rig.failure(id).cause, Cause::BadName(_)),
            "{text:?}"
        );
    }
    for text in [
        "_dmarc.example",
        "xn--a-0ga.example",
        "1.example",
        "a-.b_",
        "0xg",
    ] {
        rig.ask(text, A_RECORDS);
        assert_eq!(rig.sent().len(), 1, "{text:?}");
    }
}

#[test]
fn the_host_table_comes_first() {
    let entry = |address: &str, names: &[&str]| HostEntry {
        address: address.parse().unwrap(),
        names: names.iter().map(|it| (*it).to_owned()).collect(),
    };
    let config = Config {
        hosts: vec![
            entry("10.0.0.1", &["Printer.home", "printer", "bad name"]),
            entry("10.0.0.2", &["printer"]),
            entry("127.0.0.9", &["localhost"]),
        ],
        ..config(1)
    };
    let mut rig = Rig::new(&config);
    rig.private_answers = PrivateAnswers::Refused;
    let id = rig.ask("PRINTER", ADDRESSES);
    let answer = rig.answer(id);
    assert_eq!(answer.records, [v4("10.0.0.1"), v4("10.0.0.2")]);
    assert_eq!(answer.source, Source::HostTable);
    let id = rig.ask("printer", Wanted::Records(RecordType::Aaaa));
    assert_eq!(rig.failure(id).cause, Cause::NoSuchRecord);
    let id = rig.ask("localhost", A_RECORDS);
    assert_eq!(rig.answer(id).records, [v4("127.0.0.1")]);
    let id = rig.ask("1.0.0.10.in-addr.arpa", Wanted::Records(RecordType::Ptr));
    assert_eq!(
        rig.answer(id).records,
        [RecordData::Ptr("printer.home".into())]
    );
    assert!(rig.actions().is_empty());
    rig.ask("printer", Wanted::Records(RecordType::Txt));
    assert_eq!(rig.sent().len(), 1, "of other types it knows nothing");
}

#[test]
fn private_addresses_are_left_out_where_they_are_refused() {
    for (addresses, left) in [
        (vec!["10.0.0.1", "198.51.100.1"], Some(1)),
        (vec!["10.0.0.1", "127.0.0.1"], None),
    ] {
        for refuses in [true, false] {
            let mut rig = Rig::new(&config(1));
            if refuses {
                rig.private_answers = PrivateAnswers::Refused;
            }
            let id = rig.ask("rebind.example", A_RECORDS);
            let question = rig.one();
            rig.reply(&question, |it| {
                it.add_answers(addresses.iter().map(|at| a("rebind.example", 60, at)));
            });
            match (rig.outcome(id).unwrap(), left) {
                (Ok(answer), left) => {
                    let expected = if refuses {
                        left.unwrap()
                    } else {
                        addresses.len()
                    };
                    assert_eq!(answer.records.len(), expected);
                }
                (Err(failure), None) if refuses => {
                    assert!(matches!(failure.cause, Cause::PrivateAddress(_)));
                }
                (Err(failure), _) => panic!("{failure:?}"),
            }
        }
    }
}

#[test]
fn the_servers_word_on_dnssec_counts_only_where_it_is_trusted() {
    for (trust, said) in [(false, true), (true, false), (true, true)] {
        let mut rig = Rig::new(&Config {
            trust_authentic: trust,
            ..config(1)
        });
        let id = rig.ask("a.example", A_RECORDS);
        let question = rig.one();
        assert_eq!(question.message.metadata.authentic_data, trust);
        rig.reply(&question, |it| {
            it.metadata.authentic_data = said;
            it.add_answer(a("a.example", 60, "198.51.100.1"));
        });
        assert_eq!(rig.answer(id).authentic, trust && said);
    }
}
