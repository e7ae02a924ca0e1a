//! Scripts on the thread of whoever asks.

use std::sync::Arc;

use fumehood_control::{PacMoment, PacSurroundings, PacTarget};

use super::Code;
use crate::pac::{PacModule, Script, measured};
use crate::registry::{Limits, Registry, Version};
use crate::tls::Anchors;

/// The loaded evaluator.
pub struct Pac {
    version: Arc<Version<PacModule>>,
    _registry: Registry,
}

/// A script in an instance of its own.
pub struct PacScript {
    version: Arc<Version<PacModule>>,
    script: Script,
}

impl Pac {
    /// Loads it.
    ///
    /// # Errors
    /// One sentence on why it is refused.
    pub fn load(code: &Code) -> Result<Pac, String> {
        let registry = Registry::new(Limits::for_one(), Anchors::default());
        let registry = registry.map_err(|e| e.to_string())?;
        let sealed = fumehood_sandbox::sealed("pac", &[&code.native]).map_err(|e| e.to_string())?;
        registry.load(&code.header, sealed)?;
        registry.swap(&code.header.name, code.header.digest)?;
        let version = registry.pac.current().map_err(|e| format!("{e:?}"))?;
        Ok(Pac {
            version,
            _registry: registry,
        })
    }

    /// Loads a script that resolves no names.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn script(&self, source: &[u8], at: PacMoment) -> Result<PacScript, String> {
        let place = PacSurroundings::default();
        let script = measured::load(&self.version, source, &place, at)?;
        Ok(PacScript {
            version: Arc::clone(&self.version),
            script,
        })
    }
}

impl PacScript {
    /// Asks it; gives the first of its answers in its own words.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find(&mut self, target: &PacTarget, at: PacMoment) -> Result<String, String> {
        measured::find(&mut self.script, &self.version, target, at)
    }

    /// Linear memory of its instance, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.script.memory_bytes()
    }
}
