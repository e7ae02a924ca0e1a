//! The one way out: what is allowed arrives, what is not is told.

use fumehood_tests::certs::TestCa;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::peers::{Nginx, Service, Site};
use fumehood_tests::temp::TempDir;
use serde_json::{Value, json};

use super::support::{run, text, wait_until_there};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

/// curl as it comes, which learns of the proxy from the environment.
fn curl(flags: &[&str], url: &str) -> Fetch {
    let curl = ["--", "curl", "-q", "--silent", "--show-error"];
    run(flags).args(curl).arg(url)
}

fn status_alone(flags: &[&str], url: &str) -> Finished {
    let formatted = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}/%{http_connect}",
    ];
    curl(flags, url).args(formatted).run()
}

#[test]
fn an_allowed_origin_is_reached_in_the_clear_and_by_tls() {
    let folder = TempDir::new().unwrap();
    let ca = TestCa::new();
    let file = folder.write("ca.pem", ca.pem()).unwrap();
    let site = Site::new().file("hello.txt", "hello\n");
    let nginx = Nginx::start(&ca.issue(), &site).unwrap();
    for service in [Service::Http, Service::Tls13] {
        let allowed = format!("127.0.0.1:{}", nginx.port(service));
        let flags = [
            "--allow-private",
            &allowed,
            "--cacert",
            file.to_str().unwrap(),
        ];
        let finished = curl(&flags, &nginx.url(service, "hello.txt")).run();
        assert_eq!(text(finished.content()), "hello\n", "{finished:?}");
        assert_eq!(finished.stderr, "");
    }
}

#[test]
fn what_is_not_allowed_is_403_and_told_with_its_flag() {
    let finished = status_alone(
        &["--allow", "other.test"],
        "http://example.test/path?secret",
    );
    assert_eq!(text(finished.content()), "403/000");
    assert_eq!(
        finished.stderr,
        "fumehood: denied example.test:80 (not-allowed), once; \
         to allow it: --allow example.test:80\n"
    );
    let finished = status_alone(&["--quiet"], "https://example.test/");
    assert_eq!(text(&finished.stdout), "000/403", "{finished:?}");
    assert!(
        !finished.stderr.contains("fumehood: denied"),
        "{finished:?}"
    );
}

#[test]
fn a_private_address_is_told_with_its_own_flag() {
    let server = Server::start(vec![Script::answer(ANSWER)]);
    let there = format!("127.0.0.1:{}", server.port());
    let flags = ["--allow", &there];
    // Nobody else's loopback is asked directly but its own.
    let finished = curl(&flags, &server.url("/")).args(["--noproxy", ""]).run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert!(
        finished
            .stderr
            .contains(&format!("--allow-private {there}\n")),
        "{finished:?}"
    );
    assert_eq!(server.connections(), 0);
    // And taken at its word, the summary is right.
    let finished = curl(&["--allow-private", &there], &server.url("/")).run();
    assert_eq!(text(finished.content()), "hello\n");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_rule_of_the_configuration_counts_and_its_default_does_not() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::answer(ANSWER)]);
    let there = format!("127.0.0.1:{}", server.port());
    let rules = format!("[policy]\nprivate-hosts = [\"{there}\"]\n");
    let file = folder.write("config.toml", rules).unwrap();
    let flags = ["--config", file.to_str().unwrap()];
    assert_eq!(
        text(curl(&flags, &server.url("/")).run().content()),
        "hello\n"
    );
    // To `fetch` such a configuration allows every public address.
    let finished = status_alone(&flags, "http://192.0.2.1/");
    assert_eq!(text(finished.content()), "403/000", "{finished:?}");
}

#[test]
fn machines_are_told_the_same() {
    let folder = TempDir::new().unwrap();
    let report = folder.join("report.json");
    let script = "for it in 1 2 3; do curl -q --silent http://example.test/$it; done >/dev/null; \
                  exit 7";
    let finished = run(["--json"])
        .arg(&report)
        .args(["--quiet", "--", "sh", "-c", script])
        .run();
    assert_eq!((finished.code(), finished.stderr.as_str()), (7, ""));
    let told: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let denied = json!([{
        "endpoint": "example.test:80",
        "reason": "not-allowed",
        "count": 3,
        "flag": "--allow example.test:80",
    }]);
    let expected = json!({
        "exit-code": 7,
        "denied": denied,
        "denied-further": 0,
        "records-lost": 0,
    });
    assert_eq!(told, expected);
}

#[test]
fn the_network_outlives_the_engine() {
    let server = Server::start(vec![Script::answer(ANSWER)]);
    let there = format!("127.0.0.1:{}", server.port());
    let folder = TempDir::new().unwrap();
    let (ready, go) = (folder.join("ready"), folder.join("go"));
    let script = format!(
        "touch {}; while ! test -e {}; do sleep 0.01; done; curl -q --silent {}",
        ready.display(),
        go.display(),
        server.url("/")
    );
    let running = run(["--allow-private", &there, "--", "sh", "-c", &script]).start();
    wait_until_there(&ready);
    running.process("engine").kill().unwrap();
    std::fs::write(go, "").unwrap();
    assert_eq!(text(running.finish().content()), "hello\n");
}

/// What the configuration says of the way out holds for what is run too.
#[test]
fn the_way_out_is_the_configurations() {
    let server = Server::start(vec![Script::answer(ANSWER)]);
    let folder = TempDir::new().unwrap();
    let proxy = server.url("");
    let text = format!("[proxy]\nmode = \"fixed\"\nurl = \"{proxy}\"\n");
    let file = folder.write("config.toml", text).unwrap();
    let flags = [
        "--config",
        file.to_str().unwrap(),
        "--allow",
        "origin.invalid",
    ];
    let finished = curl(&flags, "http://origin.invalid/").run();
    assert_eq!(self::text(finished.content()), "hello\n", "{finished:?}");
    assert_eq!(server.only_request().target, "http://origin.invalid/");
}
