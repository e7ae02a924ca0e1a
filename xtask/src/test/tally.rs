//! Runs something that runs tests, shows its output, and counts.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command;

/// One program full of tests may take so long. A test that hangs should cost
/// one failure, not the whole run.
const PROGRAM_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long output may still come once the program has ended: a process it
/// left behind can hold the pipe open for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(30);

/// Test results summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Reads a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn of_line(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let place = match what {
                "passed" => &mut tally.passed,
                "failed" => &mut tally.failed,
                "ignored" => &mut tally.ignored,
                _ => continue,
            };
            *place = number.parse().ok()?;
        }
        Some(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("ok");
        }
        write!(f, "{} passed", self.passed)?;
        if self.failed > 0 {
            write!(f, ", {} FAILED", self.failed)?;
        }
        if self.ignored > 0 {
            write!(f, ", {} ignored", self.ignored)?;
        }
        Ok(())
    }
}

/// Runs `command` to its end, or to [`PROGRAM_LIMIT`]. One that fails without
/// a failed test (it crashed, it hung, it did not compile) counts as one.
pub(super) fn run(command: &mut Command) -> Result<Tally> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", command::shown(command)))?;
    let (sender, results) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                println!("{line}");
                if let Some(tally) = Tally::of_line(&line) {
                    // Nobody listens any more once the grace is over.
                    let _ = sender.send(tally);
                }
            }
        });
    }
    let status = command::wait_within(&mut child, PROGRAM_LIMIT)?;

    let mut total = Tally::default();
    while let Ok(tally) = results.recv_timeout(OUTPUT_GRACE) {
        total.add(tally);
    }
    match status {
        Some(status) if status.success() => {}
        Some(status) => {
            eprintln!("error: `{}` failed ({status})", command::shown(command));
            total.failed = total.failed.max(1);
        }
        None => {
            eprintln!(
                "error: `{}` still ran after {} minutes and was killed",
                command::shown(command),
                PROGRAM_LIMIT.as_secs() / 60
            );
            total.failed = total.failed.max(1);
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn shell(script: &str) -> Tally {
        run(Command::new("sh").args(["-c", script])).unwrap()
    }

    const GOOD: &str = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; \
                        2 filtered out; finished in 0.01s";

    #[test]
    fn a_result_line_is_counted() {
        let tally = Tally::of_line(GOOD).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.ignored), (3, 0, 1));
        assert_eq!(Tally::of_line("test result: unknown"), None);
        assert_eq!(Tally::of_line("test a::b ... ok"), None);
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let tally = shell(&format!("echo '{GOOD}'; echo '{GOOD}'"));
        assert_eq!((tally.passed, tally.failed), (6, 0));
    }

    #[test]
    fn a_crash_after_good_results_is_a_failure() {
        let tally = shell(&format!("echo '{GOOD}'; exit 101"));
        assert_eq!((tally.passed, tally.failed), (3, 1));
    }

    #[test]
    fn failed_tests_are_not_counted_twice() {
        let tally = shell("echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101");
        assert_eq!((tally.passed, tally.failed), (1, 2));
    }
}
