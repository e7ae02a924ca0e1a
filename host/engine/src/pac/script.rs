//! One script and its instance. An instance that ended is made again, with the
//! script in it, for the next call.

use std::sync::Arc;
use std::time::Duration;

use super::bindings::exports::fumehood::pac::evaluator as wire;
use super::module::{CALL_LIMIT, Instance, LOAD_LIMIT, PacModule};
use super::state::Known;
use crate::instance::Fault;
use crate::registry::Version;

type Pac = Arc<Version<PacModule>>;

/// A script, in an instance of its own while that lives.
pub(crate) struct Script {
    source: Vec<u8>,
    surroundings: wire::Surroundings,
    /// How long a call may keep the processor.
    call_limit: Duration,
    /// Empty before it was loaded, after a trap, and after the module was replaced.
    running: Option<Running>,
}

struct Running {
    /// What it is an instance of.
    version: Pac,
    instance: Instance,
}

impl Script {
    /// Nothing of it runs yet.
    pub(crate) fn new(source: Vec<u8>, surroundings: wire::Surroundings) -> Script {
        Script {
            source,
            surroundings,
            call_limit: CALL_LIMIT,
            running: None,
        }
    }

    /// Lets a call keep the processor for so many times as long.
    #[cfg(test)]
    pub(super) fn extend_calls(&mut self, times: u32) {
        self.call_limit *= times;
    }

    /// Loads it into a fresh instance.
    ///
    /// # Errors
    /// When the guest ends over it; within, the guest's own answer.
    pub(crate) fn load(
        &mut self,
        version: &Pac,
        at: wire::Moment,
        known: &Arc<Known>,
    ) -> Result<Result<(), wire::LoadError>, Fault> {
        let _active = version.module.activate();
        // First, so that the pool has room.
        self.running = None;
        let mut instance = version.module.instantiate()?;
        instance.store.data_mut().known = Arc::clone(known);
        let place = &self.surroundings;
        instance.call("surround", LOAD_LIMIT, |guest, store| {
            guest.call_surround(store, place)
        })?;
        let source = &self.source;
        let loaded = instance.call("load", LOAD_LIMIT, |guest, store| {
            guest.call_load(store, source, at)
        })?;
        if loaded.is_ok() {
            self.running = Some(Running {
                version: Arc::clone(version),
                instance,
            });
        }
        Ok(loaded)
    }

    /// Asks which proxies to try.
    ///
    /// # Errors
    /// When the guest ends over it; within, the guest's own answer.
    pub(crate) fn find(
        &mut self,
        version: &Pac,
        target: &wire::Target,
        at: wire::Moment,
        known: &Arc<Known>,
    ) -> Result<Result<wire::Finding, wire::CallError>, Fault> {
        let call = |guest: &wire::Guest, store: &mut _| guest.call_find(store, target, at);
        match self.call(version, at, known, "find", call)? {
            Ok(found) => Ok(found),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The same, and what the script called.
    ///
    /// # Errors
    /// As for [`Script::find`].
    pub(crate) fn explain(
        &mut self,
        version: &Pac,
        target: &wire::Target,
        at: wire::Moment,
        known: &Arc<Known>,
    ) -> Result<wire::Explained, Fault> {
        let call = |guest: &wire::Guest, store: &mut _| guest.call_explain(store, target, at);
        let explained = self.call(version, at, known, "explain", call)?;
        Ok(explained.unwrap_or_else(|error| wire::Explained {
            outcome: Err(error),
            steps: Vec::new(),
            earlier_steps: 0,
        }))
    }

    /// Makes a call, on an instance with the script in it.
    fn call<T>(
        &mut self,
        version: &Pac,
        at: wire::Moment,
        known: &Arc<Known>,
        name: &'static str,
        call: impl FnOnce(
            &wire::Guest,
            &mut wasmtime::Store<super::state::State>,
        ) -> wasmtime::Result<T>,
    ) -> Result<Result<T, wire::CallError>, Fault> {
        // Another version may have become current.
        self.running
            .take_if(|running| !Arc::ptr_eq(&running.version, version));
        if self.running.is_none()
            && let Err(error) = self.load(version, at, known)?
        {
            return Ok(Err(of_load(error)));
        }
        let Some(mut running) = self.running.take() else {
            return Ok(Err(wire::CallError::NotLoaded));
        };
        let _active = version.module.activate();
        running.instance.store.data_mut().known = Arc::clone(known);
        let told = running.instance.call(name, self.call_limit, call)?;
        self.running = Some(running);
        Ok(Ok(told))
    }

    /// Linear memory, in bytes; 0 where no instance is.
    #[cfg(any(test, feature = "measure"))]
    pub(crate) fn memory_bytes(&self) -> u64 {
        let running = self.running.as_ref();
        running.map_or(0, |running| {
            running.instance.store.data().guest.alive.memory_bytes()
        })
    }
}

/// It loaded before, so what fails now is said of the call.
fn of_load(error: wire::LoadError) -> wire::CallError {
    match error {
        wire::LoadError::TooLong => wire::CallError::NotLoaded,
        wire::LoadError::Syntax(thrown) | wire::LoadError::Script(thrown) => {
            wire::CallError::Script(thrown)
        }
        wire::LoadError::Limit(why) => wire::CallError::Limit(why),
        wire::LoadError::Needs(name) => wire::CallError::Needs(name),
        wire::LoadError::NoFunction => wire::CallError::NoFunction,
    }
}
