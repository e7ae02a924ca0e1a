//! What clients ask for is in `fumehood status`.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Canary, Script, Server};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use serde_json::{Value, json};

use crate::support::{HELLO, PATIENCE, Proxy};

#[test]
fn requests_bytes_and_denials_are_counted() {
    let server = Server::start(vec![
        Script::answers(&[HELLO, HELLO]),
        Script::answers(&[HELLO]),
    ]);
    let canary = Canary::start();
    let folder = TempDir::new().unwrap();
    let port = canary.port();
    let rules = format!(
        "[policy]\nprivate-hosts = [\"127.0.0.1\"]\ndeny = [{{ hosts = [\"*.example\"] }}, {{ ports = [{port}] }}]\n"
    );
    let file = folder.write("config.toml", rules).unwrap();
    let socket = folder.join("admin.sock");
    let proxy = Proxy::strict(&[
        "--config",
        file.to_str().unwrap(),
        "--admin-socket",
        socket.to_str().unwrap(),
    ]);
    let asked = |format: &str| {
        let asked = Fetch::command("status").arg("--socket").arg(&socket);
        let done = if format.is_empty() {
            asked.run()
        } else {
            asked.arg(format).run()
        };
        assert_eq!(done.code(), 0, "{}", done.stderr);
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(!asked("").contains("proxied"));
    let url = server.url("/");
    let mut client = proxy.connect();
    client.say(format!("GET {url} HTTP/1.1\r\nhost: x\r\n\r\n"));
    assert_eq!(client.reply().unwrap().status, 200);
    client.say(format!(
        "POST {url} HTTP/1.1\r\nhost: x\r\ncontent-length: 7\r\n\r\npayload"
    ));
    assert_eq!(client.reply().unwrap().status, 200);
    for target in [
        "a.example:443".to_owned(),
        "b.example:443".to_owned(),
        format!("127.0.0.1:{port}"),
    ] {
        client.say(format!("CONNECT {target} HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert_eq!(client.reply().unwrap().status, 403);
    }
    client.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let refusal = client.reply().unwrap();
    assert_eq!(refusal.status, 400);
    let mut tunnel = proxy.connect();
    tunnel.say(
        [
            b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\x01".as_slice(),
            &server.port().to_be_bytes(),
        ]
        .concat(),
    );
    tunnel.bytes(12);
    let get = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    tunnel.say(get);
    assert!(tunnel.is_ended());
    let counted = wait_for(PATIENCE, || {
        let status: Value = serde_json::from_str(&asked("--json")).unwrap();
        let proxy = status["traffic"]["proxy"].clone();
        (proxy["tunnelled"] == 1).then_some(proxy)
    });
    let counted = counted.unwrap();
    assert_eq!(
        (&counted["served"], &counted["denied"], &counted["failed"]),
        (&json!(2), &json!(3), &json!(1))
    );
    assert_eq!(counted["received"], 7 + get.len());
    let by_rule = format!("denied-by-rule *.example ({}:3)", file.display());
    assert_eq!(counted["denials"][&by_rule], 2, "{counted}");
    let page = asked("");
    assert!(
        page.contains("proxied    2 served, 1 tunnelled, 3 denied, 1 failed\n"),
        "{page}"
    );
    assert!(
        page.contains(&format!("denied     2 × {by_rule}\n")),
        "{page}"
    );
    let metrics = asked("--metrics");
    for line in [
        "fumehood_proxy_requests_total{outcome=\"served\"} 2".to_owned(),
        "fumehood_proxy_requests_total{outcome=\"denied\"} 3".to_owned(),
        format!(
            "fumehood_proxy_bytes_total{{direction=\"received\"}} {}",
            7 + get.len()
        ),
        format!(
            "fumehood_proxy_denials_total{{reason=\"denied-by-rule\",rule=\"*.example ({}:3)\"}} 2",
            file.display()
        ),
        // Of the program's own there was none.
        "fumehood_exchanges_total{outcome=\"ok\"} 0".to_owned(),
    ] {
        assert!(
            metrics.lines().any(|it| it == line),
            "{line} is not in\n{metrics}"
        );
    }
    canary.assert_alive();
}
