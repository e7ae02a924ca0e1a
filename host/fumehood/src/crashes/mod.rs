//! Crash reports: how guests ended, one file each, in a directory with a bound.

mod report;
mod writer;

use std::path::{Path, PathBuf};

pub use report::{CrashFrame, CrashReport, CrashStep, Trail, TrailCall};
pub(crate) use writer::Writer;

use crate::places;
use crate::store::{Store, StoreError};

/// Most files kept; the oldest go first.
pub const MAX_FILES: usize = 100;

/// Most bytes kept, in all; the oldest go first.
pub const MAX_BYTES: u64 = 16 << 20;

/// Largest file read, in bytes: a recording of [`fumehood_control::MAX_BLOB_BYTES`]
/// in hexadecimal, and its names.
const MAX_FILE: u64 = 2 << 20;

/// What reports end in.
const REPORT_SUFFIX: &str = ".json";

/// What recordings end in.
const TRAIL_SUFFIX: &str = ".trail";

/// Where crash reports go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashReports {
    /// `$XDG_STATE_HOME/fumehood/crashes`; nowhere for a user without a home.
    #[default]
    OfUser,
    /// This directory, which must be this user's alone.
    In(PathBuf),
    /// Nowhere.
    Off,
}

impl CrashReports {
    /// The directory.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            CrashReports::OfUser => places::crashes(),
            CrashReports::In(folder) => Some(folder.clone()),
            CrashReports::Off => None,
        }
    }
}

/// Why reports cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrashError {
    /// There is no report of that name.
    #[error("there is no crash report {0}; `fumehood crashes list` shows which there are")]
    Unknown(String),
    /// The directory or the file cannot be used.
    #[error("{} cannot be used: {why}", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// One clause.
        why: String,
    },
}

fn unusable(path: impl Into<PathBuf>, why: impl ToString) -> CrashError {
    CrashError::Store {
        path: path.into(),
        why: why.to_string(),
    }
}

/// All reports of a directory, oldest first; none where it is not there.
/// Blocks. Files that are no reports are left out.
///
/// # Errors
/// [`CrashError::Store`] when others have access to the directory.
pub fn list(folder: &Path) -> Result<Vec<CrashReport>, CrashError> {
    let store = match Store::open_existing(folder) {
        Ok(store) => store,
        Err(e) if e.is_absent() => return Ok(Vec::new()),
        Err(e) => return Err(unusable(folder, e)),
    };
    let entries = store.list().map_err(|e| unusable(folder, e))?;
    let ids = entries
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(REPORT_SUFFIX));
    Ok(ids.filter_map(|id| read(&store, id).ok()).collect())
}

/// One report, by its name or by what only its name begins with. Blocks.
///
/// # Errors
/// [`CrashError`]
pub fn show(folder: &Path, id: &str) -> Result<CrashReport, CrashError> {
    let mut fits = list(folder)?;
    if let Some(exact) = fits.iter().position(|report| report.id == id) {
        return Ok(fits.swap_remove(exact));
    }
    fits.retain(|report| !id.is_empty() && report.id.starts_with(id));
    match (fits.pop(), fits.pop()) {
        (Some(report), None) => Ok(report),
        _ => Err(CrashError::Unknown(id.to_owned())),
    }
}

fn read(store: &Store, id: &str) -> Result<CrashReport, CrashError> {
    let name = format!("{id}{REPORT_SUFFIX}");
    let path = store.path().join(&name);
    let bytes = store.read(&name, MAX_FILE).map_err(|e| match e {
        e if e.is_absent() => CrashError::Unknown(id.to_owned()),
        e => unusable(&path, e),
    })?;
    let mut report: CrashReport = serde_json::from_slice(&bytes).map_err(|e| unusable(&path, e))?;
    id.clone_into(&mut report.id);
    Ok(report)
}

/// Reads a recording. Blocks.
///
/// # Errors
/// [`CrashError::Store`]
pub fn read_trail(path: &Path) -> Result<Trail, CrashError> {
    let failed = |e: StoreError| unusable(path, e);
    let file = std::fs::File::open(path).map_err(|e| failed(e.into()))?;
    let file = cap_std::fs::File::from_std(file);
    let metadata = file.metadata().map_err(|e| failed(e.into()))?;
    let bytes = crate::store::read_bounded(file, &metadata, MAX_FILE).map_err(failed)?;
    let trail: Trail = serde_json::from_slice(&bytes).map_err(|e| unusable(path, e))?;
    trail.check().map_err(|why| unusable(path, why))?;
    Ok(trail)
}

#[cfg(test)]
mod tests;
