//! By what the way out is chosen: flags, scripts, the configuration, variables.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Canary, Nobody, Script, Server, Step};
use fumehood_tests::temp::TempDir;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A target that cannot be (RFC 6761 section 6.4), which the guest knows.
const PLAIN: &str = "http://origin.invalid/path?q";

/// No name is to be asked about of a server of this machine's.
fn at(url: &str) -> Fetch {
    Fetch::new(url)
        .env("FUMEHOOD_DNS_MODE", "guest")
        .env("FUMEHOOD_DNS_SERVERS", "127.0.0.1:9")
}

fn fetch() -> Fetch {
    at(PLAIN)
}

fn hello() -> Server {
    Server::start(vec![Script::answers(&[HELLO])])
}

fn proxy(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

fn script(body: &str) -> String {
    format!("data:,function FindProxyForURL(url, host) {{ {body} }}")
}

#[test]
fn a_variable_that_means_nothing_is_not_the_same_as_none() {
    for (name, value) in [
        ("http_proxy", "gopher://127.0.0.1"),
        ("http_proxy", "http://127.0.0.1:0"),
        ("all_proxy", "http://a b"),
    ] {
        let finished = fetch().env(name, value).run();
        assert_eq!(finished.code(), 115, "{name}={value}: {}", finished.stderr);
    }
    let server = hello();
    let finished = fetch()
        .env("http_proxy", proxy(&server))
        .env("no_proxy", "a/b")
        .run();
    assert_eq!(finished.code(), 115, "{}", finished.stderr);
}

#[test]
fn variables_are_read_as_curl_reads_them() {
    let canary = Canary::start();
    let trap = format!("http://127.0.0.1:{}", canary.port());
    for name in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let server = hello();
        let with_login = format!("http://alice:secret@127.0.0.1:{}", server.port());
        // A client of a server can set this one.
        let fetch = fetch().env("HTTP_PROXY", &*trap);
        let finished = fetch.env(name, with_login).run();
        assert_eq!(finished.content(), b"hello", "{name}: {}", finished.stderr);
        let asked = server.only_request();
        assert_eq!(asked.target, PLAIN);
        assert_eq!(
            asked.field("proxy-authorization"),
            Some("Basic YWxpY2U6c2VjcmV0")
        );
    }
    // Exempt, by the list or by --noproxy in its place.
    let fetch = || fetch().env("http_proxy", &*trap);
    assert_eq!(fetch().env("NO_PROXY", "origin.invalid").run().code(), 6);
    let exempt = fetch()
        .env("no_proxy", "x.test")
        .args(["--noproxy", "origin.invalid"]);
    assert_eq!(exempt.run().code(), 6);
    let chosen = fetch().args(["--proxy-from", "environment"]);
    assert_eq!(chosen.args(["--noproxy", "origin.invalid"]).run().code(), 6);
    // -x wins, and "" is none.
    let server = hello();
    let wins = fetch().args(["-x", &proxy(&server)]).run();
    assert_eq!(wins.content(), b"hello", "{}", wins.stderr);
    assert_eq!(fetch().args(["-x", ""]).run().code(), 6);
    canary.assert_alive();
}

#[test]
fn a_scripts_ways_are_tried_in_turn() {
    let server = hello();
    let nobody = Nobody::here();
    let dead = nobody.address();
    let nonsense = Script::new()
        .step(Step::FirstBytes)
        .send("HTTP/1.1 400 No\r\n\r\n");
    let garbage = Server::start(vec![nonsense.then_stall()]);
    let (bad, good) = (garbage.port(), server.port());
    let body = format!(
        "return 'PROXY 10.0.0.1:80; PROXY {dead}; SOCKS5 127.0.0.1:{bad}; PROXY 127.0.0.1:{good}';"
    );
    let finished = fetch().args(["--proxy-pac", &script(&body)]).run();
    assert_eq!(finished.content(), b"hello", "{}", finished.stderr);
    // A proxy that answers works, whatever it says.
    let no = "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n";
    let refuses = Server::start(vec![Script::new().request().send(no)]);
    let canary = Canary::start();
    let (first, second) = (refuses.port(), canary.port());
    let body = format!("return 'PROXY 127.0.0.1:{first}; PROXY 127.0.0.1:{second}';");
    let secure = at("https://origin.invalid/").args(["--proxy-pac", &script(&body)]);
    assert_eq!(secure.run().code(), 56);
    canary.assert_alive();
}

/// The target is judged by the way that is gone: where a proxy is left out, not by what
/// that one would have kept from sight.
#[test]
fn a_target_is_judged_by_a_way_that_is_permitted() {
    let folder = TempDir::new().unwrap();
    let addresses = "[[policy.allow]]\nhosts = [\"8.0.0.0/8\"]\n\
                     [[policy.ask]]\nhosts = [\"proxy.test\"]\n";
    let file = folder.write("config.toml", addresses).unwrap();
    let exit = |proxy: &str| {
        let pac = script(&format!("return 'PROXY {proxy}; DIRECT';"));
        let fetch = fetch().args(["--config", file.to_str().unwrap()]);
        fetch.args(["--proxy-pac", &pac]).run().code()
    };
    // Straight on, its addresses would be seen; there is none.
    assert_eq!(exit("192.0.2.1:80"), 6);
    // Nobody is there to be asked about this one.
    assert_eq!(exit("proxy.test:8080"), 6);
    // A proxy that may be used would not show them.
    assert_eq!(exit("8.0.0.1:8080"), 110);
}

/// Whoever writes a script may name any proxy: none of them is told a login, even
/// where it was said for the very same one elsewhere.
#[test]
fn a_login_is_for_no_proxy_that_a_script_names() {
    let challenge = "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=x\r\n\
                     content-length: 0\r\n\r\n";
    let folder = TempDir::new().unwrap();
    // For a tunnel its answer is an error; else it is an answer like another.
    for (url, exit) in [(PLAIN, 0), ("https://origin.invalid/", 56)] {
        let server = Server::start(vec![Script::answers(&[challenge; 2])]);
        let port = server.port();
        let pac = script(&format!("return 'PROXY 127.0.0.1:{port}';"));
        let known = format!("http://alice:secret@127.0.0.1:{port}");
        let text = format!("[proxy]\nmode = \"fixed\"\nurl = \"{known}\"\n");
        let file = folder.write("config.toml", text).unwrap();
        let by_variable = at(url).env("all_proxy", &*known).env("http_proxy", &*known);
        let by_file = at(url).arg("--config").arg(&file);
        // Who would tell it by a flag is told that it cannot be.
        for flags in [
            &["-U", "alice:secret"][..],
            &["--preproxy", &known],
            &["--proxytunnel"],
            &["--proxy-insecure"],
        ] {
            let refused = at(url).args(["--proxy-pac", &pac]).args(flags).run();
            assert_eq!(refused.code(), 2, "{flags:?}: {}", refused.stderr);
            let said = refused.stderr.contains("cannot be used with");
            assert!(said, "{flags:?}: {}", refused.stderr);
        }
        for fetch in [by_variable, by_file] {
            let finished = fetch.args(["--proxy-pac", &pac]).run();
            assert_eq!(finished.code(), exit, "{url}: {}", finished.stderr);
            assert!(finished.stderr.contains("407"), "{}", finished.stderr);
        }
        let asked = server.requests().concat();
        assert_eq!(asked.len(), 2, "{url}: once each, whatever it answers");
        for request in asked {
            assert_eq!(request.field("proxy-authorization"), None, "{url}");
        }
    }
}

#[test]
fn the_deadline_is_of_all_ways_together() {
    let stalls = Server::start(vec![Script::new().then_stall()]);
    let one = format!("SOCKS5 127.0.0.1:{}", stalls.port());
    let body = format!("return '{one}; {one}; {one}; {one}';");
    let fetch = fetch().args(["--proxy-pac", &script(&body), "--max-time", "5"]);
    assert_eq!(fetch.run().code(), 28);
    assert_eq!(stalls.connections(), 1);
}

#[test]
fn a_script_that_fails_is_no_leave_to_go_straight() {
    for broken in [&script("throw 1;"), "data:,(", "/nonexistent"] {
        let fetch = || fetch().args(["--proxy-pac", broken]);
        assert_eq!(fetch().run().code(), 117, "{broken}");
        assert_eq!(fetch().args(["--proxy-fallback", "direct"]).run().code(), 6);
        let server = hello();
        let through = fetch().args(["--proxy-fallback", &proxy(&server)]).run();
        assert_eq!(through.content(), b"hello", "{broken}: {}", through.stderr);
    }
}

#[test]
fn the_configuration_goes_before_variables_and_behind_flags() {
    let canary = Canary::start();
    let trap = format!("http://127.0.0.1:{}", canary.port());
    let folder = TempDir::new().unwrap();
    let write = |text: String| {
        let file = folder.write("config.toml", text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let server = hello();
    let file = write(format!(
        "[proxy]\nmode = \"fixed\"\nurl = \"{}\"\n",
        proxy(&server)
    ));
    let fetch = |file: &str| fetch().args(["--config", file]);
    let finished = fetch(&file).env("http_proxy", &*trap).run();
    assert_eq!(finished.content(), b"hello", "{}", finished.stderr);
    assert_eq!(fetch(&file).args(["-x", ""]).run().code(), 6);
    let variable = fetch(&file).env("FUMEHOOD_PROXY_MODE", "direct");
    // The file's URL goes with the file's mode.
    assert_eq!(variable.run().code(), 6);
    // What is exempt is said with the proxies, and these are the file's.
    let exempt = fetch(&file).args(["--noproxy", "*", "--show-error"]).run();
    assert_eq!(exempt.code(), 2, "{}", exempt.stderr);
    assert!(exempt.stderr.contains("proxy.bypass"), "{}", exempt.stderr);
    let file = write("[proxy]\nmode = \"direct\"\n".to_owned());
    assert_eq!(fetch(&file).env("http_proxy", &*trap).run().code(), 6);
    let server = hello();
    let file = write("[proxy]\nmode = \"environment\"\n".to_owned());
    let finished = fetch(&file).env("http_proxy", proxy(&server)).run();
    assert_eq!(finished.content(), b"hello", "{}", finished.stderr);
    canary.assert_alive();
}
