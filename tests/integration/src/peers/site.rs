//! What a server serves.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Files by name. Names may contain folders: `a/b.txt`.
#[derive(Clone, Debug, Default)]
pub struct Site {
    files: Vec<(String, Content)>,
}

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Zeros(u64),
}

impl Site {
    /// An empty site.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        let content = Content::Bytes(content.into());
        self.files.push((name.to_owned(), content));
        self
    }

    /// Adds a file of so many zero bytes. It is sparse, so 1 GiB takes
    /// neither time nor space.
    #[must_use]
    pub fn zeros(mut self, name: &str, bytes: u64) -> Self {
        self.files.push((name.to_owned(), Content::Zeros(bytes)));
        self
    }

    /// Writes all files below `root`.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        fs::create_dir_all(root)?;
        for (name, content) in &self.files {
            let path = root.join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            match content {
                Content::Bytes(bytes) => fs::write(path, bytes)?,
                Content::Zeros(bytes) => File::create(path)?.set_len(*bytes)?,
            }
        }
        Ok(())
    }
}
