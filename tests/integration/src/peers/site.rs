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

    /// Adds all files below a folder, under `name`.
    ///
    /// # Panics
    /// Where it cannot be read.
    #[must_use]
    pub fn folder(mut self, name: &str, folder: &Path) -> Self {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, of_entry) = (entry.path(), entry.file_name());
            let name = format!("{name}/{}", of_entry.to_string_lossy());
            self = if path.is_dir() {
                self.folder(&name, &path)
            } else {
                self.file(&name, fs::read(path).expect("a file"))
            };
        }
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
