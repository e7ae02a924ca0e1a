//! `hosts`, `resolv.conf`, and what never leaves.

use std::net::UdpSocket;

use fumehood_tests::peers::Unbound;
use fumehood_tests::temp::TempDir;

use crate::{at, command, data, found};

#[test]
fn hosts_and_special_names_are_answered_without_a_server() {
    let folder = TempDir::new().unwrap();
    let hosts = "127.0.0.9 localhost\n10.0.0.7 printer.home printer # it prints\nnonsense\n";
    let hosts = folder.write("hosts", hosts).unwrap();
    // It would be asked, were anybody.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at_it = || {
        at(server.local_addr().unwrap())
            .env("FUMEHOOD_DNS_HOSTS_FILE", &hosts)
            .arg("--json")
    };
    for (arguments, expected, source) in [
        (&["PRINTER"][..], &["10.0.0.7"][..], "hosts"),
        (&["printer.home", "a"], &["10.0.0.7"], "hosts"),
        (&["10.0.0.7"], &["printer.home"], "hosts"),
        (&["localhost"], &["::1", "127.0.0.1"], "built-in"),
        (&["a.localhost", "a"], &["127.0.0.1"], "built-in"),
    ] {
        let report = found(&at_it().args(arguments).run());
        assert_eq!(data(&report), expected, "{arguments:?}");
        assert_eq!(report["source"], source, "{arguments:?}");
    }
    for never in ["a.invalid", "a.onion"] {
        assert_eq!(at_it().arg(never).run().code(), 6, "{never}");
    }
    server.set_nonblocking(true).unwrap();
    assert!(server.recv(&mut [0; 512]).is_err(), "a question left");
}

#[test]
fn search_domains_are_tried_and_a_dot_makes_a_name_absolute() {
    let unbound = Unbound::start().unwrap();
    let folder = TempDir::new().unwrap();
    let conf = "search nowhere.test fumehood.test\noptions timeout:5\n";
    let conf = folder.write("resolv.conf", conf).unwrap();
    let ask = |name: &str| {
        at(unbound.address())
            .env("FUMEHOOD_DNS_RESOLV_CONF", &conf)
            .args(["--json", "--private-answers", name, "a"])
    };
    let report = found(&ask("www").run());
    assert_eq!(report["name"], "www.fumehood.test");
    assert_eq!(data(&report), ["192.0.2.10"]);
    assert_eq!(ask("www.").run().code(), 6);
    let set = ask("www").env("FUMEHOOD_DNS_SEARCH", "elsewhere.test");
    assert_eq!(set.run().code(), 6);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = TempDir::new().unwrap();
    let finished = command()
        .env("FUMEHOOD_DNS_HOSTS_FILE", folder.path())
        .args(["--json", "www.fumehood.test"])
        .run();
    let report = finished.report();
    assert_eq!(finished.code(), 115, "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains(folder.path().to_str().unwrap()),
        "{message}"
    );
}
