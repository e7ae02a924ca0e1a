//! Replies of name servers, by hickory-proto's encoder: those of the guest's own test
//! zones, which are really signed, and some by hand.

use std::fs;
use std::path::Path;

use fumehood_fuzz::dns::twin::choice;
use fumehood_fuzz::dns::{TYPES, option};
use fumehood_fuzz::pieces::{join, split};
use fumehood_guest_dns::{Config, RecordType, TrustAnchor, Wanted};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, CAA, HTTPS, MX, SRV, SVCB};
use hickory_proto::rr::{RData, Record};

use crate::rig::zones::{RRSIG, World, anchor, bytes_of};
use crate::rig::{Rig, Sent, a, cname, config, name, no_such_name, reply_to, soa, txt};

/// Bytes of a signature by Ed25519.
const SIGNATURE: usize = 64;

const A_RECORD: Wanted = Wanted::Records(RecordType::A);
const TEXT: Wanted = Wanted::Records(RecordType::Txt);

pub(crate) fn write() {
    signed();
    plain();
    hindered();
}

/// Chains from the root's key, and from a zone's own where that makes them short.
fn signed() {
    let world = World::new();
    let root = world.anchor();
    let of = |zone: &str| anchor(world.zone(zone));
    let own = [of("signed.test"), of("hashed.test"), of("loose.test")];
    let [names, hashes, loose] = &own;
    for (seed, anchor, name, wanted) in [
        ("chain", &root, "www.signed.test", A_RECORD),
        ("both-families", &root, "www.signed.test", Wanted::Addresses),
        ("unsigned", &root, "www.open.test", A_RECORD),
        ("alias", hashes, "alias.hashed.test", A_RECORD),
        ("wildcard-of-names", names, "a.b.wild.signed.test", A_RECORD),
        (
            "wildcard-of-hashes",
            hashes,
            "a.b.wild.hashed.test",
            A_RECORD,
        ),
        ("no-name-by-names", names, "x.y.no.signed.test", A_RECORD),
        ("no-name-by-hashes", hashes, "x.y.no.hashed.test", A_RECORD),
        ("no-record-by-names", names, "a.wild.signed.test", TEXT),
        ("no-record-by-hashes", hashes, "er.hashed.test", TEXT),
        (
            "delegation-left-out",
            loose,
            "www.left.loose.test",
            A_RECORD,
        ),
        ("costly", &of("costly.test"), "no.costly.test", A_RECORD),
        ("no-anchor", names, "www.hashed.test", A_RECORD),
    ] {
        let replies = |sent: &Sent| world.reply(sent);
        conversation(seed, 0, Some(anchor), name, wanted, replies);
    }
    let delegation = Wanted::Records(RecordType::Ds);
    let replies = |sent: &Sent| world.reply(sent);
    let tls = option::TLS;
    conversation(
        "delegation",
        tls,
        Some(&root),
        "hashed.test",
        delegation,
        replies,
    );
}

/// Replies that nobody signed, of the types that have a form of their own.
fn plain() {
    let one = |seed: &str, options: u8, name: &str, kind: RecordType, record: Record| {
        conversation(seed, options, None, name, Wanted::Records(kind), |sent| {
            changed(sent, |it| {
                it.add_answer(record.clone());
            })
        });
    };
    let of = |owner: &str, data: RData| Record::from_rdata(name(owner), 300, data);
    let binding = SVCB::new(
        1,
        name("svc.example"),
        vec![
            (
                SvcParamKey::Alpn,
                SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])),
            ),
            (SvcParamKey::Port, SvcParamValue::Port(8443)),
            (
                SvcParamKey::Ipv4Hint,
                SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
            ),
        ],
    );
    let https = RData::HTTPS(HTTPS(binding));
    let mail = RData::MX(MX::new(10, name("mx.example")));
    let service = RData::SRV(SRV::new(1, 2, 443, name("www.example")));
    let issuer = RData::CAA(CAA::new_issue(true, None, Vec::new()));
    let owner = "www.example";
    one(
        "https",
        option::HTTPS,
        owner,
        RecordType::Https,
        of(owner, https),
    );
    one("mail", 0, owner, RecordType::Mx, of(owner, mail));
    one("service", 0, owner, RecordType::Srv, of(owner, service));
    one(
        "issuer",
        option::TLS,
        owner,
        RecordType::Caa,
        of(owner, issuer),
    );
    one("text", 0, owner, RecordType::Txt, txt(owner, b"v=1 \"\\"));
    one("authority", 0, owner, RecordType::Soa, soa(owner, 300, 60));
    let refuse = option::REFUSE_PRIVATE;
    conversation("private", refuse, None, owner, A_RECORD, |sent| {
        changed(sent, |it| {
            it.add_answer(a(owner, 60, "10.0.0.1"));
            it.add_answer(a(owner, 60, "192.0.2.1"));
        })
    });
    conversation("aliases", 0, None, owner, Wanted::Addresses, |sent| {
        changed(sent, |it| {
            it.add_answer(cname(owner, 60, "a.example"));
            it.add_answer(cname("a.example", 60, "b.example"));
            it.add_answer(a("b.example", 60, "192.0.2.1"));
        })
    });
    conversation("no-name", 0, None, owner, A_RECORD, |sent| {
        changed(sent, no_such_name)
    });
}

/// Some of those again, with what can go wrong on the way.
fn hindered() {
    use choice::{AGAIN, CONFIGURE, CUT, END, FALSE_ALARM, POST_FAILS, QUERY, REFUSE, ROOM, TIME};
    use choice::{CANCEL, RAW, TOGETHER, UNCONNECTED, UNREACHABLE, USUAL};
    const SECOND: u8 = 0x10;
    for (seed, of, choices) in [
        ("no-socket", "text", &[REFUSE | SECOND, 0, TIME, 255][..]),
        ("nobody-there", "text", &[FALSE_ALARM, UNREACHABLE, 0]),
        ("slow", "text", &[TIME, 70, AGAIN, 9]),
        // What breaks the protocol is asked again by TCP.
        (
            "stream-in-pieces",
            "mail",
            &[
                CUT,
                13,
                ROOM,
                3,
                USUAL,
                ROOM,
                60,
                CUT,
                1,
                FALSE_ALARM,
                USUAL,
            ],
        ),
        (
            "stream-ends",
            "mail",
            &[CUT, 13, USUAL, CUT, 20, END, 0, END, 2],
        ),
        (
            "no-stream",
            "mail",
            &[CUT, 13, UNCONNECTED, 0, CUT, 13, REFUSE, 3],
        ),
        (
            "no-tls",
            "issuer",
            &[UNCONNECTED, 1, USUAL, END, 1, QUERY, 2],
        ),
        ("tls-and-noise", "issuer", &[USUAL, RAW, 0, TIME, 1, USUAL]),
        ("no-https", "https", &[FALSE_ALARM, POST_FAILS, 2]),
        (
            "changed-mind",
            "aliases",
            &[QUERY, 0, CANCEL | SECOND, CONFIGURE],
        ),
        (
            "end-and-question-at-once",
            "mail",
            &[
                CUT, 13, USUAL, QUERY, 7, TOGETHER, CUT, TOGETHER, 13, END, 0,
            ],
        ),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/dns");
        let input = fs::read(folder.join(of)).unwrap();
        let mut pieces: Vec<Vec<u8>> = split(&input).iter().map(|it| it.to_vec()).collect();
        pieces[0].extend(choices);
        crate::seed("dns", seed, &join(&pieces));
    }
}

fn changed(sent: &Sent, change: impl FnOnce(&mut Message)) -> Message {
    Message::from_vec(&reply_to(sent, change)).unwrap()
}

/// Writes all replies that a resolver needs to its end.
fn conversation(
    seed: &str,
    options: u8,
    anchor: Option<&TrustAnchor>,
    name: &str,
    wanted: Wanted,
    reply: impl Fn(&Sent) -> Message,
) {
    let mut rig = Rig::new(&Config {
        dnssec: anchor.map(|it| vec![it.clone()]),
        ..config(1)
    });
    let id = rig.ask(name, wanted);
    let mut replies = Vec::new();
    loop {
        let sent = rig.sent();
        if sent.is_empty() {
            break;
        }
        for question in sent {
            let mut said = reply(&question);
            rig.deliver(&question, said.to_vec().unwrap());
            soften(&mut said);
            replies.push([&[0], &said.to_vec().unwrap()[..]].concat());
        }
    }
    assert!(rig.outcome(id).is_some(), "{seed} has no end");
    let (addresses, kind) = match wanted {
        Wanted::Addresses => (option::ADDRESSES, 0),
        Wanted::Records(kind) => (0, TYPES.iter().position(|it| *it == kind).unwrap()),
    };
    let dnssec = match anchor {
        Some(_) => 0,
        None => option::WITHOUT_DNSSEC,
    };
    let nobody = TrustAnchor {
        zone: ".".to_owned(),
        key_tag: 0,
        algorithm: 0,
        digest_type: 0,
        digest: Vec::new(),
    };
    let anchor = anchor.unwrap_or(&nobody);
    let zone = match &anchor.zone[..] {
        "." => ".",
        other => other.trim_end_matches('.'),
    };
    let words = [anchor.algorithm, anchor.digest_type];
    let data = [&anchor.key_tag.to_be_bytes(), &words[..], &anchor.digest].concat();
    let options = [options | addresses | dnssec, u8::try_from(kind).unwrap()];
    let mut pieces: Vec<&[u8]> = vec![&options, zone.as_bytes(), &data, name.as_bytes()];
    pieces.extend(replies.iter().map(Vec::as_slice));
    crate::seed("dns", seed, &join(&pieces));
}

/// Where a signature begins as one that the target does not believe, it does no more.
fn soften(message: &mut Message) {
    let records = message.answers.iter_mut().chain(&mut message.authorities);
    for record in records.filter(|it| u16::from(it.record_type()) == RRSIG) {
        let data = bytes_of(record);
        let at = data.len() - SIGNATURE;
        data[at] &= 0x7f;
    }
}
