//! The configuration, on the command line: what holds, what is explained, and
//! what a running command makes of a change.

use std::path::{Path, PathBuf};
use std::process::Output;

use fumehood_tests::artifacts;
use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::temp::TempDir;
use serde_json::Value;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

struct Setting {
    temp: TempDir,
}

impl Setting {
    fn new(text: &str) -> Self {
        let setting = Setting {
            temp: TempDir::new().unwrap(),
        };
        setting.write(text);
        setting
    }

    fn file(&self) -> PathBuf {
        self.temp.path().join("config.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn fetch(&self, url: &str) -> Fetch {
        let fetch = Fetch::plain().args(["--json", "--silent", "--config"]);
        fetch.arg(self.file()).arg(url)
    }
}

fn fumehood(arguments: &[&str]) -> Output {
    artifacts::fumehood().args(arguments).output().unwrap()
}

/// The same where our own guest resolves, and has nobody to ask.
fn fumehood_alone(arguments: &[&str]) -> Output {
    let mut command = artifacts::fumehood();
    command
        .env("FUMEHOOD_DNS_MODE", "guest")
        .env("FUMEHOOD_DNS_SERVERS", "127.0.0.1:9");
    command.args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn it_is_found_where_it_is_looked_for() {
    let setting = Setting::new("");
    let folder = setting.temp.path().join("fumehood");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("config.toml");
    std::fs::write(&file, "[policy]\nallow = []\n").unwrap();
    let home = setting.temp.path();
    let below_home = home.join("home/.config");
    std::fs::create_dir_all(&below_home).unwrap();
    std::os::unix::fs::symlink(&folder, below_home.join("fumehood")).unwrap();
    for (variable, value, found) in [
        ("XDG_CONFIG_HOME", home.to_owned(), file),
        (
            "HOME",
            home.join("home"),
            below_home.join("fumehood/config.toml"),
        ),
    ] {
        let mut command = artifacts::fumehood();
        command
            .env_remove("XDG_CONFIG_HOME")
            .env(variable, value)
            .args(["policy", "show"]);
        let told = stdout(&command.output().unwrap());
        assert!(told.contains(path(&found)), "{variable}: {told}");
    }
}

#[test]
fn a_file_opens_and_closes_hosts_and_is_named_in_denials() {
    let server = Server::start(vec![Script::answers(&[HELLO]); 4]);
    let setting = Setting::new("[policy]\nprivate-hosts = [\"127.0.0.0/8\"]\n");
    assert_eq!(setting.fetch(&server.url("/")).run().content(), b"hello");
    let before = server.connections();
    setting.write(
        "[policy]\nprivate-hosts = [\"127.0.0.0/8\"]\n\n[[policy.deny]]\nhosts = [\"127.0.0.1\"]\n",
    );
    let finished = setting.fetch(&server.url("/")).run();
    finished.assert_failed(110, "policy", "policy");
    let error = &finished.report()["error"];
    let message = error["message"].to_string();
    assert!(message.contains("config.toml:4"), "{message}");
    assert_eq!(error["reason"], "denied-by-rule");
    let remedy = error["remedy"].as_str().unwrap();
    assert!(remedy.contains("config.toml:4"), "{remedy}");
    assert_eq!(server.connections(), before);
    // A rule for a client; flags go on top.
    setting.write("[[policy.deny]]\nclients = [\"guest\"]\n");
    let open = ["--allow-private", "127.0.0.1"];
    let guest = setting
        .fetch(&server.url("/"))
        .args(open)
        .args(["--client", "guest"]);
    guest.run().assert_failed(110, "policy", "policy");
    let other = setting.fetch(&server.url("/")).args(open);
    assert_eq!(other.run().content(), b"hello");
}

#[test]
fn preferences_are_taken_and_flags_go_before_them() {
    let server = Server::start(vec![Script::answers(&[HELLO]); 3]);
    let setting = Setting::new(
        "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n[http]\nuser-agent = \"of-the-file\"\n",
    );
    let fetch = || setting.fetch(&server.url("/"));
    let of_environment = ("FUMEHOOD_HTTP_USER_AGENT", "of-the-environment");
    for fetch in [
        fetch(),
        fetch().args(["-A", "of-the-flag"]),
        fetch().env(of_environment.0, of_environment.1),
    ] {
        assert_eq!(fetch.run().content(), b"hello");
    }
    let agents: Vec<_> = server
        .requests()
        .concat()
        .iter()
        .map(|it| it.field("user-agent").unwrap().to_owned())
        .collect();
    assert_eq!(agents, ["of-the-file", "of-the-flag", "of-the-environment"]);
    let stalled = Server::start(vec![Script::new().request().then_stall()]);
    setting.write("[policy]\nprivate-hosts = [\"127.0.0.1\"]\n[timeouts]\nhead = 0.05\n");
    setting
        .fetch(&stalled.url("/"))
        .run()
        .assert_failed(28, "timeout", "network");
}

#[test]
fn a_broken_file_ends_the_command_before_anything_is_sent() {
    let setting = Setting::new("[policy]\nalow = []\n");
    let finished = setting.fetch("http://127.0.0.1:9/").run();
    assert_eq!(finished.code(), 115);
    let message = finished.report()["error"]["message"].to_string();
    assert!(
        message.contains("config.toml:2:1") && message.contains("`allow`"),
        "{message}"
    );
    assert_eq!(
        Fetch::plain()
            .args(["--config", "/no/such/file", "http://a/"])
            .run()
            .code(),
        115
    );
}

#[test]
fn explain_tells_rule_address_and_what_a_client_would_see() {
    let setting = Setting::new(
        "[[policy.deny]]\nhosts = [\"*.ads.example\"]\n[[policy.deny]]\nmethods = [\"POST\"]\n",
    );
    let file = setting.file();
    let explain = |arguments: &[&str]| {
        let common = ["policy", "explain", "--json", "--config", path(&file)];
        fumehood_alone(&[&common[..], arguments].concat())
    };
    let output = explain(&["https://X.ads.Example./a"]);
    assert_eq!(output.status.code(), Some(110));
    let it = json(&output);
    assert_eq!(
        (&it["host"], &it["port"]),
        (&"x.ads.example".into(), &443.into())
    );
    assert_eq!(
        (&it["verdict"], &it["reason"]),
        (&"denied".into(), &"denied-by-rule".into())
    );
    assert!(
        it["remedy"].as_str().unwrap().contains("config.toml:1"),
        "{it}"
    );
    assert_eq!(it["proxy"]["status"], 403);
    let field = it["proxy"]["proxy_status"].as_str().unwrap();
    assert!(
        field.starts_with("fumehood; error=http_request_denied; details="),
        "{field}"
    );
    assert_eq!(it["exit_code"], 110);

    let output = explain(&["http://2130706433:8080/", "--allow-private", "127.0.0.1"]);
    assert_eq!(output.status.code(), Some(0));
    let it = json(&output);
    assert_eq!(it["addresses"][0]["address"], "127.0.0.1");
    assert_eq!(it["addresses"][0]["space"], "loopback");
    let output = explain(&["http://1.1.1.1/", "--method", "post"]);
    assert_eq!(json(&output)["reason"], "denied-by-rule");
    assert_eq!(explain(&["http://1.2.3/x\u{7}"]).status.code(), Some(3));
    let output = explain(&["http://no-such-host.invalid/"]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(json(&output)["proxy"]["status"], 502);
    let output = explain(&["http://no-such-host.invalid/", "--resolve", "none"]);
    assert_eq!(
        (output.status.code(), &json(&output)["addresses"]),
        (Some(0), &Value::Null)
    );
}

#[test]
fn check_and_show_speak_to_people() {
    let setting =
        Setting::new("[policy]\nmode = \"report\"\n[[policy.deny]]\nhosts = [\"a.example\"]\n");
    let file = setting.file();
    let config = ["--config", path(&file)];
    let check = [
        "policy",
        "check",
        "--resolve",
        "none",
        "http://a.example/",
        "http://10.0.0.1/",
    ];
    let output = fumehood(&[&check[..], &config].concat());
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("reported   http://a.example/: only reported: "),
        "{text}"
    );
    assert!(
        lines[1].starts_with("denied     http://10.0.0.1/: 10.0.0.1:80 is not dialled"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(110));

    let text = stdout(&fumehood(&[&["policy", "show"][..], &config].concat()));
    let row = text
        .lines()
        .find(|line| line.starts_with("policy.mode"))
        .unwrap();
    assert!(row.contains("report") && row.ends_with("line 2"), "{row}");
    assert!(text.contains("a.example"), "{text}");
    let text = stdout(&fumehood(&["policy", "show"]));
    assert!(
        text.contains("none at /nonexistent/fumehood/config.toml; the defaults hold"),
        "{text}"
    );
    let it = json(&fumehood(&["policy", "show", "--json"]));
    assert_eq!(it["settings"]["tls.min-version"]["origin"], "default");
}

#[test]
fn show_tells_what_is_preferred_of_the_guests_and_why() {
    let setting = Setting::new("[http]\nmax-head-kib = 64\n[dns]\nmax-ttl = 60\n");
    let file = setting.file();
    let show = ["policy", "show", "--json", "--config", path(&file)];
    let it = json(&fumehood(&show));
    for (key, value, origin) in [
        ("http.max-head-kib", "64", "line 2"),
        ("http.max-fields", "256", "default"),
        ("dns.cache-entries", "1600", "default"),
        ("dns.max-ttl", "60 s", "line 4"),
    ] {
        let row = &it["settings"][key];
        assert_eq!(
            (&row["value"], &row["origin"]),
            (&value.into(), &origin.into())
        );
    }
}

#[test]
fn a_running_command_takes_a_change_and_tells_its_state() {
    let gate = Gate::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    let server = Server::start(vec![Script::answer(head).gate(&gate).send("67890")]);
    let setting = Setting::new("[policy]\nprivate-hosts = [\"127.0.0.1\"]\n");
    let socket = setting.temp.path().join("a.sock");
    let socket = path(&socket);
    let url = server.url("/");
    let running = setting
        .fetch(&url)
        .args(["--admin-socket", socket])
        .arg(&url)
        .start();
    gate.wait_for(1);
    let status = || json(&fumehood(&["status", "--json", "--socket", socket]));
    let before = status();
    assert_eq!(before["policy"]["revision"]["number"], 1);
    assert_eq!(before["engine"]["alive"], true);
    setting.write("[policy]\nprivate-hosts = [\"127.0.0.1\"\n");
    let reload = fumehood(&["policy", "reload", "--socket", socket]);
    assert_eq!(reload.status.code(), Some(115));
    let after = status();
    assert_eq!(after["policy"]["revision"], before["policy"]["revision"]);
    assert!(
        after["policy"]["last_error"]
            .as_str()
            .unwrap()
            .contains("config.toml:2")
    );
    setting.write("[policy]\nallow = []\n");
    let reload = fumehood(&["policy", "reload", "--socket", socket]);
    assert_eq!(reload.status.code(), Some(0), "{reload:?}");
    let text = stdout(&fumehood(&["status", "--socket", socket]));
    assert!(
        text.contains("policy     version ") && text.contains("http1"),
        "{text}"
    );
    gate.open();
    // The first is as it was begun, and the second is under the new policy.
    let finished = running.finish();
    assert_eq!(finished.code(), 110);
    let reports = finished.reports();
    assert_eq!(reports[0]["error"], Value::Null);
    assert_eq!(reports[0]["bytes"]["received"], 10);
    assert_eq!(reports[1]["error"]["code"], "policy");
}
