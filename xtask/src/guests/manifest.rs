//! `target/guests/out/guests.json`: what was built, from what.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One built guest. Sizes in bytes, digests as lower-case hexadecimal SHA-256.
pub(super) struct Built {
    pub(super) name: String,
    pub(super) version: String,
    /// Of cargo's output: tells whether the rest is still good.
    pub(super) core_sha256: String,
    /// Of the component: how the registry knows this guest.
    pub(super) component_sha256: String,
    pub(super) core_bytes: u64,
    pub(super) component_bytes: u64,
    pub(super) native_bytes: u64,
    pub(super) imports: Vec<String>,
}

/// All guests, and the compiler that made them.
pub(super) struct Manifest {
    pub(super) compiler_sha256: String,
    pub(super) guests: Vec<Built>,
}

impl Manifest {
    /// What the last build left. A file that is missing or not understood
    /// stands for "nothing": everything is then built again.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let value: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Some(Self {
            compiler_sha256: text(&value, "compiler_sha256")?,
            guests: value["guests"]
                .as_array()?
                .iter()
                .map(Built::from_json)
                .collect::<Option<_>>()?,
        })
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let value = json!({
            "compiler_sha256": self.compiler_sha256,
            "guests": self.guests.iter().map(Built::to_json).collect::<Vec<_>>(),
        });
        let mut text = serde_json::to_string_pretty(&value)?;
        text.push('\n');
        if fs::read_to_string(path).is_ok_and(|old| old == text) {
            // Left alone: whoever watches the file need not build again.
            return Ok(());
        }
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Built {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "core_sha256": self.core_sha256,
            "component_sha256": self.component_sha256,
            "core_bytes": self.core_bytes,
            "component_bytes": self.component_bytes,
            "native_bytes": self.native_bytes,
            "imports": self.imports,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let imports = value["imports"].as_array()?;
        Some(Self {
            name: text(value, "name")?,
            version: text(value, "version")?,
            core_sha256: text(value, "core_sha256")?,
            component_sha256: text(value, "component_sha256")?,
            core_bytes: value["core_bytes"].as_u64()?,
            component_bytes: value["component_bytes"].as_u64()?,
            native_bytes: value["native_bytes"].as_u64()?,
            imports: imports
                .iter()
                .map(|import| import.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        })
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

pub(super) fn sha256_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest = Sha256::digest(&bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn example() -> Built {
        Built {
            name: "http1".into(),
            version: "0.1.0".into(),
            core_sha256: "aa".into(),
            component_sha256: "bb".into(),
            core_bytes: 1,
            component_bytes: 2,
            native_bytes: 3,
            imports: vec!["fumehood:guest/panic@0.1.0".into()],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = example().to_json();
        let again = Built::from_json(&value).unwrap();
        assert_eq!(again.to_json(), value);
    }

    #[test]
    fn a_damaged_entry_is_nothing() {
        let mut value = example().to_json();
        value["native_bytes"] = json!("three");
        assert!(Built::from_json(&value).is_none());
    }
}
