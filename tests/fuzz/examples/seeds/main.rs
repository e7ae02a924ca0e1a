//! Writes `corpus/`: inputs made by real encoders and by hand, from which the
//! fuzzers start. Type `cargo run --release -p fumehood-fuzz --example seeds`.
#![allow(clippy::unwrap_used, reason = "a tool of the tests")]

mod chains;
mod handshakes;
mod messages;
mod names;
mod questions;
#[path = "../../../../guest-modules/dns/tests/rig/mod.rs"]
mod rig;
mod scripts;
mod streams;

use std::fs;
use std::path::Path;

fn main() {
    streams::write();
    handshakes::write();
    chains::write();
    messages::write();
    names::write();
    questions::write();
    scripts::write();
}

/// Writes one input of a corpus.
pub(crate) fn seed(corpus: &str, name: &str, input: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(corpus);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), input).unwrap();
}
