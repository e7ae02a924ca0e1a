//! The command `fumehood`: the command line and what each subcommand does.

mod access;
mod args;
#[cfg(feature = "demo")]
mod chaos;
#[cfg(feature = "demo")]
mod content;
mod crashes;
mod data;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod escape;
mod exit;
mod fetch;
mod headers;
mod help;
mod hop;
mod judge;
mod modules;
mod output;
mod pac;
#[cfg(feature = "demo")]
mod passing;
mod password;
mod policy;
mod progress;
#[cfg(feature = "demo")]
mod prove;
mod proxy;
mod redirect;
mod report;
mod resolve;
mod resume;
mod run;
mod service;
mod settings;
#[cfg(feature = "demo")]
mod show;
mod shown;
mod status;
mod token_program;
mod transfer;
mod verbose;
mod way;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{Cli, Command};
use exit::{Exit, Failed};

/// Runs the command line; gives the exit code.
pub(crate) fn run() -> ExitCode {
    let matches = Cli::command().get_matches();
    if let Err(error) = fumehood::log_to_stderr(None) {
        return modules::complain(&Failed::new(Exit::Usage, error.to_string()));
    }
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Fetch(args) => {
            // Where it stays, such a write ends the command without a word.
            let _stays = fumehood_sandbox::ignore_file_size_signal();
            // The subcommand was parsed, so its matches are there.
            let Some((_, matches)) = matches.subcommand() else {
                return ExitCode::from(Exit::Usage.code());
            };
            on_runtime(fetch::run(&args, matches))
        }
        Command::Proxy(args) => on_runtime(proxy::run(&args)),
        Command::Modules(args) => on_runtime(modules::run(&args)),
        Command::Policy(args) => on_runtime(policy::run(&args)),
        Command::Pac(args) => on_runtime(pac::run(&args)),
        Command::Status(args) => on_runtime(status::run(&args)),
        Command::Resolve(args) => on_runtime(resolve::run(&args)),
        Command::Crashes(args) => crashes::run(&args),
        Command::Run(args) => on_runtime(run::run(&args)),
        Command::Password { name } => password::run(&name),
        Command::Completions { shell } => help::completions(shell),
        Command::Man { directory } => help::manual(&directory),
        Command::Doctor(args) => doctor::run(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => on_runtime(demo::run(&args)),
        #[cfg(feature = "demo")]
        Command::Chaos(args) => on_runtime(chaos::run(&args)),
        #[cfg(feature = "demo")]
        Command::Prove(args) => prove::run(&args),
    }
}

/// One thread is enough: the work is done in other processes.
fn on_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            // A standard error that is closed changes nothing.
            let _unheard = writeln!(std::io::stderr().lock(), "fumehood: {error}");
            ExitCode::from(Exit::Launch.code())
        }
    }
}
