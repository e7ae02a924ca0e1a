//! The newest version of each module that was ever taken, in a file.

use std::collections::BTreeMap;
use std::path::Path;

use semver::Version;

use super::error::ModuleError;
use super::identity::ModuleId;
use crate::folder::folder_of;
use crate::store::{Store, StoreError};

/// Largest file, in bytes: many times what a few modules take.
const MAX_FILE: u64 = 64 << 10;

/// Newest accepted versions by module name.
#[derive(Debug, Default)]
pub(crate) struct Accepted(BTreeMap<String, Version>);

impl Accepted {
    /// Reads the file; nothing was accepted where there is none.
    pub(crate) fn read(path: &Path) -> Result<Self, ModuleError> {
        let (store, name) = place(path)?;
        read(&store, name).map_err(|why| unusable(path, why))
    }

    /// Refuses what is older than what was accepted.
    pub(crate) fn check(&self, id: &ModuleId) -> Result<(), ModuleError> {
        match self.0.get(id.name()) {
            Some(newest) if id.version() < newest => Err(ModuleError::RolledBack {
                module: id.to_string(),
                newest: newest.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Notes that a version was accepted.
    pub(crate) fn remember(path: &Path, id: &ModuleId) -> Result<(), ModuleError> {
        let (store, name) = place(path)?;
        let mut accepted = read(&store, name).map_err(|why| unusable(path, why))?;
        let newest = accepted.0.entry(id.name().to_owned());
        let newest = newest.or_insert_with(|| id.version().clone());
        *newest = id.version().max(newest).clone();
        let texts: BTreeMap<&String, String> = accepted
            .0
            .iter()
            .map(|(name, version)| (name, version.to_string()))
            .collect();
        let json = serde_json::to_vec_pretty(&texts).map_err(|e| unusable(path, e.to_string()))?;
        store
            .write(name, &[&json])
            .map_err(|e| unusable(path, e.to_string()))
    }
}

fn place(path: &Path) -> Result<(Store, &str), ModuleError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| unusable(path, "it names no file".to_owned()))?;
    let folder = folder_of(path);
    let store = Store::open(folder).map_err(|e| unusable(folder, e.to_string()))?;
    Ok((store, name))
}

fn read(store: &Store, name: &str) -> Result<Accepted, String> {
    let bytes = match store.read(name, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(StoreError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Accepted::default());
        }
        Err(e) => return Err(e.to_string()),
    };
    let damaged = |why: String| format!("it is damaged ({why}); remove it to begin anew");
    let texts: BTreeMap<String, String> =
        serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    let parse = |(name, text): (String, String)| match Version::parse(&text) {
        Ok(version) => Ok((name, version)),
        Err(e) => Err(damaged(e.to_string())),
    };
    texts
        .into_iter()
        .map(parse)
        .collect::<Result<_, _>>()
        .map(Accepted)
}

fn unusable(path: &Path, why: String) -> ModuleError {
    ModuleError::Store {
        path: path.to_owned(),
        why,
    }
}
