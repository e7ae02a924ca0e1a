//! The `dns` guest: a resolver, and servers that say what the input says.
//!
//! Signatures are good unless they begin with `0xff`; digests are real, and so are the
//! names that NSEC3 hashes. So whole chains of trust hold, and what lies behind the
//! check is reached. What the guest then calls secure, or not there, must follow from
//! the signatures that it has seen (`witness`).
//!
//! An input is a list ([`crate::pieces`]): two bytes of options, and what [`twin`] makes
//! of more; the zone of the anchor; the anchor as DS data; the name that is asked for;
//! then replies, each a byte of [`reply`] and a message. A question gets the first reply to
//! it that is left, or the last one again; where there is none, nobody answers.

mod denial;
mod servers;
pub mod twin;
mod verdict;
mod wire;
mod witness;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use fumehood_crypto::fuzz::Toy;
use fumehood_crypto::zone;
use fumehood_guest_dns::{
    Action, Algorithm, Answer, Channel, Config, Digest, Event, ExchangeId, Failure, MAX_ALIASES,
    MAX_NSEC3_HASHES, MAX_NSEC3_ITERATIONS, MAX_PROOF_QUESTIONS, MAX_SIGNATURE_CHECKS, Oracle,
    PrivateAnswers, Protocol, Query, RandomSource, RecordType, Resolver, Security, Server, Time,
    TrustAnchor, Wanted,
};

use crate::pieces;
use servers::Servers;
pub use servers::reply;
use witness::Signed;

/// The day of all runs, in seconds since the Unix epoch.
pub const TODAY: u32 = 1_800_000_000;

/// What the first byte of the options asks for.
pub mod option {
    /// Not to validate.
    pub const WITHOUT_DNSSEC: u8 = 1;
    /// DNS over TLS; with [`HTTPS`], both kinds of server.
    pub const TLS: u8 = 2;
    /// DNS over HTTPS.
    pub const HTTPS: u8 = 4;
    /// Private addresses are refused.
    pub const REFUSE_PRIVATE: u8 = 8;
    /// Addresses of both families, whatever type the second byte says.
    pub const ADDRESSES: u8 = 16;
    /// The AD bit is believed.
    pub const TRUST: u8 = 32;
}

/// The types, by the second byte of the options.
pub const TYPES: [RecordType; 14] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Caa,
    RecordType::Cname,
    RecordType::Dnskey,
    RecordType::Ds,
    RecordType::Https,
    RecordType::Mx,
    RecordType::Ns,
    RecordType::Ptr,
    RecordType::Soa,
    RecordType::Srv,
    RecordType::Svcb,
    RecordType::Txt,
];

/// Most questions for one name and type: an answer, aliases and what they stand on, at
/// two servers in two rounds, each perhaps again by TCP or without EDNS; and after all
/// that an answer stands on, the answer again.
const MAX_QUESTIONS: usize = (1 + MAX_ALIASES + 2 * MAX_PROOF_QUESTIONS as usize) * 2 * 2 * 3;

/// When a run begins.
const BEGIN: Time = Duration::from_secs(1000);

/// Replies up to this many bytes lead to answers that are small enough to be kept.
const SMALL: usize = 4096;

/// Most digests for one reply: every alias in it with a denial of its own, and keys
/// against a delegation.
const MAX_DIGESTS: usize =
    (2 + MAX_ALIASES) * MAX_NSEC3_HASHES as usize * (MAX_NSEC3_ITERATIONS as usize + 1) + 1024;

/// The guest survives, and says nothing that does not follow from what it was told.
pub fn run(data: &[u8]) {
    drive(data);
}

/// What DNSSEC makes of the answer that an input leads to, if it was asked and there
/// is one, be it that there is none.
#[must_use]
pub fn security(data: &[u8]) -> Option<Security> {
    match drive(data)? {
        Ok(answer) => answer.security,
        Err(failure) => failure.security,
    }
}

/// What the guest found good, and what it cost.
#[derive(Default)]
struct Log {
    signed: Vec<Signed>,
    checks: u32,
    digests: usize,
}

/// The host's arithmetic, with signatures that are good if they say so.
#[derive(Default)]
struct Notary(Rc<RefCell<Log>>);

impl Oracle for Notary {
    fn unix_time(&self) -> u64 {
        TODAY.into()
    }

    fn digest(&self, digest: Digest, bytes: &[u8]) -> Vec<u8> {
        self.0.borrow_mut().digests += 1;
        let digest = match digest {
            Digest::Sha1 => zone::Digest::Sha1,
            Digest::Sha256 => zone::Digest::Sha256,
            Digest::Sha384 => zone::Digest::Sha384,
        };
        zone::digest(digest, bytes)
    }

    fn verify(&self, _: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let mut log = self.0.borrow_mut();
        log.checks += 1;
        let good = Toy::believes(signature);
        if good {
            log.signed.push(Signed::read(key, message));
        }
        good
    }
}

/// How a question went out.
#[derive(Clone, Copy)]
enum Way {
    Datagram(ExchangeId, std::net::SocketAddr),
    Stream(Channel),
    Post(ExchangeId),
}

/// A resolver, its servers, and the time.
struct Run<'a> {
    resolver: Resolver,
    log: Rc<RefCell<Log>>,
    now: Time,
    servers: Servers<'a>,
    asked: VecDeque<(Way, Vec<u8>)>,
    questions: usize,
    sockets: BTreeSet<ExchangeId>,
    channels: BTreeSet<Channel>,
}

type Outcome = Result<Answer, Failure>;

/// What an input asks for, and whom.
struct Input<'a> {
    query: Query,
    anchor: TrustAnchor,
    config: Config,
    servers: Servers<'a>,
    /// The options behind the first two.
    choices: &'a [u8],
}

/// Runs an input; the answer, if a question came of it.
fn drive(data: &[u8]) -> Option<Outcome> {
    let Input {
        query,
        anchor,
        config,
        servers,
        ..
    } = prepare(data)?;
    let mut run = Run::new(&config, servers);
    let outcome = run.resolve(&query);
    let first = std::mem::take(&mut run.log.borrow_mut().signed);
    verdict::check(&query, &outcome, &anchor, first);
    run.asks_no_more(&query, &outcome);
    run.leaves_nothing();
    Some(outcome)
}

fn prepare(data: &[u8]) -> Option<Input<'_>> {
    let pieces = pieces::split(data);
    let [options, zone, anchor, name, replies @ ..] = &pieces[..] else {
        return None;
    };
    let [options, kind, choices @ ..] = *options else {
        return None;
    };
    let anchor = trust_anchor(zone, anchor)?;
    let query = Query {
        id: 1,
        name: String::from_utf8_lossy(name).into_owned(),
        wanted: match options & option::ADDRESSES {
            0 => Wanted::Records(TYPES[usize::from(*kind) % TYPES.len()]),
            _ => Wanted::Addresses,
        },
        cached: true,
        traced: true,
        private_answers: match options & option::REFUSE_PRIVATE {
            0 => PrivateAnswers::Answered,
            _ => PrivateAnswers::Refused,
        },
    };
    Some(Input {
        query,
        config: config(*options, &anchor),
        anchor,
        servers: Servers::new(replies),
        choices,
    })
}

/// The n-th random number. Any do; an ID must only be one that is not in use.
fn random(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// All of them.
fn numbers() -> RandomSource {
    let mut count = 0;
    Box::new(move || {
        count += 1;
        random(count)
    })
}

/// An anchor of any zone, of at most as many bytes as an SHA-384 digest takes.
fn trust_anchor(zone: &[u8], data: &[u8]) -> Option<TrustAnchor> {
    let ([a, b, algorithm, digest_type], digest) = data.split_first_chunk::<4>()?;
    let zone = String::from_utf8(zone.to_vec()).ok()?;
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    let is_name = zone
        .split('.')
        .all(|it| (1..=63).contains(&it.len()) && it.bytes().all(plain));
    (zone == "." || (is_name && zone.len() < 200)).then_some(())?;
    Some(TrustAnchor {
        zone,
        key_tag: u16::from_be_bytes([*a, *b]),
        algorithm: *algorithm,
        digest_type: *digest_type,
        digest: digest.to_vec(),
    })
}

fn config(options: u8, anchor: &TrustAnchor) -> Config {
    let server = |last: u8, protocol| Server {
        address: ([192, 0, 2, last], 53).into(),
        protocol,
    };
    let tls = server(2, Protocol::Tls("dns.test".to_owned()));
    let https = server(3, Protocol::Https("https://dns.test/dns-query".to_owned()));
    Config {
        servers: match (options & option::TLS != 0, options & option::HTTPS != 0) {
            (false, false) => vec![server(1, Protocol::Plain)],
            (true, false) => vec![tls],
            (false, true) => vec![https],
            (true, true) => vec![tls, server(1, Protocol::Plain)],
        },
        trust_authentic: options & option::TRUST != 0,
        dnssec: (options & option::WITHOUT_DNSSEC == 0).then(|| vec![anchor.clone()]),
        ..Config::default()
    }
}

impl<'a> Run<'a> {
    fn new(config: &Config, servers: Servers<'a>) -> Run<'a> {
        let log = Rc::<RefCell<Log>>::default();
        let notary = Box::new(Notary(Rc::clone(&log)));
        let mut run = Run {
            resolver: Resolver::new(numbers(), notary),
            log,
            now: BEGIN,
            servers,
            asked: VecDeque::new(),
            questions: 0,
            sockets: BTreeSet::new(),
            channels: BTreeSet::new(),
        };
        run.resolver.configure(config, run.now);
        run
    }

    /// Asks, and has servers answer or time pass until there is an answer.
    fn resolve(&mut self, query: &Query) -> Outcome {
        let lookups = match query.wanted {
            Wanted::Addresses => 2,
            Wanted::Records(_) => 1,
        };
        (self.questions, self.log.borrow_mut().checks) = (0, 0);
        self.resolver.resolve(query.clone(), self.now);
        loop {
            self.perform();
            assert!(self.questions <= MAX_QUESTIONS * lookups, "asks on and on");
            let checks = self.log.borrow().checks;
            let most = MAX_SIGNATURE_CHECKS * u32::try_from(lookups).unwrap_or(1);
            assert!(checks <= most, "{checks} signatures were checked");
            if let Some((id, outcome)) = self.resolver.poll_answer() {
                assert_eq!(id, query.id, "an answer that nobody waits for");
                assert_eq!(self.resolver.waiting(), 0, "answered, and it waits");
                return outcome;
            }
            match self.asked.pop_front() {
                Some((way, question)) => self.answer(way, &question),
                None => self.wait(),
            }
        }
    }

    fn perform(&mut self) {
        while let Some(action) = self.resolver.poll_action() {
            let (way, message) = match action {
                Action::Datagram {
                    exchange,
                    server,
                    message,
                } => {
                    assert!(message.len() <= 512, "too long for a datagram");
                    assert!(self.sockets.insert(exchange), "a socket used twice");
                    (Way::Datagram(exchange, server.address), message)
                }
                Action::Stream {
                    channel, message, ..
                } => {
                    self.channels.insert(channel);
                    (Way::Stream(channel), message)
                }
                Action::Post {
                    exchange, message, ..
                } => {
                    assert!(self.sockets.insert(exchange), "an exchange used twice");
                    (Way::Post(exchange), message)
                }
                Action::Forget(exchange) => {
                    assert!(self.sockets.remove(&exchange), "none to forget");
                    continue;
                }
                Action::HangUp(channel) => {
                    assert!(self.channels.remove(&channel), "none to hang up");
                    continue;
                }
            };
            self.questions += 1;
            self.asked.push_back((way, message));
        }
    }

    /// Lets the servers say what they say to a question.
    fn answer(&mut self, way: Way, question: &[u8]) {
        let Some(reply) = self.servers.reply_to(question) else {
            return;
        };
        let (how, message) = reply;
        let event = match way {
            Way::Datagram(exchange, server) => Event::Datagram {
                exchange,
                from: match how & reply::STRANGER {
                    0 => server,
                    _ => ([203, 0, 113, 1], 53).into(),
                },
                message,
            },
            Way::Stream(channel) => Event::Stream { channel, message },
            Way::Post(exchange) => Event::Posted { exchange, message },
        };
        self.log.borrow_mut().digests = 0;
        self.resolver.handle_event(event, self.now);
        let digests = self.log.borrow().digests;
        // Two lookups may have waited for it.
        assert!(
            digests <= 2 * MAX_DIGESTS,
            "{digests} digests for one reply"
        );
    }

    /// Nobody answers any more.
    fn wait(&mut self) {
        let Some(next) = self.resolver.next_timeout() else {
            panic!("it waits, and for nothing")
        };
        self.now = self.now.max(next);
        self.resolver.handle_timeout(self.now);
    }

    /// What has just been answered is answered again without a question.
    fn asks_no_more(&mut self, query: &Query, outcome: &Outcome) {
        let kept = match outcome {
            Ok(answer) => {
                let small = self.servers.longest() <= SMALL;
                small && answer.ttl_s > 0 && answer.records.len() <= 16
            }
            Err(failure) => verdict::is_kept(query, failure),
        };
        // While one family was waited for, what the other came to may have expired.
        let at_once = self.now == BEGIN || query.wanted != Wanted::Addresses;
        if !kept || !at_once {
            return;
        }
        let again = self.resolve(&Query {
            id: 2,
            ..query.clone()
        });
        assert_eq!(self.questions, 0, "it is asked for again");
        match (outcome, again) {
            (Ok(first), Ok(again)) => {
                let told = |it: &Answer| (it.aliases.clone(), it.records.clone(), it.security);
                assert_eq!(told(first), told(&again));
            }
            (Err(first), Err(again)) => {
                let told = |it: &Failure| (it.cause.clone(), it.security);
                assert_eq!(told(first), told(&again));
            }
            (first, again) => panic!("first {first:?}, then {again:?}"),
        }
    }

    /// Sockets close, connections at the latest when they have been idle.
    fn leaves_nothing(&mut self) {
        self.questions = 0;
        self.perform();
        while let Some(at) = self.resolver.next_timeout() {
            self.now = self.now.max(at);
            self.resolver.handle_timeout(self.now);
            self.perform();
        }
        assert_eq!(self.questions, 0, "nobody waits, and it asks");
        assert!(self.sockets.is_empty() && self.channels.is_empty());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    /// Where all is signed nothing shows an end, though every delegation on the way is.
    #[test]
    fn only_what_is_not_signed_shows_an_end() {
        for (seed, expected) in [
            (&include_bytes!("../../corpus/dns/chain")[..], false),
            (include_bytes!("../../corpus/dns/no-name-by-names"), false),
            (include_bytes!("../../corpus/dns/no-name-by-hashes"), false),
            (include_bytes!("../../corpus/dns/unsigned"), true),
            (include_bytes!("../../corpus/dns/delegation-left-out"), true),
            (include_bytes!("../../corpus/dns/costly"), true),
        ] {
            let input = prepare(seed).unwrap();
            let mut run = Run::new(&input.config, input.servers);
            let outcome = run.resolve(&input.query);
            let signed = std::mem::take(&mut run.log.borrow_mut().signed);
            let witness = witness::Witness::new(&input.anchor, signed);
            assert_eq!(witness.shows_an_end(), expected, "{outcome:?}");
        }
    }
}
