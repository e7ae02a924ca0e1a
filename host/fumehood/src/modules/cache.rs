//! Native code that was made before, so that it need not be made again.
//!
//! A file is one line of JSON and then the code. It is believed only where it
//! is this user's alone, names this component and this build, and has the
//! digest that was written down with it; anything else is made anew.

use std::path::Path;

use fumehood_control::Digest;
use serde::{Deserialize, Serialize};

use super::identity::digest_of;
use crate::hex;
use crate::store::{Store, StoreError};

/// Format of the files; others are not read.
const FORMAT: u32 = 1;

/// Longest first line, in bytes: 128 names of interfaces, and digests.
const MAX_HEADER: usize = 32 << 10;

/// Largest native code, in bytes: what a compiler may write.
const MAX_CODE: u64 = fumehood_sandbox::MAX_COMPILER_OUTPUT;

/// Most files kept: a few versions of each module, for two builds.
const MAX_FILES: usize = 64;

/// Most bytes kept, in all.
const MAX_BYTES: u64 = 256 << 20;

/// Native code, and what was learnt of the component when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Native {
    pub(crate) code: Vec<u8>,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    component: String,
    build: String,
    code_sha256: String,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The directory with the files.
#[derive(Debug)]
pub(crate) struct Cache {
    store: Store,
    build: String,
}

/// What was found for a component.
#[derive(Debug)]
pub(crate) enum Found {
    /// Code that may be loaded.
    Code(Native),
    /// Nothing.
    Nothing,
    /// Something that must not be loaded; it has been removed. Why.
    Damaged(String),
}

impl Cache {
    /// Opens the directory for code of this build.
    pub(crate) fn open(path: &Path, build: String) -> Result<Self, StoreError> {
        let store = Store::open(path)?;
        Ok(Cache { store, build })
    }

    fn file_name(&self, component: &Digest) -> String {
        let build = hex::encode(&digest_of(self.build.as_bytes())[..8]);
        format!("{}-{build}.native", hex::encode(component))
    }

    /// Looks for the code of a component.
    pub(crate) fn get(&self, component: &Digest) -> Found {
        let name = self.file_name(component);
        let found = match self.store.read(&name, MAX_CODE + MAX_HEADER as u64) {
            Ok(bytes) => self.believe(component, &bytes),
            Err(e) if e.is_absent() => return Found::Nothing,
            Err(e) => Err(e.to_string()),
        };
        match found {
            Ok(native) => Found::Code(native),
            Err(why) => {
                self.store.remove(&name);
                Found::Damaged(why)
            }
        }
    }

    fn believe(&self, component: &Digest, bytes: &[u8]) -> Result<Native, String> {
        let line = bytes
            .iter()
            .take(MAX_HEADER)
            .position(|byte| *byte == b'\n');
        let line = line.ok_or("it has no first line")?;
        let (header, code) = bytes.split_at(line);
        let header: Header = serde_json::from_slice(header).map_err(|e| e.to_string())?;
        let code = &code[1..];
        if header.format != FORMAT
            || header.build != self.build
            || header.component != hex::encode(component)
        {
            return Err("it is for another component or build".to_owned());
        }
        if header.code_sha256 != hex::encode(&digest_of(code)) {
            return Err("its code is not what was written".to_owned());
        }
        let Header {
            imports, exports, ..
        } = header;
        Ok(Native {
            code: code.to_vec(),
            imports,
            exports,
        })
    }

    /// Keeps the code of a component.
    pub(crate) fn put(&self, component: &Digest, native: &Native) -> Result<(), StoreError> {
        let header = Header {
            format: FORMAT,
            component: hex::encode(component),
            build: self.build.clone(),
            code_sha256: hex::encode(&digest_of(&native.code)),
            imports: native.imports.clone(),
            exports: native.exports.clone(),
        };
        let mut line = serde_json::to_vec(&header).map_err(std::io::Error::from)?;
        line.push(b'\n');
        self.store
            .write(&self.file_name(component), &[&line, &native.code])?;
        self.store.prune(MAX_FILES, MAX_BYTES)
    }

    /// Forgets the code of a component: the engine did not want it.
    pub(crate) fn forget(&self, component: &Digest) {
        self.store.remove(&self.file_name(component));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    const COMPONENT: Digest = [3; 32];

    struct Setting {
        temp: tempfile::TempDir,
        cache: Cache,
        native: Native,
    }

    fn setting() -> Setting {
        let temp = tempfile::tempdir().unwrap();
        let cache = Cache::open(&temp.path().join("c"), "build 1".to_owned()).unwrap();
        let native = Native {
            code: (0..=255).collect(),
            imports: vec!["a:b/c".to_owned()],
            exports: Vec::new(),
        };
        cache.put(&COMPONENT, &native).unwrap();
        Setting {
            temp,
            cache,
            native,
        }
    }

    impl Setting {
        fn file(&self) -> std::path::PathBuf {
            self.temp
                .path()
                .join("c")
                .join(self.cache.file_name(&COMPONENT))
        }

        fn is_refused(&self) {
            assert!(matches!(self.cache.get(&COMPONENT), Found::Damaged(_)));
            // And made way for.
            assert!(matches!(self.cache.get(&COMPONENT), Found::Nothing));
            self.cache.put(&COMPONENT, &self.native).unwrap();
            assert!(matches!(self.cache.get(&COMPONENT), Found::Code(_)));
        }
    }

    #[test]
    fn what_was_put_is_got_by_its_component_and_build_alone() {
        let it = setting();
        let Found::Code(native) = it.cache.get(&COMPONENT) else {
            panic!("not found");
        };
        assert_eq!(native, it.native);
        assert!(matches!(it.cache.get(&[4; 32]), Found::Nothing));
        let other = Cache::open(&it.temp.path().join("c"), "build 2".to_owned()).unwrap();
        assert!(matches!(other.get(&COMPONENT), Found::Nothing));
        // Even in the other's place.
        fs::copy(
            it.file(),
            it.temp.path().join("c").join(other.file_name(&COMPONENT)),
        )
        .unwrap();
        assert!(matches!(other.get(&COMPONENT), Found::Damaged(_)));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let it = setting();
        let whole = fs::read(it.file()).unwrap();
        for position in [0, whole.len() / 2, whole.len() - 256, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            fs::write(it.file(), bytes).unwrap();
            it.is_refused();
        }
        for length in [0, 1, whole.len() - 1] {
            fs::write(it.file(), &whole[..length]).unwrap();
            it.is_refused();
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let it = setting();
        fs::set_permissions(it.file(), Permissions::from_mode(0o666)).unwrap();
        it.is_refused();
        fs::set_permissions(it.temp.path().join("c"), Permissions::from_mode(0o777)).unwrap();
        assert!(Cache::open(&it.temp.path().join("c"), String::new()).is_err());
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away.
            return;
        }
        let it = setting();
        let somebody = Some(65534);
        chown(it.file(), somebody, None).unwrap();
        it.is_refused();
        chown(it.temp.path().join("c"), somebody, None).unwrap();
        assert!(Cache::open(&it.temp.path().join("c"), String::new()).is_err());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let it = setting();
        for index in 0..=MAX_FILES {
            let mut component = [0; 32];
            component[0] = u8::try_from(index).unwrap();
            it.cache.put(&component, &it.native).unwrap();
        }
        assert_eq!(it.cache.store.list().unwrap().len(), MAX_FILES);
    }
}
