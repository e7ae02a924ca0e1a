//! What went through an engine, counted since its launch.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fumehood_control::{Blame, Cause, DatagramTally, DialFailure, ProxyTally, Summary};
use fumehood_policy::Reason;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Most grounds of denial that are counted each for itself; denials on further
/// ones are counted together. Metrics with more than a thousand series for one
/// name are refused by many who collect them.
pub const MAX_DENIAL_GROUNDS: usize = 1000;

/// Upper bounds of [`Durations::counts`], in microseconds; the last count has none.
pub const DURATION_BOUNDS_US: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    20_000_000, 60_000_000,
];

/// What went through an engine and the ones before it that died. What clients of
/// proxies asked for is in `proxy` alone; the rest is of the program itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Exchanges under way.
    pub under_way: u64,
    /// Exchanges that are over, by how: `ok`, or who is to blame, as in
    /// [`Outcome`]'s names.
    pub exchanges: BTreeMap<Outcome, u64>,
    /// Final heads of responses by class: 2 for 200–299 and so on.
    pub responses: BTreeMap<u16, u64>,
    /// Denials by their grounds, at most [`MAX_DENIAL_GROUNDS`] and one.
    pub denials: BTreeMap<DenialGround, u64>,
    /// Response payload of exchanges that succeeded, in bytes.
    pub payload_received: u64,
    /// Request payload of exchanges that succeeded, in bytes.
    pub payload_sent: u64,
    /// Bytes shown to or made by guests for them.
    pub bytes_through_guests: u64,
    /// Bytes moved for them that no guest saw.
    pub bytes_past_guests: u64,
    /// Calls into guests for them.
    pub guest_calls: u64,
    /// How long they took.
    pub durations: Durations,
    /// What clients of proxies asked for; it is told four times a second, and what
    /// an engine has not told yet ends with it.
    #[serde(default)]
    pub proxy: ProxyTraffic,
}

/// What clients of proxies asked for, as far as it is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTraffic {
    /// Requests that a server answered.
    pub served: u64,
    /// Tunnels that stood.
    pub tunnelled: u64,
    /// Requests that the policy said no to.
    pub denied: u64,
    /// Requests that were refused for another reason, or failed.
    pub failed: u64,
    /// Content from clients, that of tunnels too, in bytes.
    pub received: u64,
    /// The same to clients.
    pub sent: u64,
    /// Denials by their grounds, at most [`MAX_DENIAL_GROUNDS`] and one.
    pub denials: BTreeMap<DenialGround, u64>,
    /// Datagrams of clients.
    #[serde(default)]
    pub datagrams: DatagramTraffic,
}

/// Datagrams of a proxy's clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatagramTraffic {
    /// Passed on from clients.
    pub received: u64,
    /// Passed on to clients.
    pub sent: u64,
    /// Dropped, by why: `malformed`, `fragment`, `oversize`, `stranger`, `denied`,
    /// `unreached`, `overflow`. What there was none of is left out.
    pub dropped: BTreeMap<DropGround, u64>,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropGround {
    /// What it begins with is no header.
    Malformed,
    /// It is a piece; none are put together.
    Fragment,
    /// It is longer than one may be, with its header.
    Oversize,
    /// It came from another port than its client's.
    Stranger,
    /// The policy says no to where it goes.
    Denied,
    /// Where it goes was not found or reached.
    Unreached,
    /// Too many waited already.
    Overflow,
}

impl DropGround {
    /// Its name in JSON and metrics; never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DropGround::Malformed => "malformed",
            DropGround::Fragment => "fragment",
            DropGround::Oversize => "oversize",
            DropGround::Stranger => "stranger",
            DropGround::Denied => "denied",
            DropGround::Unreached => "unreached",
            DropGround::Overflow => "overflow",
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it arrived.
    Ok,
    /// The server is to blame.
    Peer,
    /// What lies between.
    Network,
    /// It was denied.
    Policy,
    /// A guest ended in it.
    Guest,
    /// The caller, who may have cancelled it.
    Caller,
    /// The engine or the broker ended.
    Engine,
}

impl Outcome {
    /// Its name in JSON and in metrics; never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Peer => "peer",
            Outcome::Network => "network",
            Outcome::Policy => "policy",
            Outcome::Guest => "guest",
            Outcome::Caller => "caller",
            Outcome::Engine => "engine",
        }
    }

    /// In the order of their declaration.
    pub const ALL: [Outcome; 7] = [
        Outcome::Ok,
        Outcome::Peer,
        Outcome::Network,
        Outcome::Policy,
        Outcome::Guest,
        Outcome::Caller,
        Outcome::Engine,
    ];
}

impl From<Blame> for Outcome {
    fn from(blame: Blame) -> Outcome {
        match blame {
            Blame::Peer => Outcome::Peer,
            Blame::Network => Outcome::Network,
            Blame::Policy => Outcome::Policy,
            Blame::Guest => Outcome::Guest,
            Blame::Caller => Outcome::Caller,
            Blame::Engine => Outcome::Engine,
        }
    }
}

/// On what something was denied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct DenialGround {
    /// [`Reason::name`].
    pub reason: String,
    /// The rule, with the place where it is written; empty where it was none.
    pub rule: String,
}

impl DenialGround {
    fn of(reason: &Reason) -> DenialGround {
        let rule = match reason {
            Reason::Rule(rule) | Reason::Unconfirmed(rule) => rule.to_string(),
            _ => String::new(),
        };
        DenialGround {
            reason: reason.name().to_owned(),
            rule,
        }
    }

    /// What those are counted under that are too many.
    fn other() -> DenialGround {
        DenialGround {
            reason: "other".to_owned(),
            rule: String::new(),
        }
    }
}

/// `denied-by-rule *.example.com (config.toml:12)`: a reason has no spaces.
impl From<DenialGround> for String {
    fn from(ground: DenialGround) -> String {
        match ground.rule.is_empty() {
            true => ground.reason,
            false => format!("{} {}", ground.reason, ground.rule),
        }
    }
}

impl From<String> for DenialGround {
    fn from(text: String) -> DenialGround {
        let (reason, rule) = text.split_once(' ').unwrap_or((&text, ""));
        DenialGround {
            reason: reason.to_owned(),
            rule: rule.to_owned(),
        }
    }
}

/// How long exchanges took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How many took at most as long as the bound of the same place in
    /// [`DURATION_BOUNDS_US`], and longer than the one before.
    pub counts: [u64; DURATION_BOUNDS_US.len() + 1],
    /// All together, in microseconds.
    pub sum_us: u64,
}

impl Durations {
    fn add(&mut self, took_us: u64) {
        let place = DURATION_BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.counts[place] += 1;
        self.sum_us = self.sum_us.saturating_add(took_us);
    }
}

/// Traffic as it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Traffic>);

impl Counters {
    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        // It is consistent between any two statements that can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Traffic {
        self.traffic().clone()
    }

    /// Exchanges that came to a good end, those of proxies' clients among them.
    pub(crate) fn ended_well(&self) -> u64 {
        let traffic = self.traffic();
        let own = traffic.exchanges.get(&Outcome::Ok).copied();
        // What clients' requests came to is what an engine says.
        own.unwrap_or_default()
            .saturating_add(traffic.proxy.served)
            .saturating_add(traffic.proxy.tunnelled)
    }

    pub(crate) fn begun(&self) {
        self.traffic().under_way += 1;
    }

    /// It never reached the engine.
    pub(crate) fn not_begun(&self) {
        self.traffic().under_way -= 1;
    }

    /// The final head came.
    pub(crate) fn answered(&self, status: u16) {
        *self.traffic().responses.entry(status / 100).or_default() += 1;
    }

    pub(crate) fn finished(&self, outcome: &Result<Summary, Error>) {
        let mut traffic = self.traffic();
        traffic.under_way -= 1;
        traffic.count(outcome);
    }

    /// Clients of a proxy have been served.
    pub(crate) fn proxied(&self, tally: &ProxyTally) {
        self.traffic().proxy.add(tally);
    }

    /// The policy said no before anything was begun.
    pub(crate) fn refused(&self, error: &Error) {
        if error.blame() == Blame::Policy {
            self.traffic().failed(error);
        }
    }
}

impl Traffic {
    fn count(&mut self, outcome: &Result<Summary, Error>) {
        match outcome {
            Ok(summary) => self.succeeded(summary),
            Err(error) => self.failed(error),
        }
    }

    fn succeeded(&mut self, summary: &Summary) {
        *self.exchanges.entry(Outcome::Ok).or_default() += 1;
        add_all([
            (&mut self.payload_received, summary.payload_received),
            (&mut self.payload_sent, summary.payload_sent),
            (&mut self.bytes_through_guests, summary.bytes_through_guests),
            (&mut self.bytes_past_guests, summary.bytes_past_guests),
            (&mut self.guest_calls, summary.guest_calls),
        ]);
        self.durations.add(summary.timings.total_us);
    }

    fn failed(&mut self, error: &Error) {
        *self.exchanges.entry(error.blame().into()).or_default() += 1;
        if let Some(Cause::Dial(DialFailure::Denied(denial))) = error.cause() {
            count(&mut self.denials, &denial.reason);
        }
    }
}

impl ProxyTraffic {
    fn add(&mut self, tally: &ProxyTally) {
        add_all([
            (&mut self.served, tally.served),
            (&mut self.tunnelled, tally.tunnelled),
            (&mut self.failed, tally.failed),
            (&mut self.received, tally.received),
            (&mut self.sent, tally.sent),
        ]);
        for reason in &tally.denied {
            self.denied += 1;
            count(&mut self.denials, reason);
        }
        self.datagrams.add(&tally.datagrams);
    }
}

impl DatagramTraffic {
    fn add(&mut self, tally: &DatagramTally) {
        add_all([
            (&mut self.received, tally.received),
            (&mut self.sent, tally.sent),
        ]);
        for (ground, count) in [
            (DropGround::Malformed, tally.malformed),
            (DropGround::Fragment, tally.fragments),
            (DropGround::Oversize, tally.oversize),
            (DropGround::Stranger, tally.strangers),
            (DropGround::Denied, tally.denied),
            (DropGround::Unreached, tally.unreached),
            (DropGround::Overflow, tally.overflow),
        ] {
            if count > 0 {
                add_all([(self.dropped.entry(ground).or_default(), count)]);
            }
        }
    }
}

/// Numbers come from the engine, and may be anything.
fn add_all<const N: usize>(pairs: [(&mut u64, u64); N]) {
    for (sum, more) in pairs {
        *sum = sum.saturating_add(more);
    }
}

fn count(denials: &mut BTreeMap<DenialGround, u64>, reason: &Reason) {
    let mut ground = DenialGround::of(reason);
    if denials.len() >= MAX_DENIAL_GROUNDS && !denials.contains_key(&ground) {
        ground = DenialGround::other();
    }
    *denials.entry(ground).or_default() += 1;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use fumehood_control::{RetrySafety, Timings};
    use fumehood_policy::{Denial, RequestUrl, RuleRef, Target};

    use super::*;

    fn target() -> Target {
        RequestUrl::parse("http://a.example/").unwrap().target
    }

    fn denied(reason: Reason) -> Error {
        let target = target();
        Error::denied(target.clone(), Denial { target, reason })
    }

    fn by_rule(line: usize) -> Error {
        let rule = RuleRef {
            host: "*.example".parse().unwrap(),
            place: Some(format!("config.toml:{line}")),
        };
        denied(Reason::Rule(Box::new(rule)))
    }

    #[test]
    fn durations_fall_into_the_first_bound_that_holds_them() {
        let mut durations = Durations::default();
        for took in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
            durations.add(took);
        }
        let last = durations.counts.len() - 1;
        assert_eq!(durations.counts[..2], [2, 1]);
        assert_eq!(durations.counts[last - 1..], [1, 1]);
        assert_eq!(durations.sum_us, 120_002_002);
    }

    #[test]
    fn every_exchange_is_counted_once() {
        let counters = Counters::default();
        for _ in 0..3 {
            counters.begun();
        }
        counters.answered(204);
        let summary = Summary {
            payload_received: 7,
            timings: Timings {
                total_us: 9,
                ..Timings::default()
            },
            ..Summary::default()
        };
        counters.finished(&Ok(summary));
        counters.finished(&Err(Error::engine_died(target(), RetrySafety::NotSent)));
        counters.not_begun();
        counters.refused(&denied(Reason::Localhost));
        let traffic = counters.snapshot();
        assert_eq!(traffic.under_way, 0);
        assert_eq!(
            traffic.exchanges,
            BTreeMap::from([(Outcome::Ok, 1), (Outcome::Policy, 1), (Outcome::Engine, 1)])
        );
        assert_eq!(traffic.responses, BTreeMap::from([(2, 1)]));
        assert_eq!((traffic.payload_received, traffic.durations.sum_us), (7, 9));
    }

    #[test]
    fn an_engine_that_counts_without_end_ends_nothing() {
        let counters = Counters::default();
        for _ in 0..2 {
            counters.begun();
            counters.finished(&Ok(Summary {
                payload_received: u64::MAX,
                guest_calls: u64::MAX,
                timings: Timings {
                    total_us: u64::MAX,
                    ..Timings::default()
                },
                ..Summary::default()
            }));
        }
        assert_eq!(counters.snapshot().payload_received, u64::MAX);
        counters.proxied(&ProxyTally {
            served: u64::MAX,
            tunnelled: u64::MAX,
            ..ProxyTally::default()
        });
        assert_eq!(counters.ended_well(), u64::MAX);
    }

    #[test]
    fn denials_are_told_apart_by_rule_up_to_a_bound() {
        let counters = Counters::default();
        for line in 0..MAX_DENIAL_GROUNDS + 5 {
            counters.refused(&by_rule(line));
        }
        counters.refused(&by_rule(0));
        let denials = counters.snapshot().denials;
        assert_eq!(denials.len(), MAX_DENIAL_GROUNDS + 1);
        assert_eq!(denials[&DenialGround::other()], 5);
        let first = DenialGround::from("denied-by-rule *.example (config.toml:0)".to_owned());
        assert_eq!(denials[&first], 2);
    }

    #[test]
    fn what_a_proxy_is_asked_for_is_counted_apart() {
        let counters = Counters::default();
        let tally = ProxyTally {
            served: 2,
            tunnelled: 1,
            failed: 1,
            received: 10,
            sent: 20,
            denied: vec![Reason::Localhost, Reason::BlockedPort, Reason::Localhost],
            datagrams: DatagramTally {
                received: 5,
                fragments: 3,
                overflow: u64::MAX,
                ..DatagramTally::default()
            },
        };
        counters.proxied(&tally);
        counters.proxied(&tally);
        let traffic = counters.snapshot();
        let proxy = &traffic.proxy;
        let ended = (proxy.served, proxy.tunnelled, proxy.denied, proxy.failed);
        assert_eq!(ended, (4, 2, 6, 2));
        assert_eq!((proxy.received, proxy.sent), (20, 40));
        let localhost = DenialGround::of(&Reason::Localhost);
        assert_eq!(proxy.denials[&localhost], 4);
        assert_eq!((proxy.datagrams.received, proxy.datagrams.sent), (10, 0));
        let dropped = [(DropGround::Fragment, 6), (DropGround::Overflow, u64::MAX)];
        assert_eq!(proxy.datagrams.dropped, BTreeMap::from(dropped));
        let mut rest = traffic.clone();
        rest.proxy = ProxyTraffic::default();
        assert_eq!(rest, Traffic::default());
    }

    #[test]
    fn it_survives_json() {
        let counters = Counters::default();
        counters.refused(&by_rule(12));
        counters.refused(&denied(Reason::Localhost));
        let text = serde_json::to_string(&counters.snapshot()).unwrap();
        assert!(
            text.contains(r#""denied-by-rule *.example (config.toml:12)":1"#),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<Traffic>(&text).unwrap(),
            counters.snapshot()
        );
    }
}
