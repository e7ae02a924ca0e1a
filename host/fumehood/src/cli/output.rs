//! Where content goes: straight from the engine, or through us where the
//! head must be judged before any byte may be written.
//!
//! A file that ends where writing begins can be given to the engine at once,
//! whatever the head will say: what should not have been written is cut off
//! again. A pipe, and a file whose old content would be overwritten, cannot.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use fumehood::Sink;

use super::exit::{Exit, Failed};

/// Content's way out, for all the hops and attempts of one URL.
pub(crate) struct Output {
    name: String,
    file: File,
    /// Where writing began.
    base: u64,
    kind: Kind,
    /// A head was good, so content may have been written.
    accepted: bool,
    /// Ours to remove again when nothing was received.
    created: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A pipe, a terminal, a device: what is written is gone.
    Stream,
    /// A file with nothing after `base`.
    Appendable,
    /// A file whose content is replaced, once there is something to replace it with.
    Overwritten,
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Result<Self, Failed> {
        let file = std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| {
                Failed::new(
                    Exit::Write,
                    format!("standard output cannot be written: {e}"),
                )
            })?;
        Ok(Output {
            name: "standard output".to_owned(),
            file: file.into(),
            base: 0,
            kind: Kind::Stream,
            accepted: false,
            created: None,
        })
    }

    /// A file, to be written from `resume_at` on; existing content stays until
    /// there is new.
    pub(crate) fn file(
        path: &Path,
        resume_at: Option<u64>,
        create_dirs: bool,
    ) -> Result<Self, Failed> {
        let name = path.display().to_string();
        let wrong =
            |e: std::io::Error| Failed::new(Exit::Write, format!("{name} cannot be written: {e}"));
        if create_dirs && let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        let exclusive = OpenOptions::new().write(true).create_new(true).open(path);
        let (mut file, created) = match exclusive {
            Ok(file) => (file, Some(path.to_owned())),
            Err(_) => (
                OpenOptions::new().write(true).open(path).map_err(wrong)?,
                None,
            ),
        };
        let metadata = file.metadata().map_err(wrong)?;
        let base = resume_at.unwrap_or(0);
        let kind = match (metadata.is_file(), metadata.len() == base) {
            (false, _) => Kind::Stream,
            (true, true) => Kind::Appendable,
            (true, false) => Kind::Overwritten,
        };
        if metadata.is_file() {
            file.seek(SeekFrom::Start(base)).map_err(wrong)?;
        }
        Ok(Output {
            name,
            file,
            base,
            kind,
            accepted: false,
            created,
        })
    }

    /// Its name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// What the engine is given. `judged` says that the head decides whether
    /// content may be written; `preceded` that something of ours comes first.
    pub(crate) fn sink(&self, judged: bool, preceded: bool) -> Result<Sink, Failed> {
        let direct = match self.kind {
            Kind::Stream => !judged,
            Kind::Appendable => true,
            Kind::Overwritten => false,
        };
        if !direct || preceded {
            return Ok(Sink::Body);
        }
        Ok(Sink::Fd(
            self.file
                .try_clone()
                .map_err(|e| self.write_error(&e))?
                .into(),
        ))
    }

    /// The head is good: what was there before makes way.
    pub(crate) fn accept(&mut self) -> Result<(), Failed> {
        self.accepted = true;
        if self.kind == Kind::Overwritten {
            self.file
                .set_len(self.base)
                .map_err(|e| self.write_error(&e))?;
            self.kind = Kind::Appendable;
        }
        Ok(())
    }

    /// What was written should not have been. True when nothing of it is left.
    pub(crate) fn roll_back(&mut self) -> Result<bool, Failed> {
        if self.kind == Kind::Stream {
            return Ok(!self.accepted);
        }
        if self.kind == Kind::Appendable {
            self.file
                .set_len(self.base)
                .map_err(|e| self.write_error(&e))?;
            self.file
                .seek(SeekFrom::Start(self.base))
                .map_err(|e| self.write_error(&e))?;
        }
        Ok(true)
    }

    /// Writes something of ours, such as a head.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.file.write_all(bytes).map_err(|e| self.write_error(&e))
    }

    /// For a thread that copies content.
    pub(crate) fn copy_end(&self) -> Result<File, Failed> {
        self.file.try_clone().map_err(|e| self.write_error(&e))
    }

    pub(crate) fn write_error(&self, error: &std::io::Error) -> Failed {
        Failed::new(
            Exit::Write,
            format!("{} cannot be written: {error}", self.name),
        )
    }

    /// All has failed: a file that we made and that has nothing in it goes.
    pub(crate) fn abandon(self) {
        if let Some(path) = self.created
            && self
                .file
                .metadata()
                .is_ok_and(|metadata| metadata.len() == 0)
        {
            // It stays where it cannot be removed; the error is told anyway.
            let _stays = std::fs::remove_file(path);
        }
    }
}

/// `-O`: the last segment of a URL's path, as a file name.
pub(crate) fn remote_name(path_and_query: &str) -> Result<PathBuf, Failed> {
    let path = path_and_query.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if matches!(name, "" | "." | "..") {
        return Err(Failed::new(
            Exit::Write,
            "the URL's path ends in no file name; use -o FILE",
        ));
    }
    Ok(PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn is_direct(sink: &Sink) -> bool {
        matches!(sink, Sink::Fd(_))
    }

    #[test]
    fn old_content_stays_until_a_head_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "old content").unwrap();
        let mut output = Output::file(&path, None, false).unwrap();
        assert!(!is_direct(&output.sink(true, false).unwrap()));
        assert!(output.roll_back().unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old content");
        output.accept().unwrap();
        output.write(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_a_redirect_wrote_is_cut_off_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "first").unwrap();
        let mut output = Output::file(&path, Some(5), false).unwrap();
        let Sink::Fd(fd) = output.sink(true, false).unwrap() else {
            panic!("goes through us")
        };
        File::from(fd).write_all(b"moved to elsewhere").unwrap();
        assert!(output.roll_back().unwrap());
        output.write(b" rest").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first rest");
    }

    #[test]
    fn streams_are_direct_only_when_no_head_is_judged() {
        let output = Output::file(Path::new("/dev/null"), None, false).unwrap();
        assert!(is_direct(&output.sink(false, false).unwrap()));
        assert!(!is_direct(&output.sink(true, false).unwrap()));
        assert!(!is_direct(&output.sink(false, true).unwrap()));
    }

    #[test]
    fn an_empty_file_of_ours_goes_when_all_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/f");
        Output::file(&path, None, true).unwrap().abandon();
        assert!(!path.exists());
        let mut output = Output::file(&path, None, true).unwrap();
        output.write(b"x").unwrap();
        output.abandon();
        assert!(path.exists());
        assert_eq!(
            Output::file(folder.path(), None, false).err().unwrap().exit,
            Exit::Write
        );
    }

    #[test]
    fn remote_names_stay_in_the_folder() {
        assert_eq!(remote_name("/a/b.txt?x=/y").unwrap(), Path::new("b.txt"));
        for bad in ["/", "/a/", "/..", "/."] {
            assert!(remote_name(bad).is_err(), "{bad}");
        }
    }
}
