//! Which modules and versions this side knows, and which of them are in use.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fumehood_control::{Digest, DriverSchemes, MAX_SCHEMES, MAX_VERSIONS};
use fumehood_policy::ServedScheme;

use super::Module;
use super::error::ModuleError;
use super::trust::SignatureState;
use crate::hex;

/// Most files that were refused and are remembered with the reason.
const MAX_REFUSALS: usize = 32;

/// Shortest beginning of a digest that names a version, in digits.
const MIN_DIGEST_DIGITS: usize = 4;

/// Where a version came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Part of this program.
    Embedded,
    /// Given by the embedder as native code.
    Given,
    /// This file of the module directory.
    Directory(PathBuf),
    /// This file, by name.
    File(PathBuf),
}

/// A version that this side knows.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) module: Module,
    pub(crate) origin: Origin,
    pub(crate) signature: SignatureState,
    /// Size of the component; 0 where only its native code is here.
    pub(crate) component_bytes: u64,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) lot: Lot,
    /// What it serves, if it is a driver and an engine has asked it.
    pub(crate) schemes: Vec<ServedScheme>,
}

impl Known {
    /// A module that is part of this program.
    pub(crate) fn embedded(module: Module) -> Known {
        Known {
            module,
            origin: Origin::Embedded,
            signature: SignatureState::BuiltIn,
            component_bytes: 0,
            imports: Vec::new(),
            exports: Vec::new(),
            lot: Lot::Sound,
            schemes: Vec::new(),
        }
    }
}

/// What is to become of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lot {
    /// It is used as the engine sees fit.
    #[default]
    Sound,
    /// Trapped too often: no engine is launched with it, unless it is asked
    /// for by name.
    Quarantined,
    /// Its file was deleted while it was current: it goes when another is.
    Withdrawn,
}

/// A file that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedFile {
    pub(crate) path: PathBuf,
    pub(crate) why: String,
}

#[derive(Default)]
struct Inner {
    /// By name; each in the order in which they were current, the present one
    /// last. What was never current comes first.
    versions: BTreeMap<String, Vec<Known>>,
    refused: Vec<RefusedFile>,
}

/// What is known; a relaunched engine is given the same.
#[derive(Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
}

impl Registry {
    /// With the modules that an engine starts with, all of them current.
    pub(crate) fn new(modules: &[Module]) -> Self {
        let registry = Registry::default();
        for module in modules {
            let (origin, signature) = match module.is_embedded() {
                true => (Origin::Embedded, SignatureState::BuiltIn),
                false => (Origin::Given, SignatureState::Unsigned),
            };
            registry.add(Known {
                module: module.clone(),
                origin,
                signature,
                component_bytes: 0,
                imports: Vec::new(),
                exports: Vec::new(),
                lot: Lot::Sound,
                schemes: Vec::new(),
            });
            registry.make_current(&module.name, &module.digest);
        }
        registry
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // It is consistent between any two statements that can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is some version of a module.
    pub(crate) fn has(&self, name: &str) -> bool {
        let inner = self.inner();
        inner.versions.get(name).is_some_and(|all| !all.is_empty())
    }

    /// Adds a version, or says more of one. The oldest that is not current
    /// makes way.
    pub(crate) fn add(&self, known: Known) {
        let mut inner = self.inner();
        let versions = inner
            .versions
            .entry(known.module.name.to_string())
            .or_default();
        if let Some(same) = versions
            .iter_mut()
            .find(|v| v.module.digest == known.module.digest)
        {
            *same = known;
            return;
        }
        if versions.len() == MAX_VERSIONS {
            versions.remove(0);
        }
        versions.insert(0, known);
    }

    /// Notes that a version is current.
    pub(crate) fn make_current(&self, name: &str, digest: &Digest) {
        let mut inner = self.inner();
        let Some(versions) = inner.versions.get_mut(name) else {
            return;
        };
        if let Some(index) = versions.iter().position(|v| v.module.digest == *digest) {
            let mut version = versions.remove(index);
            if version.lot == Lot::Quarantined {
                version.lot = Lot::Sound;
            }
            versions.push(version);
        }
    }

    /// The engine ended a version for its faults, and another took over.
    pub(crate) fn quarantine(&self, name: &str, digest: &Digest) {
        self.with(name, digest, |known| known.lot = Lot::Quarantined);
    }

    /// A version whose file is gone is current, and goes when another is.
    pub(crate) fn will_go(&self, name: &str, digest: &Digest) {
        self.with(name, digest, |known| known.lot = Lot::Withdrawn);
    }

    /// A version that was quarantined, as an engine wants it that may not have it.
    pub(crate) fn quarantined(&self, name: &str, digest: &Digest) -> Option<Module> {
        let inner = self.inner();
        let mut versions = inner.versions.get(name)?.iter();
        let known = versions.find(|v| v.module.digest == *digest)?;
        (known.lot == Lot::Quarantined).then(|| known.module.clone())
    }

    /// Versions of a module that go now that another is current.
    pub(crate) fn to_go(&self, name: &str) -> Vec<Digest> {
        let inner = self.inner();
        let versions = inner.versions.get(name).map(Vec::as_slice);
        let Some((_current, others)) = versions.and_then(<[Known]>::split_last) else {
            return Vec::new();
        };
        let withdrawn = others.iter().filter(|v| v.lot == Lot::Withdrawn);
        withdrawn.map(|v| v.module.digest).collect()
    }

    /// Versions that came from this file of the module directory.
    pub(crate) fn of_file(&self, path: &std::path::Path) -> Vec<(String, Digest)> {
        let of_it = |known: &Known| matches!(&known.origin, Origin::Directory(it) if it == path);
        let all = self.all().into_iter().filter(of_it);
        all.map(|known| (known.module.name.into_owned(), known.module.digest))
            .collect()
    }

    fn with(&self, name: &str, digest: &Digest, change: impl FnOnce(&mut Known)) {
        let mut inner = self.inner();
        let versions = inner.versions.get_mut(name);
        let known = versions.and_then(|all| all.iter_mut().find(|v| v.module.digest == *digest));
        if let Some(known) = known {
            change(known);
        }
    }

    /// Forgets a version.
    pub(crate) fn forget(&self, name: &str, digest: &Digest) {
        if let Some(versions) = self.inner().versions.get_mut(name) {
            versions.retain(|v| v.module.digest != *digest);
        }
    }

    /// What an engine is started with: of each module the versions in the
    /// order in which they were current, those quarantined aside.
    pub(crate) fn offer(&self) -> Vec<Module> {
        let inner = self.inner();
        inner
            .versions
            .values()
            .flatten()
            .filter(|known| known.lot != Lot::Quarantined)
            .map(|known| known.module.clone())
            .collect()
    }

    /// Notes what drivers serve that an engine was started with.
    pub(crate) fn learn(&self, drivers: &[DriverSchemes]) {
        let mut inner = self.inner();
        for driver in drivers {
            let versions = inner.versions.get_mut(&driver.name).into_iter().flatten();
            for known in versions.filter(|known| known.module.digest == driver.digest) {
                known.schemes.clone_from(&driver.schemes);
                known.schemes.truncate(MAX_SCHEMES);
            }
        }
    }

    /// The schemes that current versions of drivers serve.
    pub(crate) fn schemes(&self) -> Vec<ServedScheme> {
        let inner = self.inner();
        let current = inner.versions.values().filter_map(|all| all.last());
        current.flat_map(|known| known.schemes.clone()).collect()
    }

    /// All that is known, by name.
    pub(crate) fn all(&self) -> Vec<Known> {
        self.inner().versions.values().flatten().cloned().collect()
    }

    /// The version whose digest begins so.
    pub(crate) fn find(&self, name: &str, digest: &str) -> Result<Digest, ModuleError> {
        let all = self.all();
        let fits = |known: &&Known| {
            known.module.name == name && hex::encode(&known.module.digest).starts_with(digest)
        };
        let found: Vec<Digest> = all.iter().filter(fits).map(|k| k.module.digest).collect();
        match found[..] {
            [digest_found] if digest.len() >= MIN_DIGEST_DIGITS => Ok(digest_found),
            [] => Err(ModuleError::Unknown(format!(
                "{name} with the digest {digest}"
            ))),
            _ => Err(ModuleError::Ambiguous(format!("{name} {digest}"))),
        }
    }

    /// Notes that a file was not taken.
    pub(crate) fn refuse(&self, path: PathBuf, error: &ModuleError) {
        let mut inner = self.inner();
        inner.refused.retain(|refused| refused.path != path);
        if inner.refused.len() == MAX_REFUSALS {
            inner.refused.remove(0);
        }
        inner.refused.push(RefusedFile {
            path,
            why: error.to_string(),
        });
    }

    /// Forgets that a file was not taken: it is another now, or gone.
    pub(crate) fn pardon(&self, path: &std::path::Path) {
        self.inner().refused.retain(|refused| refused.path != path);
    }

    pub(crate) fn refused(&self) -> Vec<RefusedFile> {
        self.inner().refused.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn known(digest: u8) -> Known {
        let module = Module {
            name: "m".into(),
            version: "1.0.0".into(),
            digest: [digest; 32],
            code: Vec::new().into(),
        };
        Known {
            module,
            origin: Origin::Given,
            signature: SignatureState::Unsigned,
            component_bytes: 0,
            imports: Vec::new(),
            exports: Vec::new(),
            lot: Lot::Sound,
            schemes: Vec::new(),
        }
    }

    fn order(registry: &Registry) -> Vec<u8> {
        registry
            .offer()
            .iter()
            .map(|module| module.digest[0])
            .collect()
    }

    #[test]
    fn a_new_engine_gets_what_the_old_one_had() {
        let registry = Registry::new(&[known(1).module]);
        registry.add(known(2));
        assert_eq!(order(&registry), [2, 1]);
        registry.make_current("m", &[2; 32]);
        assert_eq!(order(&registry), [1, 2]);
        registry.forget("m", &[2; 32]);
        assert_eq!(order(&registry), [1]);
        registry.make_current("m", &[9; 32]);
        assert_eq!(order(&registry), [1]);
    }

    #[test]
    fn what_is_quarantined_is_known_and_not_offered_until_it_is_current_again() {
        let registry = Registry::new(&[known(1).module, known(2).module]);
        registry.make_current("m", &[1; 32]);
        registry.quarantine("m", &[2; 32]);
        assert_eq!(order(&registry), [1]);
        assert_eq!(registry.find("m", "0202").unwrap(), [2; 32]);
        assert!(registry.quarantined("m", &[2; 32]).is_some());
        assert!(registry.quarantined("m", &[1; 32]).is_none());
        registry.make_current("m", &[2; 32]);
        assert_eq!(order(&registry), [1, 2]);
        assert!(registry.quarantined("m", &[2; 32]).is_none());
    }

    #[test]
    fn what_is_current_goes_only_after_another_is() {
        let registry = Registry::new(&[known(1).module, known(2).module]);
        registry.will_go("m", &[2; 32]);
        assert!(registry.to_go("m").is_empty() && registry.to_go("x").is_empty());
        assert_eq!(order(&registry), [1, 2]);
        registry.make_current("m", &[1; 32]);
        assert_eq!(registry.to_go("m"), [[2; 32]]);
    }

    #[test]
    fn versions_are_bounded_and_the_current_one_stays() {
        let registry = Registry::new(&[known(1).module]);
        for digest in 2..50 {
            registry.add(known(digest));
        }
        assert_eq!(order(&registry).len(), MAX_VERSIONS);
        assert_eq!(order(&registry).last(), Some(&1));
    }

    #[test]
    fn a_version_is_named_by_the_beginning_of_its_digest() {
        let registry = Registry::new(&[known(0x11).module, known(0x12).module]);
        assert_eq!(registry.find("m", "1111").unwrap(), [0x11; 32]);
        assert_eq!(registry.find("m", "1").unwrap_err().code(), "ambiguous");
        assert_eq!(registry.find("m", "111").unwrap_err().code(), "ambiguous");
        assert_eq!(
            registry.find("m", "13").unwrap_err().code(),
            "unknown-module"
        );
        assert_eq!(
            registry.find("x", "1111").unwrap_err().code(),
            "unknown-module"
        );
    }

    #[test]
    fn refusals_are_bounded() {
        let registry = Registry::default();
        for index in 0..100 {
            registry.refuse(format!("{index}").into(), &ModuleError::Unknown("x".into()));
        }
        assert_eq!(registry.refused().len(), MAX_REFUSALS);
        registry.pardon("99".as_ref());
        assert_eq!(registry.refused().len(), MAX_REFUSALS - 1);
    }
}
