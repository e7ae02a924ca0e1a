//! What a command under way tells of itself: counts, metrics, logs; and the
//! files that packagers install beside it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use fumehood_tests::fetch::{Fetch, Running};
use fumehood_tests::hostile::{Gate, Script, Server};

use crate::support::{Setting, held};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A command that was denied once, succeeded twice, and now waits at a gate.
fn busy(it: &Setting) -> (Running, Gate, Server) {
    let gate = Gate::new();
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO]), held(&gate)]);
    let urls = [
        "http://127.0.0.2/".to_owned(),
        server.url("/a"),
        server.url("/b"),
        server.url("/held"),
    ];
    let running = it.fetch(&urls).start();
    gate.wait_for(1);
    (running, gate, server)
}

/// The value of a metric in a page, by its name and labels.
fn value(page: &str, metric: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(metric));
    let line = line.unwrap_or_else(|| panic!("{metric} is not in\n{page}"));
    line.trim().parse().unwrap()
}

/// Asks over the admin socket as a collector does.
fn get(it: &Setting, path: &str) -> String {
    let mut stream = UnixStream::connect(it.socket()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_went_through_is_counted_and_told() {
    let it = Setting::new();
    let (running, gate, _server) = busy(&it);
    let page = it.status(&["--metrics"]);
    for (metric, wanted) in [
        ("fumehood_exchanges_under_way", 1.0),
        ("fumehood_exchanges_total{outcome=\"ok\"}", 2.0),
        ("fumehood_exchanges_total{outcome=\"policy\"}", 1.0),
        ("fumehood_exchanges_total{outcome=\"peer\"}", 0.0),
        (
            "fumehood_denials_total{reason=\"loopback-address\",rule=\"\"}",
            1.0,
        ),
        ("fumehood_responses_total{class=\"2xx\"}", 3.0),
        ("fumehood_payload_bytes_total{direction=\"received\"}", 10.0),
        ("fumehood_exchange_duration_seconds_count", 2.0),
        (
            "fumehood_exchange_duration_seconds_bucket{le=\"+Inf\"}",
            2.0,
        ),
        ("fumehood_process_up{process=\"engine\"}", 1.0),
        // The second request took the first one's connection, the third has its own.
        ("fumehood_pool_connections{state=\"in-use\"}", 1.0),
        ("fumehood_pool_connections{state=\"idle\"}", 0.0),
        ("fumehood_pool_waiting", 0.0),
        ("fumehood_pool_connections_made_total", 2.0),
        ("fumehood_connection_places{state=\"taken\"}", 1.0),
    ] {
        assert_eq!(
            value(&page, metric).to_bits(),
            f64::to_bits(wanted),
            "{metric}\n{page}"
        );
    }
    let memory = "fumehood_process_resident_memory_bytes{process=\"broker\"}";
    assert!(value(&page, memory) > 1e5, "{page}");
    assert!(
        page.contains("fumehood_module_instances{module=\"http1\""),
        "{page}"
    );

    let answer = get(&it, "/metrics");
    let (head, content) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains(&format!("content-length: {}\r\n", content.len())),
        "{head}"
    );
    assert!(
        content.contains("fumehood_exchanges_total{outcome=\"ok\"} 2\n"),
        "{content}"
    );
    assert!(
        get(&it, "/").starts_with("HTTP/1.1 404 "),
        "there is no such page"
    );

    let text = it.status(&[]);
    for row in [
        "pool       0 idle, 1 in use, 0 waiting; 2 made, ",
        "           1 of 128 places taken, 0 waiting for one\n",
    ] {
        assert!(text.contains(row), "{row}{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&it.status(&["--json"])).unwrap();
    assert_eq!(json["activity"]["pool"]["in_use"], 1);
    assert_eq!(json["traffic"]["exchanges"]["ok"], 2);
    assert_eq!(json["traffic"]["denials"]["loopback-address"], 1);
    gate.open();
    // That of the URL that was denied.
    assert_eq!(running.finish().code(), 110);
}

#[test]
fn a_log_tells_of_one_guest_and_of_no_secret() {
    let server = Server::start(vec![Script::answer(HELLO)]);
    let finished = Fetch::plain()
        .args(["--silent", "--allow-private", "127.0.0.1"])
        .args(["-H", "authorization: Bearer s3cret"])
        .arg(server.url("/?token=s3cret"))
        .env("FUMEHOOD_LOG", "warn,guest::http1=debug")
        .run();
    assert_eq!(finished.code(), 0);
    let log = &finished.stderr;
    assert!(
        log.contains("guest::http1") && log.contains("head 200, 1 fields"),
        "{log}"
    );
    assert!(!log.contains("s3cret"), "{log}");

    let quiet = Fetch::new(server.url("/"))
        .env("FUMEHOOD_LOG", "guest::tls=debug")
        .run();
    assert!(!quiet.stderr.contains("guest::http1"), "{}", quiet.stderr);

    let wrong = Fetch::new(server.url("/"))
        .env("FUMEHOOD_LOG", "a=loud")
        .run();
    assert_eq!(wrong.code(), 2);
    assert!(
        wrong.stderr.contains("FUMEHOOD_LOG is not understood"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn completions_and_pages_name_every_command() {
    let it = Setting::new();
    let finished = Fetch::command("man").arg(it.path("man")).run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    // There is a page a command, which the program's own tests hold against what
    // it takes.
    let pages = std::fs::read_dir(it.path("man")).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let commands: Vec<String> = pages.map(|it| it.replace(".1", "")).collect();
    for shell in ["bash", "zsh", "fish"] {
        let finished = Fetch::command("completions").arg(shell).run();
        let script = String::from_utf8(finished.stdout).unwrap();
        assert!(script.contains("allow-private"), "{shell}: {script}");
        for word in commands.iter().flat_map(|it| it.split('-')) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    for page in [
        "fumehood.1",
        "fumehood-fetch.1",
        "fumehood-policy-explain.1",
    ] {
        let text = std::fs::read_to_string(it.path("man").join(page)).unwrap();
        assert!(
            text.starts_with(".ie ") && text.contains(".TH fumehood"),
            "{page}: {text}"
        );
    }
}
