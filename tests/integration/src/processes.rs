//! What `/proc` says of processes: who is there, and what they hold.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often `/proc` is looked at.
const POLL: Duration = Duration::from_millis(2);

/// Most of a wait that one look can use up: on a machine that stood still nobody
/// had the time that passed.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// A process as `/proc/PID/stat` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its group's.
    pub group: i32,
    /// `R`, `S`, …; `Z` is dead and waits for its parent to look.
    pub state: char,
    /// The arguments it was started with, the program first.
    pub arguments: Vec<String>,
}

impl Process {
    /// Whether it plays this role: `engine`, `broker`.
    #[must_use]
    pub fn plays(&self, role: &str) -> bool {
        let wanted = format!("--fumehood-role={role}");
        self.arguments.contains(&wanted)
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// As `kill(2)`.
    pub fn kill(&self) -> io::Result<()> {
        let pid = Pid::from_raw(self.pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, Signal::KILL)?)
    }

    /// Most descriptors it has had open at once, rounded up by the kernel to
    /// a power of two. Unlike `/proc/PID/fd`, everybody may read it.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn descriptor_table(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let size = status
            .lines()
            .find_map(|line| line.strip_prefix("FDSize:"))
            .and_then(|size| size.trim().parse().ok());
        size.ok_or_else(|| io::Error::other("no FDSize in /proc/PID/status"))
    }

    fn read(folder: &Path) -> Option<Self> {
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The name is in parentheses and may contain anything.
        let (start, rest) = stat.rsplit_once(')')?;
        let pid = start.split(' ').next()?.parse().ok()?;
        let mut words = rest.split_whitespace();
        let state = words.next()?.chars().next()?;
        let parent = words.next()?.parse().ok()?;
        let group = words.next()?.parse().ok()?;
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        let arguments = line
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect();
        Some(Self {
            pid,
            parent,
            group,
            state,
            arguments,
        })
    }
}

/// All that live: who is dead and waits for a parent to look is left out.
///
/// # Panics
/// If there is no `/proc`.
#[must_use]
pub fn alive() -> Vec<Process> {
    let folders = fs::read_dir("/proc").expect("Linux has /proc");
    folders
        .filter_map(Result::ok)
        .filter_map(|folder| Process::read(&folder.path()))
        .filter(|process| process.state != 'Z')
        .collect()
}

/// Those of a group that live.
#[must_use]
pub fn in_group(group: i32) -> Vec<Process> {
    let mut processes = alive();
    processes.retain(|process| process.group == group);
    processes
}

/// The children of a process that live.
#[must_use]
pub fn children_of(parent: i32) -> Vec<Process> {
    let mut processes = alive();
    processes.retain(|process| process.parent == parent);
    processes
}

/// Kills all of a group.
pub fn kill_group(group: i32) {
    if let Some(group) = Pid::from_raw(group) {
        // None may be left.
        let _gone = kill_process_group(group, Signal::KILL);
    }
}

/// How many descriptors this process has open.
///
/// # Panics
/// If there is no `/proc`.
#[must_use]
pub fn own_descriptors() -> usize {
    let entries = fs::read_dir("/proc/self/fd").expect("Linux has /proc");
    entries.count()
}

/// Looks until `found` is `Some`, for at most `limit` or, where looks take long, a
/// look for each 50 ms of it.
pub fn wait_for<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let mut left = limit;
    loop {
        let begun = Instant::now();
        let it = found();
        if it.is_some() || left.is_zero() {
            return it;
        }
        thread::sleep(POLL);
        left = left.saturating_sub(begun.elapsed().min(LONGEST_LOOK));
    }
}
