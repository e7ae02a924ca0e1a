//! Out through other proxies: hostile ones, scripts that should not be trusted,
//! circles; then the distribution's.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use fumehood_tests::artifacts::fumehood;
use fumehood_tests::certs::TestCa;
use fumehood_tests::hostile::{Canary, Nobody, Script, Server, server_config};
use fumehood_tests::peers::{Kind, RealProxy, TlsFront, Unbound};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use rustls::ALL_VERSIONS;
use serde_json::Value;

use crate::support::{HELLO, PATIENCE, Proxy, Reply};

/// A target that nobody here resolves and nobody answers at.
const PLAIN: &str = "GET http://origin.test/path?q HTTP/1.1\r\nhost: x\r\n\r\n";
const TUNNEL: &str = "CONNECT origin.test:443 HTTP/1.1\r\nhost: x\r\n\r\n";

fn http(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

/// A script whose function has this body.
pub(crate) fn script(body: &str) -> String {
    let body = body.replace('%', "%25");
    format!("data:,function FindProxyForURL(url, host) {{ {body} }}")
}

/// The error type of RFC 9209 that a client was told.
fn error(reply: &Reply) -> String {
    let problem: Value = serde_json::from_slice(&reply.content).unwrap();
    problem["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_a_proxy_says_for_a_tunnel_is_not_passed_on_as_one() {
    for answer in [
        "HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 There\r\nlocation: http://evil.test/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "SOCKS\r\n\r\n",
        "HTTP/1.1 200 OK\nx: y\n\n",
        "HTTP/1.1 200 OK\r\nx: ",
        "",
    ] {
        let server = Server::start(vec![Script::new().request().send(answer)]);
        let proxy = Proxy::strict(&["--upstream", &http(&server)]);
        let reply = proxy.ask(TUNNEL);
        assert_eq!(reply.status, 502, "{answer:?}: {}", reply.head);
        assert!(reply.head.contains("proxy-status: fumehood; error="));
        assert!(!reply.head.contains("evil.test"));
        let asked = server.only_request();
        assert_eq!(
            (&*asked.method, &*asked.target),
            ("CONNECT", "origin.test:443")
        );
    }
}

#[test]
fn what_a_proxy_says_for_a_request_is_read_as_a_servers_answer() {
    for answer in ["SOCKS\r\n\r\n", "HTTP/1.1 200 OK\nx: y\n\n", "\x05\x00", ""] {
        let server = Server::start(vec![Script::new().request().send(answer)]);
        let proxy = Proxy::strict(&["--upstream", &http(&server)]);
        assert_eq!(proxy.ask(PLAIN).status, 502, "{answer:?}");
    }
    // It is us whom it wants to know, and not the client.
    let challenge = "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=x\r\n\
                     content-length: 0\r\n\r\n";
    let server = Server::start(vec![Script::answers(&[challenge])]);
    let proxy = Proxy::strict(&["--upstream", &http(&server)]);
    let reply = proxy.ask(PLAIN);
    assert_eq!(reply.status, 502);
    assert!(!reply.head.contains("proxy-authenticate"), "{}", reply.head);
    assert!(String::from_utf8_lossy(&reply.content).contains("407"));
}

#[test]
fn the_proxy_is_asked_for_the_whole_url_and_told_who_asks() {
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO, HELLO])]);
    let upstream = format!("http://alice:secret@127.0.0.1:{}", server.port());
    let proxy = Proxy::strict(&["--upstream", &upstream]);
    let mut client = proxy.connect();
    for url in ["http://a.test/1", "http://a.test/2", "http://b.test:8080/3"] {
        client.say(format!(
            "GET {url} HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic c3B5\r\n\r\n"
        ));
        assert_eq!(client.reply().unwrap().content, b"hello");
    }
    // One connection to a proxy is good for all that it is asked for.
    let requests = server.requests();
    let asked = &requests[0];
    let targets: Vec<&str> = asked.iter().map(|it| &*it.target).collect();
    assert_eq!(
        targets,
        ["http://a.test/1", "http://a.test/2", "http://b.test:8080/3"]
    );
    for request in asked {
        assert_eq!(
            request.field("proxy-authorization"),
            Some("Basic YWxpY2U6c2VjcmV0")
        );
        assert_eq!(request.field("via"), Some("1.1 fumehood"));
    }
    assert_eq!(asked[2].field("host"), Some("b.test:8080"));
}

#[test]
fn the_policy_judges_the_target_and_the_way() {
    let canary = Canary::start();
    let upstream = format!("http://127.0.0.1:{}", canary.port());
    let folder = TempDir::new().unwrap();
    let rules = "[policy]\ndeny = [{ hosts = [\"*.evil.test\"] }]\n";
    let file = folder.write("config.toml", rules).unwrap();
    let proxy = Proxy::strict(&["--upstream", &upstream, "--config", file.to_str().unwrap()]);
    for (ask, reason) in [
        ("GET http://10.0.0.1/", "local-address"),
        ("GET http://localhost/", "localhost"),
        ("CONNECT 127.0.0.1:443", "loopback-address"),
        ("CONNECT a.evil.test:443", "denied-by-rule"),
        ("CONNECT a.test:25", "blocked-port"),
    ] {
        let reply = proxy.ask(format!("{ask} HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert_eq!(reply.status, 403, "{ask}");
        let problem: Value = serde_json::from_slice(&reply.content).unwrap();
        assert_eq!(problem["reason"], reason, "{ask}");
    }
    // A rule denies the proxy itself.
    let rules = "[policy]\ndeny = [{ hosts = [\"127.0.0.0/8\"] }]\n";
    let file = folder.write("way.toml", rules).unwrap();
    let proxy = Proxy::strict(&["--upstream", &upstream, "--config", file.to_str().unwrap()]);
    assert_eq!(proxy.ask(PLAIN).status, 403);
    canary.assert_alive();
}

#[test]
fn a_script_leads_nobody_where_the_policy_does_not() {
    let canary = Canary::start();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let forbidden = format!("return 'PROXY 127.0.0.1:{}';", canary.port());
    let proxy = Proxy::strict(&["--proxy-pac", &script(&forbidden)]);
    for ask in [PLAIN, TUNNEL] {
        let reply = proxy.ask(ask);
        assert_eq!(reply.status, 403);
        let problem: Value = serde_json::from_slice(&reply.content).unwrap();
        assert_eq!(problem["reason"], "loopback-address");
    }
    // The next one may be allowed.
    let port = server.port();
    let both = format!("return 'PROXY 10.0.0.1:80; PROXY 127.0.0.1:{port}';");
    let proxy = Proxy::start(&["--proxy-pac", &script(&both)]);
    assert_eq!(proxy.ask(PLAIN).content, b"hello");
    canary.assert_alive();
}

#[test]
fn a_script_is_asked_about_each_request() {
    let one = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let other = Server::start(vec![Script::answers(&[HELLO])]);
    let direct = Server::start(vec![Script::answers(&[HELLO])]);
    let body = format!(
        "if (url.indexOf('/other') > 0) return 'PROXY 127.0.0.1:{}'; return 'PROXY 127.0.0.1:{}';",
        other.port(),
        one.port()
    );
    let proxy = Proxy::start(&["--proxy-pac", &script(&body)]);
    let mut client = proxy.connect();
    for path in ["/one", "/other", "/one"] {
        client.say(format!(
            "GET http://a.test{path} HTTP/1.1\r\nhost: x\r\n\r\n"
        ));
        assert_eq!(client.reply().unwrap().content, b"hello");
    }
    let targets = |server: &Server| -> Vec<String> {
        let all = server.requests().into_iter().flatten();
        all.map(|it| it.target).collect()
    };
    assert_eq!(targets(&one), ["http://a.test/one", "http://a.test/one"]);
    assert_eq!(targets(&other), ["http://a.test/other"]);
    // Loopback is this machine's, whatever a script says.
    client.say(format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n\r\n",
        direct.url("/x")
    ));
    assert_eq!(client.reply().unwrap().content, b"hello");
    assert_eq!(targets(&direct), ["/x"]);
}

#[test]
fn a_script_that_fails_gives_the_fallback_or_an_error() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    for broken in [
        script("return nothing_of_that_name;"),
        script("while (true) {}"),
        script("return 'NONSENSE';"),
        "data:,)(".to_owned(),
        "/nonexistent/proxy.pac".to_owned(),
    ] {
        let proxy = Proxy::strict(&["--proxy-pac", &broken]);
        let reply = proxy.ask(PLAIN);
        assert_eq!(
            (reply.status, &*error(&reply)),
            (502, "proxy_configuration_error"),
            "{broken}"
        );
        let fallback = http(&server);
        let arguments = ["--proxy-pac", &broken, "--proxy-fallback", &fallback];
        let proxy = Proxy::strict(&arguments);
        assert_eq!(proxy.ask(PLAIN).content, b"hello", "{broken}");
    }
}

#[test]
fn what_failed_is_tried_last() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    // It stalls: a second request that tried it first would take as long again.
    let stalls = Server::start(vec![Script::new().request().then_stall()]);
    let nobody = Nobody::here();
    let (dead, stall, good) = (nobody.port(), stalls.port(), server.port());
    let body = format!(
        "return 'PROXY 127.0.0.1:{dead}; SOCKS5 127.0.0.1:{stall}; PROXY 127.0.0.1:{good}';"
    );
    let folder = TempDir::new().unwrap();
    let file = folder
        .write("config.toml", "[timeouts]\nconnect = 2\n")
        .unwrap();
    let arguments = [
        "--proxy-pac",
        &script(&body),
        "--config",
        file.to_str().unwrap(),
    ];
    let proxy = Proxy::start(&arguments);
    for _ in 0..3 {
        assert_eq!(proxy.ask(PLAIN).content, b"hello");
    }
    assert_eq!(stalls.connections(), 1);
}

#[test]
fn nobody_is_led_in_a_circle() {
    // Each finds the other by a script that is read when it is first needed.
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let leads_to = |port: u16| {
        format!("function FindProxyForURL(url, host) {{ return 'PROXY 127.0.0.1:{port}'; }}")
    };
    let proxy = Proxy::start(&["--proxy-pac", &path("itself")]);
    folder
        .write("itself", leads_to(proxy.address.port()))
        .unwrap();
    for ask in [PLAIN, TUNNEL] {
        let reply = proxy.ask(ask);
        assert_eq!(
            (reply.status, &*error(&reply)),
            (502, "proxy_loop_detected"),
            "{}",
            reply.head
        );
    }
    assert_eq!(proxy.log(2).len(), 2);

    let one = Proxy::start(&["--proxy-pac", &path("other")]);
    let other = Proxy::start(&["--upstream", &format!("http://{}", one.address)]);
    folder
        .write("other", leads_to(other.address.port()))
        .unwrap();
    for ask in [PLAIN, TUNNEL] {
        let reply = one.ask(ask);
        assert_eq!(reply.status, 502, "{}", reply.head);
    }
    let told = one.log(2).into_iter().chain(other.log(2));
    let found = told
        .filter(|it| it["reason"] == "proxy_loop_detected")
        .count();
    assert!(found > 0);
}

#[test]
fn a_new_engine_knows_the_way() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::strict(&["--upstream", &http(&server)]);
    assert_eq!(proxy.ask(PLAIN).content, b"hello");
    let engine = proxy.engine(None);
    engine.kill().unwrap();
    proxy.engine(Some(engine.pid));
    assert_eq!(proxy.ask(PLAIN).content, b"hello");
}

#[test]
fn real_proxies_are_gone_through_alone_and_in_a_row() {
    let squid = RealProxy::start(Kind::Squid).unwrap();
    let tinyproxy = RealProxy::start(Kind::Tinyproxy).unwrap();
    let dante = RealProxy::start(Kind::Dante).unwrap();
    let squid = format!("http://{}", squid.address());
    let known = format!("http://alice:secret@{}", tinyproxy.address());
    let unknown = format!("http://{}", tinyproxy.address());
    let socks = |scheme: &str| format!("{scheme}://{}", dante.address());
    let ways: [&[&str]; 8] = [
        &[&squid],
        &[&known],
        &[&socks("socks4")],
        &[&socks("socks4a")],
        &[&socks("socks5")],
        &[&socks("socks5h")],
        &[&socks("socks5h"), &known],
        &[&known, &squid],
    ];
    for way in ways {
        let origin = Server::start(vec![Script::answers(&[HELLO])]);
        let flags = way.iter().flat_map(|it| ["--upstream", it]);
        let proxy = Proxy::start(&flags.collect::<Vec<_>>());
        assert_eq!(proxy.curl(&[&origin.url("/x")]), "hello", "{way:?}");
        assert_eq!(origin.only_request().target, "/x", "{way:?}");
        // squid makes tunnels to its safe ports alone.
        if !way.contains(&&*squid) {
            let origin = Server::start(vec![Script::answers(&[HELLO])]);
            let tunnelled = proxy.curl(&["--proxytunnel", &origin.url("/y")]);
            assert_eq!(tunnelled, "hello", "{way:?}");
        }
    }
    let proxy = Proxy::start(&["--upstream", &unknown]);
    assert_eq!(proxy.ask(PLAIN).status, 502);
    assert!(TcpStream::connect(tinyproxy.address()).is_ok());
}

#[test]
fn a_tunnels_tls_runs_inside_that_to_an_https_proxy() {
    let squid = RealProxy::start(Kind::Squid).unwrap();
    let (outer, inner) = (TestCa::new(), TestCa::new());
    let folder = TempDir::new().unwrap();
    let proxys = folder.write("outer.pem", outer.pem()).unwrap();
    let origins = folder.write("inner.pem", inner.pem()).unwrap();
    let config = |ca: &TestCa| server_config(&ca.issue(), ALL_VERSIONS);
    let origin = Server::start_tls(config(&inner), vec![Script::answers(&[HELLO])]);
    let through = |front: &TlsFront| {
        let mut command = fumehood();
        command
            .args(["proxy", "--listen", "127.0.0.1:0", "--json"])
            .args(["--allow-private", "127.0.0.1", "--upstream", &front.url()])
            .env("SSL_CERT_FILE", &proxys)
            .stdin(Stdio::null());
        Proxy::spawn(command, TempDir::new().unwrap())
    };
    let front = TlsFront::start(config(&outer), squid.address());
    // Of the origin's certificate the client is the judge.
    let proxy = through(&front);
    let arguments = ["--cacert", origins.to_str().unwrap(), &origin.url("/z")];
    assert_eq!(proxy.curl(&arguments), "hello");
    assert_eq!(origin.only_request().target, "/z");
    let asked = format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", origin.port());
    assert!(front.heard().starts_with(asked.as_bytes()));
    // One that nobody vouches for is told nothing.
    let front = TlsFront::start(config(&inner), squid.address());
    let reply = through(&front).ask(TUNNEL);
    assert_eq!(
        (reply.status, &*error(&reply)),
        (502, "tls_certificate_error")
    );
    assert!(front.heard().is_empty());
}

#[test]
fn another_script_and_another_configuration_hold_without_a_start() {
    let (one, other) = (
        Server::start(vec![Script::answers(&[HELLO])]),
        Server::start(vec![Script::answers(&[HELLO])]),
    );
    let folder = TempDir::new().unwrap();
    // Put in its place at once, as editors do.
    let write = |name: &str, text: String| {
        let next = folder.write("next", text).unwrap();
        std::fs::rename(next, folder.path().join(name)).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let leads_to = |server: &Server, rest: &str| {
        let port = server.port();
        format!("function FindProxyForURL(url, host) {{ return 'PROXY 127.0.0.1:{port}'; }}{rest}")
    };
    let pac = write("proxy.pac", leads_to(&one, ""));
    let unbound = Unbound::start().unwrap();
    let servers = unbound.address();
    let configured = |mode: &str| {
        format!(
            "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n\
             [dns]\nmode = \"guest\"\nservers = [\"{servers}\"]\n[proxy]\nmode = {mode}\n"
        )
    };
    let config = write(
        "config.toml",
        configured(&format!("\"pac\"\nurl = \"{pac}\"")),
    );
    let proxy = Proxy::strict(&["--config", &config]);
    assert_eq!(proxy.ask(PLAIN).content, b"hello");
    assert_eq!((one.connections(), other.connections()), (1, 0));
    write("proxy.pac", leads_to(&other, " // changed"));
    let changed = wait_for(PATIENCE, || {
        proxy.ask(PLAIN);
        (other.connections() > 0).then_some(())
    });
    assert!(changed.is_some());
    let third = Server::start(vec![Script::answers(&[HELLO])]);
    write(
        "config.toml",
        configured(&format!("\"fixed\"\nurl = \"{}\"", http(&third))),
    );
    let changed = wait_for(PATIENCE, || {
        proxy.ask(PLAIN);
        (third.connections() > 0).then_some(())
    });
    assert!(changed.is_some());
    // Nothing is said any more: straight, where nobody resolves that name.
    write("config.toml", configured("\"direct\""));
    let changed = wait_for(PATIENCE, || {
        let reply = proxy.ask(PLAIN);
        (reply.status == 502 && error(&reply) == "dns_error").then_some(())
    });
    assert!(changed.is_some());
}

/// What KDE keeps its settings in, and GNOME what its own program prints of them;
/// a program of that name stands in for it.
#[test]
fn what_the_desktop_says_holds_and_is_followed() {
    for desktop in ["KDE", "ubuntu:GNOME"] {
        let folder = TempDir::new().unwrap();
        let programs = folder.join("programs");
        std::fs::create_dir(&programs).unwrap();
        std::fs::create_dir(folder.join("dconf")).unwrap();
        let printed = folder.join("printed");
        let gsettings = folder.write(
            "programs/gsettings",
            format!(
                "#!/bin/sh\n[ \"$*\" = 'list-recursively org.gnome.system.proxy' ] || exit 1\n\
                 exec cat '{}'\n",
                printed.display()
            ),
        );
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(gsettings.unwrap(), executable).unwrap();
        // Put in its place at once, as the desktops do.
        let put = |name: &str, text: String| {
            let next = folder.write("next", text).unwrap();
            std::fs::rename(next, folder.join(name)).unwrap();
        };
        let say = |server: &Server| {
            let port = server.port();
            put(
                "kioslaverc",
                format!("[Proxy Settings]\nProxyType=1\nhttpProxy=http://127.0.0.1 {port}\n"),
            );
            let schema = "org.gnome.system.proxy";
            put(
                "printed",
                format!(
                    "{schema} mode 'manual'\n{schema}.http host '127.0.0.1'\n\
                     {schema}.http port {port}\n"
                ),
            );
            // Not read: that it changes is what says that the rest may have.
            put("dconf/user", port.to_string());
        };
        let hello = || Server::start(vec![Script::answers(&[HELLO])]);
        let (one, other) = (hello(), hello());
        say(&one);
        let path = std::env::var("PATH").unwrap();
        let mut command = fumehood();
        command
            .args(["proxy", "--listen", "127.0.0.1:0", "--json"])
            .args(["--proxy-from", "system"])
            .env("XDG_CURRENT_DESKTOP", desktop)
            .env("XDG_CONFIG_HOME", folder.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .stdin(Stdio::null());
        let proxy = Proxy::spawn(command, TempDir::new().unwrap());
        assert_eq!(proxy.ask(PLAIN).content, b"hello", "{desktop}");
        assert_eq!((one.connections(), other.connections()), (1, 0));
        say(&other);
        let followed = wait_for(PATIENCE, || {
            proxy.ask(PLAIN);
            (other.connections() > 0).then_some(())
        });
        assert!(followed.is_some(), "{desktop}");
        assert_eq!(proxy.ask(PLAIN).content, b"hello", "{desktop}");
    }
}

/// What only its addresses could allow is denied where they are not seen, on a
/// connection to the proxy that was allowed something else, too.
#[test]
fn a_kept_connection_to_a_proxy_leads_no_further_than_a_new_one() {
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let folder = TempDir::new().unwrap();
    let text = "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n\
                [[policy.allow]]\nhosts = [\"a.test\", \"203.0.113.0/24\"]\n";
    let config = folder.write("config.toml", text).unwrap();
    let arguments = [
        "--config",
        config.to_str().unwrap(),
        "--upstream",
        &http(&server),
    ];
    let proxy = Proxy::strict(&arguments);
    let mut client = proxy.connect();
    let mut asked = |host: &str| {
        client.say(format!("GET http://{host}/ HTTP/1.1\r\nhost: x\r\n\r\n"));
        client.reply().unwrap().status
    };
    assert_eq!((asked("a.test"), asked("b.test")), (200, 403));
    assert_eq!(server.requests()[0].len(), 1);
}

#[test]
fn a_circle_is_seen_however_its_field_is_written() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let proxy = Proxy::strict(&["--upstream", &http(&server)]);
    let around = "1.1 x, ".repeat(16) + "1.1 x";
    let reply = proxy.ask(format!(
        "GET http://a.test/ HTTP/1.1\r\nhost: x\r\nVia: {around}\r\n\r\n"
    ));
    assert_eq!(
        (reply.status, error(&reply)),
        (502, "proxy_loop_detected".to_owned())
    );
    assert_eq!(server.connections(), 0);
}

/// A name that is not found here is the target's, and the proxy that was to be told
/// its address is asked first again.
#[test]
fn a_target_that_is_not_found_is_not_held_against_a_proxy() {
    let socks = Server::start(vec![Script::new().then_stall()]);
    // A connection that was kept and has ended would have all ways tried again.
    let last = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
    let http = Server::start(vec![Script::answers(&[last])]);
    let (first, second) = (socks.port(), http.port());
    // Version 4 has to be told an address.
    let body = format!("return 'SOCKS 127.0.0.1:{first}; PROXY 127.0.0.1:{second}';");
    let unbound = Unbound::start().unwrap();
    let folder = TempDir::new().unwrap();
    let servers = unbound.address();
    let text = format!("[dns]\nmode = \"guest\"\nservers = [\"{servers}\"]\n");
    let config = folder.write("config.toml", text).unwrap();
    let arguments = [
        "--proxy-pac",
        &script(&body),
        "--config",
        config.to_str().unwrap(),
    ];
    let proxy = Proxy::start(&arguments);
    for request in 1..=3 {
        assert_eq!(proxy.ask(PLAIN).content, b"hello");
        // Nothing is said to it: its connection may be taken after the answer.
        let _tried = wait_for(PATIENCE, || (socks.connections() >= request).then_some(()));
        assert_eq!(socks.connections(), request, "it is tried first");
    }
}
