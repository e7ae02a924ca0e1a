//! The library in a program of its own. Its engine and broker are this very
//! program, executed again, so the standard harness, which owns `main`, will
//! not do: this one runs the tests of its table one after the other, and
//! prints what the standard one would.
#![allow(clippy::unwrap_used, reason = "a test")]

mod drivers;
mod faults;
mod grants;
mod handshakes;
mod harness;
mod inside;
mod last_resort;
mod leaks;
mod messages;
mod mortality;
mod names;
mod pac;
mod policy;
mod pool;
mod preferences;
mod pressure;
mod proxies;
mod support;
mod time;

use std::process::ExitCode;

use harness::Test;

fn main() -> ExitCode {
    fumehood::init();
    let tests: Vec<Test> = [
        &drivers::TESTS[..],
        &faults::TESTS,
        &grants::TESTS,
        &handshakes::TESTS,
        &inside::TESTS,
        &last_resort::TESTS,
        &leaks::TESTS,
        &messages::TESTS,
        &mortality::TESTS,
        &names::TESTS,
        &pac::TESTS,
        &policy::TESTS,
        &pool::TESTS,
        &preferences::TESTS,
        &pressure::TESTS,
        &proxies::TESTS,
        &time::TESTS,
    ]
    .concat();
    harness::run(&tests)
}
