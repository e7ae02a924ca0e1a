//! Names inside: what may be reached resolves, by whatever means programs have;
//! nothing else does, and nobody outside learns that it was asked for.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use fumehood_tests::artifacts::{program, unmoved};
use fumehood_tests::dns::reply;
use fumehood_tests::fetch::Fetch;
use fumehood_tests::peers::Unbound;
use fumehood_tests::temp::TempDir;
use serde_json::json;

use super::support::{run, text, wait_until_there};

/// Where every name under `known` is.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

/// `ENETUNREACH` in Linux.
const UNREACHABLE: &str = "101";

/// A name server on loopback that knows names under `known`, and notes all.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// With so many addresses for each name, of which [`PUBLIC`] is the first, and
    /// no other than of IPv4.
    fn start(addresses: u8) -> NameServer {
        let [a, b, c, d] = PUBLIC.octets();
        let addresses = (0..addresses).map(move |it| Ipv4Addr::new(a, b, c, d + it));
        let addresses: Vec<Ipv4Addr> = addresses.collect();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let (name, reply) = reply(&question[..length], &addresses);
                let known = name.ends_with("known");
                noted.lock().unwrap().push(name);
                if known {
                    socket.send_to(&reply, from).unwrap();
                }
            }
        });
        NameServer { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// `fumehood run` with these flags, whose engine asks here.
    fn run(&self, flags: &[&str]) -> Fetch {
        with_server(run(flags), self.address)
    }
}

fn with_server(run: Fetch, server: SocketAddr) -> Fetch {
    run.env("FUMEHOOD_DNS_SERVERS", server.to_string())
        .env("FUMEHOOD_DNS_RESOLV_CONF", "/nonexistent/resolv.conf")
        .env("FUMEHOOD_DNS_HOSTS_FILE", "/nonexistent/hosts")
}

/// What the command said itself; `dig` remarks that it has no Unix sockets.
fn said(stderr: &str) -> String {
    let ours = stderr.lines().filter(|it| it.starts_with("fumehood: "));
    ours.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn what_may_be_reached_resolves_by_every_means() {
    let server = NameServer::start(1);
    let python = "import socket; \
                  print(sorted({it[4][0] for it in socket.getaddrinfo(\"OriGin.known\", 443)}))";
    for (command, told) in [
        (
            &["getent", "hosts", "origin.known"][..],
            "93.184.215.14   origin.known",
        ),
        // With `AI_ADDRCONFIG`.
        (
            &["getent", "ahosts", "origin.known"],
            "93.184.215.14   STREAM origin.known",
        ),
        (&["/usr/bin/python3", "-c", python], "['93.184.215.14']"),
        (&["dig", "+short", "origin.known"], "93.184.215.14"),
        (
            &["dig", "+short", "@127.0.0.1", "OriGin.known", "A"],
            "93.184.215.14",
        ),
        (
            &["dig", "+short", "+tcp", "@127.0.0.1", "origin.known"],
            "93.184.215.14",
        ),
    ] {
        let finished = server
            .run(&["--allow", "origin.known:443", "--"])
            .args(command)
            .run();
        assert_eq!(
            text(&finished.stdout).lines().next(),
            Some(told),
            "{command:?}: {finished:?}"
        );
        assert_eq!(said(&finished.stderr), "");
    }
    let asked = server.asked();
    assert!(asked.iter().all(|name| name == "origin.known"), "{asked:?}");
}

#[test]
fn what_may_not_be_reached_is_refused_untold_and_told_of() {
    let server = NameServer::start(1);
    let folder = TempDir::new().unwrap();
    let report = folder.join("report.json");
    let script = "getent ahosts secret.attacker.known; echo $?; \
                  dig @127.0.0.1 secret.attacker.known TXT; \
                  dig @127.0.0.1 +tcp x.other.known AAAA";
    let finished = server
        .run(&["--allow", "origin.known", "--json"])
        .arg(&report)
        .args(["--", "sh", "-c", script])
        .run();
    let told = text(finished.content());
    assert!(told.starts_with("2\n"), "{told}");
    assert_eq!(told.matches("status: REFUSED").count(), 2, "{told}");
    // Programs that show it say why (RFC 8914).
    assert_eq!(told.matches("EDE: 18 (Prohibited)").count(), 2, "{told}");
    assert!(told.contains("not-allowed"), "{told}");
    for name in ["secret.attacker.known", "x.other.known"] {
        let line = format!("fumehood: denied {name} (not-allowed), ");
        assert!(finished.stderr.contains(&line), "{}", finished.stderr);
        let flag = format!("to allow it: --allow {name}\n");
        assert!(finished.stderr.contains(&flag), "{}", finished.stderr);
    }
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(
        report["denied"][1],
        json!({
            "endpoint": "x.other.known",
            "reason": "not-allowed",
            "count": 1,
            "flag": "--allow x.other.known",
        })
    );
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn without_anything_allowed_no_name_leaves() {
    let server = NameServer::start(1);
    for flags in [
        &[][..],
        &["--allow", "192.0.2.0/24"],
        &["--allow-private", "127.0.0.1:80"],
    ] {
        let finished = server.run(flags).args(["--", "dig", "origin.known"]).run();
        let told = text(finished.content());
        assert!(told.contains("status: REFUSED"), "{flags:?}: {told}");
    }
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn a_name_that_resolves_leads_nowhere_but_through_the_proxy() {
    let server = NameServer::start(1);
    let inmate = program("fumehood-inmate");
    let finished = server
        .run(&["--allow", "*", "--"])
        .arg(&inmate)
        .args([
            "tcp",
            "origin.known:443",
            "udp",
            "origin.known:53",
            "tcp",
            "127.0.0.1:53",
        ])
        .run();
    let expected = format!("tcp {UNREACHABLE}\nudp {UNREACHABLE}\ntcp ok\n");
    assert_eq!(text(finished.content()), expected);
    // So is the server that knew it.
    let there = server.address.to_string();
    let finished = server
        .run(&[
            "--allow",
            "*",
            "--",
            "dig",
            "+tries=1",
            "+timeout=1",
            "origin.known",
        ])
        .args(["-p", &server.address.port().to_string(), "@127.0.0.1"])
        .run();
    let told = text(&finished.stdout);
    assert!(!told.contains("NOERROR"), "{there} answered: {told}");
}

#[test]
fn addresses_that_may_not_be_connected_to_are_not_told() {
    let unbound = Unbound::start().unwrap();
    let ask = |flags: &[&str], name: &str| {
        let words = ["--", "dig", "+noedns", name, "A"];
        let finished = with_server(run(flags).args(words), unbound.address()).run();
        (text(finished.content()), said(&finished.stderr))
    };
    let (told, summary) = ask(
        &["--allow", "private.fumehood.test"],
        "private.fumehood.test",
    );
    assert!(
        told.contains("status: REFUSED") && !told.contains("10.0.0.1"),
        "{told}"
    );
    let line = "fumehood: denied private.fumehood.test (local-address), once; \
                to allow it: --allow-private private.fumehood.test\n";
    assert_eq!(summary, line);
    let flags = ["--allow-private", "*.fumehood.test"];
    let (told, summary) = ask(&flags, "private.fumehood.test");
    assert!(told.contains("\tA\t10.0.0.1"), "{told}");
    assert_eq!(summary, "");
    // Aliases are told as they are.
    let (told, _) = ask(&flags, "alias.fumehood.test");
    assert!(told.contains("\tCNAME\twww.fumehood.test."), "{told}");
    assert!(
        told.contains("www.fumehood.test.\t300\tIN\tA\t192.0.2.10"),
        "{told}"
    );
    let (told, _) = ask(&flags, "nobody.fumehood.test");
    assert!(told.contains("status: NXDOMAIN"), "{told}");
}

#[test]
fn what_is_too_long_for_a_datagram_comes_by_a_stream() {
    let server = NameServer::start(60);
    let dig = |more: &[&str]| {
        let finished = server.run(&["--allow", "*.known", "--", "dig"]).args(more);
        text(finished.arg("many.known").run().content())
    };
    let cut = dig(&["+noedns", "+ignore"]);
    assert!(
        cut.contains("flags: qr tc rd ra") && cut.contains("ANSWER: 0"),
        "{cut}"
    );
    for more in [&["+noedns"][..], &["+bufsize=4096"]] {
        let whole = dig(more);
        assert!(whole.contains("ANSWER: 60"), "{whole}");
    }
}

#[test]
fn other_types_have_no_records_and_are_not_asked_for() {
    let server = NameServer::start(1);
    let dig = |kind: &str| {
        let finished = server.run(&["--allow", "origin.known", "--", "dig", "origin.known", kind]);
        text(finished.run().content())
    };
    for kind in ["MX", "HTTPS", "TXT", "TYPE65000"] {
        let told = dig(kind);
        assert!(
            told.contains("status: NOERROR") && told.contains("ANSWER: 0"),
            "{told}"
        );
    }
    assert!(dig("ANY").contains("status: NOTIMP"));
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn its_own_loopback_is_called_localhost() {
    let server = NameServer::start(1);
    let finished = server
        .run(&[
            "--",
            "dig",
            "+short",
            "a.localhost",
            "A",
            "localhost",
            "AAAA",
        ])
        .run();
    assert_eq!(text(finished.content()), "127.0.0.1\n::1\n");
    assert_eq!(said(&finished.stderr), "");
    assert_eq!(server.asked(), [""; 0]);
}

/// Proxies resolve names; a question goes past none of them.
#[test]
fn where_the_way_out_is_through_proxies_no_name_leaves() {
    let server = NameServer::start(1);
    let folder = TempDir::new().unwrap();
    let text = "[proxy]\nmode = \"fixed\"\nurl = \"socks5h://127.0.0.1:9\"\n";
    let file = folder.write("config.toml", text).unwrap();
    let finished = server
        .run(&["--allow", "origin.known", "--config"])
        .arg(&file)
        .args(["--", "dig", "origin.known"])
        .run();
    let told = self::text(finished.content());
    assert!(told.contains("status: NOERROR"), "{told}");
    assert!(told.contains("ANSWER: 0"), "{told}");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn names_outlive_the_engine() {
    let server = NameServer::start(1);
    let folder = TempDir::new().unwrap();
    let (ready, go) = (folder.join("ready"), folder.join("go"));
    // Each is asked once, with time for another engine on a crowded machine.
    let script = format!(
        "touch {}; while ! test -e {}; do sleep 0.01; done; \
         dig +short +tries=1 +time=14 origin.known; \
         dig +short +tcp +tries=1 +time=14 origin.known",
        ready.display(),
        go.display(),
    );
    let running = server
        .run(&["--allow", "origin.known", "--", "sh", "-c", &script])
        .start();
    wait_until_there(&ready);
    running.process("engine").kill().unwrap();
    std::fs::write(go, "").unwrap();
    assert_eq!(
        text(running.finish().content()),
        format!("{PUBLIC}\n{PUBLIC}\n")
    );
}

/// Runs a script that may mount, in a user namespace of its own, where `$0` is the
/// command.
fn apart(script: &str, server: Option<SocketAddr>) -> (String, String) {
    let mut command = unmoved(Command::new("unshare"));
    let flags = ["--user", "--map-user=1000", "--map-group=1000"];
    command.args(flags);
    command.args(["--keep-caps", "--mount", "sh", "-c", script]);
    command.arg(program("fumehood"));
    if let Some(server) = server {
        command.env("FUMEHOOD_DNS_SERVERS", server.to_string());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_file_is_its_own_and_cannot_be_changed() {
    let before = std::fs::read("/etc/resolv.conf").ok();
    let script = "cat /etc/resolv.conf; echo nameserver 192.0.2.1 > /etc/resolv.conf";
    let finished = run(["--", "sh", "-c", script]).run();
    let told = text(&finished.stdout);
    if before.is_some() {
        assert!(told.contains("\nnameserver 127.0.0.1\n"), "{told}");
        assert!(finished.stderr.contains("Read-only"), "{finished:?}");
    }
    assert_eq!(std::fs::read("/etc/resolv.conf").ok(), before);
    assert!(!Path::new("/proc/resolv.conf").exists());
}

#[test]
fn what_resolves_names_outside_by_other_doors_is_not_there() {
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/resolve /run/nscd && \
                  touch /run/nscd/socket /run/systemd/resolve/io.systemd.Resolve && \
                  \"$0\" run --unix-sockets -- ls -A /run/nscd /run/systemd/resolve && \
                  ls /run/nscd";
    let (told, _) = apart(script, None);
    assert_eq!(told, "/run/nscd:\n\n/run/systemd/resolve:\nsocket\n");
}

#[test]
fn a_file_behind_such_a_door_is_found_there() {
    // As systemd-resolved has it.
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/resolve /run/etc && \
                  cp -r /etc/ssl /etc/passwd /run/etc/ 2>/dev/null; \
                  ln -s /run/systemd/resolve/stub-resolv.conf /run/etc/resolv.conf && \
                  echo nameserver 127.0.0.53 > /run/systemd/resolve/stub-resolv.conf && \
                  touch /run/systemd/resolve/resolv.conf && \
                  mount --bind /run/etc /etc && \
                  \"$0\" run -- sh -c 'grep nameserver /etc/resolv.conf; \
                                      ls /run/systemd/resolve'";
    let (told, _) = apart(script, None);
    assert_eq!(told, "nameserver 127.0.0.1\nstub-resolv.conf\n");
}

#[test]
fn without_mounts_it_says_so_and_answers_who_asks_there() {
    let server = NameServer::start(1);
    let script = "echo 0 > /proc/sys/user/max_mnt_namespaces && \
                  \"$0\" run --allow-missing-layer mount-namespace --allow origin.known -- \
                  dig +short @127.0.0.1 origin.known";
    let (told, said) = apart(script, Some(server.address));
    assert_eq!(told, format!("{PUBLIC}\n"));
    let warning = "fumehood: programs resolve no names by themselves in there, since nothing \
                   can be mounted (unshare(CLONE_NEWNS): ";
    assert!(said.starts_with(warning), "{said}");
}
