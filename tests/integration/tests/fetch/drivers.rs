//! `fumehood fetch gopher://…` with a driver that is a file; nothing of the
//! host knows gopher.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::thread::JoinHandle;

use fumehood_tests::artifacts::{self, component};
use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::Canary;
use fumehood_tests::temp::TempDir;

/// A module directory with the driver in it.
struct Setting {
    temp: TempDir,
}

impl Setting {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let folder = temp.path().join("modules");
        fs::create_dir(&folder).unwrap();
        fs::copy(component("gopher"), folder.join("gopher@0.1.0.wasm")).unwrap();
        Setting { temp }
    }

    fn folder(&self) -> PathBuf {
        self.temp.path().join("modules")
    }

    fn fetch(&self, url: &str) -> Fetch {
        Fetch::new(url)
            .arg("--module-directory")
            .arg(self.folder())
            .env("XDG_CACHE_HOME", self.temp.path().join("cache"))
            .env("XDG_STATE_HOME", self.temp.path().join("state"))
    }
}

/// A gopher server of one answer; tells what it was asked.
fn server(answer: &'static [u8]) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let mut peer = BufReader::new(listener.accept().unwrap().0);
        let mut asked = String::new();
        peer.read_line(&mut asked).unwrap();
        peer.get_mut().write_all(answer).unwrap();
        asked
    });
    (port, serving)
}

#[test]
fn a_scheme_that_nobody_built_in_is_served_by_a_file() {
    let setting = Setting::new();
    let (port, serving) = server(b"iHello\tx\tx\t0\r\n..dot\r\n.\r\nnot this");
    let finished = setting
        .fetch(&format!("gopher://127.0.0.1:{port}/7find%09me"))
        .run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(serving.join().unwrap(), "find\tme\r\n");
    assert_eq!(finished.content(), b"iHello\tx\tx\t0\r\n.dot\r\n");
    // Compiled once: the second time its code is in the cache, and content
    // that is no text comes as it is.
    let (port, serving) = server(b"\0.\r\n\xff");
    let finished = setting
        .fetch(&format!("gopher://127.0.0.1:{port}/9bin"))
        .run();
    assert_eq!(finished.content(), b"\0.\r\n\xff");
    assert_eq!(serving.join().unwrap(), "bin\r\n");
}

#[test]
fn without_the_file_the_error_says_what_to_do() {
    let finished = Fetch::new("gopher://127.0.0.1:7/").run();
    assert_ne!(finished.code(), 0);
    let message = finished.report()["error"]["message"].to_string();
    assert!(
        message.contains("--module-directory") && message.contains("modules load"),
        "{message}"
    );
}

#[test]
fn a_drivers_url_is_judged_as_any_other() {
    let setting = Setting::new();
    let canary = Canary::start();
    let port = canary.port();
    // `localhost` is left out: it stands for 127.0.0.1, which is allowed here.
    for host in ["2130706434", "[::1]", "127.0.0.2"] {
        let url = format!("gopher://{host}:{port}/1");
        setting
            .fetch(&url)
            .run()
            .assert_failed(110, "policy", "policy");
    }
    setting
        .fetch("gopher://127.0.0.1:25/1")
        .run()
        .assert_failed(110, "policy", "policy");
    assert_eq!(canary.connections(), 0);
    canary.assert_alive();
}

/// Rules speak of schemes that modules serve, whether or not one does.
#[test]
fn what_would_become_of_such_a_url_is_explained() {
    let temp = TempDir::new().unwrap();
    let rules = "[policy]\nallow = [{ hosts = [\"*.known\"], schemes = [\"gopher\"] }]\n";
    let file = temp.write("config.toml", rules).unwrap();
    let explain = |url: &str| {
        let mut command = artifacts::fumehood();
        command.args(["policy", "check", "--json", "--resolve", "none"]);
        command.arg("--config").arg(&file).arg(url);
        let told: serde_json::Value =
            serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        (
            told["verdict"].as_str().unwrap().to_owned(),
            told["message"].as_str().unwrap().to_owned(),
        )
    };
    let (verdict, ground) = explain("gopher://old.known:70/1");
    assert_eq!(verdict, "allowed");
    assert!(ground.contains("allowed by the rule at"), "{ground}");
    assert!(ground.contains("config.toml:2"), "{ground}");
    for (url, expected, why) in [
        ("gopher://known:70/", "denied", "leaves out known itself"),
        (
            "gemini://old.known:1965/",
            "denied",
            "its default is to deny",
        ),
        ("gopher://127.0.0.1:70/", "denied", "loopback"),
        ("gopher://old.known/", "refused", "write its port"),
        ("file://old.known:70/", "refused", "not spoken"),
    ] {
        let (verdict, said) = explain(url);
        assert_eq!(verdict, expected, "{url}: {said}");
        assert!(said.contains(why), "{url}: {said}");
    }
}

/// In a network of its own, where every address is this machine's, so that whatever
/// leaves a socket passes its loopback and is counted there.
#[test]
fn outside_its_grant_not_a_packet_leaves() {
    const SCRIPT: &str = "
        ip link set lo up && ip route add local default dev lo &&
        ip -6 route add local default dev lo || exit 1
        packets() { awk '$1 == \"lo:\" { print $3 }' /proc/net/dev; }
        for path; do
            before=$(packets)
            said=$(\"$0\" fetch --silent --module-directory \"$FOLDER\" \
                --allow-private 127.0.0.1 \"probe://127.0.0.1:7777/$path\" 2>/dev/null)
            echo \"$path $said $(($(packets) - before))\"
        done";
    let temp = TempDir::new().unwrap();
    let folder = temp.path().join("modules");
    fs::create_dir(&folder).unwrap();
    let probe = component("driver-probe");
    fs::copy(probe, folder.join("probe@1.0.0.wasm")).unwrap();
    let outside = [
        "connect/127.0.0.2:9",
        "connect/10.0.0.1:80",
        "connect/169.254.169.254:80",
        "connect/192.0.2.1:7777",
        "connect/[::1]:9",
        "connect/[fe80::1]:9",
        "connect/[2001:db8::1]:9",
        "lookup/example.com",
        "lookup/localhost",
    ];
    let output = artifacts::unmoved(Command::new("unshare"))
        .args(["--user", "--map-user=1000", "--map-group=1000"])
        .args(["--keep-caps", "--net", "sh", "-c", SCRIPT])
        .arg(artifacts::program("fumehood"))
        .args(outside)
        // What was granted is what is counted otherwise.
        .arg("late")
        .env("FOLDER", &folder)
        .env("XDG_CACHE_HOME", temp.path().join("cache"))
        .env("XDG_STATE_HOME", temp.path().join("state"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), outside.len() + 1, "{told}{:?}", output.stderr);
    for (path, line) in outside.iter().zip(&lines) {
        assert_eq!(*line, format!("{path} access-denied 0"));
    }
    let granted = lines.last().unwrap();
    assert!(
        granted.starts_with("late ") && !granted.ends_with(" 0"),
        "{granted}"
    );
}

#[test]
fn what_the_driver_cannot_send_is_told() {
    let setting = Setting::new();
    let finished = setting.fetch("gopher://127.0.0.1:7777/0a%0D%0Ab").run();
    let message = finished.report()["error"]["message"].to_string();
    assert!(message.contains("no line end"), "{message}");
}

#[test]
fn inspect_shows_what_a_driver_may_do() {
    let setting = Setting::new();
    let output = artifacts::fumehood()
        .args(["modules", "inspect", "gopher", "--directory"])
        .arg(setting.folder())
        .env("XDG_CACHE_HOME", setting.temp.path().join("cache"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("wasi:sockets/tcp@0.2"), "{text}");
    assert!(!text.contains("wasi:filesystem"), "{text}");
    assert!(text.contains("fumehood:driver/client"), "{text}");
}
