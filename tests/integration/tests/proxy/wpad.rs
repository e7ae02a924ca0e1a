//! WPAD by DNS, from the question to the proxy, in a network of its own: a script is
//! looked for at port 80.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use fumehood_tests::dns::reply;
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

use crate::support::{HELLO, Proxy};

/// Set where a test runs in a network of its own.
const INSIDE: &str = "FUMEHOOD_TEST_INSIDE";

/// The code of a reply that says that there is no such name (RFC 1035 section 4.1.1).
const NXDOMAIN: u8 = 3;

/// Runs the test of that name once more, alone, in a network that has nothing but
/// loopback, and every port of it.
fn run_inside(test: &str) {
    // Who is root in there cannot give it up as the sandbox wants, so root only makes it.
    let script = "PATH=$PATH:/usr/sbin:/sbin ip link set lo up && \
                  echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start && \
                  exec unshare --user --map-user=1000 --map-group=1000 \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("1 passed"), "{told}");
}

/// A server of names that knows one, and keeps what it was asked for.
struct Names {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeSet<String>>>,
    /// With a `resolv.conf` that says nothing.
    folder: TempDir,
}

impl Names {
    fn start(known: &'static str) -> Names {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let question = &question[..length];
                let (name, _) = reply(question, &[]);
                let here: &[_] = match name == known {
                    true => &[Ipv4Addr::LOCALHOST],
                    false => &[],
                };
                let (_, mut reply) = reply(question, here);
                if name != known {
                    reply[3] |= NXDOMAIN;
                }
                kept.lock().unwrap().insert(name);
                socket.send_to(&reply, from).unwrap();
            }
        });
        let folder = TempDir::new().unwrap();
        folder.write("resolv.conf", "").unwrap();
        Names {
            address,
            asked,
            folder,
        }
    }

    /// What it was asked for that begins so.
    fn asked_for(&self, start: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let all = asked.iter().filter(|it| it.starts_with(start));
        all.cloned().collect()
    }
}

/// Answers every request at port 80 with this script, and keeps its first two lines.
fn web(script: String) -> Arc<Mutex<Vec<[String; 2]>>> {
    let listener = TcpListener::bind("127.0.0.1:80").unwrap();
    let asked: Arc<Mutex<Vec<[String; 2]>>> = Arc::default();
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            if let [first, second, ..] = &lines[..] {
                kept.lock().unwrap().push([first.clone(), second.clone()]);
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                script.len()
            );
            let _gone = stream.write_all((head + &script).as_bytes());
        }
    });
    asked
}

/// A configuration with these search domains, and none of the system's.
fn configuration(names: &Names, private: &str, mode: &str, search: &str) -> String {
    let resolv_conf = names.folder.join("resolv.conf");
    format!(
        "[policy]\nprivate-hosts = [{private}]\n\
         [dns]\nmode = \"guest\"\nservers = [\"{}\"]\nsearch = [{search}]\n\
         resolv-conf = {:?}\n\
         [proxy]\nmode = \"{mode}\"\n",
        names.address, resolv_conf
    )
}

const SEARCH: &str = "\"a.corp.test\", \"corp.test\"";

const ASK: &str = "GET http://origin.example/x HTTP/1.1\r\nhost: x\r\n\r\n";

#[test]
fn the_script_of_a_search_domain_is_found_and_nobody_above_is_asked() {
    if std::env::var_os(INSIDE).is_none() {
        let this = "wpad::the_script_of_a_search_domain_is_found_and_nobody_above_is_asked";
        return run_inside(this);
    }
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let names = Names::start("wpad.corp.test");
    let port = server.port();
    let script = format!("function FindProxyForURL() {{ return 'PROXY 127.0.0.1:{port}'; }}");
    let asked = web(script);
    let write = |text: String| {
        let file = names.folder.write("config.toml", text).unwrap();
        file.to_str().unwrap().to_owned()
    };

    // Unless it is asked for, nothing is looked for.
    let config = write(configuration(&names, "\"127.0.0.1\"", "direct", SEARCH));
    let straight = Proxy::strict(&["--config", &config]);
    assert_eq!(straight.ask(ASK).status, 502);
    assert!(names.asked_for("wpad").is_empty());

    // Where it is, and the policy does not say that it may be private.
    let config = write(configuration(&names, "", "wpad", SEARCH));
    let denied = Proxy::strict(&["--config", &config]);
    let reply = denied.ask(ASK);
    assert_eq!(reply.status, 502, "{}", reply.head);
    let told = String::from_utf8_lossy(&reply.content).into_owned();
    assert!(told.contains("WPAD found no script"), "{told}");
    assert!(asked.lock().unwrap().is_empty());

    let private = "\"127.0.0.1\", \"wpad.corp.test\"";

    // Where a resolver could put behind it what anybody can register a name under.
    let config = write(configuration(
        &names,
        private,
        "wpad",
        "\"corp.test\", \"co.uk\"",
    ));
    let nowhere = Proxy::strict(&["--config", &config]);
    let reply = nowhere.ask(ASK);
    assert_eq!(reply.status, 502, "{}", reply.head);
    let told = String::from_utf8_lossy(&reply.content).into_owned();
    assert!(told.contains("name the script itself"), "{told}");

    let config = write(configuration(&names, private, "wpad", SEARCH));
    let proxy = Proxy::strict(&["--config", &config]);
    for _ in 0..2 {
        let reply = proxy.ask(ASK);
        assert_eq!(reply.content, b"hello", "{}", reply.head);
    }
    assert_eq!(
        *asked.lock().unwrap(),
        [["GET /wpad.dat HTTP/1.1", "host: wpad.corp.test"]],
        "it is fetched once"
    );
    assert_eq!(
        names.asked_for("wpad"),
        ["wpad.a.corp.test", "wpad.corp.test"]
    );
    for request in server.requests().concat() {
        assert_eq!(request.target, "http://origin.example/x");
    }
}
