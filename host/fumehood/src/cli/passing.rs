//! A folder for as long as a command runs.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A folder among the system's temporary ones, private to its user; removed with
/// all it holds on drop.
#[derive(Debug)]
pub(super) struct PassingFolder(PathBuf);

impl PassingFolder {
    /// `fumehood-NAME-PID-NUMBER`.
    ///
    /// # Errors
    /// Where the system's folder for temporary files cannot be written; the error
    /// names the folder that could not be made.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let process = std::process::id();
        let mut number = 0_u32;
        loop {
            let folder = format!("fumehood-{name}-{process}-{number}");
            let path = std::env::temp_dir().join(folder);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    let words = format!("{}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), words));
                }
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PassingFolder {
    fn drop(&mut self) {
        // What stays is the system's to empty.
        let _stays = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn what_another_left_is_not_in_the_way() {
        let (first, second) = (PassingFolder::new("test"), PassingFolder::new("test"));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_ne!(first.path(), second.path());
        let path = second.path().to_owned();
        drop(second);
        assert!(first.path().is_dir() && !path.exists());
    }
}
