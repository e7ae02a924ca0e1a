//! Every request is judged, and a denial says why.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Canary, Script, Server};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use serde_json::Value;

use crate::support::{HELLO, PATIENCE, Proxy};

#[test]
fn a_denial_is_403_for_people_and_for_programs() {
    let canary = Canary::start();
    let proxy = Proxy::strict(&[]);
    let port = canary.port();
    for ask in [
        format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("CONNECT 2130706433:{port} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        let reply = proxy.ask(&ask);
        assert_eq!(reply.status, 403, "{ask}");
        let field = "proxy-status: fumehood; error=destination_ip_prohibited; details=\"";
        assert!(reply.head.contains(field), "{}", reply.head);
        let problem: Value = serde_json::from_slice(&reply.content).unwrap();
        assert_eq!(problem["status"], 403);
        assert_eq!(problem["reason"], "loopback-address");
        let remedy = problem["remedy"].as_str().unwrap();
        assert!(remedy.contains("--allow-private"), "{remedy}");
    }
    canary.assert_alive();
    for record in proxy.log(4) {
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&"denied".into(), &"loopback-address".into())
        );
    }
}

#[test]
fn a_denied_client_may_ask_for_something_else() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&[]);
    let mut client = proxy.connect();
    client.say("GET http://10.0.0.1/ HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.reply().unwrap().status, 403);
    client.say(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n\r\n",
        server.url("/")
    ));
    assert_eq!(client.reply().unwrap().content, b"hello");
}

/// Methods and clients are part of the question, on a connection that is used
/// again too, and another policy holds for the next request.
#[test]
fn each_request_is_judged_by_the_policy_of_its_moment() {
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let folder = TempDir::new().unwrap();
    let rules =
        |deny: &str| format!("[policy]\nprivate-hosts = [\"127.0.0.1\"]\ndeny = [{deny}]\n");
    let methods = rules("{ methods = [\"POST\"] }, { clients = [\"others\"] }");
    let file = folder.write("config.toml", methods).unwrap();
    let proxy = Proxy::strict(&["--config", file.to_str().unwrap(), "--client", "mine"]);
    let mut client = proxy.connect();
    let ask = |method: &str| format!("{method} {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    client.say(ask("GET"));
    assert_eq!(client.reply().unwrap().status, 200);
    client.say(ask("POST"));
    let denied = client.reply().unwrap();
    assert_eq!(denied.status, 403);
    assert!(
        denied.head.contains("error=http_request_denied"),
        "{}",
        denied.head
    );
    client.say(ask("GET"));
    assert_eq!(client.reply().unwrap().status, 200);
    assert_eq!(server.connections(), 1);

    // Put in its place at once, as editors do.
    let next = folder
        .write("next", rules("{ clients = [\"mine\"] }"))
        .unwrap();
    std::fs::rename(next, &file).unwrap();
    let denied = wait_for(PATIENCE, || {
        client.say(ask("HEAD"));
        let head = client.head()?;
        head.starts_with("http/1.1 403").then_some(())
    });
    assert!(denied.is_some());
}

#[test]
fn it_does_not_listen_where_others_can_reach_it_unless_told_twice() {
    let done = Fetch::command("proxy")
        .args(["--listen", "0.0.0.0:0"])
        .run();
    assert_eq!(done.code(), 2);
    assert!(
        done.stderr.contains("--dangerously-listen-beyond-loopback"),
        "{}",
        done.stderr
    );
    // Told twice it serves.
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let twice = ["--dangerously-listen-beyond-loopback"];
    let allowed = ["--allow-private", "127.0.0.1"];
    let mut proxy = Proxy::at("0.0.0.0:0", &[&twice[..], &allowed].concat());
    assert!(proxy.address.ip().is_unspecified());
    proxy.address.set_ip([127, 0, 0, 1].into());
    let get = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url("/"));
    assert_eq!(proxy.ask(get).content, b"hello");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = Fetch::command("proxy").args(["--listen", &address]).run();
    assert_eq!(done.code(), 116, "{}", done.stderr);
    assert!(done.stderr.contains(&address), "{}", done.stderr);
}
