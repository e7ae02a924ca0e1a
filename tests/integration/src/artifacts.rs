//! Where the build left its programs and guests.
//!
//! Found from the running test's own place, never from the source tree: the
//! tests also run from a copy of `target/`, as a user who cannot read the
//! repository.

use std::env;
use std::path::PathBuf;

/// A program of this workspace, such as `fumehood`: `target/release/NAME`.
///
/// # Panics
/// If it has not been built; the message says how to.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    existing(release_folder().join(name))
}

/// A guest as a component: `target/guests/out/NAME.wasm`.
///
/// # Panics
/// If it has not been built; the message says how to.
#[must_use]
pub fn component(name: &str) -> PathBuf {
    existing(guests_folder().join(format!("{name}.wasm")))
}

/// A guest as native code: `target/guests/out/NAME.cwasm`.
///
/// # Panics
/// If it has not been built; the message says how to.
#[must_use]
pub fn native_code(name: &str) -> PathBuf {
    existing(guests_folder().join(format!("{name}.cwasm")))
}

/// `target/guests/out`.
#[must_use]
pub fn guests_folder() -> PathBuf {
    release_folder().join("../guests/out")
}

/// `target/release`: a test lies in its `deps`, a program in it.
fn release_folder() -> PathBuf {
    let mut folder = env::current_exe().expect("Linux tells a program where it is");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is not there: `cargo xtask build` makes it",
        path.display()
    );
    path
}
