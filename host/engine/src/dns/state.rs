//! What the resolver's store holds, and what it is given by name: the inbox.

use std::sync::Arc;

use fumehood_control::NameQuery;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Result, Store, format_err};
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::{IoView, async_trait};

use super::bindings::fumehood::dns::inbox as wire;
use super::bindings::fumehood::dns::{preferences, secure, signatures, types};
use super::inbox::{Inbox, Task};
use super::secure::Ways;
use super::words;
use crate::driver::{Access, Budget, DriverView, View, interfaces, panic};
use crate::instance::{GuestState, Trace, new_store};

/// Most resources it has at once: for each of its 128 exchanges a socket, two
/// streams and a pollable, five for each connection, and a few of its own.
pub(crate) const MAX_RESOURCES: usize = 1024;

/// The resolver's store data.
pub(super) struct DnsState {
    pub(super) guest: GuestState,
    access: Access,
    pub(super) budget: Budget,
    pub(super) inbox: Arc<Inbox>,
    pub(super) ways: Ways,
    pub(super) table: ResourceTable,
}

impl DnsState {
    /// A store for a new instance.
    pub(super) fn store(
        engine: &Engine,
        guest: GuestState,
        access: Access,
        inbox: &Arc<Inbox>,
        ways: Ways,
    ) -> Store<DnsState> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let state = DnsState {
            guest,
            access,
            budget: Budget::default(),
            inbox: Arc::clone(inbox),
            ways,
            table,
        };
        let mut store = new_store(engine, state, |state| &mut state.guest);
        store.epoch_deadline_callback(|context| context.data().budget.tick());
        store.set_max_component_handles(MAX_RESOURCES);
        store
    }
}

/// Links all that the world has.
pub(super) fn link(linker: &mut Linker<DnsState>) -> Result<()> {
    interfaces(linker)?;
    panic::add_to_linker::<DnsState, LastWords>(linker, |state| &mut state.guest)?;
    wire::add_to_linker::<DnsState, Itself>(linker, |state| state)?;
    preferences::add_to_linker::<DnsState, Itself>(linker, |state| state)?;
    secure::add_to_linker::<DnsState, Itself>(linker, |state| state)?;
    signatures::add_to_linker::<DnsState, Itself>(linker, |state| state)
}

struct LastWords;

impl HasData for LastWords {
    type Data<'a> = &'a mut GuestState;
}

struct Itself;

impl HasData for Itself {
    type Data<'a> = &'a mut DnsState;
}

impl IoView for DnsState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl DriverView for DnsState {
    fn view(&mut self) -> View<'_> {
        View {
            table: &mut self.table,
            access: &mut self.access,
        }
    }
}

impl types::Host for &mut DnsState {}

impl preferences::Host for &mut DnsState {
    fn current(&mut self) -> Result<preferences::Values> {
        let dns = self.guest.alive.about.supervisor.preferences().dns;
        Ok(preferences::Values {
            cache_entries: dns.cache_entries,
            max_ttl_s: dns.max_ttl_s,
        })
    }
}

/// Ready while there is a task.
struct Ready(Arc<Inbox>);

#[async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {
        self.0.has_task().await;
    }
}

impl wire::Host for &mut DnsState {
    fn subscribe(&mut self) -> Result<Resource<DynPollable>> {
        let ready = self.table.push(Ready(Arc::clone(&self.inbox)))?;
        subscribe(&mut self.table, ready)
    }

    fn take(&mut self) -> Result<Vec<wire::Task>> {
        let tasks = self.inbox.take();
        self.guest
            .trail
            .note(Trace::CallWith("took tasks", tasks.len() as u64));
        Ok(tasks.into_iter().map(task).collect())
    }

    fn deliver(
        &mut self,
        id: u64,
        outcome: std::result::Result<types::Answer, types::Failure>,
    ) -> Result<()> {
        self.guest.trail.note(Trace::CallWith("answered query", id));
        let outcome = words::outcome(outcome)
            .map_err(|what| format_err!("a guest answered a name with {what}"))?;
        self.inbox.deliver(id, outcome);
        Ok(())
    }
}

fn task(task: Task) -> wire::Task {
    match task {
        Task::Configure(setup) => wire::Task::Configure(words::config(&setup)),
        Task::Resolve(id, query) => wire::Task::Resolve(self::query(id, query)),
        Task::Cancel(id) => wire::Task::Cancel(id),
    }
}

fn query(id: u64, query: NameQuery) -> types::Query {
    types::Query {
        id,
        name: query.name,
        wanted: words::wanted(query.wanted),
        cached: query.cached,
        traced: query.traced,
        private_answers: match query.private {
            true => types::PrivateAnswers::Answered,
            false => types::PrivateAnswers::Refused,
        },
    }
}
