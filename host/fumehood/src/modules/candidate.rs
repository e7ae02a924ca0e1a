//! A component as it lies in a file, before anything believes in it.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use fumehood_control::Digest;

use super::error::ModuleError;
use super::identity::{ModuleId, digest_of};
use super::trust::Signature;
use crate::folder::folder_of;
use crate::store::{StoreError, nonblock, read_bounded};

/// Largest component, in bytes; the compiler takes no larger one either.
const MAX_COMPONENT_BYTES: u64 = 16 << 20;

/// What every component begins with: `\0asm`, version 13, layer 1.
const COMPONENT_MAGIC: [u8; 8] = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// What is added to a file's name for its signature's.
const SIGNATURE_SUFFIX: &str = ".sig";

/// A component and what came with it. Read once: what is hashed is what is
/// checked and compiled, whatever becomes of the file.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: ModuleId,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) signature: Option<Signature>,
    pub(crate) path: PathBuf,
}

impl Candidate {
    /// Reads a file, and the signature beside it. With no `id`, its name says
    /// what it is. Blocks.
    pub(crate) fn of_file(path: &Path, id: Option<ModuleId>) -> Result<Self, ModuleError> {
        let unreadable = |source| ModuleError::File {
            path: path.to_owned(),
            source,
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| unreadable(io::ErrorKind::InvalidFilename.into()))?;
        let folder = folder_of(path);
        let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(unreadable)?;
        Candidate::of_dir(&dir, folder, name, id)
    }

    /// Reads a file of an open directory, whose path is `folder`. Blocks.
    pub(crate) fn of_dir(
        dir: &Dir,
        folder: &Path,
        name: &str,
        id: Option<ModuleId>,
    ) -> Result<Self, ModuleError> {
        let path = folder.join(name);
        let id = id.or_else(|| ModuleId::of_file_name(name));
        let id = id.ok_or_else(|| ModuleError::Name {
            file: path.display().to_string(),
        })?;
        let bytes = read(dir, name, MAX_COMPONENT_BYTES).map_err(|e| failed(&path, e))?;
        if !bytes.starts_with(&COMPONENT_MAGIC) {
            return Err(ModuleError::NotAComponent {
                file: path.display().to_string(),
            });
        }
        let signature = match read(
            dir,
            &format!("{name}{SIGNATURE_SUFFIX}"),
            Signature::MAX_FILE,
        ) {
            Ok(bytes) => Some(Signature::of_file(&bytes)),
            Err(e) if e.is_absent() => None,
            Err(e) => return Err(failed(&folder.join(format!("{name}{SIGNATURE_SUFFIX}")), e)),
        };
        let digest = digest_of(&bytes);
        Ok(Candidate {
            id,
            digest,
            bytes,
            signature,
            path,
        })
    }
}

fn read(dir: &Dir, name: &str, bound: u64) -> Result<Vec<u8>, StoreError> {
    let mut options = OpenOptions::new();
    // A pipe in its place must not hold us.
    options.read(true).custom_flags(nonblock());
    let file = dir.open_with(name, &options)?;
    let metadata = file.metadata()?;
    read_bounded(file, &metadata, bound)
}

fn failed(path: &Path, error: StoreError) -> ModuleError {
    match error {
        StoreError::Io(source) => ModuleError::File {
            path: path.to_owned(),
            source,
        },
        StoreError::TooLarge { bytes, bound } => ModuleError::TooLarge {
            file: path.display().to_string(),
            bytes,
            bound,
        },
        other => ModuleError::File {
            path: path.to_owned(),
            source: io::Error::other(other),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn component(rest: &[u8]) -> Vec<u8> {
        [&COMPONENT_MAGIC, rest].concat()
    }

    #[test]
    fn a_file_is_taken_for_what_its_bytes_are() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("http1@1.0.0.wasm");
        std::fs::write(&file, component(b"x")).unwrap();
        let it = Candidate::of_file(&file, None).unwrap();
        assert_eq!((it.id.name(), it.signature), ("http1", None));
        assert_eq!(it.digest, digest_of(&component(b"x")));
        std::fs::write(temp.path().join("http1@1.0.0.wasm.sig"), "nonsense").unwrap();
        assert!(Candidate::of_file(&file, None).unwrap().signature.is_some());
        std::fs::write(&file, b"\0asm\x01\0\0\0").unwrap();
        let error = Candidate::of_file(&file, None).unwrap_err();
        assert_eq!(error.code(), "not-a-component");
    }

    #[test]
    fn what_cannot_be_a_module_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let nameless = temp.path().join("http1.wasm");
        std::fs::write(&nameless, component(b"")).unwrap();
        assert_eq!(
            Candidate::of_file(&nameless, None).unwrap_err().code(),
            "name"
        );
        let id = ModuleId::new("http1", "1.0.0");
        assert!(Candidate::of_file(&nameless, id).is_ok());
        let large = temp.path().join("a@1.0.0.wasm");
        std::fs::File::create(&large)
            .unwrap()
            .set_len(MAX_COMPONENT_BYTES + 1)
            .unwrap();
        assert_eq!(
            Candidate::of_file(&large, None).unwrap_err().code(),
            "too-large"
        );
        let absent = Candidate::of_file(&temp.path().join("b@1.0.0.wasm"), None).unwrap_err();
        assert!(absent.to_string().contains("b@1.0.0.wasm"), "{absent}");
        assert_eq!(
            Candidate::of_file(Path::new("/"), None).unwrap_err().code(),
            "file"
        );
    }
}
