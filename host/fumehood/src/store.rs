//! A private directory with a bound: native code, crash reports, state.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use rustix::process::geteuid;

/// Mode of the directory: nobody else looks into it.
const DIRECTORY_MODE: u32 = 0o700;

/// Mode of files in it.
const FILE_MODE: u32 = 0o600;

/// Permission bits that must be clear: anybody's but the owner's.
const OTHERS: u32 = 0o077;

/// What files begin with until they are whole. The listing leaves them out.
const UNFINISHED: &str = ".new-";

/// Entries of a directory that are looked at, whole or not; far more than any
/// bound that a store is pruned to.
const MAX_ENTRIES: usize = 4096;

/// A directory that belongs to this user alone.
#[derive(Debug)]
pub(crate) struct Store {
    dir: Dir,
    path: PathBuf,
}

/// A file in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) changed: SystemTime,
}

/// Why a store or a file in it is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it belongs to user {owner}, and this is user {us}")]
    Owner { owner: u32, us: u32 },
    #[error("others have access to it (mode {mode:04o}); take it away with chmod go-rwx")]
    Mode { mode: u32 },
    #[error("it is not a regular file")]
    Kind,
    #[error("it has {bytes} bytes, over the bound of {bound}")]
    TooLarge { bytes: u64, bound: u64 },
}

impl StoreError {
    /// Whether there simply is no such file.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, StoreError::Io(e) if e.kind() == io::ErrorKind::NotFound)
    }
}

impl Store {
    /// Opens the directory, made where it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)?;
        Store::open_existing(path)
    }

    /// Opens the directory if it is there.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        check_access(&dir.dir_metadata()?)?;
        let path = path.to_owned();
        Ok(Store { dir, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file, where it is this user's, regular, private, and within the bound.
    pub(crate) fn read(&self, name: &str, bound: u64) -> Result<Vec<u8>, StoreError> {
        let mut options = OpenOptions::new();
        // A pipe in its place must not hold us.
        options.read(true).custom_flags(nonblock());
        let file = self.dir.open_with(name, &options)?;
        let metadata = file.metadata()?;
        check_access(&metadata)?;
        read_bounded(file, &metadata, bound)
    }

    /// Writes a file in one step: whoever opens the name sees the old content
    /// or the new one, whole.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let beside = format!("{UNFINISHED}{}-{number}", std::process::id());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        let mut file = self.dir.open_with(&beside, &options)?;
        let written = parts
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| self.dir.rename(&beside, &self.dir, name));
        if written.is_err() {
            // What is half written must not stay; the error is what counts.
            let _gone = self.dir.remove_file(&beside);
        }
        Ok(written?)
    }

    pub(crate) fn remove(&self, name: &str) {
        // Another process of ours may have been quicker.
        let _gone = self.dir.remove_file(name);
    }

    /// Whole files, oldest first; by name where the time is the same.
    pub(crate) fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for entry in self.dir.entries()?.take(MAX_ENTRIES) {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // It may be gone by now: another process prunes too.
            let Ok(metadata) = self.dir.symlink_metadata(&name) else {
                continue;
            };
            if name.starts_with(UNFINISHED) || !metadata.is_file() {
                continue;
            }
            let changed = metadata.modified()?.into_std();
            entries.push(Entry {
                name,
                bytes: metadata.len(),
                changed,
            });
        }
        entries.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
        Ok(entries)
    }

    /// Removes the oldest files until there are at most so many, of so many
    /// bytes together.
    pub(crate) fn prune(&self, files: usize, bytes: u64) -> Result<(), StoreError> {
        let entries = self.list()?;
        let mut count = entries.len();
        let mut sum: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if count <= files && sum <= bytes {
                break;
            }
            self.remove(&entry.name);
            count -= 1;
            sum -= entry.bytes;
        }
        Ok(())
    }
}

/// Reads a regular file of at most `bound` bytes.
pub(crate) fn read_bounded(
    file: File,
    metadata: &Metadata,
    bound: u64,
) -> Result<Vec<u8>, StoreError> {
    if !metadata.is_file() {
        return Err(StoreError::Kind);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(bound + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bound {
        let bytes = metadata.len().max(bytes.len() as u64);
        return Err(StoreError::TooLarge { bytes, bound });
    }
    Ok(bytes)
}

/// A regular file within the bound, wherever it is; `None` where there is
/// nothing. A link is followed: people keep such files elsewhere.
pub(crate) fn read_file(path: &Path, bound: u64) -> Result<Option<Vec<u8>>, String> {
    let mut options = std::fs::OpenOptions::new();
    // A pipe in its place must not hold us.
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nonblock());
    let file = match options.read(true).open(path) {
        Ok(file) => File::from_std(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    let bytes = read_bounded(file, &metadata, bound);
    bytes.map(Some).map_err(|e| e.to_string())
}

/// By which a file is told from the one that was in its place: device, inode,
/// length, and the time of the last change in seconds and nanoseconds.
pub(crate) type Stamp = (u64, u64, u64, i64, i64);

/// The stamp of a file as it is now; `None` where there is none.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let it = std::fs::metadata(path).ok()?;
    Some((it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec()))
}

/// The flag that keeps opening a pipe from waiting for its other end.
pub(crate) fn nonblock() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

fn check_access(metadata: &Metadata) -> Result<(), StoreError> {
    let (owner, us) = (metadata.uid(), geteuid().as_raw());
    if owner != us {
        return Err(StoreError::Owner { owner, us });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(StoreError::Mode { mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
