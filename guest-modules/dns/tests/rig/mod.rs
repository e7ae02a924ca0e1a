//! A resolver in a simulated network: the test is the clock and every server.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "test support; not every test uses all of it"
)]

pub(crate) mod oracle;
pub(crate) mod zones;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fumehood_guest_dns::{
    Action, Answer, Channel, Config, Event, ExchangeId, Failure, PrivateAnswers, Protocol, Query,
    QueryId, RecordData, RecordType, Resolver, Server, Time, Wanted,
};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};

pub(crate) const ADDRESSES: Wanted = Wanted::Addresses;
pub(crate) const A_RECORDS: Wanted = Wanted::Records(RecordType::A);

/// The resolver, the time, and what it has said.
pub(crate) struct Rig {
    pub(crate) resolver: Resolver,
    pub(crate) now: Time,
    /// Of the next queries.
    pub(crate) private_answers: PrivateAnswers,
    next: QueryId,
    answers: Vec<(QueryId, Result<Answer, Failure>)>,
}

/// A question that went out, and how to answer it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) way: Way,
    pub(crate) server: Server,
    pub(crate) bytes: Vec<u8>,
    pub(crate) message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Datagram(ExchangeId),
    Stream(Channel),
    Post(ExchangeId),
}

pub(crate) fn server(last: u8) -> Server {
    Server {
        address: SocketAddr::from(([192, 0, 2, last], 53)),
        protocol: Protocol::Plain,
    }
}

pub(crate) fn config(servers: u8) -> Config {
    Config {
        servers: (1..=servers).map(server).collect(),
        ..Config::default()
    }
}

pub(crate) fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

impl Rig {
    pub(crate) fn new(config: &Config) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        // xorshift64: what the system's generator gives must not matter here.
        let random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut rig = Rig {
            resolver: Resolver::new(Box::new(random), Box::new(oracle::Computed)),
            now: Duration::from_secs(1000),
            private_answers: PrivateAnswers::Answered,
            next: 0,
            answers: Vec::new(),
        };
        rig.resolver.configure(config, rig.now);
        rig
    }

    pub(crate) fn query(&mut self, name: &str, wanted: Wanted) -> Query {
        self.next += 1;
        Query {
            id: self.next,
            name: name.to_owned(),
            wanted,
            cached: true,
            traced: true,
            private_answers: self.private_answers,
        }
    }

    pub(crate) fn ask(&mut self, name: &str, wanted: Wanted) -> QueryId {
        let query = self.query(name, wanted);
        let id = query.id;
        self.resolver.resolve(query, self.now);
        id
    }

    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.resolver.poll_action()).collect()
    }

    /// All questions that have gone out since the last look.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        self.actions().into_iter().filter_map(sending).collect()
    }

    /// The one question that has gone out.
    pub(crate) fn one(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The answer to a query, if it has been given.
    pub(crate) fn outcome(&mut self, id: QueryId) -> Option<Result<Answer, Failure>> {
        let more = std::iter::from_fn(|| self.resolver.poll_answer());
        self.answers.extend(more);
        let at = self.answers.iter().position(|(it, _)| *it == id)?;
        Some(self.answers.remove(at).1)
    }

    pub(crate) fn answer(&mut self, id: QueryId) -> Answer {
        self.outcome(id).expect("no answer yet").expect("a failure")
    }

    pub(crate) fn failure(&mut self, id: QueryId) -> Failure {
        self.outcome(id).expect("no answer yet").expect_err("found")
    }

    /// Delivers bytes as the reply to a question, from its server.
    pub(crate) fn deliver(&mut self, to: &Sent, bytes: Vec<u8>) {
        self.deliver_from(to, to.server.address, bytes);
    }

    pub(crate) fn deliver_from(&mut self, to: &Sent, from: SocketAddr, message: Vec<u8>) {
        let event = match to.way {
            Way::Datagram(exchange) => Event::Datagram {
                exchange,
                from,
                message,
            },
            Way::Stream(channel) => Event::Stream { channel, message },
            Way::Post(exchange) => Event::Posted { exchange, message },
        };
        self.resolver.handle_event(event, self.now);
    }

    /// Delivers a reply that `change` makes of an empty one.
    pub(crate) fn reply(&mut self, to: &Sent, change: impl FnOnce(&mut Message)) {
        let bytes = reply_to(to, change);
        self.deliver(to, bytes);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.resolver.handle_timeout(self.now);
    }
}

/// An empty reply to a question, changed.
pub(crate) fn reply_to(to: &Sent, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut reply = to.message.clone();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    change(&mut reply);
    reply.to_vec().unwrap()
}

fn sending(action: Action) -> Option<Sent> {
    let (way, server, bytes) = match action {
        Action::Datagram {
            exchange,
            server,
            message,
        } => (Way::Datagram(exchange), server, message),
        Action::Stream {
            channel,
            server,
            message,
        } => (Way::Stream(channel), server, message),
        Action::Post {
            exchange,
            server,
            message,
        } => (Way::Post(exchange), server, message),
        Action::Forget(_) | Action::HangUp(_) => return None,
    };
    let message = Message::from_vec(&bytes).unwrap();
    Some(Sent {
        way,
        server,
        bytes,
        message,
    })
}

pub(crate) fn a(owner: &str, ttl: u32, address: &str) -> Record {
    let address: IpAddr = address.parse().unwrap();
    let data = match address {
        IpAddr::V4(it) => RData::A(A(it)),
        IpAddr::V6(it) => RData::AAAA(AAAA(it)),
    };
    Record::from_rdata(name(owner), ttl, data)
}

pub(crate) fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

pub(crate) fn txt(owner: &str, text: &[u8]) -> Record {
    let data = RData::TXT(TXT::from_bytes(vec![text]));
    Record::from_rdata(name(owner), 60, data)
}

/// A zone's SOA, for "there is none".
pub(crate) fn soa(zone: &str, ttl: u32, minimum: u32) -> Record {
    let data = SOA::new(
        name("ns.example"),
        name("mail.example"),
        1,
        2,
        3,
        4,
        minimum,
    );
    Record::from_rdata(name(zone), ttl, RData::SOA(data))
}

pub(crate) fn no_such_name(reply: &mut Message) {
    reply.metadata.response_code = ResponseCode::NXDomain;
    reply.add_authority(soa(".", 30, 600));
}

pub(crate) fn no_such_record(reply: &mut Message) {
    reply.add_authority(soa(".", 30, 600));
}

pub(crate) fn v4(text: &str) -> RecordData {
    RecordData::A(text.parse().unwrap())
}

pub(crate) fn v6(text: &str) -> RecordData {
    RecordData::Aaaa(text.parse().unwrap())
}
