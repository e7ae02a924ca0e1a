//! What comes from the network, and what does not come in time.

use std::net::SocketAddr;
use std::rc::Rc;

use hickory_proto::op::{Message, ResponseCode};

use super::Resolver;
use crate::bounds::MAX_IGNORED_REPLIES;
use crate::cache::{Found, Known};
use crate::chain::Verdict;
use crate::exchange::Exchange;
use crate::lookup::{LookupId, Outcome};
use crate::message::{self, Reply, says_something};
use crate::names::text;
use crate::network::{Action, Channel, Event, ExchangeId};
use crate::types::{Cause, Happening, Mismatch, Security, Source, Time, Transport};

/// "EDNS version not known" (RFC 6891 section 9).
const BAD_VERSION: u16 = 16;

impl Resolver {
    /// Something happened on the network.
    pub fn handle_event(&mut self, event: Event, now: Time) {
        match event {
            Event::Datagram {
                exchange,
                from,
                message,
            } => self.datagram(exchange, from, &message, now),
            Event::Stream { channel, message } => self.streamed(channel, &message, now),
            Event::Posted { exchange, message } => self.reliable(exchange, &message, now),
            Event::Failed { exchange, why } => self.broken(exchange, why, now),
            Event::Closed { channel, why } => self.closed(channel, &why, now),
        }
        self.work_off_backlog(now);
    }

    /// Gives up what has taken too long. Calling it too early does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(id) = self.exchanges.next_expired(now) {
            let Some(exchange) = self.close(id, now) else {
                break;
            };
            self.servers.failed(exchange.server, now);
            self.note(exchange.lookup, now, Happening::TimedOut);
            // Before anything is sent on it again.
            if let Some(channel) = exchange.channel()
                && self.exchanges.is_channel_silent(channel, exchange.sent)
            {
                self.actions.push_back(Action::HangUp(channel));
                self.closed(channel, "nothing comes from it any more", now);
            }
            self.next_turn(exchange.lookup, Cause::Timeout, now);
        }
        while let Some(channel) = self.exchanges.next_idle(now) {
            self.exchanges.end_channel(channel);
            self.actions.push_back(Action::HangUp(channel));
        }
        self.work_off_backlog(now);
    }

    pub(super) fn note(&mut self, lookup: LookupId, now: Time, happening: Happening) {
        if let Some(lookup) = self.lookups.get_mut(&lookup) {
            lookup.trail.note(now, happening);
        }
    }

    /// Anybody can send a datagram; it must prove to be the reply.
    fn datagram(&mut self, id: ExchangeId, from: SocketAddr, bytes: &[u8], now: Time) {
        let Some(exchange) = self.exchanges.get_mut(id) else {
            return;
        };
        let expected = self.settings.servers.get(exchange.server);
        let reply = if expected.is_some_and(|it| it.address == from) {
            message::read(bytes, &exchange.question, true)
        } else {
            Reply::Ignored(Mismatch::Sender)
        };
        let mismatch = match reply {
            Reply::Ours(reply) => return self.replied(id, &reply, bytes, now),
            Reply::Malformed(why) => {
                // It may be forged, or have been cut on the way.
                self.note_broken(id, why, now);
                return self.again_by_tcp(id, now);
            }
            Reply::Ignored(mismatch) => mismatch,
        };
        exchange.ignored += 1;
        // The server that does not keep the letters will not do so later.
        let give_up = exchange.ignored >= MAX_IGNORED_REPLIES || mismatch == Mismatch::Letters;
        let lookup = exchange.lookup;
        self.note(lookup, now, Happening::Ignored(mismatch));
        if give_up {
            self.again_by_tcp(id, now);
        }
    }

    fn streamed(&mut self, channel: Channel, bytes: &[u8], now: Time) {
        let id = bytes.first_chunk().copied().map(u16::from_be_bytes);
        // A reply to somebody who has given up meanwhile is no mistake.
        if let Some(id) = id
            && let Some(exchange) = self.exchanges.on_channel(channel, id, now)
        {
            self.reliable(exchange, bytes, now);
        }
    }

    /// A reply by a connection, where nobody else can send.
    fn reliable(&mut self, id: ExchangeId, bytes: &[u8], now: Time) {
        let Some(exchange) = self.exchanges.get_mut(id) else {
            return;
        };
        let why = match message::read(bytes, &exchange.question, false) {
            Reply::Ours(reply) => return self.replied(id, &reply, bytes, now),
            Reply::Malformed(why) => why,
            Reply::Ignored(mismatch) => {
                let lookup = exchange.lookup;
                self.note(lookup, now, Happening::Ignored(mismatch));
                "it is not the reply to our question".to_owned()
            }
        };
        if let Some(exchange) = self.close(id, now) {
            self.next_turn(exchange.lookup, Cause::Malformed(why), now);
        }
    }

    fn note_broken(&mut self, id: ExchangeId, why: String, now: Time) {
        if let Some(lookup) = self.exchanges.get_mut(id).map(|it| it.lookup) {
            self.note(lookup, now, Happening::Broken(why));
        }
    }

    fn again_by_tcp(&mut self, id: ExchangeId, now: Time) {
        if let Some(exchange) = self.close(id, now) {
            self.ask(exchange.lookup, exchange.server, Transport::Tcp, now);
        }
    }

    /// The reply to our question.
    fn replied(&mut self, id: ExchangeId, reply: &Message, bytes: &[u8], now: Time) {
        let Some(exchange) = self.close(id, now) else {
            return;
        };
        let lookup = exchange.lookup;
        let response_code = u16::from(reply.metadata.response_code);
        let receipt = Happening::Received {
            response_code,
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        self.servers.succeeded(exchange.server);
        self.note(lookup, now, receipt);
        if reply.metadata.truncation && exchange.transport == Transport::Udp {
            self.note(lookup, now, Happening::Truncated);
            return self.ask(lookup, exchange.server, Transport::Tcp, now);
        }
        if says_something(reply.metadata.response_code) {
            return match self.settings.dnssec {
                true => self.said_signed(&exchange, reply, bytes, now),
                false => self.said(&exchange, reply, now),
            };
        }
        // Without EDNS no signatures come (RFC 3225), and nothing could be believed.
        // It may be about the type that was asked for instead, or be forged.
        let can_do_without = exchange.question.edns && !exchange.question.dnssec;
        if can_do_without && is_about_edns(reply.metadata.response_code) {
            self.servers.does_not_know_edns(exchange.server);
            self.note(lookup, now, Happening::WithoutEdns);
            return self.ask(lookup, exchange.server, exchange.transport, now);
        }
        self.next_turn(lookup, Cause::ServerFailure(response_code), now);
    }

    /// A reply that says what there is, or that there is none.
    fn said(&mut self, exchange: &Exchange, reply: &Message, now: Time) {
        let id = exchange.lookup;
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        match lookup.follow(reply, self.settings.trust_authentic, now) {
            Err(cause) => self.end(id, Err(cause), now),
            Ok(verdict) => self.settle(id, verdict, exchange.server, None, now),
        }
    }

    /// A reply is believed: goes on to the alias, or ends.
    pub(super) fn settle(
        &mut self,
        id: LookupId,
        verdict: Verdict,
        server: usize,
        security: Option<Security>,
        now: Time,
    ) {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        let known = match verdict {
            Verdict::Alias => {
                lookup.turn = 0;
                return self.take_turn(id, now);
            }
            Verdict::Nothing(absence) => Known::Nothing(absence, security),
            Verdict::Found(records) => Known::Found(Rc::new(Found {
                aliases: lookup.chain.aliases().iter().map(text).collect(),
                records,
                authentic: lookup.authentic,
                security,
            })),
        };
        let outcome = Outcome {
            known,
            ttl: self.cache.life(lookup.chain.ttl()),
            // At most eight.
            source: Source::Server(u32::try_from(server).unwrap_or(u32::MAX)),
        };
        self.end(id, Ok(outcome), now);
    }

    fn broken(&mut self, id: ExchangeId, why: String, now: Time) {
        let Some(exchange) = self.close(id, now) else {
            return;
        };
        self.servers.failed(exchange.server, now);
        self.lost(&exchange, why, now);
    }

    /// One failure of its server, however many questions were on the channel.
    /// All are off it before the first asks elsewhere: one might open it anew.
    fn closed(&mut self, channel: Channel, why: &str, now: Time) {
        let ended = self.exchanges.end_channel(channel);
        let ended: Vec<Exchange> = ended
            .into_iter()
            .filter_map(|id| self.close(id, now))
            .collect();
        if !ended.is_empty() {
            self.servers.failed(channel.server, now);
        }
        for exchange in ended {
            self.lost(&exchange, why.to_owned(), now);
        }
    }

    fn lost(&mut self, exchange: &Exchange, why: String, now: Time) {
        self.note(exchange.lookup, now, Happening::Broken(why.clone()));
        self.next_turn(exchange.lookup, Cause::Unreachable(why), now);
    }
}

/// Whether a server that knows no EDNS would answer so (RFC 6891 section 7).
fn is_about_edns(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::FormErr | ResponseCode::NotImp) || u16::from(code) == BAD_VERSION
}
