//! `fumehood pac`: what a proxy auto-configuration script answers, and what is
//! wrong with it. Neither is done in this process.

pub(super) mod args;
mod eval;
mod lint;
mod report;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use fumehood::pac::{MAX_PAC_SCRIPT_BYTES, PacError, PacFailure};
use fumehood::policy::{PacSource, Scheme};
use fumehood::{Anchors, CrashReports, Engine};

use super::exit::{Exit, Failed};
use super::modules::complain;
use super::settings;
use args::{PacAction, PacArgs, Script};

/// Runs the command.
pub(crate) async fn run(args: &PacArgs) -> ExitCode {
    let done = match &args.action {
        PacAction::Eval(eval) => eval::run(eval).await,
        PacAction::Lint(lint) => lint::run(lint).await,
    };
    match done {
        Ok((text, code)) => {
            // A standard output that is closed changes nothing.
            let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
            code
        }
        Err(failed) => complain(&failed),
    }
}

/// Launches an engine and gets the script.
async fn script(args: &Script) -> Result<(Engine, Vec<u8>), Failed> {
    let source = settings::source(&args.permissions);
    let settings = settings::load(&source)?;
    let script: PacSource = args
        .script
        .parse()
        .map_err(|e: fumehood::policy::SourceError| Failed::new(Exit::Url, e.to_string()))?;
    // The system's store takes milliseconds to read: only where it is needed.
    let anchors = match (&script, &args.cacert) {
        (PacSource::Url(url), None) if url.target.scheme == Scheme::Https => Anchors::System,
        (PacSource::Url(_), Some(file)) => Anchors::PemFile(file.clone()),
        _ => Anchors::Nothing,
    };
    let mut builder = Engine::builder()
        .follow(&settings, &source, false)
        .anchors(anchors);
    if let Some(folder) = &args.crash_reports {
        builder = builder.crash_reports(CrashReports::In(folder.clone()));
    }
    let engine = args.sandbox.put_into(builder).launch().await?;
    let script = match args.script.as_str() {
        "-" => standard_input()?,
        _ => engine.pac_script(&script).await?,
    };
    Ok((engine, script))
}

fn standard_input() -> Result<Vec<u8>, Failed> {
    let most = MAX_PAC_SCRIPT_BYTES as u64 + 1;
    let mut script = Vec::new();
    let read = std::io::stdin().lock().take(most).read_to_end(&mut script);
    read.map_err(|e| Failed::new(Exit::Read, format!("standard input: {e}")))?;
    Ok(script)
}

impl From<PacError> for Failed {
    fn from(error: PacError) -> Self {
        match error {
            PacError::Url(why) => Failed::new(Exit::Url, why.to_string()),
            PacError::Script(why) => Failed::new(exit_of(&why), why.to_string()),
            PacError::Source(why) => Failed::new(Exit::Read, why.to_string()),
            PacError::Module(why) => Failed::new(Exit::Module, why.to_string()),
            PacError::Engine(why) => why.into(),
            other => Failed::new(Exit::Engine, other.to_string()),
        }
    }
}

/// For a script that did not answer.
fn exit_of(failure: &PacFailure) -> Exit {
    match failure {
        PacFailure::Guest { .. } => Exit::Guest,
        PacFailure::NotLoaded | PacFailure::Busy => Exit::Engine,
        PacFailure::NoModule(_) => Exit::Module,
        PacFailure::Target(_) => Exit::Url,
        _ => Exit::Script,
    }
}
