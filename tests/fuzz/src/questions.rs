//! The `dns` guest's side of a server: what a confined program may send to it, and the
//! replies to that.
//!
//! An input is a byte of [`option`] and a message. As a number, the byte is also how many
//! addresses there are in the verdict, or letters in its reason.

use std::net::IpAddr;

use fumehood_engine::fuzz::questions::{self as wire, QuestionsGuest, told_address};
use fumehood_guest_dns::questions::{Carrier, Reading, Verdict, answer, missing, read};
use fumehood_guest_dns::{UDP_PAYLOAD_BYTES, frame};

use crate::glass::{Guests, Shadow};

/// What the first byte asks for.
pub mod option {
    /// A stream, where the message is framed.
    pub const STREAM: u8 = 1;
    /// On a stream, to leave the length as it is in the input.
    pub const OWN_LENGTH: u8 = 2;
    /// The first of two bits that choose the verdict.
    pub const VERDICT: u8 = 4;
    /// To have an alias in the verdict that is no host name.
    pub const ODD_ALIAS: u8 = 16;
    /// That a name has other records, in the place of that there is none.
    pub const OTHER_RECORDS: u8 = 16;
}

/// Longest datagram for who does not know EDNS, in bytes (RFC 1035 section 4.2.1).
const PLAIN_BYTES: usize = 512;

/// Where a header says how many additional records follow, of which EDNS is one.
const ADDITIONAL: std::ops::Range<usize> = 10..12;

/// The guest survives any message, and what it replies is within its carrier's bounds, to
/// that message, and none that would be answered in turn.
///
/// # Panics
/// If not.
pub fn run(data: &[u8]) {
    drive(data, Shadow::none());
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    drive(data, guests.questions());
}

fn drive(data: &[u8], mut shadow: Shadow<&QuestionsGuest>) {
    let Some((options, content)) = data.split_first() else {
        return;
    };
    let has = |option| options & option != 0;
    let (message, carrier) = match (has(option::STREAM), has(option::OWN_LENGTH)) {
        (false, _) => (content.to_vec(), Carrier::Datagram),
        (true, false) => (frame(content), Carrier::Stream),
        (true, true) => (content.to_vec(), Carrier::Stream),
    };
    let verdict = verdict(*options);
    shadow.ask(|it| it.missing(&message));
    shadow.compare(|| missing(&message).to_string());
    shadow.ask(|it| it.read(&message, wire_carrier(carrier)));
    let reading = read(&message, carrier);
    shadow.compare(|| format!("{reading:?}"));
    if let Reading::Question(_) = reading {
        shadow.ask(|it| it.answer(&message, wire_carrier(carrier), &wire_verdict(&verdict)));
        shadow.compare(|| format!("{:?}", answer(&message, carrier, &verdict)));
    }
    let reply = match reading {
        Reading::Nothing => {
            assert!(answer(&message, carrier, &verdict).is_empty());
            return;
        }
        Reading::Reply(bytes) => {
            assert!(answer(&message, carrier, &verdict).is_empty());
            bytes
        }
        Reading::Question(_) => answer(&message, carrier, &verdict),
    };
    let skip = match carrier {
        Carrier::Datagram => {
            let most = match message[ADDITIONAL] {
                [0, 0] => PLAIN_BYTES,
                _ => UDP_PAYLOAD_BYTES.into(),
            };
            assert!(reply.len() <= most, "{} bytes", reply.len());
            0
        }
        Carrier::Stream => {
            assert_eq!((missing(&message), missing(&reply)), (0, 0));
            2
        }
    };
    assert_eq!(reply[skip..skip + 2], message[skip..skip + 2], "another ID");
    // Two of them would not talk for ever.
    assert_eq!(read(&reply, carrier), Reading::Nothing);
}

fn verdict(options: u8) -> Verdict {
    match options / option::VERDICT % 4 {
        0 if options & option::OTHER_RECORDS != 0 => Verdict::NoSuchRecord,
        0 => Verdict::NoSuchName,
        1 => Verdict::Refused("\u{e9}".repeat(options.into())),
        2 => Verdict::Failed,
        _ => Verdict::Found {
            aliases: match options & option::ODD_ALIAS {
                0 => vec!["a.test".to_owned(), "b.test".to_owned()],
                _ => vec!["a.test".to_owned(), "b\\032c.test".to_owned()],
            },
            addresses: (0..options).map(address).collect(),
            ttl_s: u32::MAX,
        },
    }
}

/// Of both families, by turns.
fn address(number: u8) -> IpAddr {
    match number % 2 {
        0 => IpAddr::from([192, 0, 2, number]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()]),
    }
}

fn wire_carrier(carrier: Carrier) -> wire::Carrier {
    match carrier {
        Carrier::Datagram => wire::Carrier::Datagram,
        Carrier::Stream => wire::Carrier::Stream,
    }
}

fn wire_verdict(verdict: &Verdict) -> wire::Verdict {
    match verdict {
        Verdict::NoSuchName => wire::Verdict::NoSuchName,
        Verdict::NoSuchRecord => wire::Verdict::NoSuchRecord,
        Verdict::Refused(why) => wire::Verdict::Refused(why.clone()),
        Verdict::Failed => wire::Verdict::Failed,
        Verdict::Found {
            aliases,
            addresses,
            ttl_s,
        } => wire::Verdict::Found(wire::Found {
            aliases: aliases.clone(),
            addresses: addresses.iter().copied().map(told_address).collect(),
            ttl_s: *ttl_s,
        }),
    }
}
