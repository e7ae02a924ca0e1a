//! `fumehood crashes`: how guests ended.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use fumehood::CrashReports;
use fumehood::crashes::{self, CrashError, CrashReport};

use super::args::{Crashes, CrashesAction};
use super::escape::for_terminal;
use super::exit::{Exit, Failed};

/// Runs the command.
pub(crate) fn run(args: &Crashes) -> ExitCode {
    match text(args) {
        Ok(text) => {
            // A standard output that is closed changes nothing.
            let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failed) => super::modules::complain(&failed),
    }
}

fn text(args: &Crashes) -> Result<String, Failed> {
    let folder = folder(args)?;
    let failed = |e: CrashError| Failed::new(Exit::Module, e.to_string());
    match &args.action {
        CrashesAction::List => {
            let reports = crashes::list(&folder).map_err(failed)?;
            match args.json {
                true => super::modules::json(&reports),
                false => Ok(reports.iter().map(line).collect()),
            }
        }
        CrashesAction::Show { id } => {
            let report = crashes::show(&folder, id).map_err(failed)?;
            match args.json {
                true => super::modules::json(&report),
                false => Ok(page(&report, &folder)),
            }
        }
    }
}

fn folder(args: &Crashes) -> Result<PathBuf, Failed> {
    let folder = args
        .directory
        .clone()
        .or_else(|| CrashReports::OfUser.folder());
    folder.ok_or_else(|| {
        let why = "this user has no home, so no crash reports; name a folder with --directory";
        Failed::new(Exit::Usage, why)
    })
}

fn line(report: &CrashReport) -> String {
    let text = format!(
        "{}  {} {}  {}: {}",
        report.id, report.module, report.version, report.kind, report.detail
    );
    for_terminal(text.lines().collect::<Vec<_>>().join(" ").as_bytes()) + "\n"
}

/// What became of what the guest was doing, for people.
fn aftermath(report: &CrashReport) -> &str {
    match report.aftermath.as_str() {
        "resumed" => "resumed: another instance took over on the same connection",
        "retried" => "retried: it succeeded on another connection",
        "went-on" => "the connection went on without a guest",
        "failed" => "what it was doing failed with it",
        other => other,
    }
}

fn page(report: &CrashReport, folder: &std::path::Path) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{}", for_terminal(line.as_bytes()));
    };
    say(format!(
        "{} {} ({})",
        report.module, report.version, report.digest
    ));
    say(format!(
        "  {} at {}, fumehood {}",
        report.kind, report.time, report.fumehood
    ));
    say(format!("  {}", report.detail));
    if !report.location.is_empty() {
        say(format!("  at {}", report.location));
    }
    say(format!("  {}", aftermath(report)));
    if report.quarantined {
        say("  the version was quarantined".to_owned());
    }
    say("backtrace, innermost first".to_owned());
    for frame in &report.backtrace {
        say(format!("  {:#08x}  {}", frame.offset, frame.function));
    }
    say("last calls".to_owned());
    for step in &report.trail {
        say(format!("  {:>9} µs  {}", step.at_us, step.what));
    }
    say(format!("sandbox: {}", report.layers.join(", ")));
    if let Some(recording) = &report.recording {
        say(format!(
            "replay: fumehood modules replay {}",
            folder.join(recording).display()
        ));
    }
    text
}
