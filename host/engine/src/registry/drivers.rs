//! The drivers of an engine, by name and by the schemes they serve.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use fumehood_control::{Cause, Digest, DriverSchemes, MAX_DRIVERS, ModuleStatus};
use fumehood_policy::ServedScheme;
use tokio::sync::Semaphore;

use super::{Shelf, Supervisor, Version};
use crate::driver::DriverModule;

type DriverShelf = Shelf<DriverModule>;

/// What a driver serves, or one sentence on what is wrong with it.
type Told = Result<Vec<ServedScheme>, String>;

/// All drivers. Each has a shelf of versions as any module has.
pub(crate) struct Drivers {
    shelves: RwLock<BTreeMap<String, Arc<DriverShelf>>>,
    supervisor: Arc<Supervisor>,
    /// One permit a stack in the pool.
    pub stacks: Arc<Semaphore>,
}

impl Drivers {
    pub(super) fn new(supervisor: &Arc<Supervisor>) -> Drivers {
        Drivers {
            shelves: RwLock::default(),
            supervisor: Arc::clone(supervisor),
            stacks: Arc::new(Semaphore::new(fumehood_wasm::DRIVER_STACKS as usize)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<DriverShelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<DriverShelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.values().cloned().collect()
    }

    /// A driver's shelf, a new one if there is none.
    ///
    /// # Errors
    /// One sentence when there are as many drivers as may be.
    pub(super) fn shelf(&self, name: &str) -> Result<Arc<DriverShelf>, String> {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = shelves.get(name) {
            return Ok(Arc::clone(shelf));
        }
        // One that was refused leaves an empty shelf.
        shelves.retain(|_, shelf| !shelf.is_empty());
        if shelves.len() >= MAX_DRIVERS {
            return Err(format!(
                "{MAX_DRIVERS} drivers are loaded, which is all there may be"
            ));
        }
        let shelf = Arc::new(Shelf::new(name, &self.supervisor));
        shelves.insert(name.to_owned(), Arc::clone(&shelf));
        Ok(shelf)
    }

    /// Asks a version what it serves. One that says so, and clashes with no
    /// other driver, stays; the first of its name is current at once, since
    /// nothing else does its work. Any other is taken off the shelf.
    ///
    /// # Errors
    /// One sentence on what is wrong with it.
    pub(crate) async fn introduce(&self, name: &str, digest: Digest) -> Told {
        // Not a driver, or gone already.
        let Some((shelf, version)) = self
            .get(name)
            .and_then(|shelf| shelf.version(digest).map(|version| (shelf, version)))
        else {
            return Ok(Vec::new());
        };
        let told = version.module.describe().await.map(<[_]>::to_vec);
        self.take_in(&shelf, digest, told)
    }

    /// Goes by what a version said.
    fn take_in(&self, shelf: &DriverShelf, digest: Digest, told: Told) -> Told {
        let checked = told.and_then(|schemes| self.check_clash(shelf.name(), schemes));
        match checked {
            Ok(schemes) => {
                if !shelf.has_current() {
                    shelf.swap(digest)?;
                }
                Ok(schemes)
            }
            Err(why) => {
                shelf.remove(digest);
                Err(why)
            }
        }
    }

    fn check_clash(&self, name: &str, schemes: Vec<ServedScheme>) -> Told {
        for shelf in self.all().iter().filter(|shelf| shelf.name() != name) {
            let theirs = shelf.current().map(|it| it.module.schemes().to_vec());
            let theirs = theirs.unwrap_or_default();
            let clash = |ours: &&ServedScheme| theirs.iter().any(|it| it.name() == ours.name());
            if let Some(scheme) = schemes.iter().find(clash) {
                return Err(format!(
                    "the driver {} serves {} already",
                    shelf.name(),
                    scheme.name()
                ));
            }
        }
        Ok(schemes)
    }

    /// Asks all that were loaded before the sandbox closed, at once: the embedder waits
    /// for the engine, and however many take their time, it is the time of one.
    pub(crate) async fn introduce_all(&self) -> Vec<DriverSchemes> {
        let mut asked = Vec::new();
        for shelf in self.all() {
            for status in shelf.statuses() {
                let digest = status.header.digest;
                let Some(version) = shelf.version(digest) else {
                    continue;
                };
                let asking = async move { version.module.describe().await.map(<[_]>::to_vec) };
                asked.push((Arc::clone(&shelf), digest, tokio::spawn(asking)));
            }
        }
        let mut drivers = Vec::new();
        for (shelf, digest, asking) in asked {
            let told = asking.await;
            let told = told.unwrap_or_else(|_| Err("it could not be asked".to_owned()));
            let name = shelf.name().to_owned();
            match self.take_in(&shelf, digest, told) {
                Ok(schemes) => drivers.push(DriverSchemes {
                    name,
                    digest,
                    schemes,
                }),
                // It is off the shelf, and its schemes are served by nobody.
                Err(why) => tracing::warn!(name, why, "a driver was refused"),
            }
        }
        drivers
    }

    /// The version that serves a scheme now.
    ///
    /// # Errors
    /// [`Cause::BadRequest`] when none does, [`Cause::Guest`] when its driver
    /// has no good version left.
    pub(crate) fn serving(
        &self,
        scheme: &ServedScheme,
    ) -> Result<Arc<Version<DriverModule>>, Cause> {
        let mut failed = None;
        for shelf in self.all() {
            match shelf.current() {
                Ok(version) if serves(&version, scheme) => return Ok(version),
                Ok(_) => {}
                Err(cause) if shelf.any(|version| serves(version, scheme)) => failed = Some(cause),
                Err(_) => {}
            }
        }
        Err(failed.unwrap_or_else(|| {
            Cause::BadRequest(format!(
                "no driver that is loaded serves {}: put one into the module directory, or load \
                 it with `fumehood modules load`",
                scheme.name()
            ))
        }))
    }

    /// How all versions of all drivers are.
    pub(super) fn statuses(&self) -> Vec<ModuleStatus> {
        self.all().iter().flat_map(|it| it.statuses()).collect()
    }
}

fn serves(version: &Version<DriverModule>, scheme: &ServedScheme) -> bool {
    version
        .module
        .schemes()
        .iter()
        .any(|served| served.name() == scheme.name())
}
