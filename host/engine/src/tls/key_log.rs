//! `SSLKEYLOGFILE`: where TLS secrets go if the user asked for it.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// A descriptor the embedder gave, shared by all connections.
#[derive(Debug)]
pub(crate) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        KeyLogFile(Mutex::new(File::from(fd)))
    }

    /// Appends a line in one write, so that lines of different processes do not mix.
    pub(super) fn write(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end the user's connections.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}
