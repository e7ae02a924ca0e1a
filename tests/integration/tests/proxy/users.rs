//! Users that are read again while they are served.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fumehood_tests::fetch::Fetch;
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use serde_json::Value;

use crate::identity::ANN_SOCKS;
use crate::support::{Client, PATIENCE, Proxy};

/// `ann:secret`, `bob:hidden`, `bob:changed` and `carl:fresh`.
const ANN: &str = "YW5uOnNlY3JldA==";
const BOB: &str = "Ym9iOmhpZGRlbg==";
const BOB_CHANGED: &str = "Ym9iOmNoYW5nZWQ=";
const CARL: &str = "Y2FybDpmcmVzaA==";

/// A line of the file, as the command makes it.
fn line(name: &str, password: &str) -> String {
    let password = format!("{password}\n");
    let made = Fetch::command("password").arg(name).stdin(&*password).run();
    assert_eq!(made.code(), 0, "{}", made.stderr);
    String::from_utf8(made.stdout).unwrap()
}

/// A file that is replaced in one step, and a proxy that goes by it.
struct Guarded {
    folder: TempDir,
    file: PathBuf,
    proxy: Proxy,
}

impl Guarded {
    fn start(users: &str) -> Guarded {
        let folder = TempDir::new().unwrap();
        let file = folder.join("users");
        replace(&file, users, 0o600);
        let socket = folder.join("admin.sock");
        let proxy = Proxy::strict(&[
            "--auth-file",
            file.to_str().unwrap(),
            "--admin-socket",
            socket.to_str().unwrap(),
        ]);
        Guarded {
            folder,
            file,
            proxy,
        }
    }

    /// What the engine says of its users.
    fn status(&self) -> Value {
        let socket = self.folder.join("admin.sock");
        let asked = Fetch::command("status").arg("--socket").arg(socket);
        let done = asked.arg("--json").run();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        let status: Value = serde_json::from_slice(&done.stdout).unwrap();
        status["users"][0].clone()
    }

    /// What the engine says of itself to people.
    fn page(&self) -> String {
        let socket = self.folder.join("admin.sock");
        let done = Fetch::command("status").arg("--socket").arg(socket).run();
        String::from_utf8(done.stdout).unwrap()
    }

    /// Waits until the file is told to be refused, for want of something.
    fn refuses(&self, why: &str) {
        let told = wait_for(PATIENCE, || {
            let status = self.status();
            let told = status["last_error"].as_str().unwrap_or_default();
            told.contains(why).then_some(())
        });
        assert!(told.is_some(), "{why}: {}", self.status());
    }
}

fn replace(file: &Path, text: &str, mode: u32) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, Permissions::from_mode(mode)).unwrap();
    fs::rename(&beside, file).unwrap();
}

/// Whether whoever says so is somebody: then it is denied what it asks for, and else
/// asked who it is.
fn is_known(client: &mut Client, login: &str) -> bool {
    client.say(format!(
        "GET http://127.0.0.1:1/ HTTP/1.1\r\nhost: x\r\n\
         proxy-authorization: Basic {login}\r\n\r\n"
    ));
    let reply = client.reply().unwrap();
    match reply.status {
        403 => true,
        407 => false,
        _ => panic!("{}", reply.head),
    }
}

#[test]
fn who_is_gone_from_the_file_is_not_served_any_more() {
    let both = line("ann", "secret") + &line("bob", "hidden");
    let guarded = Guarded::start(&both);
    let proxy = &guarded.proxy;
    let (mut ann, mut bob) = (proxy.connect(), proxy.connect());
    assert!(is_known(&mut ann, ANN) && is_known(&mut bob, BOB));
    assert_eq!(guarded.status()["users"], 2);

    let others = line("bob", "changed") + &line("carl", "fresh") + &line("dora", "fresh");
    replace(&guarded.file, &others, 0o600);
    // Not even on the connection on which it was known,
    let gone = wait_for(PATIENCE, || (!is_known(&mut ann, ANN)).then_some(()));
    assert!(gone.is_some(), "{}", guarded.status());
    // and a password that was good is not.
    assert!(!is_known(&mut bob, BOB));
    assert!(is_known(&mut bob, BOB_CHANGED));
    assert!(is_known(&mut ann, CARL));
    let mut socks = proxy.connect();
    socks.say(ANN_SOCKS);
    assert_eq!(socks.bytes(4), b"\x05\x02\x01\x01");
    let status = guarded.status();
    assert_eq!(status["users"], 3);
    assert_eq!(status["file"], *guarded.file.to_str().unwrap());
    assert_eq!(status["last_error"], Value::Null);
}

#[test]
fn a_file_that_is_refused_leaves_those_before() {
    let ann = line("ann", "secret");
    let guarded = Guarded::start(&ann);
    let mut client = guarded.proxy.connect();
    assert!(is_known(&mut client, ANN));
    for (text, mode, why) in [
        ("", 0o600, "names nobody"),
        ("ann:secret\n", 0o600, "line 1"),
        (&*ann, 0o644, "chmod 600"),
    ] {
        replace(&guarded.file, text, mode);
        guarded.refuses(why);
        assert!(is_known(&mut client, ANN), "{why}");
        assert!(!is_known(&mut client, CARL), "{why}");
        assert_eq!(guarded.status()["users"], 1);
    }
    let page = guarded.page();
    let mut rows = page.lines().skip_while(|row| !row.starts_with("users"));
    let told = rows.nth(1).unwrap_or_default();
    assert!(told.contains("chmod 600"), "{page}");
    let metrics = Fetch::command("status").arg("--metrics").arg("--socket");
    let metrics = metrics.arg(guarded.folder.join("admin.sock")).run();
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    assert!(metrics.contains("fumehood_users_stale 1"), "{metrics}");

    // Other rights are another file.
    fs::set_permissions(&guarded.file, Permissions::from_mode(0o600)).unwrap();
    let taken = wait_for(PATIENCE, || {
        let status = guarded.status();
        status["last_error"].is_null().then_some(())
    });
    assert!(taken.is_some(), "{}", guarded.status());
    assert!(is_known(&mut client, ANN));
}
