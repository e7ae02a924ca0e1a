//! Command lines, and what came of them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fumehood_tests::artifacts::program;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::processes::wait_for;

/// Only a test that fails waits so long.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// `fumehood run`, with these words behind it.
pub(crate) fn run<I: IntoIterator<Item: AsRef<OsStr>>>(words: I) -> Fetch {
    Fetch::command("run").args(words)
}

/// `fumehood run`, with flags, and what it runs: the program that tries things.
pub(crate) fn inmate(flags: &[&str], tries: &[&str]) -> Finished {
    let finished = run(flags).arg("--").arg(program("fumehood-inmate"));
    finished.args(tries).run()
}

/// The program that tries things, not confined.
pub(crate) fn free(tries: &[&str]) -> String {
    let mut command = Command::new(program("fumehood-inmate"));
    text(&command.args(tries).output().unwrap().stdout)
}

/// Waits for a file that says how far a command has come.
pub(crate) fn wait_until_there(file: &Path) {
    wait_for(READY_LIMIT, || file.exists().then_some(())).unwrap();
}

/// What it wrote.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
