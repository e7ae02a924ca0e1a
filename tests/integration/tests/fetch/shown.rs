//! What the command tells: `-I`, `-i`, `-s`, `-S`, `-v`, `-f`, `--json`.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Script, Server};
use serde_json::Value;

const HELLO: &str = "HTTP/1.1 200 Fine\r\nx-one: 1\r\ncontent-length: 5\r\n\r\nhello";
const MISSING: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nsorry";

fn serve(answer: &str) -> Server {
    Server::start(vec![Script::answers(&[answer, answer])])
}

fn plain(server: &Server) -> Fetch {
    Fetch::plain()
        .args(["--allow-private", "127.0.0.1"])
        .arg(server.url("/"))
}

#[test]
fn heads_alone() {
    let server = serve("HTTP/1.1 200 Fine\r\nx-one: 1\r\ncontent-length: 5\r\n\r\n");
    let finished = plain(&server).arg("-I").run();
    let head = "HTTP/1.1 200 Fine\r\nx-one: 1\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(finished.content()), head);
    assert_eq!(server.only_request().method, "HEAD");
}

#[test]
fn heads_before_content() {
    let finished = plain(&serve(HELLO)).arg("-i").run();
    assert_eq!(String::from_utf8_lossy(finished.content()), HELLO);
}

#[test]
fn errors_are_told_unless_silenced() {
    let server = Server::start(vec![Script::answer("garbage\r\n\r\n")]);
    let told = |arguments: &[&str]| plain(&server).args(arguments).run();
    let loud = told(&[]);
    assert_eq!(loud.code(), 8);
    assert!(loud.stderr.starts_with("fumehood: (8) "), "{}", loud.stderr);
    assert!(
        loud.stderr.contains(&server.port().to_string()),
        "{}",
        loud.stderr
    );
    let silent = told(&["-s"]);
    assert_eq!((silent.code(), &*silent.stderr), (8, ""));
    assert!(told(&["-s", "-S"]).stderr.starts_with("fumehood: (8) "));
}

#[test]
fn the_journey() {
    let server = serve(HELLO);
    let finished = plain(&server).args(["-v", "-s"]).run();
    assert_eq!(finished.content(), b"hello");
    for line in [
        "* broker ready in ",
        "* engine ready in ",
        "* policy allows http://127.0.0.1:",
        "> GET / HTTP/1.1\n",
        "> host: 127.0.0.1:",
        "* connected to 127.0.0.1:",
        "* guest http1 ",
        "* request sent\n",
        "< HTTP/1.1 200 Fine\n",
        "< x-one: 1\n",
        "* 5 bytes of content, 5 bytes past guests",
    ] {
        assert!(
            finished.stderr.contains(line),
            "no {line:?} in:\n{}",
            finished.stderr
        );
    }
}

#[test]
fn secrets_are_not_told() {
    let finished = plain(&serve(HELLO)).args(["-v", "-u", "me:secret"]).run();
    assert!(
        finished.stderr.contains("> authorization: [hidden]"),
        "{}",
        finished.stderr
    );
    // Base64 of me:secret.
    assert!(
        !finished.stderr.contains("bWU6c2VjcmV0"),
        "{}",
        finished.stderr
    );
}

#[test]
fn fail_is_for_those_who_ask() {
    let without = plain(&serve(MISSING)).run();
    assert_eq!(without.content(), b"sorry");
    let with = Fetch::new(serve(MISSING).url("/")).arg("-f").run();
    with.assert_failed(22, "http-error", "peer");
    assert_eq!(with.stdout, b"");
    let body = Fetch::new(serve(MISSING).url("/"))
        .arg("--fail-with-body")
        .run();
    body.assert_failed(22, "http-error", "peer");
    assert_eq!(body.stdout, b"sorry");
    let beyond = "HTTP/1.1 799 Odd\r\ncontent-length: 5\r\n\r\nsorry";
    let odd = Fetch::new(serve(beyond).url("/")).arg("-f").run();
    odd.assert_failed(22, "http-error", "peer");
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

#[test]
fn the_report_has_its_schema() {
    let report = Fetch::new(serve(HELLO).url("/")).run().report();
    let top = [
        "bytes",
        "connection_kept",
        "connection_reused",
        "effective_url",
        "error",
        "guests",
        "http_version",
        "launch",
        "modules",
        "output",
        "peer",
        "redirects",
        "refused_addresses",
        "resumed",
        "retries",
        "status",
        "timings",
        "tls",
        "url",
    ];
    assert_eq!(keys(&report), top);
    assert_eq!(
        keys(&report["bytes"]),
        ["past_guests", "received", "sent", "through_guests"]
    );
    assert_eq!(keys(&report["guests"]), ["calls", "memory_bytes"]);
    assert_eq!(
        keys(&report["modules"][0]),
        ["digest", "instance", "name", "version"]
    );
    let timings = [
        "connected_us",
        "dial_connect_us",
        "dial_resolve_us",
        "elapsed_us",
        "head_us",
        "resolved_us",
        "sent_us",
        "tls_us",
        "total_us",
    ];
    assert_eq!(keys(&report["timings"]), timings);
    assert_eq!(
        keys(&report["launch"]),
        ["broker_ready_us", "engine_ready_us", "layers"]
    );
    assert_eq!(report["http_version"], "1.1");
    assert_eq!(report["status"], 200);
    assert_eq!(report["bytes"]["received"], 5);
    assert_eq!(report["modules"][0]["name"], "http1");
    assert!(report["error"].is_null() && report["tls"].is_null());
    let seccomp = &report["launch"]["layers"]["engine"]["seccomp"];
    assert_eq!(seccomp["state"], "holds");

    let report = Fetch::new("http://127.0.0.1:1/").run().report();
    assert_eq!(keys(&report), top);
    let error = [
        "blame",
        "code",
        "exit_code",
        "message",
        "reason",
        "remedy",
        "retryable",
    ];
    assert_eq!(keys(&report["error"]), error);
}

#[test]
fn times_are_in_order() {
    let report = Fetch::new(serve(HELLO).url("/")).run().report();
    let time = |name: &str| report["timings"][name].as_u64().unwrap();
    let order = [
        "connected_us",
        "sent_us",
        "head_us",
        "total_us",
        "elapsed_us",
    ]
    .map(time);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_hostile_head_cannot_break_out_of_the_report() {
    let answer = "HTTP/1.1 200 \"}{\\\r\nx: \"}\\n{\r\ncontent-length: 0\r\n\r\n";
    let report = Fetch::new(serve(answer).url("/\"x")).run().report();
    assert_eq!(report["status"], 200);
}

#[test]
fn the_last_failure_is_the_exit_code() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let finished = Fetch::new("http://127.0.0.1:1/").arg(server.url("/")).run();
    assert_eq!(finished.code(), 110, "{finished:?}");
    assert_eq!(finished.stdout, b"hello");
    assert_eq!(finished.reports().len(), 2);
}

#[test]
fn command_lines_that_are_none() {
    for arguments in [&[][..], &["--no-such-option"], &["-X"]] {
        let finished = Fetch::plain().args(arguments).run();
        assert_eq!(finished.code(), 2, "{arguments:?}: {finished:?}");
    }
}
