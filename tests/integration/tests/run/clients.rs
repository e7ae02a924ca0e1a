//! Programs that people use, with no way out but the proxy that `run` names.

use std::thread;

use fumehood_tests::artifacts::program;
use fumehood_tests::certs::TestCa;
use fumehood_tests::clients::{Client, Errand};
use fumehood_tests::peers::{Nginx, Service, Site};

/// In the clear and over TLS; then, with nothing allowed, not at all.
fn fetches(client: Client) {
    if !client.is_within_reach() {
        return;
    }
    let ca = TestCa::new();
    let nginx = Nginx::start(&ca.issue(), &Site::new()).unwrap();
    for service in [Service::Http, Service::Tls13] {
        let errand = Errand::prepare(client, &nginx, service, ca.pem());
        let run = |flags: &[&str]| {
            let mut command = std::process::Command::new(program("fumehood"));
            command.arg("run").args(flags).env_remove("FUMEHOOD_CONFIG");
            errand.run_by(command).output().unwrap()
        };
        let there = format!("127.0.0.1:{}", nginx.port(service));
        let denied = run(&["--allow", "other.test"]);
        assert!(!denied.status.success(), "{client:?}");
        let fetched = run(&["--allow-private", &there]);
        let told = String::from_utf8_lossy(&fetched.stderr);
        assert!(fetched.status.success(), "{client:?}: {told}");
        errand.check();
    }
}

#[test]
fn each_of_them_fetches() {
    thread::scope(|scope| {
        for client in Client::ALL {
            scope.spawn(move || fetches(client));
        }
    });
}
