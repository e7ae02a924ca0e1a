//! What a confined program may send to its name server, and what it gets.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test; its numbers are small"
)]

use std::net::IpAddr;

use fumehood_guest_dns::questions::{
    Asked, Carrier, Reading, Sought, Verdict, answer, missing, read,
};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use proptest::prelude::*;

use Carrier::{Datagram, Stream};

/// Longest reply over UDP to who does not know EDNS, and to anybody.
const PLAIN: usize = 512;
const MOST: usize = 1232;

fn question(name: &str, kind: RecordType, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(0xbeef, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    change(&mut message);
    message.to_vec().unwrap()
}

fn a(name: &str) -> Vec<u8> {
    question(name, RecordType::A, |_| {})
}

fn with_edns(payload: u16) -> impl FnOnce(&mut Message) {
    move |message| {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
}

fn found(aliases: &[&str], addresses: &[&str]) -> Verdict {
    Verdict::Found {
        aliases: aliases.iter().map(|&it| it.to_owned()).collect(),
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        ttl_s: 77,
    }
}

/// The reply, which must be that to the question.
fn replied(question: &[u8], verdict: &Verdict) -> Message {
    let bytes = answer(question, Datagram, verdict);
    let reply = Message::from_vec(&bytes).unwrap();
    let asked = Message::from_vec(question).unwrap();
    assert_eq!(reply.metadata.id, asked.metadata.id);
    assert_eq!(reply.metadata.message_type, MessageType::Response);
    assert!(reply.metadata.recursion_available);
    assert!(!reply.metadata.authoritative && !reply.metadata.authentic_data);
    assert_eq!(reply.queries, asked.queries);
    // Letter by letter: the question follows the header.
    let end = 12 + usize::from(asked.queries[0].name.len() as u16) + 4;
    assert_eq!(bytes[12..end], question[12..end]);
    reply
}

/// What is sent whatever the policy says.
fn code_of(message: &[u8]) -> ResponseCode {
    match read(message, Datagram) {
        Reading::Reply(bytes) => {
            assert_eq!(bytes[..2], message[..2], "another ID");
            let reply = Message::from_vec(&bytes).unwrap();
            assert_eq!(reply.metadata.message_type, MessageType::Response);
            reply.metadata.response_code
        }
        reading => panic!("{reading:?}"),
    }
}

#[test]
fn a_question_is_told_with_its_name_in_lower_case() {
    for (name, kind, told, sought) in [
        ("wWw.ExAmPle.", RecordType::A, "www.example", Sought::Ipv4),
        (
            "www.example.",
            RecordType::AAAA,
            "www.example",
            Sought::Ipv6,
        ),
        ("_x.example.", RecordType::SRV, "_x.example", Sought::Other),
        ("example.", RecordType::HTTPS, "example", Sought::Other),
        (".", RecordType::NS, ".", Sought::Other),
    ] {
        let asked = Asked {
            name: told.to_owned(),
            sought,
        };
        let message = question(name, kind, |_| {});
        assert_eq!(read(&message, Datagram), Reading::Question(asked));
    }
    // What no host name has is told apart from what it has.
    let mut message = a("a-b.example.");
    message[14] = b' ';
    let asked = Asked {
        name: "a\\032b.example".to_owned(),
        sought: Sought::Ipv4,
    };
    assert_eq!(read(&message, Datagram), Reading::Question(asked));
}

#[test]
fn the_reply_has_the_questions_letters_and_the_chain_to_the_addresses() {
    let asked = a("wWw.ExAmPle.");
    let reply = replied(&asked, &found(&["edge.cdn.test"], &["192.0.2.1", "::1"]));
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    assert!(reply.metadata.recursion_desired && reply.edns.is_none());
    let told: Vec<String> = reply.answers.iter().map(ToString::to_string).collect();
    // The other family's address was not asked for.
    assert_eq!(reply.answers.len(), 2, "{told:?}");
    assert!(
        reply.answers[0]
            .name
            .eq_case(&Name::from_ascii("wWw.ExAmPle.").unwrap())
    );
    assert_eq!(reply.answers[1].name.to_ascii(), "edge.cdn.test.");
    assert!(matches!(reply.answers[1].data, RData::A(it) if it.0.octets() == [192, 0, 2, 1]));
    assert!(reply.answers.iter().all(|it| it.ttl == 77));
}

#[test]
fn an_alias_that_is_no_host_name_is_left_out_and_the_addresses_are_not() {
    let reply = replied(
        &a("www.example."),
        &found(&["od\\032d.test"], &["192.0.2.1"]),
    );
    assert_eq!(reply.answers.len(), 1);
    assert_eq!(reply.answers[0].name.to_ascii(), "www.example.");
}

#[test]
fn each_verdict_has_its_code() {
    for (verdict, code) in [
        (Verdict::NoSuchRecord, ResponseCode::NoError),
        (Verdict::NoSuchName, ResponseCode::NXDomain),
        (Verdict::Failed, ResponseCode::ServFail),
        (
            Verdict::Refused("not-allowed".into()),
            ResponseCode::Refused,
        ),
    ] {
        let reply = replied(&a("www.example."), &verdict);
        assert_eq!(reply.metadata.response_code, code);
        assert!(reply.answers.is_empty() && reply.edns.is_none());
    }
}

#[test]
fn who_knows_edns_is_told_why() {
    let asked = question("www.example.", RecordType::A, with_edns(4096));
    let long = "x".repeat(4000);
    for (why, told) in [("not-allowed", "not-allowed"), (&long, &long[..128])] {
        let bytes = answer(&asked, Datagram, &Verdict::Refused(why.to_owned()));
        let edns = Message::from_vec(&bytes).unwrap().edns.unwrap();
        assert_eq!(usize::from(edns.max_payload()), MOST);
        // The option's code, its length, "prohibited", the text.
        let length = (2 + told.len()) as u16;
        let option = [
            &[0, 15],
            &length.to_be_bytes()[..],
            &[0, 18],
            told.as_bytes(),
        ]
        .concat();
        assert!(bytes.ends_with(&option));
    }
}

#[test]
fn what_a_datagram_does_not_hold_is_asked_for_by_a_stream() {
    let addresses: Vec<IpAddr> = (0..200).map(|it| [192, 0, 2, it].into()).collect();
    let verdict = Verdict::Found {
        aliases: Vec::new(),
        addresses,
        ttl_s: 1,
    };
    // What is offered counts between both bounds.
    for (offered, most) in [(None, PLAIN), (Some(100), PLAIN), (Some(4096), MOST)] {
        let asked = question("www.example.", RecordType::A, |message| {
            if let Some(payload) = offered {
                with_edns(payload)(message);
            }
        });
        let bytes = answer(&asked, Datagram, &verdict);
        let reply = Message::from_vec(&bytes).unwrap();
        assert!(bytes.len() <= most && reply.metadata.truncation);
        assert!(reply.answers.is_empty());
    }
    let mut asked = a("www.example.");
    let length = (asked.len() as u16).to_be_bytes();
    asked.splice(0..0, length);
    let bytes = answer(&asked, Stream, &verdict);
    assert_eq!(missing(&bytes), 0);
    let reply = Message::from_vec(&bytes[2..]).unwrap();
    assert_eq!(
        (reply.answers.len(), reply.metadata.truncation),
        (200, false)
    );
}

#[test]
fn what_is_no_question_gets_no_answer_and_what_is_a_bad_one_an_error() {
    let good = a("www.example.");
    for no_question in [&good[..11], &[]] {
        assert_eq!(read(no_question, Datagram), Reading::Nothing);
    }
    let mut response = good.clone();
    response[2] |= 0x80;
    assert_eq!(read(&response, Datagram), Reading::Nothing);

    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    // No question, two, more records than there are bytes, half a name, a pointer
    // to itself.
    for bad in [
        changed(5, 0),
        changed(5, 2),
        changed(7, 9),
        changed(12, 0x3f),
    ] {
        assert_eq!(code_of(&bad), ResponseCode::FormErr, "{bad:?}");
    }
    let mut pointer = changed(12, 0xc0);
    pointer[13] = 12;
    assert_eq!(code_of(&pointer), ResponseCode::FormErr);
    assert_eq!(code_of(&good[..12]), ResponseCode::FormErr);
    // A status request, a notification, an update.
    for operation in [2_u8, 4, 5, 15] {
        let code = code_of(&changed(2, operation << 3));
        assert_eq!(code, ResponseCode::NotImp, "{operation}");
    }
}

#[test]
fn what_nobody_here_answers_is_refused_without_being_asked_for() {
    for kind in [RecordType::AXFR, RecordType::IXFR, RecordType::ANY] {
        let message = question("www.example.", kind, |_| {});
        assert_eq!(code_of(&message), ResponseCode::NotImp, "{kind}");
    }
    let chaos = question("version.bind.", RecordType::TXT, |message| {
        message.queries[0].query_class = DNSClass::CH;
    });
    assert_eq!(code_of(&chaos), ResponseCode::Refused);
    let later = question("www.example.", RecordType::A, |message| {
        let mut edns = Edns::new();
        edns.set_version(1);
        message.set_edns(edns);
    });
    // Two codes have that number.
    let code = u16::from(code_of(&later));
    assert_eq!(code, u16::from(ResponseCode::BADVERS));
    let option = question("www.example.", RecordType::OPT, |_| {});
    assert_eq!(code_of(&option), ResponseCode::FormErr);
}

#[test]
fn a_stream_is_cut_where_its_lengths_say() {
    let mut framed = a("www.example.");
    let length = framed.len();
    framed.splice(0..0, (length as u16).to_be_bytes());
    assert_eq!(missing(&[]), 2);
    assert_eq!(missing(&framed[..1]), 1);
    assert_eq!(missing(&framed[..2]), length);
    assert_eq!(missing(&framed[..10]), length - 8);
    assert_eq!(missing(&framed), 0);
    assert!(matches!(read(&framed, Stream), Reading::Question(_)));
    assert_eq!(read(&[0, 0], Stream), Reading::Nothing);
    // A host that cuts otherwise is not believed.
    assert_eq!(read(&framed[..length], Stream), Reading::Nothing);
    framed.push(0);
    assert_eq!(read(&framed, Stream), Reading::Nothing);
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let addresses = proptest::collection::vec(any::<IpAddr>(), 0..300);
    let aliases = proptest::collection::vec(".{0,80}", 0..20);
    prop_oneof![
        (aliases, addresses, any::<u32>()).prop_map(|(aliases, addresses, ttl_s)| {
            Verdict::Found {
                aliases,
                addresses,
                ttl_s,
            }
        }),
        Just(Verdict::NoSuchName),
        ".{0,300}".prop_map(Verdict::Refused),
    ]
}

/// Nothing is sent to what is no question, and what is sent is a reply to this
/// message within what its carrier takes.
fn check(message: &[u8], carrier: Carrier, verdict: &Verdict) -> Result<(), TestCaseError> {
    let (bytes, is_question) = match read(message, carrier) {
        Reading::Nothing => {
            prop_assert_eq!(answer(message, carrier, verdict), Vec::<u8>::new());
            return Ok(());
        }
        Reading::Reply(bytes) => (bytes, false),
        Reading::Question(_) => (answer(message, carrier, verdict), true),
    };
    let (asked, reply) = match carrier {
        Datagram => (message, &bytes[..]),
        Stream => {
            prop_assert_eq!(missing(&bytes), 0);
            (&message[2..], &bytes[2..])
        }
    };
    prop_assert!(carrier == Stream || reply.len() <= MOST);
    prop_assert_eq!(&reply[..2], &asked[..2]);
    prop_assert!(reply[2] & 0x80 != 0);
    let reply = Message::from_vec(reply);
    prop_assert!(reply.is_ok(), "{:?}", reply);
    prop_assert!(!is_question || reply.unwrap().queries.len() == 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered_soundly_or_not_at_all(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        verdict in verdicts(),
    ) {
        check(&bytes, Datagram, &verdict)?;
        check(&bytes, Stream, &verdict)?;
    }

    #[test]
    fn so_are_questions_with_changes(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..63), 0..4),
        kind in any::<u16>(),
        edns in proptest::option::of(any::<u16>()),
        changes in proptest::collection::vec((0_usize..300, any::<u8>()), 0..4),
        verdict in verdicts(),
    ) {
        let mut name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
        name.set_fqdn(true);
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(name, kind.into()));
        if let Some(payload) = edns {
            with_edns(payload)(&mut message);
        }
        let mut bytes = message.to_vec().unwrap();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        check(&bytes, Datagram, &verdict)?;
        bytes.splice(0..0, (bytes.len() as u16).to_be_bytes());
        check(&bytes, Stream, &verdict)?;
    }
}
