//! The module directory: what is put there becomes a candidate, or current.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};
use fumehood_sandbox::ReadyFd;
use rustix::fs::inotify;
use rustix::io::Errno;

use super::candidate::Candidate;
use super::error::ModuleError;
use super::live::{Modules, blocking};
use super::registry::Origin;
use crate::shared::Shared;
use crate::{Engine, Rest};

/// What files with modules end in; others are left alone.
const SUFFIX: &str = ".wasm";

/// Most files of a directory that are looked at.
const MAX_FILES: usize = 64;

/// Bytes read of notices at once; what they say does not matter.
const NOTICE_BYTES: usize = 4096;

/// What becomes of a file that appears or changes in the module directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// It is loaded, and waits for [`Modules::swap`].
    #[default]
    Candidate,
    /// It becomes current at once, if it is newer than what is current of that
    /// name or has the same version.
    Swap,
}

/// An open module directory.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: Dir,
    path: PathBuf,
}

/// By which a changed file is told: a copy over it, or another in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLook {
    inode: u64,
    bytes: u64,
    changed: Option<SystemTime>,
}

/// Files as they were last seen.
pub(crate) type Seen = BTreeMap<String, (FileLook, Option<FileLook>)>;

impl Folder {
    /// Opens a directory. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, ModuleError> {
        let failed = |source| ModuleError::File {
            path: path.to_owned(),
            source,
        };
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(failed)?;
        Ok(Folder {
            dir,
            path: path.to_owned(),
        })
    }

    /// The modules in it and how they look, by name: the component's file, and
    /// its signature's. Blocks.
    pub(crate) fn look(&self) -> Result<Seen, ModuleError> {
        let failed = |source| ModuleError::File {
            path: self.path.clone(),
            source,
        };
        let mut seen = Seen::new();
        for entry in self.dir.entries().map_err(failed)? {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') || !name.ends_with(SUFFIX) || seen.len() == MAX_FILES {
                continue;
            }
            let Some(look) = self.look_at(&name) else {
                continue;
            };
            let signature = self.look_at(&format!("{name}.sig"));
            seen.insert(name, (look, signature));
        }
        Ok(seen)
    }

    /// `None` for what is not there (any more).
    fn look_at(&self, name: &str) -> Option<FileLook> {
        let metadata = self.dir.metadata(name).ok()?;
        let changed = metadata
            .modified()
            .ok()
            .map(cap_std::time::SystemTime::into_std);
        let (inode, bytes) = (metadata.ino(), metadata.len());
        Some(FileLook {
            inode,
            bytes,
            changed,
        })
    }

    /// Reads one of its files. Blocks.
    pub(crate) fn candidate(&self, name: &str) -> Result<Candidate, ModuleError> {
        Candidate::of_dir(&self.dir, &self.path, name, None)
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Something readable whenever files are closed after writing, come or go.
    fn notices(&self) -> Result<ReadyFd, ModuleError> {
        let failed = |errno: Errno| ModuleError::File {
            path: self.path.clone(),
            source: errno.into(),
        };
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let notices: OwnedFd = inotify::init(flags).map_err(failed)?;
        // The directory that is open, whatever its path means by now.
        let open = format!("/proc/self/fd/{}", self.dir.as_raw_fd());
        let wanted = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&notices, open, wanted).map_err(failed)?;
        ReadyFd::new(notices).map_err(|(_, source)| ModuleError::File {
            path: self.path.clone(),
            source,
        })
    }
}

/// Names of files that are new or look otherwise than they did.
pub(crate) fn changed(before: &Seen, now: &Seen) -> Vec<String> {
    now.iter()
        .filter(|&(name, look)| before.get(name) != Some(look))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Watches a directory for as long as there is an engine.
pub(crate) async fn watch(engine: Weak<Shared>, path: PathBuf, on_change: OnChange) {
    if let Err(error) = watch_until_error(&engine, &path, on_change).await {
        tracing::warn!(%error, "the module directory is not watched any more");
        if let Some(shared) = engine.upgrade() {
            shared.registry.refuse(path, &error);
        }
    }
}

/// Takes what is in a directory now.
pub(super) async fn take_all(engine: &Engine, path: &Path) -> Result<(), ModuleError> {
    let owned = path.to_owned();
    let folder = std::sync::Arc::new(blocking(move || Folder::open(&owned)).await?);
    let looking = folder.clone();
    for name in blocking(move || looking.look()).await?.keys() {
        let taken = take(engine, &folder, name, OnChange::Candidate).await;
        match taken {
            // That says nothing of the file.
            Err(error) if error.rest().is_some() => return Err(error),
            taken => settle(engine, folder.path_of(name), taken),
        }
    }
    Ok(())
}

async fn watch_until_error(
    engine: &Weak<Shared>,
    path: &Path,
    on_change: OnChange,
) -> Result<(), ModuleError> {
    let owned = path.to_owned();
    let folder = std::sync::Arc::new(blocking(move || Folder::open(&owned)).await?);
    // Before the first look, so that nothing falls between.
    let notices = folder.notices()?;
    let mut before = Seen::new();
    loop {
        let looking = folder.clone();
        let now = blocking(move || looking.look()).await?;
        let gone = before.keys().filter(|name| !now.contains_key(*name));
        let changes = gone.cloned().chain(changed(&before, &now));
        for name in changes.collect::<Vec<_>>() {
            let is_there = now.contains_key(&name).then_some(on_change);
            if follow(engine, &folder, &name, is_there).await.is_none() {
                return Ok(());
            }
        }
        before = now;
        wait(&notices).await.map_err(|source| ModuleError::File {
            path: path.to_owned(),
            source,
        })?;
    }
}

/// Takes a file that is there, lets one go that is not, and once more after a rest that
/// kept it from being done: a change is seen once. Nothing where there is no engine any
/// more.
async fn follow(
    engine: &Weak<Shared>,
    folder: &std::sync::Arc<Folder>,
    name: &str,
    is_there: Option<OnChange>,
) -> Option<()> {
    loop {
        let engine = Engine {
            shared: engine.upgrade()?,
        };
        let path = folder.path_of(name);
        let done = match is_there {
            Some(on_change) => take(&engine, folder, name, on_change).await,
            None => let_go(&engine, &path).await,
        };
        let rest = done.as_ref().err().and_then(ModuleError::rest);
        let Some(left) = rest.map(Rest::left) else {
            settle(&engine, path, done);
            return Some(());
        };
        // It is not kept alive for this.
        drop(engine);
        tokio::time::sleep(left).await;
    }
}

/// Takes a file.
async fn take(
    engine: &Engine,
    folder: &std::sync::Arc<Folder>,
    name: &str,
    on_change: OnChange,
) -> Result<(), ModuleError> {
    engine.shared.registry.pardon(&folder.path_of(name));
    let (reading, file) = (folder.clone(), name.to_owned());
    let candidate = blocking(move || reading.candidate(&file)).await?;
    let origin = Origin::Directory(candidate.path.clone());
    let modules = Modules::new(engine.clone());
    let loaded = modules.admit(candidate, origin).await?;
    if on_change == OnChange::Swap && is_newer(engine, &loaded.id) {
        modules.swap(loaded.id.name(), loaded.digest).await?;
    }
    Ok(())
}

/// Says why a file was not taken.
fn settle(engine: &Engine, path: PathBuf, taken: Result<(), ModuleError>) {
    if let Err(error) = taken {
        tracing::warn!(file = %path.display(), %error, "a module was not taken");
        engine.shared.registry.refuse(path, &error);
    }
}

/// A file is gone: what came from it is withdrawn, or will be when another
/// version is current.
///
/// # Errors
/// Those of a rest, after which there is more to withdraw.
async fn let_go(engine: &Engine, path: &Path) -> Result<(), ModuleError> {
    let registry = &engine.shared.registry;
    registry.pardon(path);
    for (name, digest) in registry.of_file(path) {
        match engine.modules().withdraw(&name, digest).await {
            Err(error) if error.rest().is_some() => return Err(error),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a module was not withdrawn");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether nothing newer of that name is current.
fn is_newer(engine: &Engine, id: &super::ModuleId) -> bool {
    let offered = engine.shared.registry.offer();
    let current = offered.iter().rfind(|module| module.name == id.name());
    let version = current.and_then(|module| semver::Version::parse(&module.version).ok());
    version.is_none_or(|version| *id.version() >= version)
}

/// Waits for a notice, and reads all there are.
async fn wait(notices: &ReadyFd) -> std::io::Result<()> {
    let mut buffer = [0; NOTICE_BYTES];
    let mut heard = false;
    while !heard {
        let mut ready = notices.readable().await?;
        loop {
            match rustix::io::read(notices, &mut buffer) {
                Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => heard = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break ready.clear_ready(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn new_files_changed_files_and_new_signatures_are_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(temp.path().join(name), text).unwrap();
        let folder = Folder::open(temp.path()).unwrap();
        let empty = folder.look().unwrap();
        put("a@1.0.0.wasm", "1");
        put(".hidden.wasm", "1");
        put("readme.txt", "1");
        let first = folder.look().unwrap();
        assert_eq!(changed(&empty, &first), ["a@1.0.0.wasm"]);
        assert!(changed(&first, &folder.look().unwrap()).is_empty());
        put("a@1.0.0.wasm", "22");
        let second = folder.look().unwrap();
        assert_eq!(changed(&first, &second), ["a@1.0.0.wasm"]);
        put("a@1.0.0.wasm.sig", "s");
        let third = folder.look().unwrap();
        assert_eq!(changed(&second, &third), ["a@1.0.0.wasm"]);
        std::fs::remove_file(temp.path().join("a@1.0.0.wasm")).unwrap();
        assert!(changed(&third, &folder.look().unwrap()).is_empty());
    }

    #[test]
    fn so_many_files_and_no_more_are_looked_at() {
        let temp = tempfile::tempdir().unwrap();
        for index in 0..2 * MAX_FILES {
            std::fs::write(temp.path().join(format!("a@{index}.0.0.wasm")), "").unwrap();
        }
        assert_eq!(
            Folder::open(temp.path()).unwrap().look().unwrap().len(),
            MAX_FILES
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_file_that_is_moved_in_or_written_is_told_of() {
        let temp = tempfile::tempdir().unwrap();
        let inside = temp.path().join("in");
        std::fs::create_dir(&inside).unwrap();
        let notices = Folder::open(&inside).unwrap().notices().unwrap();
        std::fs::write(inside.join("a"), "x").unwrap();
        wait(&notices).await.unwrap();
        std::fs::write(temp.path().join("b"), "x").unwrap();
        std::fs::rename(temp.path().join("b"), inside.join("b")).unwrap();
        wait(&notices).await.unwrap();
    }
}
