//! Two versions of each module that is swapped.

use std::borrow::Cow;

use fumehood::{Engine, Module, ModuleError};

/// Two versions, one of them current.
pub(super) struct Pair {
    pub(super) name: &'static str,
    versions: [Module; 2],
    current: usize,
}

/// Those of the run.
pub(super) struct Versions {
    /// The sound one, and the one that poison traps.
    pub(super) http1: Pair,
    /// The built-in one, and the same code loaded once more as another version.
    pub(super) tls: Pair,
    others: Vec<Module>,
}

impl Pair {
    pub(super) fn current(&self) -> &Module {
        &self.versions[self.current]
    }

    pub(super) fn other(&self) -> &Module {
        &self.versions[1 - self.current]
    }

    /// The other has become current.
    pub(super) fn turn(&mut self) {
        self.current = 1 - self.current;
    }

    /// The current one last, as an engine wants them.
    fn in_order(&self) -> [Module; 2] {
        [self.other().clone(), self.current().clone()]
    }
}

impl Versions {
    /// The built-in versions are current. `None` if a module is not built in.
    pub(super) fn new() -> Option<Self> {
        let mut modules = Module::embedded_defaults();
        let mut take = |name: &str| {
            let index = modules.iter().position(|module| module.name == name)?;
            Some(modules.swap_remove(index))
        };
        let (http1, tls) = (take("http1")?, take("tls")?);
        let twin = twin(&tls);
        let mut faulty = Module::embedded_faulty_http1();
        faulty.version = Cow::Owned(format!("{}+faulty", faulty.version));
        Some(Versions {
            http1: Pair {
                name: "http1",
                versions: [http1, faulty],
                current: 0,
            },
            tls: Pair {
                name: "tls",
                versions: [tls, twin],
                current: 0,
            },
            others: modules,
        })
    }

    /// What an engine is launched with.
    pub(super) fn modules(&self) -> Vec<Module> {
        let mut all = self.others.clone();
        all.extend(self.http1.in_order());
        all.extend(self.tls.in_order());
        all
    }

    /// From here on poison has something to bite on.
    pub(super) async fn expose(&mut self, engine: &Engine) -> Result<(), ModuleError> {
        let faulty = self.http1.other().digest;
        engine.modules().swap(self.http1.name, faulty).await?;
        self.http1.turn();
        Ok(())
    }
}

/// The same code under another digest, which is what tells versions apart.
fn twin(module: &Module) -> Module {
    let mut twin = module.clone();
    twin.version = Cow::Owned(format!("{}+twin", module.version));
    twin.digest = module.digest.map(|byte| !byte);
    twin
}
