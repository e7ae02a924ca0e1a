//! What the tests and their children say to each other.

use fumehood_control::Message;
use serde::{Deserialize, Serialize};

/// A text with descriptors.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: String,
    fds: usize,
}

impl Note {
    pub(crate) fn new(text: impl Into<String>, fds: usize) -> Self {
        Self {
            text: text.into(),
            fds,
        }
    }
}

impl Message for Note {
    fn fd_count(&self) -> usize {
        self.fds
    }
}
