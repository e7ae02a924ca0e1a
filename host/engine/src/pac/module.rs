//! The loaded guest: fresh instances of it, and what needs no script held.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fumehood_control::MAX_PAC_SCRIPTS;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::bindings::exports::fumehood::pac::evaluator as wire;
use super::bindings::fumehood::guest::panic;
use super::bindings::fumehood::pac::names;
use super::bindings::{PacEvaluator, PacEvaluatorPre};
use super::state::{self, State};
use super::worker::STACK_BYTES;
use crate::code::CodeLoader;
use crate::instance::{Active, Fault, Ticker, Trace};
use crate::registry::About;

/// Instances in the pool: one for each script that is held, one for each that is
/// loaded in another's place, and some for lint and for a new version's trial.
const INSTANCES: u32 = 12;
const _: () = assert!(INSTANCES as usize >= 2 * MAX_PAC_SCRIPTS + 2);

/// How long a call may keep the processor. Chromium has no such bound; scripts
/// of thousands of rules answer in a few milliseconds.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(1);

/// The same for loading, and for lint, which parse up to 1 MiB.
pub(crate) const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// Where evaluators run: apart from other guests, with more memory each.
pub(crate) struct Evaluators {
    pub(crate) loader: CodeLoader,
    /// Started with the first module: most engines run no script.
    ticker: OnceLock<Ticker>,
}

impl Evaluators {
    /// A pool of their own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new() -> wasmtime::Result<Evaluators> {
        Ok(Evaluators {
            loader: CodeLoader::new(fumehood_wasm::evaluator_config(INSTANCES))?,
            ticker: OnceLock::new(),
        })
    }

    fn ticker(&self) -> wasmtime::Result<Ticker> {
        if let Some(ticker) = self.ticker.get() {
            return Ok(ticker.clone());
        }
        let ticker = Ticker::start(self.loader.engine().clone())?;
        Ok(self.ticker.get_or_init(|| ticker).clone())
    }
}

/// A loaded `pac` module, ready to make instances.
pub(crate) struct PacModule {
    about: Arc<About>,
    engine: Engine,
    ticker: Ticker,
    pre: PacEvaluatorPre<State>,
}

/// A fresh guest, and its store.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    guest: PacEvaluator,
}

impl PacModule {
    /// Links the module to its imports.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the interface.
    pub(crate) fn new(
        evaluators: &Evaluators,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<PacModule> {
        let engine = evaluators.loader.engine().clone();
        let mut linker = Linker::new(&engine);
        panic::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        names::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(PacModule {
            about,
            ticker: evaluators.ticker()?,
            pre: PacEvaluatorPre::new(linker.instantiate_pre(component)?)?,
            engine,
        })
    }

    /// Keeps the clock going that ends calls, while it lives.
    pub(super) fn activate(&self) -> Active {
        self.ticker.activate()
    }

    /// A fresh instance without a script.
    ///
    /// # Errors
    /// When the pool has no room or the guest traps in its start.
    pub(super) fn instantiate(&self) -> Result<Instance, Fault> {
        let mut store = state::new(&self.engine, &self.about);
        state::arm(&mut store, LOAD_LIMIT);
        match self.pre.instantiate(&mut store) {
            Ok(guest) => {
                store.data_mut().guest.entered = true;
                Ok(Instance { store, guest })
            }
            Err(error) => Err(Fault::of_call(&store.data().guest, &error)),
        }
    }

    /// Tries whether it can be instantiated, on a thread with the stack that it
    /// may use up.
    ///
    /// # Errors
    /// See [`PacModule::instantiate`].
    pub(crate) fn try_out(&self) -> wasmtime::Result<Result<(), Fault>> {
        let _active = self.activate();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let trial = thread.spawn_scoped(scope, || self.instantiate().map(drop))?;
            let ended = |_| wasmtime::Error::msg("the thread of its trial ended");
            trial.join().map_err(ended)
        })
    }

    /// Looks a script over, in an instance of its own.
    ///
    /// # Errors
    /// When the guest ends over it.
    pub(super) fn lint(&self, script: &[u8]) -> Result<Vec<wire::Remark>, Fault> {
        let _active = self.activate();
        let mut instance = self.instantiate()?;
        instance.call("lint", LOAD_LIMIT, |guest, store| {
            guest.call_lint(store, script)
        })
    }
}

impl Instance {
    /// Calls an export, within so much time.
    ///
    /// # Errors
    /// The guest's end; the instance is of no further use then.
    pub(super) fn call<T>(
        &mut self,
        name: &'static str,
        limit: Duration,
        call: impl FnOnce(&wire::Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        state::arm(&mut self.store, limit);
        let state = &mut self.store.data_mut().guest;
        state.calls += 1;
        state.trail.note(Trace::Call(name));
        let told = call(self.guest.fumehood_pac_evaluator(), &mut self.store);
        told.map_err(|error| Fault::of_call(&self.store.data().guest, &error))
    }
}
