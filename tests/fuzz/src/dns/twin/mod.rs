//! The resolver natively and behind glass, in the same network at the same time.
//!
//! The native one has a network by what the core promises (`network`, `line`); behind
//! glass the guest's own sockets are tried, in a scripted one of the same (`wasi:sockets`,
//! `wasi:io`, `fumehood:dns/secure`, clocks). Whenever both wait, both must have sent the
//! same, in the same order and under the same IDs, have the same open, have answered the
//! same to the last step of the trail, and want to be woken at the same moment.
//!
//! What of an input's options is behind the first two bytes chooses what happens
//! ([`choice`]); then servers say what they say, one question after the other.

pub mod choice;
mod line;
mod native;
mod network;
mod words;

use std::collections::{BTreeMap, VecDeque};

use fumehood_engine::fuzz::resolver::{Happening, ROOM, ResolverInstance, Step, Task};
use fumehood_guest_dns::{Config, Query, frame};

use super::servers::{Servers, reply};
use super::{BEGIN, Input, TODAY, prepare, random};
use crate::glass::{Guests, Shadow};
use line::Line;
use native::Native;

/// Most choices of an input that are heeded: more only take time.
const MAX_CHOICES: usize = 256;

/// Most bytes of a connection that wait to be read, so that one reading takes them.
const MAX_WAITING: usize = 16 << 10;

/// Most steps of a run, which ends by itself: questions are bounded.
const MAX_STEPS: usize = 100_000;

/// The resolver says and does the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
///
/// # Panics
/// If not.
pub fn run_beside(data: &[u8], guests: &Guests) {
    let Some(input) = prepare(data) else {
        return;
    };
    let mut twin = Twin::new(input, guests);
    twin.step();
    let mut steps = 0;
    while twin.goes_on() {
        twin.step();
        steps += 1;
        assert!(steps < MAX_STEPS, "it goes on and on");
    }
    assert_eq!(twin.native.resolver.waiting(), 0, "a query is not answered");
    let open = twin.native.network.open();
    assert!(open.is_empty(), "it does not let go of {open:?}");
}

/// Both resolvers, their servers and what is to happen.
struct Twin<'a> {
    shadow: Shadow<ResolverInstance>,
    native: Native,
    servers: Servers<'a>,
    choices: VecDeque<u8>,
    config: Config,
    query: Query,
    queries: u64,
    /// What has happened, and is not told behind glass.
    batch: Vec<Happening>,
    /// What servers have sent by connections, and has not arrived.
    held: BTreeMap<u32, Vec<u8>>,
}

impl<'a> Twin<'a> {
    /// Both have been asked, and have not gone on yet.
    fn new(input: Input<'a>, guests: &Guests) -> Twin<'a> {
        let mut twin = Twin {
            shadow: guests.resolver(random, TODAY.into()),
            native: Native::new(BEGIN),
            servers: input.servers,
            choices: input.choices.iter().take(MAX_CHOICES).copied().collect(),
            config: input.config,
            query: input.query,
            queries: 0,
            batch: Vec::new(),
            held: BTreeMap::new(),
        };
        twin.happen(Happening::Time(BEGIN));
        twin.configure();
        twin.ask(twin.query.clone());
        twin
    }

    /// Both go on until they wait, to the same, which is told.
    fn step(&mut self) -> Step {
        let batch = std::mem::take(&mut self.batch);
        self.shadow.ask(|it| {
            batch.iter().for_each(|happening| it.happen(happening));
            it.go_on()
        });
        let step = self.native.go_on();
        self.shadow.compare(|| format!("{step:?}"));
        step
    }

    fn happen(&mut self, happening: Happening) {
        self.native.network.happen(&happening);
        self.batch.push(happening);
    }

    fn configure(&mut self) {
        self.native.configure(&self.config);
        let task = Task::Configure(words::config(&self.config));
        self.happen(Happening::Task(task));
    }

    fn ask(&mut self, query: Query) {
        self.queries += 1;
        let query = Query {
            id: self.queries,
            ..query
        };
        self.happen(Happening::Task(Task::Resolve(words::query(&query))));
        self.native.resolve(query);
    }

    /// Something happens next, or nothing ever.
    fn goes_on(&mut self) -> bool {
        if self.choices.is_empty() {
            return self.usual();
        }
        let mut chosen = self.next();
        while chosen & choice::WHAT == choice::TOGETHER {
            let first = self.next();
            self.choose(first);
            chosen = self.next();
        }
        self.choose(chosen);
        true
    }

    /// The next byte, of which there are always more.
    fn next(&mut self) -> u8 {
        self.choices.pop_front().unwrap_or(choice::USUAL)
    }

    /// What is usual: all goes well, and time passes where nobody answers.
    fn usual(&mut self) -> bool {
        if let Some(number) = self.line_that(Line::is_asked) {
            self.happen(Happening::Connected(number));
        } else if let Some(number) = self.held.keys().next().copied() {
            self.arrive(number, MAX_WAITING);
        } else if let Some((number, how, reply)) = self.next_reply() {
            self.deliver(number, how, reply);
        } else if let Some(number) = self.line_that(Line::is_stuck) {
            self.happen(Happening::Room(number, ROOM));
        } else if let Some(at) = self.native.resolver.next_timeout() {
            self.happen(Happening::Time(at));
        } else {
            return false;
        }
        true
    }

    fn line_that(&self, is: fn(&Line) -> bool) -> Option<u32> {
        let mut lines = self.native.network.lines.values();
        lines.find(|it| is(it)).map(|it| it.number)
    }

    /// The reply to the oldest question that has one and that somebody waits for, and
    /// by which way.
    fn next_reply(&mut self) -> Option<(u32, u8, Vec<u8>)> {
        while let Some((number, question)) = self.native.network.asked.pop_front() {
            let open = self.native.network.open();
            if open.contains(&number)
                && let Some((how, reply)) = self.servers.reply_to(&question)
            {
                return Some((number, how, reply));
            }
        }
        None
    }

    fn deliver(&mut self, number: u32, how: u8, reply: Vec<u8>) {
        if let Some(server) = self.native.network.server(number) {
            let from = match how & reply::STRANGER {
                0 => server,
                _ => ([203, 0, 113, 1], 53).into(),
            };
            self.happen(Happening::Datagram(number, from, reply));
        } else if self.native.network.line(number).is_some() {
            self.send(number, frame(&reply), MAX_WAITING);
        } else {
            self.happen(Happening::Posted(number, Ok(reply)));
        }
    }

    /// A server sends something by a connection, of which so much arrives.
    fn send(&mut self, number: u32, bytes: Vec<u8>, most: usize) {
        self.held.entry(number).or_default().extend(bytes);
        self.arrive(number, most);
    }

    fn arrive(&mut self, number: u32, most: usize) {
        let Some(mut bytes) = self.held.remove(&number) else {
            return;
        };
        let Some(line) = self.native.network.line(number) else {
            return;
        };
        let room = MAX_WAITING.saturating_sub(line.inbound.len());
        let held = bytes.split_off(bytes.len().min(room).min(most));
        if !held.is_empty() {
            self.held.insert(number, held);
        }
        self.happen(Happening::Bytes(number, bytes));
    }
}

#[cfg(test)]
mod tests {
    use fumehood_engine::fuzz::resolver::{Deed, End};

    use super::*;
    use crate::dns::option;
    use crate::pieces;

    /// An answer without records, to any question for `a.test`.
    const REPLY: &[u8] = b"\x04\0\0\x81\x80\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

    /// Has the usual happen until a query is answered, with all that came of it.
    fn answered(twin: &mut Twin) -> String {
        let mut step = twin.step();
        while !step.deeds.iter().any(|it| matches!(it, Deed::Answered(..))) {
            assert!(twin.usual(), "nothing is left to happen");
            step = twin.step();
        }
        format!("{:?}", step.deeds)
    }

    /// A query that comes with the end of a connection which it would have gone by.
    #[test]
    fn who_asks_as_a_connection_ends_is_not_charged_with_it() {
        let options = [option::WITHOUT_DNSSEC | option::TLS, 0];
        let data = pieces::join(&[&options[..], b".", &[0; 4], b"a.test", REPLY]);
        let input = prepare(&data).expect("an input");
        let mut twin = Twin::new(input, Guests::get());
        let first = answered(&mut twin);
        assert!(!first.contains("Broken"), "{first}");
        let line = twin.line_that(|_| true).expect("a connection");
        twin.happen(Happening::Ended(line, End::Closed));
        twin.ask(Query {
            cached: false,
            ..twin.query.clone()
        });
        let second = answered(&mut twin);
        assert!(!second.contains("Broken"), "{second}");
        assert_ne!(twin.line_that(|_| true), Some(line));
    }
}
