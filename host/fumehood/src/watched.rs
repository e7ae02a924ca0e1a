//! A file that is watched: one of the user's, who edits it while all goes on.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use fumehood_sandbox::ReadyFd;
use rustix::fs::inotify;
use rustix::io::Errno;

/// Bytes read of notices at once: a dozen of the longest names.
const NOTICE_BYTES: usize = 4096;

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
        let folder = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let notices: OwnedFd = inotify::init(flags)?;
        let wanted = inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ATTRIB
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&notices, folder, wanted)?;
        Ok(Watched {
            notices: ReadyFd::new(notices).map_err(|(_, error)| error)?,
            name: file.file_name().map(OsStr::to_owned),
        })
    }

    /// Waits until one of the notices is of this file.
    pub(crate) async fn changed(&self) -> std::io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); NOTICE_BYTES];
        let mut heard = false;
        while !heard {
            let mut ready = self.notices.readable().await?;
            let mut reader = inotify::Reader::new(&self.notices, &mut buffer);
            loop {
                match reader.next() {
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
