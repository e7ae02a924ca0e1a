//! The command `fumehood`.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    // First thing: the engine and the broker are this program, executed again.
    fumehood::init();
    cli::run()
}
