//! The built guests, for tests.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_control::{Digest, ModuleHeader};

use super::Registry;

/// What tests know a version by.
pub(crate) fn digest(number: u8) -> Digest {
    [number; 32]
}

/// Loads the built guest `file` as a version of the module `name`, to be a candidate.
pub(crate) fn load(registry: &Registry, name: &str, file: &str, number: u8) -> Result<(), String> {
    let header = ModuleHeader {
        name: name.to_owned(),
        version: format!("0.0.{number}"),
        digest: digest(number),
    };
    registry.load(
        &header,
        fumehood_sandbox::sealed(name, &[&native(file)]).unwrap(),
    )
}

/// The same, and makes it current.
pub(crate) fn put(registry: &Registry, name: &str, file: &str, number: u8) -> Result<(), String> {
    load(registry, name, file, number)?;
    registry.swap(name, digest(number)).map(drop)
}

/// Native code of a built guest.
pub(crate) fn native(file: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../target/guests/out/{file}.cwasm",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).expect("the guests are built by `cargo xtask guests`")
}
