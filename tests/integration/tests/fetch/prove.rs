//! `fumehood prove`: ours hold, the trial can fail, and other proxies are
//! tried in the same way.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::temp::TempDir;
use serde_json::Value;

/// Where the other proxies listen, each in a network of its own.
const TARGET: &str = "http://127.0.0.1:3128";

/// What each route made of a case: `held`, `through`, …
fn verdicts(report: &Value, case: &str) -> Vec<(String, String)> {
    let cases = report["cases"].as_array().unwrap();
    let found = cases.iter().find(|it| it["case"] == case);
    let tries = found.unwrap()["tries"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let both = tries
        .iter()
        .map(|it| (text(&it["route"]), text(&it["verdict"])));
    both.collect()
}

fn report(finished: &Finished) -> Value {
    assert!(!finished.stdout.is_empty(), "{finished:?}");
    serde_json::from_slice(&finished.stdout).unwrap()
}

#[test]
fn nothing_gets_past_ours() {
    nothing_gets_past(&Fetch::command("prove").arg("--json").run());
}

/// The guest asks the servers of `resolv.conf`, which the trial has its own of: the
/// controls are reached by name.
#[test]
fn nothing_gets_past_ours_where_the_guest_resolves() {
    let prove = Fetch::command("prove").arg("--json");
    nothing_gets_past(&prove.env("FUMEHOOD_DNS_MODE", "guest").run());
}

#[test]
fn people_get_a_table() {
    let proven = Fetch::command("prove")
        .args(["--only", "loopback", "--only", "cname-localhost"])
        .run();
    assert_eq!(proven.code(), 0, "{proven:?}");
    let told = String::from_utf8(proven.stdout).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("case "), "{told}");
    assert!(lines[0].contains("fumehood proxy"), "{told}");
    let row = |case: &str| {
        let found = lines.iter().find(|it| it.starts_with(case));
        found.map(|it| it.matches("held").count())
    };
    assert_eq!(row("loopback "), Some(2), "{told}");
    assert_eq!(row("cname-localhost "), Some(2), "{told}");
    assert!(lines.last().unwrap().contains("none through"), "{told}");
}

fn nothing_gets_past(proven: &Finished) {
    let report = report(proven);
    assert_eq!(
        (proven.code(), &report["through"], &report["all_held"]),
        (0, &0.into(), &true.into()),
        "{report:#}"
    );
    for control in ["control-address", "control-name"] {
        for (route, verdict) in verdicts(&report, control) {
            assert_eq!(verdict, "reached", "{control} by {route}");
        }
    }
    let cases = report["cases"].as_array().unwrap().len();
    assert_eq!((report["tries"].as_u64(), cases), (Some(504), 131));
}

#[test]
fn what_a_policy_that_only_reports_lets_through_is_seen() {
    let proven = Fetch::command("prove")
        .args(["--json", "--only", "loopback", "--only", "rebinding"])
        .args(["--only", "denied-dot", "--only", "nat64"])
        .env("FUMEHOOD_POLICY_MODE", "report")
        .env("FUMEHOOD_POLICY_ADDRESS_MODE", "report")
        .run();
    let report = report(&proven);
    assert_eq!(proven.code(), 1, "{report:#}");
    for case in ["loopback", "rebinding", "denied-dot", "nat64"] {
        for (route, verdict) in verdicts(&report, case) {
            assert_eq!(verdict, "through", "{case} by {route}");
        }
    }
}

#[test]
fn a_case_that_there_is_not_is_refused() {
    let proven = Fetch::command("prove").args(["--only", "nothing"]).run();
    assert_eq!(proven.code(), 2, "{proven:?}");
    assert!(proven.stderr.contains("cname-localhost"), "{proven:?}");
}

/// Tries another proxy; what it lets through is its own affair, but the trial
/// must be able to tell.
#[expect(clippy::print_stdout, reason = "what was observed, for who looks")]
fn compare(name: &str, command: &[&str]) {
    let proven = Fetch::command("prove")
        .args(["--json", "--target", TARGET, "--"])
        .args(command)
        .run();
    let report = report(&proven);
    for control in ["control-address", "control-name"] {
        for (route, verdict) in verdicts(&report, control) {
            assert_eq!(
                verdict, "reached",
                "{name}: {control} by {route}: {report:#}"
            );
        }
    }
    assert_eq!(report["controls_missed"], 0);
    let mut through = Vec::new();
    for case in report["cases"].as_array().unwrap() {
        let tries = case["tries"].as_array().unwrap();
        if tries.iter().any(|it| it["verdict"] == "through") {
            through.push(case["case"].as_str().unwrap());
        }
    }
    println!(
        "{name}: {} tries, through: {}",
        report["tries"],
        through.join(", ")
    );
}

#[test]
fn squid_is_tried_in_the_same_way() {
    let folder = readable();
    let shown = folder.path().display();
    let configuration = format!(
        "http_port 127.0.0.1:3128\nvisible_hostname prove.test\n\
         cache deny all\naccess_log none\ncache_log /dev/null\npid_filename none\n\
         coredump_dir {shown}\nshutdown_lifetime 0 seconds\n\
         acl private dst 0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 \
         172.16.0.0/12 192.168.0.0/16 ::1 ::/128 fc00::/7 fe80::/10\n\
         acl denied dstdomain .forbidden.prove.test\n\
         http_access deny private\nhttp_access deny denied\nhttp_access allow all\n"
    );
    let file = folder.write("squid.conf", configuration).unwrap();
    compare(
        "squid",
        &[&program("squid"), "-N", "-f", file.to_str().unwrap()],
    );
}

#[test]
fn tinyproxy_is_tried_in_the_same_way() {
    let folder = readable();
    let filter = folder
        .write(
            "filter",
            "^127\\.\n^0\\.\n^10\\.\n^169\\.254\\.\n^172\\.(1[6-9]|2[0-9]|3[01])\\.\n\
             ^192\\.168\\.\n^localhost$\n(^|\\.)forbidden\\.prove\\.test$\n",
        )
        .unwrap();
    let configuration = format!(
        "Port 3128\nListen 127.0.0.1\nTimeout 10\nMaxClients 100\n\
         Filter \"{}\"\nFilterExtended On\nFilterURLs Off\nFilterCaseSensitive Off\n",
        filter.display()
    );
    let file = folder.write("tinyproxy.conf", configuration).unwrap();
    compare(
        "tinyproxy",
        &[&program("tinyproxy"), "-d", "-c", file.to_str().unwrap()],
    );
}

/// A folder that daemons find also once they have become somebody else.
fn readable() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Daemons lie where not everybody's `PATH` leads.
fn program(name: &str) -> String {
    let places = ["/usr/sbin", "/usr/bin"].map(|folder| format!("{folder}/{name}"));
    let found = places.into_iter().find(|it| Path::new(it).exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: `cargo xtask test` does that"))
}
