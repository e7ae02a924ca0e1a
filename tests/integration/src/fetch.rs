//! `fumehood fetch`, or another of its commands, as a process: started, bounded in time, and looked after
//! once it has ended.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::artifacts::fumehood;
use crate::processes::{self, Process, wait_for};

/// Longest that a command may take. All that tests wait for is loopback and
/// deadlines below a second; a crowded machine gets the rest.
const LIMIT: Duration = Duration::from_secs(30);

/// The same of those that try hundreds of requests, and take seconds where
/// nothing else runs.
const LONG_LIMIT: Duration = Duration::from_secs(120);

/// Commands that take [`LONG_LIMIT`].
const LONG: [&str; 2] = ["chaos", "prove"];

/// Engine and broker end with their embedder, at once; a crowded machine gets
/// the rest.
const GONE_LIMIT: Duration = Duration::from_secs(5);

/// How long output may still come when the command has ended.
const OUTPUT_LIMIT: Duration = Duration::from_secs(30);

/// A command line under construction. `--json`, `--silent` and leave to reach
/// `127.0.0.1` are in it from the start.
#[derive(Debug)]
pub struct Fetch {
    command: Command,
    stdin: Option<Vec<u8>>,
    /// The command's standard output is somebody else's to read.
    stdout_given: bool,
    limit: Duration,
}

/// A command that runs, with its engine and broker.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Receiver<Vec<u8>>,
    limit: Duration,
}

/// A command that ended, and nothing of it is left.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Fetch {
    /// `fumehood fetch --json --silent --allow-private 127.0.0.1 URL`.
    #[must_use]
    pub fn new(url: impl AsRef<OsStr>) -> Self {
        Self::plain()
            .args(["--json", "--silent", "--allow-private", "127.0.0.1"])
            .arg(url)
    }

    /// `fumehood fetch`, with nothing added.
    ///
    /// # Panics
    /// If the command has not been built.
    #[must_use]
    pub fn plain() -> Self {
        Self::command("fetch")
    }

    /// Another command: `fumehood NAME`, looked after in the same way.
    ///
    /// # Panics
    /// If the command has not been built.
    #[must_use]
    pub fn command(name: &str) -> Self {
        let mut command = fumehood();
        command
            .arg(name)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            stdin: None,
            stdout_given: false,
            limit: if LONG.contains(&name) {
                LONG_LIMIT
            } else {
                LIMIT
            },
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Runs it in this folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it these bytes on standard input, through a pipe.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self.command.stdin(Stdio::piped());
        self
    }

    /// Gives it this for its standard output.
    #[must_use]
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self.stdout_given = true;
        self
    }

    /// Bounds the size of the files it may write, in bytes; a write beyond
    /// fails, as on a full disk.
    #[must_use]
    pub fn largest_file(self, bytes: u64) -> Self {
        // util-linux sets the bound and becomes the command; a signal that
        // its parent ignores stays ignored.
        let inner = self.command;
        let mut command = Command::new("prlimit");
        command.arg(format!("--fsize={bytes}")).arg("--");
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, ..self }
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("the command starts");
        if let (Some(bytes), Some(mut pipe)) = (self.stdin.take(), child.stdin.take()) {
            // A command that reads no further makes this fail, and that is its right.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = child.stdout.take().map(read_all);
        assert_eq!(stdout.is_none(), self.stdout_given);
        let stderr = read_all(child.stderr.take().expect("standard error is a pipe"));
        Running {
            child,
            stdout,
            stderr,
            limit: self.limit,
        }
    }

    /// Starts it and waits until it and its processes are gone.
    ///
    /// # Panics
    /// If it hangs, or leaves a process behind.
    #[must_use]
    pub fn run(self) -> Finished {
        self.start().finish()
    }
}

/// Reads to the end, on a thread of its own.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        // What was read up to an error is what there is.
        let _partial = from.read_to_end(&mut all);
        // The test may have failed and gone.
        let _unheard = sender.send(all);
    });
    receiver
}

impl Running {
    /// The command's number, which is its group's too.
    ///
    /// # Panics
    /// Never: numbers of processes are small.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("Linux numbers processes up to 2^22")
    }

    /// Its engine or broker, once there is one.
    ///
    /// # Panics
    /// If there is none in time.
    #[must_use]
    pub fn process(&self, role: &str) -> Process {
        let found = wait_for(LIMIT, || {
            let children = processes::children_of(self.pid());
            children.into_iter().find(|process| process.plays(role))
        });
        found.unwrap_or_else(|| panic!("the command has no {role}"))
    }

    /// Kills the command itself with SIGKILL.
    ///
    /// # Panics
    /// If it has ended already.
    pub fn kill(&mut self) {
        self.child.kill().expect("the command still runs");
    }

    /// Waits until it and all its processes are gone.
    ///
    /// # Panics
    /// If it hangs, or leaves a process behind.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let group = self.pid();
        let status = wait_for(self.limit, || self.child.try_wait().transpose());
        let Some(status) = status else {
            let left = processes::in_group(group);
            processes::kill_group(group);
            let _reaped = self.child.wait();
            panic!("the command hung; there were {left:?}");
        };
        let gone = wait_for(GONE_LIMIT, || {
            processes::in_group(group).is_empty().then_some(())
        });
        if gone.is_none() {
            let left = processes::in_group(group);
            processes::kill_group(group);
            panic!("the command ended and left {left:?}");
        }
        let stdout = self.stdout.map(|it| it.recv_timeout(OUTPUT_LIMIT));
        let stderr = self.stderr.recv_timeout(OUTPUT_LIMIT);
        Finished {
            status: status.expect("a child can be waited for"),
            stdout: stdout.map_or_else(Vec::new, |it| it.expect("standard output ended")),
            stderr: String::from_utf8_lossy(&stderr.expect("standard error ended")).into_owned(),
        }
    }
}

impl Finished {
    /// The exit code.
    ///
    /// # Panics
    /// If it was killed by a signal.
    #[must_use]
    pub fn code(&self) -> i32 {
        let signal = self.status.signal();
        let code = self.status.code();
        code.unwrap_or_else(|| panic!("killed by signal {signal:?}: {}", self.stderr))
    }

    /// The JSON reports, one for each URL, wherever they were written.
    #[must_use]
    pub fn reports(&self) -> Vec<Value> {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let lines = self.stderr.lines().chain(stdout.lines());
        lines
            .filter(|line| line.starts_with("{\""))
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The only report.
    ///
    /// # Panics
    /// If there is none, or more than one.
    #[must_use]
    pub fn report(&self) -> Value {
        let mut reports = self.reports();
        assert_eq!(reports.len(), 1, "not one report: {self:?}");
        reports.remove(0)
    }

    /// The content, of a command that succeeded.
    ///
    /// # Panics
    /// If it failed.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        assert_eq!(self.code(), 0, "{self:?}");
        &self.stdout
    }

    /// Checks how it failed: its exit code, and code and blame of the report.
    ///
    /// # Panics
    /// If it succeeded, or failed otherwise.
    #[track_caller]
    pub fn assert_failed(&self, exit: i32, code: &str, blame: &str) {
        let error = &self.report()["error"];
        let found = (self.code(), error["code"].as_str(), error["blame"].as_str());
        assert_eq!(found, (exit, Some(code), Some(blame)), "{self:?}");
        assert_eq!(error["exit_code"], exit, "{self:?}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "an error without words: {self:?}");
    }
}
