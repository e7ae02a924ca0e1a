//! Where the build left its programs and guests.
//!
//! Found from the running test's own place, never from the source tree: the
//! tests also run from a copy of `target/`, as a user who cannot read the
//! repository.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Variables that the command goes by and that do not begin with `FUMEHOOD_`.
const VARIABLES: [&str; 19] = [
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "ftp_proxy",
    "FTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSLKEYLOGFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_CURRENT_DESKTOP",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// The command, with nothing set that it goes by where the tests run.
///
/// # Panics
/// If it has not been built; the message says how to.
#[must_use]
pub fn fumehood() -> Command {
    unmoved(Command::new(program("fumehood")))
}

/// The same for a program that executes the command.
#[must_use]
pub fn unmoved(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("FUMEHOOD_") || VARIABLES.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

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
