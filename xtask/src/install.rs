//! `cargo xtask install`: the command as its users have it, optimised as a whole, with
//! its manual pages, completions and units below one prefix.
//!
//! ```text
//! bin/                          fumehood, and the compiler it starts for new modules
//! share/man/man1/               a page a command
//! share/bash-completion/completions/fumehood
//! share/zsh/site-functions/_fumehood
//! share/fish/vendor_completions.d/fumehood.fish
//! share/systemd/user/           the proxy's socket and service
//! share/doc/fumehood/           a configuration to begin with, its schema, the licences
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build;
use crate::command;
use crate::guests::{self, Imports};
use crate::report;
use crate::workspace::Workspace;

/// Where it is installed if nothing else is said.
const PREFIX: &str = "/usr/local";

const PROGRAMS: [&str; 2] = ["fumehood", "fumehood-compiler"];

/// Shells, and where below the prefix each looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/fumehood"),
    ("zsh", "share/zsh/site-functions/_fumehood"),
    ("fish", "share/fish/vendor_completions.d/fumehood.fish"),
];

const UNITS: [&str; 2] = ["fumehood-proxy.socket", "fumehood-proxy.service"];

/// The program's path in the unit as it is committed.
const PACKAGED: &str = "/usr/bin/fumehood";

const DOCUMENTS: [&str; 5] = [
    "host/fumehood/docs/config.toml",
    "host/fumehood/docs/config.schema.json",
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<ExitCode> {
    let places = Places::parse(words)?;
    places.check()?;
    guests::build(workspace, Imports::MustMatch)?;
    build::build_for_users(workspace, &PROGRAMS)?;
    lay_out(workspace, |name| workspace.dist_program(name), &places)?;
    report::line("done", &places.put("bin/fumehood").display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// Where files are put, and where they will be found.
struct Places {
    prefix: PathBuf,
    /// For packagers: a folder that stands for `/` until the package is unpacked.
    destination: Option<PathBuf>,
}

impl Places {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut places = Self {
            prefix: PREFIX.into(),
            destination: None,
        };
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let folder = words.next().map(std::path::absolute);
            match (*option, folder) {
                ("--prefix", Some(folder)) => places.prefix = folder?,
                ("--destdir", Some(folder)) => places.destination = Some(folder?),
                ("--prefix" | "--destdir", None) => bail!("{option} needs a folder"),
                _ => bail!(
                    "`{option}` is not an option of `cargo xtask install`: there are --prefix \
                     DIR ({PREFIX} where nothing is said) and --destdir DIR"
                ),
            }
        }
        places.fit_a_unit()?;
        Ok(places)
    }

    /// systemd reads more into some characters of a path than a path.
    fn fit_a_unit(&self) -> Result<()> {
        let plain = |it: char| it.is_alphanumeric() || "/._+-".contains(it);
        match self.prefix.to_str() {
            Some(prefix) if prefix.chars().all(plain) => Ok(()),
            _ => bail!(
                "the prefix {} has other characters than letters, digits and /._+-, which a unit \
                 of systemd would not take as they are",
                self.prefix.display()
            ),
        }
    }

    /// Where `path` will be found.
    fn installed(&self, path: &str) -> PathBuf {
        self.prefix.join(path)
    }

    /// Where `path` is put now.
    fn put(&self, path: &str) -> PathBuf {
        let installed = self.installed(path);
        match &self.destination {
            Some(root) => root.join(installed.strip_prefix("/").unwrap_or(&installed)),
            None => installed,
        }
    }

    /// Tells before minutes of building whether its programs may be written.
    fn check(&self) -> Result<()> {
        let programs = self.put("bin");
        make_folder(&programs)
            .and_then(|()| try_writing(&programs))
            .with_context(|| {
                format!(
                    "cannot write to {}: be root, or say --prefix ~/.local",
                    programs.display()
                )
            })
    }
}

/// Makes a file in `folder`, and leaves no trace of it.
fn try_writing(folder: &Path) -> io::Result<()> {
    let trial = folder.join(".fumehood-install");
    fs::write(&trial, "")?;
    fs::remove_file(&trial)
}

/// Installs programs that are built, and all that goes with them.
fn lay_out(workspace: &Workspace, built: impl Fn(&str) -> PathBuf, places: &Places) -> Result<()> {
    for program in PROGRAMS {
        let bytes = read(&built(program))?;
        write(&places.put(&format!("bin/{program}")), &bytes, 0o755)?;
    }
    let program = built("fumehood");
    for (shell, path) in COMPLETIONS {
        let script = command::capture(Command::new(&program).args(["completions", shell]))?;
        write(&places.put(path), script.as_bytes(), 0o644)?;
    }
    let pages = workspace.target().join("man");
    // A page of a command that is no more would be installed too.
    if pages.exists() {
        fs::remove_dir_all(&pages).context("cannot remove the pages of the build before")?;
    }
    command::capture(Command::new(&program).arg("man").arg(&pages))?;
    for page in fs::read_dir(&pages).context("there are no manual pages")? {
        let page = page?;
        let name = page.file_name().to_string_lossy().into_owned();
        let path = places.put(&format!("share/man/man1/{name}"));
        write(&path, &read(&page.path())?, 0o644)?;
    }

    let ours = places.installed("bin/fumehood");
    for unit in UNITS {
        let packaged = read(&workspace.root().join("packaging/systemd").join(unit))?;
        let text = String::from_utf8(packaged)?.replace(PACKAGED, &ours.to_string_lossy());
        write(
            &places.put(&format!("share/systemd/user/{unit}")),
            text.as_bytes(),
            0o644,
        )?;
    }
    for document in DOCUMENTS {
        let bytes = read(&workspace.root().join(document))?;
        let (_, name) = document.rsplit_once('/').unwrap_or(("", document));
        write(
            &places.put(&format!("share/doc/fumehood/{name}")),
            &bytes,
            0o644,
        )?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// For everybody to read, whatever whoever installs keeps from others.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    fs::create_dir(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}

/// Renamed into its place: a program that runs is not written to, and goes on as it is.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    make_folder(folder)
        .and_then(|()| fs::write(&fresh, bytes))
        .and_then(|()| fs::set_permissions(&fresh, Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    report::line("installed", &path.display().to_string());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the programs that `cargo xtask test` has built.
    #[test]
    fn what_is_staged_is_whole_and_speaks_of_the_prefix() -> Result<()> {
        let workspace = Workspace::find()?;
        let root = std::env::temp_dir().join(format!("fumehood-install-{}", std::process::id()));
        let staged = root.to_str().context("a folder of UTF-8")?;
        let places = Places::parse(&["--prefix", "/opt/fumehood", "--destdir", staged])?;
        places.check()?;
        // The second time, what is there already is replaced.
        for _ in 0..2 {
            lay_out(&workspace, |name| workspace.release_program(name), &places)?;
        }

        let prefix = root.join("opt/fumehood");
        let version = command::capture(Command::new(prefix.join("bin/fumehood")).arg("--version"))?;
        assert!(version.starts_with("fumehood "), "{version}");
        for (_, path) in COMPLETIONS {
            let script = fs::read_to_string(prefix.join(path))?;
            assert!(script.contains("fumehood"), "{path}: {script}");
        }
        let page = fs::read_to_string(prefix.join("share/man/man1/fumehood-proxy.1"))?;
        assert!(page.contains(".TH"), "{page}");
        let service = prefix.join("share/systemd/user/fumehood-proxy.service");
        let service = fs::read_to_string(service)?;
        assert!(
            service.contains("\nExecStart=/opt/fumehood/bin/fumehood proxy\n"),
            "{service}"
        );
        for (path, mode) in [
            ("bin", 0o755),
            ("bin/fumehood", 0o755),
            ("share/man/man1", 0o755),
            ("share/man/man1/fumehood-proxy.1", 0o644),
        ] {
            let found = fs::metadata(prefix.join(path))?.permissions().mode();
            assert_eq!(found & 0o7777, mode, "{path}");
        }
        let folder = fs::read_dir(prefix.join("bin"))?;
        assert_eq!(folder.count(), PROGRAMS.len(), "nothing else is left there");
        fs::remove_dir_all(&root)?;
        Ok(())
    }

    #[test]
    fn an_option_that_is_not_understood_is_named() {
        for (words, named) in [
            (&["--prefix"][..], "--prefix needs a folder"),
            (&["--user", "me"][..], "`--user` is not an option"),
            (&["--prefix", "/opt/my apps"][..], "has other characters"),
            (&["--prefix", "/opt/100%"][..], "has other characters"),
        ] {
            let told = Places::parse(words).err().map(|error| error.to_string());
            assert!(
                told.as_ref().is_some_and(|it| it.contains(named)),
                "{told:?}"
            );
        }
    }
}
