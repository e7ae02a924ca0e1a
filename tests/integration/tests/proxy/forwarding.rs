//! What passes, and how.

use fumehood_tests::hostile::{Nobody, Script, Server};

use crate::support::{HELLO, Proxy};

fn get(server: &Server, path: &str) -> String {
    format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", server.url(path))
}

#[test]
fn curl_gets_what_it_asks_for_in_both_ways() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&[]);
    assert_eq!(proxy.curl(&[&server.url("/a?b")]), "hello");
    assert_eq!(proxy.curl(&["--proxytunnel", &server.url("/c")]), "hello");
    let requests = server.requests();
    let (forwarded, tunnelled) = (&requests[0][0], &requests[1][0]);
    assert_eq!(forwarded.target, "/a?b");
    assert_eq!(forwarded.field("via"), Some("1.1 fumehood"));
    assert_eq!(forwarded.field("proxy-connection"), None);
    assert_eq!(tunnelled.target, "/c");
    assert_eq!(tunnelled.field("via"), None);
    let log = proxy.log(2);
    assert_eq!(log[0]["target"], server.url("/a?b"));
    assert_eq!(
        (&log[0]["outcome"], &log[0]["status"]),
        (&"served".into(), &200.into())
    );
    assert_eq!(log[1]["method"], "CONNECT");
    assert_eq!(log[1]["outcome"], "tunnelled");
}

#[test]
fn content_goes_up_however_it_is_framed() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&[]);
    let content = "x".repeat(300_000);
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let file = folder.write("content", &content).unwrap();
    let data = format!("@{}", file.display());
    let url = server.url("/");
    proxy.curl(&["--data-binary", &data, "--header", "expect:", &url]);
    proxy.curl(&[
        "--data-binary",
        &data,
        "-H",
        "transfer-encoding: chunked",
        "-H",
        "expect:",
        &url,
    ]);
    for request in server.requests() {
        assert_eq!(request[0].content, content.as_bytes());
    }
    assert_eq!(proxy.log(2)[1]["received"], content.len());
}

#[test]
fn responses_keep_their_framing_and_their_place() {
    let server = Server::start(vec![Script::answers(&[
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nconnection: x-mine\r\nx-mine: 1\r\nx-yours: 2\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nto the end",
    ])]);
    let proxy = Proxy::start(&[]);
    let mut client = proxy.connect();
    // All at once: what a client pipelines waits its turn.
    for path in ["/1", "/2", "/3", "/4", "/5", "/6"] {
        client.say(get(&server, path));
    }
    let chunked = client.reply().unwrap();
    assert_eq!(chunked.content, b"hellox-sum: 1");
    assert_eq!(client.reply().unwrap().status, 204);
    let unchanged = client.reply().unwrap();
    assert_eq!(unchanged.status, 304);
    assert!(unchanged.head.contains("content-length: 77"));
    assert_eq!(client.reply().unwrap().status, 103);
    assert_eq!(client.reply().unwrap().content, b"ok");
    let of_hop = client.reply().unwrap().head;
    assert!(
        of_hop.contains("x-yours: 2") && !of_hop.contains("x-mine"),
        "{of_hop}"
    );
    assert_eq!(client.reply().unwrap().content, b"to the end");
    // One connection to the server served them all.
    assert_eq!(server.connections(), 1);
    assert_eq!(server.requests()[0].len(), 6);
    let log = proxy.log(6);
    assert_eq!(
        (&log[0]["reused"], &log[1]["reused"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn head_has_no_content() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n";
    let server = Server::start(vec![Script::answers(&[head, HELLO])]);
    let proxy = Proxy::start(&[]);
    let mut client = proxy.connect();
    client.say(get(&server, "/").replacen("GET", "HEAD", 1));
    assert!(client.head().unwrap().contains("content-length: 9999"));
    client.say(get(&server, "/"));
    assert_eq!(client.reply().unwrap().content, b"hello");
}

#[test]
fn the_target_names_the_host_whatever_the_field_says() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::start(&["--via", ""]);
    let asked = format!(
        "GET {} HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: x-mine\r\nx-mine: 1\r\n\
         proxy-authorization: Basic eDp5\r\nte: trailers\r\n\r\n",
        server.url("/")
    );
    assert_eq!(proxy.ask(asked).content, b"hello");
    let request = server.only_request();
    let host = format!("127.0.0.1:{}", server.port());
    assert_eq!(request.fields, [("host".to_owned(), host)]);
}

#[test]
fn a_websocket_becomes_a_tunnel() {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhi";
    let script = Script::new().request().send(switch).request().send("bye");
    let server = Server::start(vec![script]);
    let proxy = Proxy::start(&[]);
    let mut client = proxy.connect();
    client.say(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: k\r\n\r\n",
        server.url("/")
    ));
    let head = client.head().unwrap();
    assert!(
        head.starts_with("http/1.1 101 ") && head.contains("upgrade: websocket"),
        "{head}"
    );
    assert_eq!(client.bytes(2), b"hi");
    // To the origin of this test what follows is one more request.
    client.say("ANY /thing HTTP/1.1\r\nhost: y\r\n\r\n");
    assert_eq!(client.bytes(3), b"bye");
    assert_eq!(server.requests()[0][1].method, "ANY");
    drop(client);
    assert_eq!(proxy.log(1)[0]["status"], 101);
}

#[test]
fn a_server_that_does_not_answer_is_told_of() {
    let proxy = Proxy::start(&[]);
    let gone = Server::start(vec![Script::new()]);
    let closed = proxy.ask(get(&gone, "/"));
    assert_eq!(closed.status, 502);
    assert!(
        closed
            .head
            .contains("proxy-status: fumehood; error=http_response_incomplete")
    );
    let nobody = Nobody::here();
    let port = nobody.port();
    for ask in [
        format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        let refused = proxy.ask(ask);
        assert_eq!(refused.status, 502);
        assert!(
            refused.head.contains("error=connection_refused"),
            "{}",
            refused.head
        );
    }
    // A response that breaks off is not made to look whole.
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell";
    let server = Server::start(vec![Script::answer(cut)]);
    let mut client = proxy.connect();
    client.say(get(&server, "/"));
    let reply = client.reply().unwrap();
    assert_eq!((reply.status, &reply.content[..]), (200, &b"hell"[..]));
    assert!(client.is_ended());
}
