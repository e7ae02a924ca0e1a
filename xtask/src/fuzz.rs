//! `cargo xtask fuzz TARGET`: builds a target of `tests/fuzz` with libFuzzer,
//! runs it, and replays what it found natively and behind glass.
//!
//! What is committed (`tests/fuzz/corpus`, `tests/fuzz/regressions`) is where a
//! run starts; what it finds stays under `target/fuzz`:
//!
//! ```text
//! build/             the instrumented programs
//! corpus/TARGET      inputs that reached something new
//! artifacts/TARGET   inputs that crashed, hung or took too much memory
//! logs/TARGET.log    what the fuzzers said that ran with others
//! ```

mod all;
mod options;
mod tools;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::guests::{self, Imports};
use crate::report;
use crate::workspace::Workspace;
use options::{Options, Work};

/// The package with the targets, and its program that replays inputs.
const PACKAGE: &str = "fumehood-fuzz";
const REPLAY: &str = "fumehood-replay-input";

/// Where the committed inputs are, below the root.
const COMMITTED: &str = "tests/fuzz";

/// An input that takes longer is a finding, in seconds. A guest's own deadline
/// is half a second, under a sanitizer on a busy machine too.
const INPUT_SECONDS: u32 = 20;

/// Longest input, in bytes: some records, a chain, a head that is over its bound.
const MAX_INPUT_BYTES: u32 = 64 * 1024;

/// Memory that a fuzzer may take, in MiB. It holds a corpus, and a pool of guests.
const MEMORY_MIB: u32 = 4096;

/// Stands for every target.
const ALL: &str = "all";

/// A target, as the package itself lists it.
struct Target {
    name: String,
    /// Whose committed inputs it starts from.
    corpus: String,
    what: String,
}

pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<ExitCode> {
    let options = Options::parse(words)?;
    // The replayer loads the guests, and so do some targets.
    guests::build(workspace, Imports::MustMatch)?;
    let targets = targets(workspace)?;
    let Some(name) = options.target else {
        let row = |target: &Target| vec![target.name.clone(), target.what.clone()];
        let rows: Vec<_> = targets.iter().map(row).collect();
        println!("{}", report::table(&["target", "what is held"], &rows));
        return Ok(ExitCode::SUCCESS);
    };
    if let (ALL, Work::Run { seconds, jobs }) = (name, &options.work) {
        return all::run(workspace, &targets, *seconds, *jobs);
    }
    let Some(target) = targets.iter().find(|target| target.name == name) else {
        bail!("there is no target `{name}`: `cargo xtask fuzz list` tells which there are");
    };
    let places = Places::create(workspace, target)?;
    let program = tools::build(workspace, &target.name)?;
    match options.work {
        Work::Run { seconds, jobs } => fuzz(workspace, target, &places, &program, seconds, jobs),
        Work::Merge => merge(&places, &program),
        Work::Minimize { input } => minimize(workspace, target, &places, &program, input),
    }
}

/// Builds the replayer and has it list the targets.
fn targets(workspace: &Workspace) -> Result<Vec<Target>> {
    command::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", PACKAGE, "--bins"]),
    )?;
    let listed = command::capture(Command::new(workspace.release_program(REPLAY)).arg("list"))?;
    let target = |line: &str| {
        let mut words = line.split('\t').map(str::to_owned);
        Some(Target {
            name: words.next()?,
            corpus: words.next()?,
            what: words.next()?,
        })
    };
    listed
        .lines()
        .map(|line| target(line).with_context(|| format!("{REPLAY} listed `{line}`")))
        .collect()
}

/// A target's folders.
struct Places {
    /// Grows with every run.
    corpus: PathBuf,
    /// What crashed.
    artifacts: PathBuf,
    /// Committed inputs, as far as there are any.
    committed: Vec<PathBuf>,
}

impl Places {
    fn create(workspace: &Workspace, target: &Target) -> Result<Self> {
        let base = tools::folder(workspace);
        let places = Self {
            corpus: base.join("corpus").join(&target.name),
            artifacts: base.join("artifacts").join(&target.name),
            committed: ["corpus", "regressions"]
                .iter()
                .map(|kind| workspace.root().join(COMMITTED).join(kind))
                .map(|folder| folder.join(&target.corpus))
                .filter(|folder| folder.is_dir())
                .collect(),
        };
        for folder in [&places.corpus, &places.artifacts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(places)
    }

    /// The crashing inputs there are, and when each was found last.
    fn findings(&self) -> Result<Vec<(PathBuf, SystemTime)>> {
        let mut findings = Vec::new();
        for entry in fs::read_dir(&self.artifacts)? {
            let entry = entry?;
            findings.push((entry.path(), entry.metadata()?.modified()?));
        }
        findings.sort_unstable();
        Ok(findings)
    }

    /// Those that are new, or were found anew.
    fn found_since(&self, before: &[(PathBuf, SystemTime)]) -> Result<Vec<PathBuf>> {
        let mut found = self.findings()?;
        found.retain(|finding| !before.contains(finding));
        Ok(found.into_iter().map(|(path, _)| path).collect())
    }

    fn artifact_prefix(&self) -> OsString {
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(&self.artifacts);
        prefix.push("/");
        prefix
    }
}

fn fuzz(
    workspace: &Workspace,
    target: &Target,
    places: &Places,
    program: &Path,
    seconds: u32,
    jobs: u32,
) -> Result<ExitCode> {
    let before = places.findings()?;
    report::line("fuzzing", &format!("{}: {}", target.name, target.what));
    let mut fuzzer = fuzzing(program, places, seconds);
    if jobs > 1 {
        fuzzer.arg(format!("-fork={jobs}"));
    }
    let status = fuzzer
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let found = places.found_since(&before)?;
    if found.is_empty() {
        command::check(&fuzzer, status)?;
        report::line("done", "nothing was found");
        return Ok(ExitCode::SUCCESS);
    }
    replay(workspace, target, &found)?;
    println!(
        "\nFix it, and commit the input to tests/fuzz/regressions/{}/ under a name that says \
         what was wrong; `cargo xtask fuzz {} --minimize FILE` makes it smaller.",
        target.corpus, target.name
    );
    Ok(ExitCode::FAILURE)
}

/// Shows what inputs come to natively and behind glass, without a sanitizer.
fn replay(workspace: &Workspace, target: &Target, inputs: &[PathBuf]) -> Result<()> {
    report::line("replaying", "natively and behind glass");
    let mut replayer = Command::new(workspace.release_program(REPLAY));
    replayer.arg(&target.name).args(inputs);
    // An input that does not survive is what we are here to see.
    let output = command::output(&mut replayer)?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Leaves of the grown corpus what reaches anything that the committed inputs
/// do not. It takes the old one's place when it is whole, so that an end in the
/// middle loses nothing.
fn merge(places: &Places, program: &Path) -> Result<ExitCode> {
    let merged = places.corpus.with_extension("merging");
    if merged.exists() {
        fs::remove_dir_all(&merged).context("cannot remove what an earlier merge left")?;
    }
    fs::create_dir_all(&merged)?;
    command::run(
        fuzzer(program)
            .args([max_len(), "-merge=1".to_owned()])
            .arg(&merged)
            .args(&places.committed)
            .arg(&places.corpus),
    )?;
    remove_copies(&merged, &places.committed)?;
    let (before, after) = (count(&places.corpus)?, count(&merged)?);
    fs::remove_dir_all(&places.corpus).context("cannot remove the old corpus")?;
    fs::rename(&merged, &places.corpus).context("cannot put the new corpus in its place")?;
    report::line("done", &format!("{before} inputs have become {after}"));
    Ok(ExitCode::SUCCESS)
}

/// Removes files of a folder that lie in one of the others too, by whatever name.
fn remove_copies(folder: &Path, others: &[PathBuf]) -> Result<()> {
    let mut there = HashSet::new();
    for entry in others.iter().map(fs::read_dir) {
        for entry in entry? {
            there.insert(fs::read(entry?.path())?);
        }
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if there.contains(&fs::read(&path)?) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn count(folder: &Path) -> Result<usize> {
    Ok(fs::read_dir(folder)?.count())
}

/// Makes a crashing input smaller; the result lies beside the other findings.
fn minimize(
    workspace: &Workspace,
    target: &Target,
    places: &Places,
    program: &Path,
    input: &str,
) -> Result<ExitCode> {
    let smallest = places.artifacts.join("minimized");
    let mut exact = OsString::from("-exact_artifact_path=");
    exact.push(&smallest);
    command::run(
        fuzzer(program)
            .args(["-minimize_crash=1", "-runs=100000"])
            .arg(exact)
            .arg(input),
    )?;
    replay(workspace, target, &[smallest])?;
    Ok(ExitCode::SUCCESS)
}

/// Not for minimizing: libFuzzer sets the length itself then, and ends if it is set.
fn max_len() -> String {
    format!("-max_len={MAX_INPUT_BYTES}")
}

/// One that runs for a while, from all the inputs there are.
fn fuzzing(program: &Path, places: &Places, seconds: u32) -> Command {
    let mut fuzzer = fuzzer(program);
    fuzzer
        .arg(max_len())
        .arg(format!("-max_total_time={seconds}"))
        .arg(places.artifact_prefix())
        .arg("-print_final_stats=1")
        .arg(&places.corpus)
        .args(&places.committed);
    fuzzer
}

fn fuzzer(program: &Path) -> Command {
    let mut fuzzer = Command::new(program);
    fuzzer
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"));
    fuzzer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn a_corpus_keeps_no_copies_of_what_is_committed() {
        let folder = std::env::temp_dir().join(format!("fumehood-fuzz-{}", std::process::id()));
        let (corpus, committed) = (folder.join("a"), folder.join("b"));
        for (path, content) in [
            (corpus.join("1"), "seed"),
            (corpus.join("2"), "new"),
            (committed.join("named"), "seed"),
            (committed.join("other"), "another"),
        ] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        remove_copies(&corpus, &[committed]).unwrap();
        assert_eq!(count(&corpus).unwrap(), 1);
        assert_eq!(fs::read(corpus.join("2")).unwrap(), b"new");
        fs::remove_dir_all(folder).unwrap();
    }
}
