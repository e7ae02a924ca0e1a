//! The integration tests once more, as a user who may do nothing special.
//!
//! The sandbox is built differently by root and by others, so both ways are
//! tested. The repository may lie where `nobody` cannot look (`/root`), so
//! what the tests need is copied to a folder laid out like `target/`.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result};

use super::programs::Program;
use super::tally::{self, Tally};
use crate::command;
use crate::report;
use crate::workspace::Workspace;

/// `nobody` and `nogroup` on Debian; a number without meaning elsewhere,
/// which serves as well.
const NOBODY: u32 = 65534;

pub(super) fn run_all(
    workspace: &Workspace,
    programs: &[Program],
    filter: Option<&str>,
) -> Result<Tally> {
    let copy = Copy::create(workspace)?;
    let mut total = Tally::default();
    for program in programs {
        report::line("running", &format!("{} as nobody", program.title()));
        let executable = copy.add_test(&program.executable)?;
        // std drops the supplementary groups when a user is given.
        let mut command = Command::new(executable);
        command
            .args(filter)
            .uid(NOBODY)
            .gid(NOBODY)
            .current_dir(copy.home())
            .env("HOME", copy.home())
            .env("TMPDIR", copy.home())
            .env_remove("XDG_RUNTIME_DIR");
        total.add(tally::run(&mut command)?);
    }
    Ok(total)
}

/// A folder with `target/release`, `target/guests/out` and `home`; removed on
/// drop.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn create(workspace: &Workspace) -> Result<Self> {
        let copy = Self {
            root: new_folder()?,
        };
        fs::set_permissions(&copy.root, fs::Permissions::from_mode(0o755))?;
        fs::create_dir(copy.home())?;
        chown(copy.home(), Some(NOBODY), Some(NOBODY))?;
        let target = workspace.target();
        copy_files(&target.join("release"), &copy.root.join("target/release"))?;
        copy_files(
            &target.join("guests/out"),
            &copy.root.join("target/guests/out"),
        )?;
        Ok(copy)
    }

    fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Puts a test program where cargo would have it, relative to the others.
    fn add_test(&self, executable: &Path) -> Result<PathBuf> {
        let name = executable
            .file_name()
            .context("a test program without a name")?;
        let folder = self.root.join("target/release/deps");
        fs::create_dir_all(&folder)?;
        let place = folder.join(name);
        fs::copy(executable, &place)
            .with_context(|| format!("cannot copy {}", executable.display()))?;
        // Whatever the umask is, the copies are for others to read.
        command::run(
            Command::new("chmod")
                .args(["-R", "a+rX"])
                .arg(self.root.join("target")),
        )?;
        Ok(place)
    }
}

/// A folder that nobody has yet, among the system's temporary ones.
fn new_folder() -> Result<PathBuf> {
    let process = process::id();
    let mut number = 0_u32;
    loop {
        let folder = format!("fumehood-nobody-{process}-{number}");
        let path = std::env::temp_dir().join(folder);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            // Left by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot create {}", path.display()));
            }
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Nothing depends on its going; the system empties /tmp sometime.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Copies the files directly in `from`: programs and artefacts, but none of
/// cargo's records (`.d`, libraries).
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{} is not there", from.display()))? {
        let path = entry?.path();
        let records = ["d", "rlib", "so", "rmeta"];
        let is_record = path
            .extension()
            .is_some_and(|extension| records.iter().any(|record| extension == *record));
        if let Some(name) = path.file_name()
            && path.is_file()
            && !is_record
        {
            fs::copy(&path, to.join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
