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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use std::collections::BTreeSet;

    use super::*;

    /// What the page of a command is called, and of those under it.
    fn pages(command: &clap::Command, above: &str, all: &mut BTreeSet<String>) {
        let name = format!("{above}{}", command.get_name());
        all.insert(format!("{name}.1"));
        for under in command.get_subcommands() {
            pages(under, &format!("{name}-"), all);
        }
    }

    #[test]
    fn there_is_a_page_for_each_command() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(manual(folder.path()), ExitCode::SUCCESS);
        let written = std::fs::read_dir(folder.path()).unwrap();
        let written: BTreeSet<String> = written
            .map(|page| page.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut all = BTreeSet::new();
        pages(&Cli::command(), "", &mut all);
        assert!(all.contains("fumehood-pac-eval.1"), "{all:?}");
        assert_eq!(written, all);
    }
}
