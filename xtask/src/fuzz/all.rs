//! `cargo xtask fuzz all`: every target for so long, some at once, and a table of what
//! came of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Places, Target, fuzzing, replay, tools};
use crate::command;
use crate::report;
use crate::workspace::Workspace;

/// What crashes at a word, for whoever tries the tools.
const DRILL: &str = "drill";

/// What came of a target.
struct Outcome {
    seconds: u64,
    /// Inputs that were run.
    runs: Option<u64>,
    /// libFuzzer's `cov`: edges of the program that inputs reach.
    edges: Option<u64>,
    found: Vec<PathBuf>,
}

/// Fuzzes all of `targets`, so many of them at once. What goes wrong with one keeps no
/// other from its time.
pub(super) fn run(
    workspace: &Workspace,
    targets: &[Target],
    seconds: u32,
    at_once: u32,
) -> Result<ExitCode> {
    let programs = tools::build_all(workspace)?;
    let logs = tools::folder(workspace).join("logs");
    fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let queue = Mutex::new(targets.iter().filter(|target| target.name != DRILL));
    let next = || lock(&queue).next();
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let outcome = one(workspace, target, &programs, &logs, seconds);
                    report::line("done", &row(target, &outcome).join("  "));
                    lock(&outcomes).push((target, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let place = |name: &str| targets.iter().position(|it| it.name == name);
    outcomes.sort_by_key(|(target, _)| place(&target.name));
    let header = ["target", "seconds", "runs", "edges", "found"];
    let rows: Vec<_> = outcomes.iter().map(|(of, came)| row(of, came)).collect();
    println!("{}", report::table(&header, &rows));
    let mut code = ExitCode::SUCCESS;
    for (target, outcome) in &outcomes {
        match outcome {
            Ok(outcome) if outcome.found.is_empty() => continue,
            Ok(outcome) => replay(workspace, target, &outcome.found)?,
            Err(error) => eprintln!("error: {}: {error:#}", target.name),
        }
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

fn one(
    workspace: &Workspace,
    target: &Target,
    programs: &Path,
    logs: &Path,
    seconds: u32,
) -> Result<Outcome> {
    let places = Places::create(workspace, target)?;
    let before = places.findings()?;
    let log = logs.join(&target.name).with_extension("log");
    let told = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    report::line(
        "fuzzing",
        &format!("{}, told of in {}", target.name, log.display()),
    );
    let began = Instant::now();
    let mut fuzzer = fuzzing(&programs.join(&target.name), &places, seconds);
    fuzzer.stdin(Stdio::null()).stdout(told.try_clone()?);
    let status = fuzzer.stderr(told).status();
    let status = status.context("cannot start its fuzzer")?;
    let found = places.found_since(&before)?;
    if found.is_empty() {
        command::check(&fuzzer, status).with_context(|| format!("see {}", log.display()))?;
    }
    let told = fs::read(&log)?;
    let told = String::from_utf8_lossy(&told);
    Ok(Outcome {
        seconds: began.elapsed().as_secs(),
        runs: last_number(&told, "stat::number_of_executed_units:"),
        edges: last_number(&told, " cov:"),
        found,
    })
}

/// The number behind the last place where `name` is.
fn last_number(told: &str, name: &str) -> Option<u64> {
    let (_, rest) = told.rsplit_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

fn row(target: &Target, outcome: &Result<Outcome>) -> Vec<String> {
    let told = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let mut row = vec![target.name.clone()];
    match outcome {
        Ok(outcome) => {
            let found = match outcome.found.len() {
                0 => "nothing".to_owned(),
                count => format!("{count}, shown below"),
            };
            row.extend([outcome.seconds.to_string(), told(outcome.runs)]);
            row.extend([told(outcome.edges), found]);
        }
        Err(_) => row.extend(["?", "?", "?", "it failed, see below"].map(str::to_owned)),
    }
    row
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_what_a_fuzzer_tells() {
        let told = "#2\tINITED cov: 3 ft: 4\n#90\tNEW    cov: 1520 ft: 7\n\
                    stat::number_of_executed_units: 279520\n";
        assert_eq!(last_number(told, " cov:"), Some(1520));
        let runs = last_number(told, "stat::number_of_executed_units:");
        assert_eq!(runs, Some(279_520));
        assert_eq!(last_number("", " cov:"), None);
    }
}
