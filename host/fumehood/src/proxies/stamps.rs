//! Whether files are what they were: looked at now and then, when it matters.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::{Stamp, stamp};

/// Between two looks. People wait for what they changed; a look takes microseconds.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// Files, as they were when they were last looked at.
#[derive(Debug)]
pub(crate) struct Stamps {
    files: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    stamps: Vec<Option<Stamp>>,
}

impl Stamps {
    /// As they are now.
    pub(crate) fn new(files: Vec<PathBuf>) -> Self {
        let seen = Seen {
            at: Instant::now(),
            stamps: look(&files),
        };
        Stamps {
            files,
            seen: Mutex::new(seen),
        }
    }

    /// Whether one of them is another than at the last look that said so. Looks at
    /// most once a second.
    pub(crate) fn changed(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.files.is_empty() || seen.at.elapsed() < LOOKED_AT_EVERY {
            return false;
        }
        seen.at = Instant::now();
        let stamps = look(&self.files);
        let changed = stamps != seen.stamps;
        seen.stamps = stamps;
        changed
    }
}

fn look(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| stamp(file)).collect()
}
