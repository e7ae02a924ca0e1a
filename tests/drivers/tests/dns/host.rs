//! The host's side of `wit/dns`: an inbox that keeps each query until it has
//! been answered, and feeds them to the next instance when one dies.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};

use fumehood_tests::artifacts;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use wit::fumehood::dns::inbox::Task;
use wit::fumehood::dns::preferences;
use wit::fumehood::dns::secure::Error;
use wit::fumehood::dns::signatures;
pub(crate) use wit::fumehood::dns::types;

/// The bindings, generated from the WIT.
#[allow(clippy::all, reason = "generated")]
pub(crate) mod wit {
    wasmtime::component::bindgen!({
        path: [
            "../../wit/deps/io",
            "../../wit/deps/clocks",
            "../../wit/deps/random",
            "../../wit/deps/sockets",
            "../../wit/guest",
            "../../wit/dns",
        ],
        world: "fumehood:dns/dns-resolver",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "wasi": wasmtime_wasi::p2::bindings,
            "fumehood:dns/secure.connecting": super::Nothing,
            "fumehood:dns/secure.posting": super::Nothing,
        },
    });
}

/// A resource there is none of.
#[allow(unreachable_pub, reason = "the bindings export it again")]
pub struct Nothing;

pub(crate) type Outcome = Result<types::Answer, types::Failure>;

/// What the sockets reach.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Network {
    #[default]
    Nothing,
    All,
}

/// What the resolver's user and its instances share.
#[derive(Default)]
struct Shared {
    network: Network,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    config: Option<types::Config>,
    unanswered: BTreeMap<u64, (types::Query, oneshot::Sender<Outcome>)>,
    next: u64,
    /// Kill the instance at its next look into the inbox.
    poisoned: bool,
    deaths: usize,
    /// Answers to queries that nobody had asked, or for the second time.
    strays: usize,
}

/// A running resolver.
pub(crate) struct Resolver {
    shared: Arc<Shared>,
    instances: JoinHandle<()>,
}

impl Resolver {
    pub(crate) fn start(config: types::Config) -> Self {
        Self::start_within(config, Network::All)
    }

    pub(crate) fn start_within(config: types::Config, network: Network) -> Self {
        let shared = Arc::new(Shared {
            network,
            ..Shared::default()
        });
        shared.state.lock().unwrap().config = Some(config);
        let instances = tokio::spawn(serve(Arc::clone(&shared)));
        Self { shared, instances }
    }

    /// Puts a query into the inbox; the receiver has its answer.
    pub(crate) fn ask(
        &self,
        name: &str,
        wanted: types::Wanted,
        cached: bool,
    ) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.shared.state.lock().unwrap();
        state.next += 1;
        let query = types::Query {
            id: state.next,
            name: name.to_owned(),
            wanted,
            cached,
            traced: false,
            private_answers: types::PrivateAnswers::Refused,
        };
        state.tasks.push_back(Task::Resolve(query.clone()));
        state.unanswered.insert(query.id, (query, sender));
        self.shared.wake.notify_one();
        receiver
    }

    /// Lets the instance die at its next look, in the midst of its work.
    pub(crate) fn poison(&self) {
        self.shared.state.lock().unwrap().poisoned = true;
        self.shared.wake.notify_one();
    }

    pub(crate) fn deaths(&self) -> usize {
        self.shared.state.lock().unwrap().deaths
    }

    pub(crate) fn strays(&self) -> usize {
        self.shared.state.lock().unwrap().strays
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.instances.abort();
    }
}

/// One instance after another. None returns by itself.
async fn serve(shared: Arc<Shared>) {
    loop {
        {
            let mut state = shared.state.lock().unwrap();
            let State {
                tasks,
                config,
                unanswered,
                ..
            } = &mut *state;
            tasks.clear();
            for (query, _) in unanswered.values().rev() {
                tasks.push_front(Task::Resolve(query.clone()));
            }
            tasks.push_front(Task::Configure(config.clone().unwrap()));
        }
        run_instance(&shared).await.unwrap_err();
        shared.state.lock().unwrap().deaths += 1;
    }
}

async fn run_instance(shared: &Arc<Shared>) -> wasmtime::Result<()> {
    let (linker, component) = loaded();
    let mut wasi = WasiCtxBuilder::new();
    if shared.network == Network::All {
        wasi.inherit_network().allow_udp(true).allow_tcp(true);
    }
    let context = Context {
        wasi: wasi.build(),
        table: ResourceTable::new(),
        shared: Arc::clone(shared),
    };
    let mut store = Store::new(linker.engine(), context);
    // No call of these tests is long; the test itself has an end.
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = wit::DnsResolver::instantiate_async(&mut store, component, linker).await?;
    instance.fumehood_dns_resolver().call_run(&mut store).await
}

/// Compiled once for all tests, under the engine's own settings.
fn loaded() -> &'static (Linker<Context>, Component) {
    static LOADED: OnceLock<(Linker<Context>, Component)> = OnceLock::new();
    LOADED.get_or_init(|| {
        let engine = Engine::new(&fumehood_wasm::code_config()).unwrap();
        let component = Component::from_file(&engine, artifacts::component("dns")).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wit::fumehood::guest::panic::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).unwrap();
        wit::fumehood::dns::inbox::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).unwrap();
        preferences::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).unwrap();
        wit::fumehood::dns::secure::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).unwrap();
        signatures::add_to_linker::<_, HasSelf<_>>(&mut linker, |it| it).unwrap();
        (linker, component)
    })
}

struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
    shared: Arc<Shared>,
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Ready while there is a task.
struct Ready(Arc<Shared>);

#[wasmtime_wasi::async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {
        loop {
            let woken = self.0.wake.notified();
            {
                let state = self.0.state.lock().unwrap();
                if state.poisoned || !state.tasks.is_empty() {
                    return;
                }
            }
            woken.await;
        }
    }
}

impl preferences::Host for Context {
    fn current(&mut self) -> wasmtime::Result<preferences::Values> {
        Ok(preferences::Values {
            cache_entries: u32::MAX,
            max_ttl_s: u32::MAX,
        })
    }
}

impl wit::fumehood::dns::inbox::Host for Context {
    fn subscribe(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let ready = self.table.push(Ready(Arc::clone(&self.shared)))?;
        subscribe(&mut self.table, ready)
    }

    fn take(&mut self) -> wasmtime::Result<Vec<Task>> {
        let mut state = self.shared.state.lock().unwrap();
        if std::mem::take(&mut state.poisoned) {
            return Err(wasmtime::Error::msg("poisoned"));
        }
        let count = state.tasks.len().min(fumehood_guest_dns::MAX_TASKS);
        Ok(state.tasks.drain(..count).collect())
    }

    fn deliver(&mut self, id: u64, outcome: Outcome) -> wasmtime::Result<()> {
        let mut state = self.shared.state.lock().unwrap();
        match state.unanswered.remove(&id) {
            // Who has gone away needs no answer.
            Some((_, sender)) => drop(sender.send(outcome)),
            None => state.strays += 1,
        }
        Ok(())
    }
}

impl wit::fumehood::guest::panic::Host for Context {
    fn panicked(&mut self, message: String, location: String) -> wasmtime::Result<()> {
        panic!("the guest panicked at {location}: {message}");
    }
}

impl types::Host for Context {}

impl wit::fumehood::dns::secure::Host for Context {}

impl signatures::Host for Context {
    fn digest(&mut self, _: signatures::DigestAlgorithm, _: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        wasmtime::bail!("nothing is validated here")
    }

    fn verify(
        &mut self,
        _: signatures::SignatureAlgorithm,
        _: Vec<u8>,
        _: Vec<u8>,
        _: Vec<u8>,
    ) -> wasmtime::Result<bool> {
        wasmtime::bail!("nothing is validated here")
    }
}

impl wit::fumehood::dns::secure::HostConnecting for Context {
    fn new(&mut self, _: types::Server) -> wasmtime::Result<Resource<Nothing>> {
        Ok(self.table.push(Nothing)?)
    }

    fn subscribe(&mut self, this: Resource<Nothing>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, this)
    }

    fn finish(&mut self, _: Resource<Nothing>) -> wasmtime::Result<Option<Result<Streams, Error>>> {
        Ok(Some(Err(Error::Unsupported)))
    }

    fn drop(&mut self, this: Resource<Nothing>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

type Streams = (
    Resource<wasmtime_wasi::p2::DynInputStream>,
    Resource<wasmtime_wasi::p2::DynOutputStream>,
);

impl wit::fumehood::dns::secure::HostPosting for Context {
    fn new(&mut self, _: types::Server, _: Vec<u8>) -> wasmtime::Result<Resource<Nothing>> {
        Ok(self.table.push(Nothing)?)
    }

    fn subscribe(&mut self, this: Resource<Nothing>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, this)
    }

    fn finish(&mut self, _: Resource<Nothing>) -> wasmtime::Result<Option<Result<Vec<u8>, Error>>> {
        Ok(Some(Err(Error::Unsupported)))
    }

    fn drop(&mut self, this: Resource<Nothing>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}
