//! `fumehood pac`: scripts in the real engine, from where they come to what is said.

use std::fs;
use std::path::Path;

use fumehood_tests::certs::TestCa;
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Script, Server, server_config};
use fumehood_tests::temp::TempDir;
use rustls::ALL_VERSIONS;

const SCRIPT: &str = "function FindProxyForURL(url, host) {
    alert('asked about ' + url);
    if (isPlainHostName(host)) return 'DIRECT';
    if (isInNet(host, '192.0.2.0', '255.255.255.0')) return 'PROXY near.test:3128; DIRECT';
    if (shExpMatch(host, '*.far.test')) return 'SOCKS5 [2001:db8::1]:1080; HTTPS far.test';
    if (weekdayRange('MON') && timeRange(16, 17)) return 'PROXY ' + myIpAddress() + ':1';
    return 'DIRECT';
}";

/// `fumehood pac ACTION FILE …` with a script.
fn pac(action: &str, script: &str, arguments: &[&str]) -> Finished {
    let folder = TempDir::new().unwrap();
    let (file, table) = (folder.path().join("proxy.pac"), folder.path().join("hosts"));
    fs::write(&file, script).unwrap();
    fs::write(&table, "192.0.2.7 www.near.test near.test\n").unwrap();
    Fetch::command("pac")
        .arg(action)
        .arg(&file)
        .args(["--crash-reports".as_ref(), folder.path()])
        .args(match action {
            "eval" => vec!["--dns".as_ref(), table.as_os_str()],
            _ => Vec::new(),
        })
        .args(arguments)
        .run()
}

#[test]
fn urls_are_answered_one_a_line() {
    let finished = pac(
        "eval",
        SCRIPT,
        &[
            "--now",
            "2026-09-21T14:13:20Z",
            "--tz",
            "Etc/GMT-2",
            "--my-ip",
            "10.1.2.3",
            "http://intranet/",
            "http://www.near.test/",
            "https://a.far.test/secret",
            "wss://elsewhere.test/",
        ],
    );
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(
        String::from_utf8_lossy(&finished.stdout),
        "http://intranet/  DIRECT
http://www.near.test/  PROXY near.test:3128; DIRECT
https://a.far.test/secret  SOCKS5 [2001:db8::1]:1080; HTTPS far.test:443
wss://elsewhere.test/  PROXY 10.1.2.3:1
"
    );
}

#[test]
fn the_zone_is_the_systems_unless_it_is_said() {
    let script = "function FindProxyForURL() {
        return 'PROXY hour-' + new Date().getHours() + '.test:1';
    }";
    let folder = TempDir::new().unwrap();
    let file = folder.write("proxy.pac", script).unwrap();
    // Of POSIX's names the sign is the other way round.
    for (zone, said, hour) in [
        ("Etc/GMT-2", &[][..], 16),
        ("Etc/GMT+3", &[], 11),
        ("Etc/GMT-2", &["--tz", "Etc/GMT+3"], 11),
    ] {
        let finished = Fetch::command("pac")
            .args(["eval", "--now", "2026-09-21T14:13:20Z"])
            .args(said)
            .arg(&file)
            .arg("http://a.test/")
            .env("TZ", zone)
            .run();
        assert_eq!(
            String::from_utf8_lossy(finished.content()),
            format!("http://a.test/  PROXY hour-{hour}.test:1\n"),
            "{zone}"
        );
    }
}

#[test]
fn an_answer_is_explained() {
    let url = "https://www.near.test/secret";
    let finished = pac("eval", SCRIPT, &["--explain", "--json", url]);
    let report = finished.report();
    assert_eq!(report["proxies"][0]["host"], "near.test", "{report}");
    assert_eq!(report["proxies"][1]["scheme"], "direct", "{report}");
    let functions: Vec<_> = report["steps"].as_array().unwrap().iter().collect();
    assert_eq!(functions[0]["function"], "alert");
    assert_eq!(functions[1]["answer"], "false");
    assert_eq!(
        functions[2]["arguments"],
        "\"www.near.test\", \"192.0.2.0\", \"255.255.255.0\""
    );
    assert_eq!(functions[2]["answer"], "true");
    assert_eq!(functions.len(), 3, "{report}");
    assert_eq!(report["names"][0]["name"], "www.near.test", "{report}");
    assert_eq!(report["names"][0]["addresses"][0], "192.0.2.7");
    // The path stays between the user and the server.
    assert_eq!(report["alerts"][0], "asked about https://www.near.test/");
    let finished = pac("eval", SCRIPT, &["--explain", url]);
    let text = String::from_utf8_lossy(finished.content());
    assert!(
        text.contains("\n    isPlainHostName(\"www.near.test\") = false\n"),
        "{text}"
    );
    assert!(
        text.contains("\n    name www.near.test: 192.0.2.7\n"),
        "{text}"
    );
}

#[test]
fn scripts_that_fail_are_told_by_kind() {
    for (script, kind) in [
        (
            "function FindProxyForURL() { throw new Error('x'); }",
            "threw",
        ),
        ("function FindProxyForURL() { return 7; }", "not-a-string"),
        (
            "function FindProxyForURL() { return 'PROXY \u{e4}:1'; }",
            "not-ascii",
        ),
        (
            "function FindProxyForURL() { return 'QUIC a:1'; }",
            "no-proxy",
        ),
        ("function FindProxyForURL() { FindProxyForURL(); }", "limit"),
    ] {
        let finished = pac("eval", script, &["--json", "http://a.test/"]);
        let report = finished.report();
        let found = (finished.code(), report["error"]["kind"].as_str());
        assert_eq!(found, (117, Some(kind)), "{finished:?}");
        assert_eq!(report["exit_code"], 117);
    }
    for script in ["function (", "var x = 1;", "throw 1;"] {
        let finished = pac("eval", script, &["http://a.test/"]);
        assert_eq!(finished.code(), 117, "{finished:?}");
        assert!(finished.stderr.contains("script"), "{finished:?}");
    }
    let finished = pac("eval", SCRIPT, &["gopher://a.test/", "http://intranet/"]);
    assert_eq!(finished.code(), 3, "{finished:?}");
    let told = String::from_utf8_lossy(&finished.stdout);
    assert!(told.ends_with("http://intranet/  DIRECT\n"), "{told}");
}

#[test]
fn a_script_that_ends_its_guest_leaves_a_report_and_the_next_call_works() {
    let script = "function FindProxyForURL(url, host) {
        if (host === 'regex.test') /(a+)+$/.test('a'.repeat(60) + 'b');
        return 'PROXY p.test:1';
    }";
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy.pac");
    fs::write(&file, script).unwrap();
    let reports = folder.path().join("reports");
    let finished = Fetch::command("pac")
        .args(["eval", "--json", "--crash-reports"])
        .arg(&reports)
        .arg(&file)
        .args(["http://regex.test/", "http://b.test/"])
        .run();
    let told = finished.reports();
    assert_eq!(told[0]["error"]["kind"], "guest", "{finished:?}");
    assert_eq!(told[0]["exit_code"], 111, "{finished:?}");
    assert_eq!(told[1]["pac"], "PROXY p.test:1", "{finished:?}");
    let written: Vec<_> = fs::read_dir(&reports).unwrap().collect();
    assert!(!written.is_empty());
}

#[test]
fn a_script_is_looked_over() {
    let script = "function FindProxyForURL(url, host) {
    if (shExpMatch(url, 'https://a.test/x/*')) return 'PROXY a';
    return findProxy(host);
}";
    let finished = pac("lint", script, &[]);
    let told = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert!(told.contains("proxy.pac:3:"), "{told}");
    assert!(told.contains("[unknown-function]"), "{told}");
    assert!(told.contains("[private-path]"), "{told}");
    let finished = pac("lint", "function (", &["--json"]);
    assert_eq!(finished.code(), 117, "{finished:?}");
    assert_eq!(finished.report()["severity"], "error");
}

#[test]
fn a_script_comes_from_a_server_after_redirects() {
    let body = "function FindProxyForURL() { return 'PROXY served.test:1'; }";
    let length = body.len();
    let server = Server::start(vec![
        Script::answers(&[
            "HTTP/1.1 302 Found\r\nlocation: /there.pac\r\ncontent-length: 0\r\n\r\n",
            &format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"),
        ]),
        Script::answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
    ]);
    let run = || {
        Fetch::command("pac")
            .args(["eval", "--allow-private", "127.0.0.1"])
            .arg(server.url("/proxy.pac"))
            .arg("http://a.test/")
            .run()
    };
    let told = run();
    assert_eq!(
        String::from_utf8_lossy(&told.stdout),
        "http://a.test/  PROXY served.test:1\n",
        "{told:?}"
    );
    let missing = run();
    assert_eq!(missing.code(), 26, "{missing:?}");
    assert!(missing.stderr.contains("404"), "{missing:?}");
}

#[test]
fn a_script_comes_from_a_server_that_proves_who_it_is() {
    let ca = TestCa::new();
    let folder = TempDir::new().unwrap();
    let anchors = folder.write("ca.pem", ca.pem()).unwrap();
    let others = folder.write("other.pem", TestCa::new().pem()).unwrap();
    let body = "function FindProxyForURL() { return 'PROXY served.test:1'; }";
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
    let config = server_config(&ca.issue(), ALL_VERSIONS);
    let server = Server::start_tls(config, vec![Script::answers(&[&answer])]);
    let run = |anchors: &Path| {
        Fetch::command("pac")
            .args(["eval", "--allow-private", "127.0.0.1", "--cacert"])
            .arg(anchors)
            .arg(server.url("/proxy.pac"))
            .arg("http://a.test/")
            .run()
    };
    let told = run(&anchors);
    assert_eq!(
        String::from_utf8_lossy(told.content()),
        "http://a.test/  PROXY served.test:1\n"
    );
    let refused = run(&others);
    assert_eq!(refused.code(), 60, "{refused:?}");
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    assert_eq!(server.requests().concat().len(), 1);
}

#[test]
fn names_go_by_the_policy() {
    let script = "function FindProxyForURL(url, host) {
        return isResolvable('localhost') ? 'PROXY seen.test:1' : 'DIRECT';
    }";
    let eval = |arguments: &[&str]| {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("proxy.pac");
        fs::write(&file, script).unwrap();
        let finished = Fetch::command("pac")
            .args(["eval", "--json"])
            .args(arguments)
            .arg(&file)
            .arg("http://a.test/")
            .run();
        finished.report()
    };
    let denied = eval(&[]);
    assert_eq!(denied["pac"], "DIRECT", "{denied}");
    let why = denied["names"][0]["why"].to_string();
    assert!(why.contains("policy"), "{denied}");
    let allowed = eval(&["--allow-private", "localhost"]);
    assert_eq!(allowed["pac"], "PROXY seen.test:1", "{allowed}");
}
