//! Programs that people fetch with: wget, git, pip, npm and cargo, each with
//! something to fetch from a server of this machine.

mod wares;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::peers::{Nginx, Service};
use crate::temp::TempDir;

/// Only one that hangs takes 2 minutes; it is killed 5 seconds later, with its
/// children.
const LIMIT: [&str; 3] = ["timeout", "--kill-after=5", "120"];

/// What all of them are to bring: a line in a file.
const GOODS: &str = "what was wanted\n";

/// The name of what they are to bring, where it needs one.
const NAME: &str = "goods";

/// How variables begin by which these programs are set up.
const SETTINGS: [&str; 4] = ["pip_", "npm_config_", "git_config", "cargo_http"];

/// The variables that name an authority's file to them.
const TRUSTS: [&str; 5] = [
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "CARGO_HTTP_CAINFO",
];

/// A program that fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A file.
    Wget,
    /// A repository, as plain files.
    Git,
    /// A wheel, found in an index.
    Pip,
    /// A package of a registry, unpacked.
    Npm,
    /// A crate of a sparse registry, unpacked.
    Cargo,
}

/// One fetch: what to run, and where the goods must then be.
#[derive(Debug)]
pub struct Errand {
    words: Vec<OsString>,
    folder: TempDir,
    brings: PathBuf,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Wget, Self::Git, Self::Pip, Self::Npm, Self::Cargo];

    /// Whether this user may run it: rustup keeps cargo in the home of one.
    #[must_use]
    pub fn is_within_reach(self) -> bool {
        self != Self::Cargo
            || Command::new(env!("CARGO"))
                .arg("--version")
                .output()
                .is_ok()
    }
}

impl Errand {
    /// Puts the goods on a server, whose certificate comes from the authority
    /// of this PEM file.
    ///
    /// # Panics
    /// Where git, python3, npm or cargo cannot pack the goods.
    #[must_use]
    pub fn prepare(client: Client, nginx: &Nginx, service: Service, authority: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        for name in ["home", "work", "pack"] {
            fs::create_dir(folder.join(name)).expect("a folder");
        }
        folder.write("ca.pem", authority).expect("written");
        let origin = nginx.url(service, "");
        let site = wares::pack(client, &origin, &folder.join("pack"));
        nginx.serve(&site).expect("the server's folder");
        let (words, brings) = what_to_run(client, &origin, &folder);
        Self {
            words: words.into_iter().map(OsString::from).collect(),
            brings: folder.join("work").join(brings),
            folder,
        }
    }

    /// It, to be run as it is, with a proxy named by the usual variables.
    #[must_use]
    pub fn through(&self, proxy: &str) -> Command {
        let mut command = Command::new(LIMIT[0]);
        command.args(&LIMIT[1..]).args(&self.words);
        self.furnish(&mut command);
        for name in ["http_proxy", "https_proxy"] {
            command.env(name, proxy);
        }
        let authority = self.folder.join("ca.pem");
        for name in TRUSTS {
            command.env(name, &authority);
        }
        command
    }

    /// It, to be run by a command that runs commands and names the proxy and
    /// the authority to them.
    #[must_use]
    pub fn run_by(&self, mut command: Command) -> Command {
        command.arg("--cacert").arg(self.folder.join("ca.pem"));
        command.arg("--").args(LIMIT).args(&self.words);
        self.furnish(&mut command);
        command
    }

    /// A home of its own, so that no setting of anybody's counts.
    fn furnish(&self, command: &mut Command) {
        let home = self.folder.join("home");
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy().to_ascii_lowercase();
            let counts = text.ends_with("proxy")
                || text == "wgetrc"
                || SETTINGS.iter().any(|prefix| text.starts_with(prefix));
            if counts {
                command.env_remove(&name);
            }
        }
        command
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("npm_config_globalconfig", "/dev/null")
            .current_dir(self.folder.join("work"))
            .env("HOME", &home)
            .env("CARGO_HOME", home.join("cargo"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("npm_config_cache", home.join("npm"))
            .env("npm_config_fetch_retries", "0")
            .env("CARGO_NET_RETRY", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0");
    }

    /// Checks that the goods are there.
    ///
    /// # Panics
    /// If they are not, or are others.
    pub fn check(&self) {
        let found = fs::read(&self.brings);
        let found = found.unwrap_or_else(|e| panic!("{}: {e}", self.brings.display()));
        if self.brings.ends_with(wares::WHEEL) {
            assert!(found.starts_with(b"PK"), "no wheel");
        } else {
            assert_eq!(String::from_utf8_lossy(&found), GOODS);
        }
    }
}

/// The words, and the file that there is afterwards.
fn what_to_run(client: Client, origin: &str, folder: &TempDir) -> (Vec<String>, &'static str) {
    let (words, brings): (&[&str], _) = match client {
        Client::Wget => (
            // It knows no variable for this.
            &[
                "wget",
                "--no-verbose",
                "--tries=1",
                "--no-hsts",
                "--ca-certificate=CA",
                "ORIGINfile",
            ],
            "file",
        ),
        Client::Git => (
            &["git", "clone", "--quiet", "ORIGINgoods.git"],
            "goods/file",
        ),
        Client::Pip => (
            &[
                "python3",
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--no-cache-dir",
                "--disable-pip-version-check",
                "--trusted-host",
                "127.0.0.1",
                "--index-url",
                "ORIGINsimple/",
                "goods",
            ],
            wares::WHEEL,
        ),
        Client::Npm => (
            &[
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--no-update-notifier",
                "--registry=ORIGINnpm/",
                "goods",
            ],
            "node_modules/goods/file",
        ),
        Client::Cargo => {
            wares::write_dependent(&folder.join("work"), &format!("{origin}index/"));
            (
                &[env!("CARGO"), "vendor", "--quiet", "vendored"],
                "vendored/goods/file",
            )
        }
    };
    let authority = folder.join("ca.pem").display().to_string();
    let filled = |word: &&str| word.replace("ORIGIN", origin).replace("CA", &authority);
    (words.iter().map(filled).collect(), brings)
}
