//! What clients ask for is in `fumehood status`, and on a port for metrics.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use fumehood_tests::dns::reply;
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
    // It ends with both its sides.
    drop(tunnel);
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

/// What the port for metrics answers to a whole message.
fn scraped(at: SocketAddr, message: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(message.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// All metrics.
pub(crate) fn page(at: SocketAddr) -> String {
    let answer = scraped(at, &format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n"));
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    page.to_owned()
}

/// A name server that knows where every name but those of `nowhere` is: here.
fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let (name, _) = reply(&question[..length], &[]);
            let here: &[_] = match name.ends_with("nowhere") {
                true => &[],
                false => &[Ipv4Addr::LOCALHOST],
            };
            let _gone = socket.send_to(&reply(&question[..length], here).1, from);
        }
    });
    address
}

#[test]
fn a_port_of_loopback_tells_of_names_and_scripts() {
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let folder = TempDir::new().unwrap();
    let script = "function FindProxyForURL(url, host) {
        if (host == 'broken.known') throw 'no';
        return 'DIRECT';
    }";
    let script = folder.write("proxy.pac", script).unwrap();
    let names = name_server();
    let text = format!(
        "[policy]\nprivate-hosts = [\"here.known\"]\n\
         [dns]\nmode = \"guest\"\nservers = [\"{names}\"]\n\
         [proxy]\nmode = \"pac\"\nurl = {script:?}\nfallback = [\"direct\"]\n"
    );
    let config = folder.write("config.toml", text).unwrap();
    let proxy = Proxy::strict(&[
        "--config",
        config.to_str().unwrap(),
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let metrics = proxy.metrics.unwrap();
    let before = page(metrics);
    let has = |page: &str, line: &str| page.lines().any(|it| it == line);
    assert!(has(&before, "fumehood_pac_scripts 0"), "{before}");

    let port = server.port();
    let get = |host: &str| {
        let url = format!("http://{host}:{port}/");
        proxy.ask(format!("GET {url} HTTP/1.1\r\nhost: x\r\n\r\n"))
    };
    assert_eq!(get("here.known").content, b"hello");
    assert_eq!(get("there.nowhere").status, 502);
    assert_eq!(get("broken.known").status, 403);
    let page = page(metrics);
    for line in [
        "fumehood_pac_scripts 1",
        "fumehood_pac_loads_total{outcome=\"ok\"} 1",
        "fumehood_pac_loads_total{outcome=\"failed\"} 0",
        "fumehood_pac_calls_total{outcome=\"ok\"} 2",
        "fumehood_pac_calls_total{outcome=\"failed\"} 1",
        "fumehood_pac_questions_under_way 0",
        // `here.known` and `broken.known`, whose addresses the policy does not like.
        "fumehood_dns_questions_total{outcome=\"server\"} 2",
        "fumehood_dns_questions_total{outcome=\"absent\"} 1",
        "fumehood_dns_questions_total{outcome=\"failed\"} 0",
        "fumehood_dns_questions_under_way 0",
        // Each host that was reached is another target.
        "fumehood_pool_connections_made_total 1",
    ] {
        assert!(has(&page, line), "{line} is not in\n{page}");
    }
    let time = page
        .lines()
        .find_map(|line| line.strip_prefix("fumehood_pac_call_seconds_total "));
    assert!(time.unwrap().parse::<f64>().unwrap() > 0.0, "{page}");
}

#[test]
fn a_port_for_metrics_is_for_metrics_alone() {
    let folder = TempDir::new().unwrap();
    let socket = folder.join("admin.sock");
    let proxy = Proxy::start(&[
        "--metrics-listen",
        "[::1]:0",
        "--admin-socket",
        socket.to_str().unwrap(),
    ]);
    let at = proxy.metrics.unwrap();
    assert!(at.ip().is_loopback() && at.port() != 0, "{at}");
    assert!(page(at).contains("fumehood_info{version="));
    for (request, host, status) in [
        ("GET /metrics", "rebound.example", 421),
        ("GET /metrics", "10.0.0.1", 421),
        ("GET /", "localhost", 404),
        ("POST /metrics", "localhost", 405),
        ("{\"command\":\"status\"}", "localhost", 405),
    ] {
        let message = format!("{request} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let answer = scraped(at, &message);
        let begins = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&begins), "{message}{answer}");
        assert!(!answer.contains("fumehood_"), "{message}{answer}");
    }
    // It is the embedder's, and outlives engines.
    let before = proxy.engine(None).pid;
    proxy.engine(None).kill().unwrap();
    proxy.engine(Some(before));
    let restarted = wait_for(PATIENCE, || {
        let page = page(at);
        page.contains("fumehood_engine_restarts_total 1\n")
            .then_some(())
    });
    assert!(restarted.is_some());
}

#[test]
fn metrics_are_told_to_this_machine_alone() {
    let refused = |address: &str| {
        let proxy = Fetch::command("proxy").args(["--listen", "127.0.0.1:0"]);
        proxy.args(["--metrics-listen", address]).run()
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9464"] {
        let done = refused(address);
        assert_eq!(done.code(), 2, "{address}: {}", done.stderr);
        let why = "which others can reach";
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
    let proxy = Proxy::start(&["--metrics-listen", "127.0.0.1:0"]);
    let done = refused(&proxy.metrics.unwrap().to_string());
    assert_eq!(done.code(), 116, "{}", done.stderr);
    assert!(done.stderr.contains("take another port"), "{}", done.stderr);
}
