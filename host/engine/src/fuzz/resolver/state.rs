//! What a resolver's store holds, and its inbox, clocks, chance and arithmetic.

use std::time::Duration;

use fumehood_control::DnsPreferences;
use fumehood_crypto::fuzz::Toy;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Result, format_err};
use wasmtime_wasi_io::IoView;
use wasmtime_wasi_io::poll::{DynPollable, subscribe};

use super::Random;
use super::network::{Deed, Shared};
use super::streams::{Alarm, Inbox};
use crate::dns::bindings::fumehood::dns::signatures::{DigestAlgorithm, SignatureAlgorithm};
use crate::dns::bindings::fumehood::dns::{inbox, preferences, signatures, types};
use crate::dns::{MAX_RESOURCES, digest};
use crate::driver::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::driver::bindings::wasi::random::random;
use crate::driver::panic;
use crate::instance::GuestState;

/// Most tasks that it takes at once (`wit/dns/dns.wit`).
const MAX_TASKS: usize = 64;

/// Bytes of a random number.
const NUMBER: usize = 8;

/// The store's data.
pub(super) struct State {
    pub(super) guest: GuestState,
    pub(super) network: Shared,
    pub(super) table: ResourceTable,
    random: Random,
    numbers: u64,
    today: u64,
}

impl State {
    pub(super) fn new(guest: GuestState, network: Shared, random: Random, today: u64) -> State {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        State {
            guest,
            network,
            table,
            random,
            numbers: 0,
            today,
        }
    }

    fn alarm(&mut self, at: Duration) -> Result<Resource<DynPollable>> {
        let alarm = self.table.push(Alarm::new(at, &self.network))?;
        subscribe(&mut self.table, alarm)
    }
}

/// Links all but sockets.
pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    type Itself = HasSelf<State>;
    wasmtime_wasi_io::add_to_linker_async(linker)?;
    panic::add_to_linker::<State, Itself>(linker, |state| state)?;
    inbox::add_to_linker::<State, Itself>(linker, |state| state)?;
    preferences::add_to_linker::<State, Itself>(linker, |state| state)?;
    signatures::add_to_linker::<State, Itself>(linker, |state| state)?;
    monotonic_clock::add_to_linker::<State, Itself>(linker, |state| state)?;
    wall_clock::add_to_linker::<State, Itself>(linker, |state| state)?;
    random::add_to_linker::<State, Itself>(linker, |state| state)
}

impl IoView for State {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl panic::Host for State {
    fn panicked(&mut self, message: String, location: String) -> Result<()> {
        self.guest.note_panic(&message, &location);
        Ok(())
    }
}

impl types::Host for State {}

impl inbox::Host for State {
    fn subscribe(&mut self) -> Result<Resource<DynPollable>> {
        let ready = self.table.push(Inbox(self.network.clone()))?;
        subscribe(&mut self.table, ready)
    }

    fn take(&mut self) -> Result<Vec<inbox::Task>> {
        let tasks = &mut self.network.lock().tasks;
        let count = tasks.len().min(MAX_TASKS);
        Ok(tasks.drain(..count).collect())
    }

    fn deliver(
        &mut self,
        id: u64,
        outcome: std::result::Result<types::Answer, types::Failure>,
    ) -> Result<()> {
        let answered = Deed::Answered(id, outcome);
        self.network.lock().deeds.push(answered);
        Ok(())
    }
}

impl preferences::Host for State {
    fn current(&mut self) -> Result<preferences::Values> {
        let DnsPreferences {
            cache_entries,
            max_ttl_s,
        } = DnsPreferences::default();
        Ok(preferences::Values {
            cache_entries,
            max_ttl_s,
        })
    }
}

impl signatures::Host for State {
    fn digest(&mut self, algorithm: DigestAlgorithm, data: Vec<u8>) -> Result<Vec<u8>> {
        Ok(digest(algorithm, &data))
    }

    fn verify(
        &mut self,
        _: SignatureAlgorithm,
        _: Vec<u8>,
        _: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool> {
        Ok(Toy::believes(&signature))
    }
}

impl monotonic_clock::Host for State {
    fn now(&mut self) -> Result<u64> {
        Ok(u64::try_from(self.network.lock().now.as_nanos())?)
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.alarm(Duration::from_nanos(when))
    }

    fn subscribe_duration(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let now = self.network.lock().now;
        self.alarm(now.saturating_add(Duration::from_nanos(when)))
    }
}

impl wall_clock::Host for State {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: self.today,
            nanoseconds: 0,
        })
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 1,
            nanoseconds: 0,
        })
    }
}

impl random::Host for State {
    /// Numbers from the end on: that is how the guest takes them.
    fn get_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        if length > 4096 {
            return Err(format_err!("a guest asked for {length} random bytes"));
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        for place in bytes.rchunks_exact_mut(NUMBER) {
            self.numbers += 1;
            place.copy_from_slice(&(self.random)(self.numbers).to_le_bytes());
        }
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.numbers += 1;
        Ok((self.random)(self.numbers))
    }
}
