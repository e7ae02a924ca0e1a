//! A command under way with an admin socket, and what is asked of it.

use std::fs;
use std::path::{Path, PathBuf};

use fumehood_tests::artifacts::component;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Gate, Script};
use fumehood_tests::temp::TempDir;
use serde_json::Value;

/// A response that traps the faulty `http1`, and is honest but for that.
pub(crate) const POISON: &str = "HTTP/1.1 200 OK\r\nx-fumehood-fault: trap\r\nconnection: close\r\n\
                                 content-length: 5\r\n\r\nhello";

/// Half of some content, and the rest when the gate opens: while it is shut, the
/// test can ask.
pub(crate) fn held(gate: &Gate) -> Script {
    Script::answer("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\n12345")
        .gate(gate)
        .send("67890")
}

/// Folders of a test, and where commands put their things in them.
pub(crate) struct Setting {
    folder: TempDir,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Setting {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    /// The faulty guest as a file of this name.
    pub(crate) fn faulty(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::copy(component("http1-faulty"), &path).unwrap();
        path
    }

    /// `fumehood fetch` with an admin socket, its things in the test's folder.
    pub(crate) fn fetch(&self, urls: &[String]) -> Fetch {
        let mut fetch = self
            .at_home(Fetch::plain())
            .args(["--json", "--silent", "--allow-private", "127.0.0.1"])
            .arg("--admin-socket")
            .arg(self.socket())
            .arg("--crash-reports")
            .arg(self.path("crashes"));
        for (number, url) in urls.iter().enumerate() {
            fetch = fetch.arg("-o").arg(self.content(number)).arg(url);
        }
        fetch
    }

    /// Where the content of a URL goes.
    pub(crate) fn content(&self, number: usize) -> PathBuf {
        self.path(&format!("content-{number}"))
    }

    /// Caches and state of this test alone.
    fn at_home(&self, command: Fetch) -> Fetch {
        ["XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"]
            .into_iter()
            .fold(command, |command, name| {
                command.env(name, self.path("home").into_os_string())
            })
    }

    /// `fumehood modules … --socket` of the command under way.
    pub(crate) fn modules(&self, action: &[&str]) -> Finished {
        Fetch::command("modules")
            .args(action)
            .arg("--socket")
            .arg(self.socket())
            .run()
    }

    /// The same with `--json`, when it succeeds.
    pub(crate) fn ask(&self, action: &[&str]) -> Value {
        let finished = self.modules(&[action, &["--json"]].concat());
        serde_json::from_slice(finished.content()).unwrap()
    }

    /// Loads a file into the command under way and makes it current; gives its digest.
    pub(crate) fn load_and_swap(&self, file: &Path) -> String {
        let loaded = self.ask(&["load", file.to_str().unwrap()]);
        let digest = loaded["digest"].as_str().unwrap().to_owned();
        self.ask(&["swap", "http1", &digest[..12]]);
        digest
    }

    /// `fumehood status …` of the command under way.
    pub(crate) fn status(&self, how: &[&str]) -> String {
        let asked = Fetch::command("status").args(how);
        let finished = asked.arg("--socket").arg(self.socket()).run();
        assert_eq!(finished.code(), 0, "{finished:?}");
        String::from_utf8(finished.stdout).unwrap()
    }

    /// The version of `http1` with this digest, as it is listed.
    pub(crate) fn listed(&self, digest: &str) -> Value {
        let listing = self.ask(&["list"]);
        let modules = listing["modules"].as_array().unwrap();
        let found = modules.iter().find(|it| it["digest"] == digest);
        found.unwrap_or_else(|| panic!("{listing}")).clone()
    }

    /// `fumehood crashes …`.
    pub(crate) fn crashes(&self, action: &[&str]) -> Finished {
        self.at_home(Fetch::command("crashes"))
            .args(action)
            .arg("--directory")
            .arg(self.path("crashes"))
            .run()
    }

    /// `fumehood modules verify …`, of no command under way.
    pub(crate) fn verify(&self, file: &Path, more: &[&str]) -> Finished {
        self.at_home(Fetch::command("modules"))
            .arg("verify")
            .arg(file)
            .args(more)
            .run()
    }

    /// `fumehood modules replay …`.
    pub(crate) fn replay(&self, trail: &Path, more: &[&str]) -> Finished {
        self.at_home(Fetch::command("modules"))
            .arg("replay")
            .arg(trail)
            .args(more)
            .run()
    }
}
