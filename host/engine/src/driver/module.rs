//! The world `fumehood:driver/driver`: loaded, described, called.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fumehood_control::{Exchange, Field, Instance, MAX_SCHEMES};
use fumehood_policy::{ServedScheme, Transport};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::access::{Access, Log};
use super::bindings::exports::fumehood::driver::client as wire;
use super::bindings::{Driver, DriverPre};
use super::link;
use super::state::{DriverState, link_last_words};
use crate::instance::{Fault, GuestState, Trace, arm};
use crate::registry::About;

pub(super) use wire::{Failure, ResponseHead};

/// How long a driver may take to say what it serves. It can reach nothing, so
/// there is nothing to wait for; a crowded machine gets the rest. Less than the embedder
/// waits for an engine, which asks all of its drivers at once before it is ready.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(10);

/// A loaded driver, ready to make instances.
pub(crate) struct DriverModule {
    about: Arc<About>,
    engine: Engine,
    pre: DriverPre<DriverState>,
    /// One permit a stack that the pool has.
    stacks: Arc<Semaphore>,
    schemes: OnceLock<Vec<ServedScheme>>,
}

impl DriverModule {
    /// Links a driver to what drivers may import. Nothing of it runs yet.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the interface.
    pub(crate) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
        stacks: &Arc<Semaphore>,
    ) -> wasmtime::Result<DriverModule> {
        let mut linker = Linker::new(engine);
        link_last_words(&mut linker)?;
        link::interfaces(&mut linker)?;
        Ok(DriverModule {
            about,
            engine: engine.clone(),
            pre: DriverPre::new(linker.instantiate_pre(component)?)?,
            stacks: Arc::clone(stacks),
            schemes: OnceLock::new(),
        })
    }

    /// The schemes it serves; none before it was asked.
    pub(crate) fn schemes(&self) -> &[ServedScheme] {
        self.schemes.get().map_or(&[], Vec::as_slice)
    }

    /// Asks the driver what it serves, in an instance that reaches nothing. To
    /// be called once the sandbox is closed: this runs the guest.
    ///
    /// # Errors
    /// One sentence on what is wrong with it.
    pub(crate) async fn describe(&self) -> Result<&[ServedScheme], String> {
        if self.schemes.get().is_none() {
            let asked = async {
                let mut instance = self.instantiate(Access::none()).await?;
                instance.schemes().await
            };
            let told = tokio::time::timeout(DESCRIBE_WITHIN, asked)
                .await
                .map_err(|_| "it does not say in time what it serves".to_owned())?
                .map_err(|fault| format!("it could not say what it serves: {fault}"))?;
            let _ = self.schemes.set(check(told)?);
        }
        Ok(self.schemes())
    }

    /// A fresh instance with this way out. Waits while there are as many as may be.
    ///
    /// # Errors
    /// When the pool has no room or the guest traps in its start.
    pub(crate) async fn instantiate(&self, access: Access) -> Result<DriverInstance, Fault> {
        // It is never closed; were it, the pool would refuse.
        let stack = Arc::clone(&self.stacks).acquire_owned().await.ok();
        let mut store = DriverState::store(&self.engine, GuestState::new(&self.about), access);
        arm(&mut store);
        store.set_epoch_deadline(1);
        let budget = store.data().budget.clone();
        match budget.run(self.pre.instantiate_async(&mut store)).await {
            Ok(driver) => {
                store.data_mut().guest.entered = true;
                Ok(DriverInstance {
                    driver,
                    store,
                    body_bytes: 0,
                    _stack: stack,
                })
            }
            Err(error) => Err(Fault::of_call(&store.data().guest, &error)),
        }
    }
}

/// What a driver says it serves, if it may.
fn check(told: Vec<wire::Scheme>) -> Result<Vec<ServedScheme>, String> {
    if told.is_empty() || told.len() > MAX_SCHEMES {
        let count = told.len();
        return Err(format!(
            "it serves {count} schemes, and a driver serves 1 to {MAX_SCHEMES}"
        ));
    }
    told.iter()
        .map(|scheme| {
            let transport = match scheme.transport {
                wire::Transport::Tcp => Transport::Tcp,
                wire::Transport::Udp => Transport::Udp,
            };
            ServedScheme::new(&scheme.name, scheme.port, transport).map_err(|why| {
                let name: String = scheme.name.chars().take(32).collect();
                format!("it cannot serve {name:?}: {why}")
            })
        })
        .collect()
}

/// One transfer's driver. Dropping it closes its sockets, in the middle of a call too.
pub(crate) struct DriverInstance {
    driver: Driver,
    store: Store<DriverState>,
    body_bytes: u64,
    _stack: Option<OwnedSemaphorePermit>,
}

impl DriverInstance {
    /// Who this is, for the journey.
    pub(super) fn describe(&self) -> Instance {
        let alive = &self.store.data().guest.alive;
        alive.about.describe(alive.number)
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        self.store.data().access.log()
    }

    /// Calls made so far.
    pub(super) fn calls(&self) -> u64 {
        self.store.data().guest.calls
    }

    /// Linear memory, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.store.data().guest.alive.memory_bytes()
    }

    /// Bytes through its sockets and of payload through its memory.
    pub(super) fn bytes(&self) -> u64 {
        self.log().bytes() + self.body_bytes
    }

    async fn schemes(&mut self) -> Result<Vec<wire::Scheme>, Fault> {
        let budget = self.before(Trace::Call("schemes"));
        let client = self.driver.fumehood_driver_client();
        let told = budget.run(client.call_schemes(&mut self.store)).await;
        told.map_err(|error| Fault::of_call(&self.store.data().guest, &error))
    }

    /// Connects, asks, and returns with the head.
    pub(super) async fn fetch(
        &mut self,
        exchange: &Exchange,
    ) -> Result<Result<ResponseHead, Failure>, Fault> {
        let budget = self.before(Trace::Call("fetch"));
        let client = self.driver.fumehood_driver_client();
        let request = wire_request(exchange);
        let told = budget
            .run(client.call_fetch(&mut self.store, &request))
            .await;
        told.map_err(|error| Fault::of_call(&self.store.data().guest, &error))
    }

    /// The next piece of payload, empty at the end.
    pub(super) async fn read_body(
        &mut self,
        at_most: u32,
    ) -> Result<Result<Vec<u8>, Failure>, Fault> {
        let budget = self.before(Trace::CallWith("read-body", at_most.into()));
        let client = self.driver.fumehood_driver_client();
        let told = budget
            .run(client.call_read_body(&mut self.store, at_most))
            .await;
        match told {
            Ok(Ok(piece)) if piece.len() as u64 > u64::from(at_most) => {
                Err(self.nonsense("more payload than it was asked for"))
            }
            Ok(told) => {
                let piece = told.as_ref().map_or(0, Vec::len) as u64;
                self.body_bytes += piece;
                let trail = &mut self.store.data_mut().guest.trail;
                trail.note(Trace::CallWith("answered", piece));
                Ok(told)
            }
            Err(error) => Err(Fault::of_call(&self.store.data().guest, &error)),
        }
    }

    /// It told what no sound driver tells.
    pub(super) fn nonsense(&self, what: &str) -> Fault {
        let detail = format!("the guest told {what}");
        Fault::of_words(&self.store.data().guest, "nonsense", detail)
    }

    /// Readies the store for its next call, and notes it.
    fn before(&mut self, trace: Trace) -> super::budget::Budget {
        arm(&mut self.store);
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.guest.calls += 1;
        state.guest.trail.note(trace);
        state.budget.clone()
    }
}

fn wire_request(exchange: &Exchange) -> wire::Request {
    let target = &exchange.target;
    let field = |field: &Field| wire::Field {
        name: field.name.clone(),
        value: field.value.clone(),
    };
    wire::Request {
        scheme: target.scheme.name().to_owned(),
        host: match target.host.address() {
            Some(address) => address.to_string(),
            None => target.host.to_string(),
        },
        port: target.port,
        path: exchange.path.clone(),
        method: exchange.method.clone(),
        fields: exchange.fields.iter().map(field).collect(),
    }
}
