//! The modules of a running engine: list, load, swap, roll back, inspect.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use fumehood_control::{Digest, ModuleStatus, ToEngine};
use fumehood_sandbox::sealed;

use super::Module;
use super::candidate::Candidate;
use super::compile::Made;
use super::error::ModuleError;
use super::identity::ModuleId;
use super::info::{Listing, ModuleInfo};
use super::registry::{Known, Lot, Origin};
use super::trust::SignatureState;
use crate::desk::{self, Answer};
use crate::{Engine, LaunchError, hex};

/// The modules of an engine. Made by [`Engine::modules`]; cheap to clone.
///
/// All of it can be done while exchanges are under way: new connections take
/// the version that is current, those under way go on with theirs.
#[derive(Clone)]
pub struct Modules {
    engine: Engine,
}

/// What came of loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Name and version.
    pub id: ModuleId,
    /// SHA-256 of the component: what [`Modules::swap`] wants.
    pub digest: Digest,
    /// What is known of its signature.
    pub signature: SignatureState,
    /// Its native code was in the cache.
    pub cached: bool,
    /// Time the engine took to load and link it, in microseconds.
    pub took_us: u64,
}

/// What came of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// What was current.
    pub from: Digest,
    /// What is.
    pub to: Digest,
    /// Time of the swap itself, in microseconds.
    pub took_us: u64,
}

impl Modules {
    pub(crate) fn new(engine: Engine) -> Self {
        Modules { engine }
    }

    /// All versions that the engine holds, and files that were refused.
    ///
    /// # Errors
    /// [`ModuleError::Engine`], [`ModuleError::NoAnswer`].
    pub async fn list(&self) -> Result<Listing, ModuleError> {
        Ok(self.listing(&self.inventory().await?))
    }

    /// What is known here, and what the engine says of it.
    pub(crate) fn listing(&self, statuses: &[ModuleStatus]) -> Listing {
        let registry = &self.engine.shared.registry;
        Listing::new(&registry.all(), statuses, &registry.refused())
    }

    /// All versions of one module.
    ///
    /// # Errors
    /// [`ModuleError::Unknown`], and as for [`Modules::list`].
    pub async fn inspect(&self, name: &str) -> Result<Vec<ModuleInfo>, ModuleError> {
        let mut modules = self.list().await?.modules;
        modules.retain(|info| info.name == name);
        match modules.is_empty() {
            true => Err(ModuleError::Unknown(name.to_owned())),
            false => Ok(modules),
        }
    }

    /// Loads a component as a candidate. It is judged by the builder's
    /// [`crate::ModuleTrust`], compiled in a sandboxed child unless its code is
    /// in the cache, and linked by the engine, which refuses what imports
    /// anything that its kind may not.
    ///
    /// With no `id` the file's name says what it is: `http1@1.2.0.wasm`.
    ///
    /// # Errors
    /// [`ModuleError`]; nothing has changed then.
    pub async fn load(&self, file: &Path, id: Option<ModuleId>) -> Result<Loaded, ModuleError> {
        let path = file.to_owned();
        let candidate = blocking(move || Candidate::of_file(&path, id)).await?;
        let origin = Origin::File(candidate.path.clone());
        self.admit(candidate, origin).await
    }

    /// Makes a version current: one that was loaded, or was current before,
    /// or one that was quarantined, which begins anew.
    ///
    /// # Errors
    /// [`ModuleError`]; nothing has changed then.
    pub async fn swap(&self, name: &str, digest: Digest) -> Result<Swapped, ModuleError> {
        // An engine that was launched since does not have it.
        if let Some(module) = self.engine.shared.registry.quarantined(name, &digest) {
            self.offer(module).await?;
        }
        let question = ToEngine::Swap {
            name: name.to_owned(),
            digest,
        };
        self.change(name, question).await
    }

    /// As [`Modules::swap`], for the version whose digest begins with these
    /// hexadecimal digits, of which there are 4 at least.
    ///
    /// # Errors
    /// As there, and [`ModuleError::Ambiguous`].
    pub async fn swap_to(&self, name: &str, digest: &str) -> Result<Swapped, ModuleError> {
        let digest = self
            .engine
            .shared
            .registry
            .find(name, &digest.to_ascii_lowercase())?;
        self.swap(name, digest).await
    }

    /// Makes the version current again that was current before the present one.
    ///
    /// # Errors
    /// [`ModuleError`]; nothing has changed then.
    pub async fn rollback(&self, name: &str) -> Result<Swapped, ModuleError> {
        self.change(
            name,
            ToEngine::Rollback {
                name: name.to_owned(),
            },
        )
        .await
    }

    /// Judges a file as [`Modules::load`] would, and compiles it, without
    /// loading it.
    ///
    /// # Errors
    /// [`ModuleError`]
    pub async fn verify(
        &self,
        file: &Path,
        id: Option<ModuleId>,
    ) -> Result<ModuleInfo, ModuleError> {
        let config = &self.engine.shared.config;
        super::verify(file, id, &config.trust, &config.maker()).await
    }

    /// Loads every module of a directory as a candidate. Files that are refused
    /// are in [`Modules::list`], with the reason.
    ///
    /// # Errors
    /// [`ModuleError::File`] when the directory cannot be read; [`ModuleError::Engine`]
    /// while there is no engine, which rests after its deaths.
    pub async fn load_directory(&self, folder: &Path) -> Result<(), ModuleError> {
        super::watch::take_all(&self.engine, folder).await
    }

    /// Takes a candidate all the way into the engine.
    pub(crate) async fn admit(
        &self,
        candidate: Candidate,
        origin: Origin,
    ) -> Result<Loaded, ModuleError> {
        let shared = &self.engine.shared;
        let signature = judge(&shared.config.trust, &candidate).await?;
        let maker = shared.config.maker();
        let mut made = maker.make(&candidate).await?;
        let mut answer = self.offer(module_of(&candidate, &made)).await?;
        // The code may be of a build that only seems to be ours: once more, with new code.
        if made.cached && matches!(answer, Answer::Refused(_)) {
            made = maker.make_anew(&candidate).await?;
            answer = self.offer(module_of(&candidate, &made)).await?;
        }
        let (took_us, schemes) = match answer {
            Answer::Loaded {
                digest,
                took_us,
                schemes,
            } if digest == candidate.digest => (took_us, schemes),
            Answer::Refused(why) => {
                return Err(ModuleError::Refused {
                    module: candidate.id.to_string(),
                    why,
                });
            }
            _ => return Err(astray()),
        };
        let (trust, id) = (shared.config.trust.clone(), candidate.id.clone());
        blocking(move || trust.remember(&id)).await?;
        shared.registry.add(Known {
            module: module_of(&candidate, &made),
            origin,
            signature: signature.clone(),
            component_bytes: candidate.bytes.len() as u64,
            imports: made.native.imports,
            exports: made.native.exports,
            lot: Lot::Sound,
            schemes,
        });
        let Candidate { id, digest, .. } = candidate;
        Ok(Loaded {
            id,
            digest,
            signature,
            cached: made.cached,
            took_us,
        })
    }

    /// Adds a module that is built in, and makes it current.
    pub(crate) async fn install(&self, module: Module) -> Result<(), ModuleError> {
        if let Answer::Refused(why) = self.offer(module.clone()).await? {
            return Err(ModuleError::Refused {
                module: module.name.into_owned(),
                why,
            });
        }
        let (name, digest) = (module.name.clone(), module.digest);
        let registry = &self.engine.shared.registry;
        registry.add(Known::embedded(module));
        self.swap(&name, digest).await.map(drop)
    }

    async fn change(&self, name: &str, question: ToEngine) -> Result<Swapped, ModuleError> {
        match self.ask(question, None).await? {
            Answer::Swapped { from, to, took_us } => {
                let registry = &self.engine.shared.registry;
                registry.make_current(name, &to);
                for digest in registry.to_go(name) {
                    self.withdraw(name, digest).await?;
                }
                Ok(Swapped { from, to, took_us })
            }
            Answer::Refused(why) => Err(ModuleError::Refused {
                module: name.to_owned(),
                why,
            }),
            _ => Err(astray()),
        }
    }

    /// A version's file is gone: nobody is to take it any more. The current one
    /// stays until another is.
    pub(crate) async fn withdraw(&self, name: &str, digest: Digest) -> Result<(), ModuleError> {
        let registry = &self.engine.shared.registry;
        let question = ToEngine::Withdraw {
            name: name.to_owned(),
            digest,
        };
        match self.ask(question, None).await? {
            Answer::Withdrawn => registry.forget(name, &digest),
            Answer::Refused(_) => registry.will_go(name, &digest),
            _ => return Err(astray()),
        }
        Ok(())
    }

    async fn offer(&self, module: Module) -> Result<Answer, ModuleError> {
        let header = module.header();
        let sealing = blocking(move || {
            sealed(&module.name, &[&module.code]).map_err(|e| ModuleError::Compiler(e.to_string()))
        });
        self.ask(ToEngine::Module(header), Some(sealing.await?))
            .await
    }

    async fn inventory(&self) -> Result<Vec<ModuleStatus>, ModuleError> {
        match self.ask(ToEngine::Inspect, None).await? {
            Answer::Inventory(all) => Ok(all.modules),
            _ => Err(astray()),
        }
    }

    /// Asks the engine. One that died without an answer has changed nothing that
    /// outlives it, so the one launched in its place is asked the same. Where none is
    /// launched for now, that death is the answer and not the rest: a question that
    /// ends engines is not to be put again and again.
    async fn ask(&self, question: ToEngine, fd: Option<OwnedFd>) -> Result<Answer, ModuleError> {
        let shared = &self.engine.shared;
        let fd = fd.map(Arc::new);
        let engine = shared.running().await?.engine;
        match desk::ask(&engine, question.clone(), fd.clone()).await {
            Err(error) if error.is_engines_death() => {
                engine.life.end();
                let engine = match shared.running().await {
                    Err(LaunchError::Resting(_)) => return Err(error),
                    running => running?.engine,
                };
                desk::ask(&engine, question, fd).await
            }
            answer => answer,
        }
    }
}

pub(super) fn module_of(candidate: &Candidate, made: &Made) -> Module {
    Module {
        name: candidate.id.name().to_owned().into(),
        version: candidate.id.version().to_string().into(),
        digest: candidate.digest,
        code: made.native.code.clone().into(),
    }
}

/// An answer to another question.
fn astray() -> ModuleError {
    crate::Error::from(crate::error::ChannelError::OutOfOrder).into()
}

/// Judges, off the runtime's thread: it reads a file.
pub(super) async fn judge(
    trust: &super::ModuleTrust,
    candidate: &Candidate,
) -> Result<SignatureState, ModuleError> {
    let (trust, id) = (trust.clone(), candidate.id.clone());
    let (digest, signature) = (candidate.digest, candidate.signature);
    blocking(move || trust.judge(&id, &digest, signature.as_ref())).await
}

/// Runs what blocks, on files or on memory that is sealed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ModuleError> + Send + 'static,
) -> Result<T, ModuleError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(ModuleError::Compiler(format!("a thread ended: {error}"))),
    }
}

impl Loaded {
    /// The digest in hexadecimal.
    #[must_use]
    pub fn digest_hex(&self) -> String {
        hex::encode(&self.digest)
    }
}
