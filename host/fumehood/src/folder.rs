//! The folder that a file is in.

use std::path::Path;

/// Of a bare name it is the working directory, as the kernel takes no empty path.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_in_the_working_directory() {
        for (file, folder) in [("a/b", "a"), ("/b", "/"), ("b", "."), ("/", ".")] {
            assert_eq!(folder_of(Path::new(file)), Path::new(folder), "{file}");
        }
    }
}
