//! `fumehood completions` and `fumehood man`: what packagers install beside the program.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::{Exit, Failed};
use super::modules::complain;

/// Prints a shell's completion script.
pub(crate) fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fumehood", &mut script);
    // A standard output that is closed changes nothing.
    let _unheard = io::stdout().lock().write_all(&script);
    ExitCode::SUCCESS
}

/// Writes `fumehood.1` and a page a subcommand.
pub(crate) fn manual(directory: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let why = format!(
                "the pages cannot be written to {}: {error}",
                directory.display()
            );
            complain(&Failed::new(Exit::Write, why))
        }
    }
}
