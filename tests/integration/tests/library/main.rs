//! The library in a program of its own. Its engine and broker are this very
//! program, executed again, so the standard harness, which owns `main`, will
//! not do: this one runs the tests of its table one after the other, and
//! prints what the standard one would.
#![allow(clippy::unwrap_used, reason = "a test")]

mod drivers;
mod faults;
mod harness;
mod leaks;
mod messages;
mod mortality;
mod support;
mod time;

use std::process::ExitCode;

use harness::Test;

fn main() -> ExitCode {
    fumehood::init();
    let tests: Vec<Test> = [
        &drivers::TESTS[..],
        &faults::TESTS,
        &leaks::TESTS,
        &messages::TESTS,
        &mortality::TESTS,
        &time::TESTS,
    ]
    .concat();
    harness::run(&tests)
}
