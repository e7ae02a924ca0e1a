//! What a module is called: name, version and digest.

use std::fmt;

use aws_lc_rs::digest;
use fumehood_control::Digest;
use semver::Version;

use crate::hex;

/// Longest name of a module, in bytes.
const MAX_NAME: usize = 32;

/// What files with modules end in.
const SUFFIX: &str = ".wasm";

/// Name and semantic version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleId {
    name: String,
    version: Version,
}

impl ModuleId {
    /// From its parts: the name has 1 to 32 of `a-z`, `0-9` and `-`; the
    /// version is semantic. `None` for anything else.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Option<Self> {
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(sound) {
            return None;
        }
        Some(ModuleId {
            name: name.to_owned(),
            version: Version::parse(version).ok()?,
        })
    }

    /// As a file is named: `http1@1.2.0.wasm`.
    #[must_use]
    pub fn of_file_name(file: &str) -> Option<Self> {
        let (name, version) = file.strip_suffix(SUFFIX)?.split_once('@')?;
        ModuleId::new(name, version)
    }

    /// `http1`, `tls`, `x509`, `dns`, `socks`, `pac`;
    /// any other name is a driver's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// SHA-256 of a component.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    let mut sum = Digest::default();
    sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    sum
}

/// What is signed for a module: its digest under its name and version, so
/// that an old module cannot be passed off as a new one.
pub(crate) fn statement(id: &ModuleId, digest: &Digest) -> String {
    format!(
        "fumehood module 1\n{}\n{}\n{}\n",
        id.name,
        id.version,
        hex::encode(digest)
    )
}

#[cfg(test)]
mod tests {
    use super::ModuleId;

    #[test]
    fn a_file_says_what_it_is_or_nothing() {
        let id = ModuleId::of_file_name("http1@1.2.0-rc.1.wasm");
        assert_eq!(
            id.map(|id| id.to_string()).as_deref(),
            Some("http1 1.2.0-rc.1")
        );
        let bad = [
            "http1.wasm",
            "@1.0.0.wasm",
            "http1@1.wasm",
            "http1@1.0.0",
            "Http1@1.0.0.wasm",
            "a/b@1.0.0.wasm",
            "a@1.0.0@2.0.0.wasm",
            "..@1.0.0.wasm",
            "http1@01.0.0.wasm",
        ];
        for name in bad {
            assert_eq!(ModuleId::of_file_name(name), None, "{name}");
        }
        assert_eq!(ModuleId::new(&"a".repeat(33), "1.0.0"), None);
    }
}
