//! The `pac` guest: one long-lived instance a script, remade after a trap.
//!
//! Not among the modules an engine starts with. Tests and benches drive it by
//! this face, which is also what the engine will have of it.
#![cfg_attr(
    not(feature = "measure"),
    allow(
        unreachable_pub,
        unused_imports,
        reason = "benches see it; to the engine's own tests it is private"
    )
)]

mod bindings;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Store};

use crate::code::CodeLoader;
use crate::instance::Ticker;
use bindings::exports::fumehood::pac::evaluator as wire;
use bindings::fumehood::guest::panic;
use bindings::fumehood::pac::names;
use bindings::{PacEvaluator, PacEvaluatorPre};
use store::State;

pub use wire::{
    CallError, Endpoint, Finding, LoadError, Moment, Proxy, Surroundings, Target, Transition,
};

/// How long a call may keep the processor. Chromium has no such bound; scripts
/// of thousands of rules answer in a few milliseconds.
pub const CALL_LIMIT: Duration = Duration::from_secs(1);

/// The same for loading, which parses up to 1 MiB.
pub const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// A script's guest that ended: it trapped, hung, or had no room. The next
/// call gets a fresh one, with the script loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It kept the processor longer than it may.
    #[error("the script kept the processor for longer than it may")]
    Hang,
    /// It asked for more memory than it may have.
    #[error("the script needs more than {} MiB of memory", fumehood_wasm::MAX_EVALUATOR_MEMORY >> 20)]
    Memory,
    /// Another trap: the stack's end, or a fault of the guest.
    #[error("the evaluator trapped: {0}")]
    Trap(String),
}

/// The loaded module.
pub struct Module {
    engine: Engine,
    ticker: Ticker,
    pre: PacEvaluatorPre<State>,
}

impl Module {
    /// Loads native code that our compiler made.
    ///
    /// # Errors
    /// One sentence on why it is refused.
    pub fn load(native: &[u8]) -> Result<Module, String> {
        let text = |error: wasmtime::Error| format!("{error:#}");
        let config = fumehood_wasm::evaluator_config(store::INSTANCES);
        let loader = CodeLoader::new(config).map_err(text)?;
        let sealed = fumehood_sandbox::sealed("pac", &[native]).map_err(|e| e.to_string())?;
        let (component, _) = loader.load(sealed).map_err(|e| e.to_string())?;
        let engine = loader.engine().clone();
        let mut linker = Linker::new(&engine);
        panic::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state).map_err(text)?;
        names::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state).map_err(text)?;
        let pre = linker.instantiate_pre(&component).map_err(text)?;
        Ok(Module {
            ticker: Ticker::start(engine.clone()).map_err(|e| e.to_string())?,
            pre: PacEvaluatorPre::new(pre).map_err(text)?,
            engine,
        })
    }

    /// A script, loaded into an instance of its own.
    ///
    /// # Errors
    /// When the guest ends over it; within, the guest's own answer.
    pub fn script(
        &self,
        script: &[u8],
        surroundings: Surroundings,
        at: Moment,
    ) -> Result<Result<Script<'_>, LoadError>, Ended> {
        let mut one = Script {
            module: self,
            source: script.to_vec(),
            surroundings,
            known: HashMap::new(),
            running: None,
        };
        Ok(match one.start(at)? {
            Ok(running) => {
                one.running = Some(running);
                Ok(one)
            }
            Err(error) => Err(error),
        })
    }
}

/// One script and its instance.
pub struct Script<'a> {
    module: &'a Module,
    source: Vec<u8>,
    surroundings: Surroundings,
    known: HashMap<String, Vec<String>>,
    /// Empty after a trap.
    running: Option<Running>,
}

struct Running {
    store: Store<State>,
    guest: PacEvaluator,
}

impl Script<'_> {
    /// Says what a name resolves to from now on; nothing for one that does not.
    /// Until then a call that asks for it ends with `needs`.
    pub fn know(&mut self, name: &str, addresses: &[&str]) {
        let addresses: Vec<String> = addresses.iter().map(|text| (*text).to_owned()).collect();
        if let Some(running) = &mut self.running {
            let known = &mut running.store.data_mut().known;
            known.insert(name.to_owned(), addresses.clone());
        }
        self.known.insert(name.to_owned(), addresses);
    }

    /// Asks the script which proxies to try.
    ///
    /// # Errors
    /// When the guest ends over it; within, the guest's own answer.
    pub fn find(
        &mut self,
        target: &Target,
        at: Moment,
    ) -> Result<Result<Finding, CallError>, Ended> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => match self.start(at)? {
                Ok(running) => running,
                Err(_) => return Ok(Err(CallError::NotLoaded)),
            },
        };
        let _active = self.module.ticker.activate();
        store::arm(&mut running.store, CALL_LIMIT);
        let guest = running.guest.fumehood_pac_evaluator();
        match guest.call_find(&mut running.store, target, at) {
            Ok(found) => {
                self.running = Some(running);
                Ok(found)
            }
            Err(error) => Err(store::ended(running.store.data(), &error)),
        }
    }

    /// A fresh instance with the script in it.
    fn start(&self, at: Moment) -> Result<Result<Running, LoadError>, Ended> {
        let _active = self.module.ticker.activate();
        let mut store = store::new(&self.module.engine, self.known.clone());
        store::arm(&mut store, LOAD_LIMIT);
        let made = self.module.pre.instantiate(&mut store).and_then(|guest| {
            let evaluator = guest.fumehood_pac_evaluator();
            evaluator.call_surround(&mut store, &self.surroundings)?;
            let loaded = evaluator.call_load(&mut store, &self.source, at)?;
            Ok(loaded.map(|()| guest))
        });
        match made {
            Ok(loaded) => Ok(loaded.map(|guest| Running { store, guest })),
            Err(error) => Err(store::ended(store.data(), &error)),
        }
    }

    /// Linear memory, in bytes; 0 where no instance is.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.running
            .as_ref()
            .map_or(0, |running| running.store.data().memory)
    }
}
