//! The resolver as a component: the world `fumehood:dns/dns-resolver`.

pub mod bindings;
mod convert;
mod line;
mod oracle;
mod questions;
mod sockets;

use std::time::Duration;

use bindings::exports::fumehood::dns::resolver as wit;
use bindings::fumehood::dns::inbox::{self, Task};
use bindings::fumehood::dns::preferences;
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::io::poll::{Pollable, poll};
use bindings::wasi::random::random::get_random_bytes;
use fumehood_guest_sdk::panic;

use crate::{Preferences, Query, RandomSource, Resolver, Time, drive};
use oracle::Host;
use sockets::Sockets;

/// Serves the engine.
#[derive(Debug)]
pub struct DnsResolver;

impl wit::Guest for DnsResolver {
    fn run() {
        serve(|_| {});
    }
}

/// Serves the inbox, for ever. `look` is shown each query first: a guest
/// made of this library may have it in mind to do something else.
pub fn serve(look: impl Fn(&Query)) -> ! {
    panic::install();
    let mut resolver = Resolver::new(random_source(), Box::new(Host));
    let mut sockets = Sockets::default();
    let ready = inbox::subscribe();
    loop {
        // What has come first is none of a new query's business: a connection whose end
        // is heard is not one that it goes by.
        go_on(&mut resolver, &mut sockets);
        take_tasks(&mut resolver, &look);
        go_on(&mut resolver, &mut sockets);
        wait(&ready, &mut sockets, resolver.next_timeout());
    }
}

/// Goes on until there is nothing more to do at this time.
fn go_on(resolver: &mut Resolver, sockets: &mut Sockets) {
    drive(resolver, sockets, now(), |id, outcome| {
        let outcome = outcome.map(Into::into).map_err(Into::into);
        // The host takes it by reference: nothing of it is needed after.
        inbox::deliver(id, outcome.as_ref());
    });
}

fn take_tasks(resolver: &mut Resolver, look: &impl Fn(&Query)) {
    for task in inbox::take() {
        match task {
            Task::Configure(config) => resolver.configure(&config.into(), now()),
            Task::Resolve(query) => {
                let query = query.into();
                look(&query);
                resolver.prefer(preferred());
                resolver.resolve(query, now());
            }
            Task::Cancel(id) => resolver.cancel(id, now()),
        }
    }
}

/// What the embedder prefers now.
fn preferred() -> Preferences {
    let values = preferences::current();
    Preferences::new(values.cache_entries, values.max_ttl_s)
}

/// Waits for a task, a socket or a deadline.
fn wait(inbox: &Pollable, sockets: &mut Sockets, deadline: Option<Time>) {
    let timer = deadline.map(|at| monotonic_clock::subscribe_instant(nanoseconds(at)));
    let mut pollables: Vec<&Pollable> = timer.iter().collect();
    pollables.push(inbox);
    let first = pollables.len();
    let places = sockets.pollables(&mut pollables);
    let mut ready = poll(&pollables);
    // The host names them in any order: what has waited longest comes first.
    ready.sort_unstable();
    let of_sockets = ready
        .into_iter()
        .filter_map(|index| usize::try_from(index).ok()?.checked_sub(first))
        .filter_map(|index| places.get(index).copied());
    for place in of_sockets {
        sockets.look(place);
    }
}

fn now() -> Time {
    Duration::from_nanos(monotonic_clock::now())
}

fn nanoseconds(at: Time) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

/// The host's random numbers, fetched 32 at a time.
fn random_source() -> RandomSource {
    const FETCHED: u64 = 256;
    let mut store: Vec<u8> = Vec::new();
    Box::new(move || {
        loop {
            if let Some((rest, number)) = store.split_last_chunk::<8>() {
                let (number, left) = (u64::from_le_bytes(*number), rest.len());
                store.truncate(left);
                return number;
            }
            store = get_random_bytes(FETCHED);
        }
    })
}
