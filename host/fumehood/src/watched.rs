//! A file that is watched: one of the user's, who edits it while all goes on.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use fumehood_sandbox::ReadyFd;
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::folder::folder_of;

/// Bytes read of notices at once: a dozen of the longest names.
const NOTICE_BYTES: usize = 4096;

/// The folder is not where it was.
const LOST: inotify::ReadFlags = inotify::ReadFlags::MOVE_SELF.union(inotify::ReadFlags::IGNORED);

/// A file, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Something readable when files beside it are closed after writing, moved in or
    /// given other rights. A file that is being written is not told of.
    notices: ReadyFd,
    name: Option<OsString>,
}

impl Watched {
    /// From now on. Its folder has to be there.
    pub(crate) fn new(file: &Path) -> std::io::Result<Watched> {
        let folder = folder_of(file);
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let notices: OwnedFd = inotify::init(flags)?;
        let wanted = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ATTRIB
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&notices, folder, wanted)?;
        Ok(Watched {
            notices: ReadyFd::new(notices).map_err(|(_, error)| error)?,
            name: file.file_name().map(OsStr::to_owned),
        })
    }

    /// Waits until one of the notices is of this file.
    ///
    /// # Errors
    ///
    /// [`std::io::ErrorKind::NotFound`] where the folder was moved or deleted: what comes
    /// to be in its place is another.
    pub(crate) async fn changed(&self) -> std::io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); NOTICE_BYTES];
        let mut heard = false;
        while !heard {
            let mut ready = self.notices.readable().await?;
            let mut reader = inotify::Reader::new(&self.notices, &mut buffer);
            loop {
                match reader.next() {
                    Ok(notice) if notice.events().intersects(LOST) => {
                        return Err(std::io::Error::new(
                            std::io::ErrorKind::NotFound,
                            "its folder was moved or deleted; start again to have it read",
                        ));
                    }
                    Ok(notice) => {
                        let name = notice.file_name();
                        let name = name.map(|it| OsStr::from_bytes(it.to_bytes()));
                        // A notice without a name says that notices were lost.
                        heard |= name.is_none() || name == self.name.as_deref();
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break ready.clear_ready(),
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use std::fs;
    use std::io::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_goes_is_told_of_and_one_in_its_place_is_another() {
        for deleted in [false, true] {
            let temp = tempfile::tempdir().unwrap();
            let folder = temp.path().join("folder");
            fs::create_dir(&folder).unwrap();
            let file = folder.join("users");
            let watched = Watched::new(&file).unwrap();
            fs::write(&file, "one").unwrap();
            watched.changed().await.unwrap();
            match deleted {
                true => fs::remove_dir_all(&folder).unwrap(),
                false => fs::rename(&folder, temp.path().join("elsewhere")).unwrap(),
            }
            fs::create_dir(&folder).unwrap();
            fs::write(&file, "two").unwrap();
            let why = watched.changed().await.unwrap_err();
            assert_eq!(why.kind(), ErrorKind::NotFound, "{why}");
            assert!(why.to_string().contains("start again"), "{why}");
        }
    }
}
