//! The resolver: queries, lookups and exchanges, and how they drive each other.
//!
//! A *query* is what somebody asked; it tries one name after another. For each
//! name and type it takes part in a *lookup*, which equal queries share. A
//! lookup goes from server to server and from alias to alias, one *exchange*
//! at a time.

mod proving;
mod replies;
mod walks;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use hickory_proto::rr::Name;

use crate::bounds::{
    MAX_EXCHANGES, MAX_LOOKUP_TIME, MAX_PROOFS_BYTES, MAX_QUERIES, MAX_TRUST_ANCHORS,
};
use crate::cache::{About, Cache, Found, Key, Known};
use crate::chain::Absence;
use crate::dnssec::{Oracle, Zones};
use crate::exchange::{Exchange, Exchanges};
use crate::lookup::{Lookup, LookupId, Outcome, Settled};
use crate::message::Question;
use crate::names::{Asked, Special, in_random_letters, special, text};
use crate::network::{Action, ExchangeId};
use crate::pending::{Conclusion, Leg, Pending, kinds};
use crate::preferences::Preferences;
use crate::room::Room;
use crate::servers::Servers;
use crate::settings::Settings;
use crate::types::{
    Answer, Cause, Config, Failure, Happening, Protocol, Query, QueryId, RecordData, RecordType,
    Source, Time, Transport, Wanted,
};

use walks::Walks;

/// 64 bits that nobody can foretell, at each call.
pub type RandomSource = Box<dyn FnMut() -> u64>;

/// See the crate's documentation.
pub struct Resolver {
    settings: Settings,
    random: RandomSource,
    oracle: Box<dyn Oracle>,
    cache: Cache,
    zones: Zones,
    servers: Servers,
    queries: BTreeMap<QueryId, Pending>,
    lookups: BTreeMap<LookupId, Lookup>,
    by_key: BTreeMap<Key, LookupId>,
    walks: Walks,
    /// For replies that wait to be validated.
    room: Room,
    lookup_count: u64,
    exchanges: Exchanges,
    /// Who waits for an exchange to end, to begin one: with which server, how.
    backlog: VecDeque<(LookupId, usize, Transport)>,
    actions: VecDeque<Action>,
    answers: VecDeque<(QueryId, Result<Answer, Failure>)>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("queries", &self.queries.len())
            .field("lookups", &self.lookups.len())
            .field("exchanges", &self.exchanges.len())
            .finish_non_exhaustive()
    }
}

/// What the host wants, and what follows from everything.
impl Resolver {
    /// Without servers, until [`configure`](Self::configure) names some.
    #[must_use]
    pub fn new(random: RandomSource, oracle: Box<dyn Oracle>) -> Self {
        Resolver {
            settings: Settings::new(&Config::default()),
            random,
            oracle,
            cache: Cache::default(),
            zones: Zones::default(),
            servers: Servers::default(),
            queries: BTreeMap::new(),
            lookups: BTreeMap::new(),
            by_key: BTreeMap::new(),
            walks: Walks::default(),
            room: Room::new(MAX_PROOFS_BYTES),
            lookup_count: 0,
            exchanges: Exchanges::default(),
            backlog: VecDeque::new(),
            actions: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// Takes new settings. Connections end, the cache is emptied, and queries
    /// that wait begin anew.
    pub fn configure(&mut self, config: &Config, now: Time) {
        self.abandon_all();
        self.cache.clear();
        let anchors = config.dnssec.as_deref().unwrap_or_default();
        self.zones = Zones::new(&anchors[..anchors.len().min(MAX_TRUST_ANCHORS)]);
        self.settings = Settings::new(config);
        self.servers = Servers::new(self.settings.servers.len(), self.settings.rotate);
        let waiting: Vec<QueryId> = self.queries.keys().copied().collect();
        for id in waiting {
            if let Some(mut pending) = self.queries.remove(&id) {
                pending.begin_anew();
                self.begin(pending, now);
            }
        }
    }

    /// Takes preferences, for answers that come from now on. The cache is emptied
    /// where they are others than before.
    pub fn prefer(&mut self, preferences: Preferences) {
        self.cache.prefer(preferences);
    }

    /// Takes a query. Its answer comes from [`poll_answer`](Self::poll_answer),
    /// once; [`Cause::Busy`] where too many wait.
    pub fn resolve(&mut self, query: Query, now: Time) {
        if self.queries.contains_key(&query.id) {
            return;
        }
        if self.queries.len() >= MAX_QUERIES {
            self.fail(&query, Cause::Busy);
            return;
        }
        self.begin(Pending::new(query, Vec::new(), now), now);
    }

    /// Forgets a query. It is not answered any more.
    pub fn cancel(&mut self, id: QueryId, now: Time) {
        self.answers.retain(|(answered, _)| *answered != id);
        let Some(pending) = self.queries.remove(&id) else {
            return;
        };
        for leg in pending.legs {
            if let Leg::Waiting(lookup) = leg {
                self.leave(lookup, id, now);
            }
        }
    }

    /// How many queries wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queries.len()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<(QueryId, Result<Answer, Failure>)> {
        self.answers.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.exchanges.next_deadline()
    }
}

/// Queries.
impl Resolver {
    fn fail(&mut self, query: &Query, cause: Cause) {
        let failure = Failure {
            name: query.name.clone(),
            cause,
            ttl_s: 0,
            security: None,
            steps: Vec::new(),
        };
        self.answers.push_back((query.id, Err(failure)));
    }

    /// Answers without a server where that can be, or tries the first name.
    fn begin(&mut self, mut pending: Pending, now: Time) {
        let asked = match Asked::parse(&pending.query.name) {
            Ok(asked) => asked,
            Err(cause) => return self.fail(&pending.query, cause),
        };
        let here = match special(&asked.name) {
            Some(Special::Nowhere(why)) => {
                return self.fail(&pending.query, Cause::SpecialName(why));
            }
            Some(Special::Localhost) => Some(Source::BuiltIn),
            None => self
                .is_in_host_table(&asked.name, pending.query.wanted)
                .then_some(Source::HostTable),
        };
        if let Some(source) = here {
            for kind in kinds(pending.query.wanted) {
                let records = self.records_here(&asked.name, kind, source);
                let leg = Leg::Settled(Ok(settled_here(records, source)));
                pending.legs.push(leg);
            }
            pending.candidates = vec![asked.name];
            return self.conclude(pending, now);
        }
        pending.candidates = asked.candidates(&self.settings.search, self.settings.ndots);
        self.try_name(pending, now);
    }

    fn is_in_host_table(&self, name: &Name, wanted: Wanted) -> bool {
        let knows = |kind| self.settings.hosts.records(name, kind).is_some();
        kinds(wanted).into_iter().any(knows)
    }

    fn records_here(&self, name: &Name, kind: RecordType, source: Source) -> Vec<RecordData> {
        match (source, kind) {
            (Source::BuiltIn, RecordType::A) => vec![RecordData::A(Ipv4Addr::LOCALHOST)],
            (Source::BuiltIn, RecordType::Aaaa) => vec![RecordData::Aaaa(Ipv6Addr::LOCALHOST)],
            (Source::BuiltIn, _) => Vec::new(),
            _ => self.settings.hosts.records(name, kind).unwrap_or_default(),
        }
    }

    /// Looks the name up whose turn it is: in the cache, or by a lookup.
    fn try_name(&mut self, mut pending: Pending, now: Time) {
        let id = pending.query.id;
        let Some(name) = pending.name().cloned() else {
            return;
        };
        let mut fresh = Vec::new();
        for kind in kinds(pending.query.wanted) {
            let key = Key {
                name: name.clone(),
                kind,
            };
            let leg = match self.look_in_cache(&key, &mut pending, now) {
                Some(settled) => Leg::Settled(settled),
                None => Leg::Waiting(self.join(key, &mut pending, &mut fresh, now)),
            };
            pending.legs.push(leg);
        }
        if pending.is_settled() {
            return self.conclude(pending, now);
        }
        self.queries.insert(id, pending);
        // Only now: a lookup may end at once, and then looks for who waits.
        for lookup in fresh {
            self.take_turn(lookup, now);
        }
    }

    fn look_in_cache(&mut self, key: &Key, pending: &mut Pending, now: Time) -> Option<Settled> {
        if !pending.query.cached {
            return None;
        }
        // Where both are known, a query that wanted no cache failed after the answer.
        let settled = match self.cache.get(key, now) {
            Some((known, ttl)) => Ok(Outcome {
                known,
                ttl,
                source: Source::Cache,
            }),
            None => Err(self.cache.failure(About::Answer, key, now)?),
        };
        if pending.query.traced {
            pending.trail.note(now, Happening::CacheHit);
        }
        Some(settled)
    }

    /// Takes part in the lookup of a question. One that is not under way yet
    /// is added to `fresh`.
    fn join(
        &mut self,
        key: Key,
        pending: &mut Pending,
        fresh: &mut Vec<LookupId>,
        now: Time,
    ) -> LookupId {
        let known = self.by_key.get(&key).copied();
        let id = known.unwrap_or(LookupId(self.lookup_count));
        if known.is_some() {
            pending.trail.note(now, Happening::Joined);
        } else {
            self.lookup_count += 1;
            let lookup = Lookup::new(key.clone(), self.servers.order(now), now);
            self.lookups.insert(id, lookup);
            self.by_key.insert(key, id);
            fresh.push(id);
        }
        if let Some(lookup) = self.lookups.get_mut(&id) {
            lookup.waiters.push(pending.query.id);
        }
        id
    }

    fn conclude(&mut self, mut pending: Pending, now: Time) {
        match pending.conclude() {
            Conclusion::Answer(outcome) => self.answers.push_back((pending.query.id, outcome)),
            Conclusion::NextName => self.try_name(pending, now),
        }
    }
}

/// Lookups.
impl Resolver {
    /// Asks the server whose turn it is, or ends the lookup.
    fn take_turn(&mut self, id: LookupId, now: Time) {
        let Some(lookup) = self.lookups.get(&id) else {
            return;
        };
        if now.saturating_sub(lookup.started) > MAX_LOOKUP_TIME {
            return self.end(id, Err(Cause::Timeout), now);
        }
        let Some(server) = lookup.server(self.settings.attempts) else {
            return self.give_up(id, now);
        };
        let transport = match self.settings.servers.get(server).map(|it| &it.protocol) {
            Some(Protocol::Tls(_)) => Transport::Tls,
            Some(Protocol::Https(_)) => Transport::Https,
            Some(Protocol::Plain) | None => Transport::Udp,
        };
        self.ask(id, server, transport, now);
    }

    /// Every server has been asked.
    fn give_up(&mut self, id: LookupId, now: Time) {
        let Some(lookup) = self.lookups.get(&id) else {
            return;
        };
        let (cause, question) = (lookup.last.clone(), lookup.zone_question());
        if let Some(question) = question {
            self.fail_walk(id, question, &cause, now);
        }
        self.end(id, Err(cause), now);
    }

    /// Gives the present server up.
    fn next_turn(&mut self, id: LookupId, cause: Cause, now: Time) {
        if let Some(lookup) = self.lookups.get_mut(&id) {
            lookup.turn += 1;
            lookup.last = cause;
            self.take_turn(id, now);
        }
    }

    /// Sends the lookup's present question, once there is room.
    fn ask(&mut self, id: LookupId, server: usize, transport: Transport, now: Time) {
        if self.exchanges.len() >= MAX_EXCHANGES {
            self.backlog.push_back((id, server, transport));
            return;
        }
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        let Some(target) = self.settings.servers.get(server).cloned() else {
            return;
        };
        let (name, kind) = lookup.question();
        let name = name.clone();
        let encrypted = matches!(transport, Transport::Tls | Transport::Https);
        let random = self.random.as_mut();
        let question = Question {
            id: match transport {
                // So that caches on the way may work (RFC 8484 section 4.1).
                Transport::Https => 0,
                _ => self.exchanges.unused_id(random),
            },
            name: match transport {
                Transport::Udp => in_random_letters(&name, random),
                _ => name.clone(),
            },
            kind,
            edns: self.settings.edns && self.servers.knows_edns(server),
            authentic: self.settings.trust_authentic,
            dnssec: self.settings.dnssec,
            padded: encrypted,
        };
        let message = match question.encode() {
            Ok(message) => message,
            Err(why) => return self.end(id, Err(Cause::BadName(why)), now),
        };
        lookup.trail.note(
            now,
            Happening::Sent {
                // At most eight.
                server: u32::try_from(server).unwrap_or(u32::MAX),
                transport,
                name: text(&name),
                record_type: question.kind,
            },
        );
        let exchange = Exchange {
            lookup: id,
            server,
            transport,
            question,
            sent: now,
            deadline: now + self.settings.timeout,
            ignored: 0,
        };
        let channel = exchange.channel();
        let exchange = self.exchanges.insert(exchange);
        lookup.exchange = Some(exchange);
        self.actions.push_back(match (channel, transport) {
            (Some(channel), _) => Action::Stream {
                channel,
                server: target,
                message,
            },
            (None, Transport::Https) => Action::Post {
                exchange,
                server: target,
                message,
            },
            (None, _) => Action::Datagram {
                exchange,
                server: target,
                message,
            },
        });
    }

    /// Tells all who wait, and keeps what was found.
    fn end(&mut self, id: LookupId, settled: Settled, now: Time) {
        let Some(lookup) = self.lookups.remove(&id) else {
            return;
        };
        self.by_key.remove(&lookup.key);
        let walked = lookup.zone_question();
        match &settled {
            Ok(outcome) => {
                let known = outcome.known.clone();
                self.cache.put(lookup.key, known, outcome.ttl, now);
            }
            Err(cause) => self
                .cache
                .put_failure(About::Answer, lookup.key, cause, now),
        }
        for waiter in lookup.waiters {
            let Some(mut pending) = self.queries.remove(&waiter) else {
                continue;
            };
            pending.settle(id, &settled);
            if pending.query.traced {
                pending.trail.append(&lookup.trail);
            }
            if pending.is_settled() {
                self.conclude(pending, now);
            } else {
                self.queries.insert(waiter, pending);
            }
        }
        if let Some(question) = walked {
            self.leave_walk(id, &question, now);
        }
    }

    /// A query does not wait for a lookup any more. One that nobody waits for
    /// is given up.
    fn leave(&mut self, id: LookupId, query: QueryId, now: Time) {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        lookup.waiters.retain(|it| *it != query);
        if !lookup.waiters.is_empty() {
            return;
        }
        if let Some(lookup) = self.lookups.remove(&id) {
            self.by_key.remove(&lookup.key);
            self.backlog.retain(|(waiting, ..)| *waiting != id);
            if let Some(exchange) = lookup.exchange {
                self.close(exchange, now);
            }
            if let Some(question) = lookup.zone_question() {
                self.leave_walk(id, &question, now);
            }
            self.work_off_backlog(now);
        }
    }
}

/// Exchanges.
impl Resolver {
    /// Ends an exchange, whatever came of it.
    fn close(&mut self, id: ExchangeId, now: Time) -> Option<Exchange> {
        let exchange = self.exchanges.remove(id, now)?;
        if exchange.channel().is_none() {
            self.actions.push_back(Action::Forget(id));
        }
        if let Some(lookup) = self.lookups.get_mut(&exchange.lookup) {
            lookup.exchange = None;
        }
        Some(exchange)
    }

    fn work_off_backlog(&mut self, now: Time) {
        while self.exchanges.len() < MAX_EXCHANGES
            && let Some((lookup, server, transport)) = self.backlog.pop_front()
        {
            self.ask(lookup, server, transport, now);
        }
    }

    fn abandon_all(&mut self) {
        self.lookups.clear();
        self.by_key.clear();
        self.walks = Walks::default();
        self.backlog.clear();
        // What was to be closed still is.
        let closes = |it: &Action| matches!(it, Action::Forget(_) | Action::HangUp(_));
        self.actions.retain(closes);
        let (exchanges, channels) = self.exchanges.drain();
        let forget = exchanges.into_iter().map(Action::Forget);
        let hang_up = channels.into_iter().map(Action::HangUp);
        self.actions.extend(forget.chain(hang_up));
    }
}

fn settled_here(records: Vec<RecordData>, source: Source) -> Outcome {
    let known = if records.is_empty() {
        Known::Nothing(Absence::Record, None)
    } else {
        Known::Found(Rc::new(Found {
            aliases: Vec::new(),
            records,
            authentic: false,
            security: None,
        }))
    };
    Outcome {
        known,
        ttl: 0,
        source,
    }
}
