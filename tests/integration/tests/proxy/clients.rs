//! Programs that people use, by the proxy that their environment names.

use std::thread;

use fumehood_tests::certs::TestCa;
use fumehood_tests::clients::{Client, Errand};
use fumehood_tests::peers::{Nginx, Service, Site};

use crate::support::Proxy;

/// In the clear, by absolute-form, and over TLS, by CONNECT.
fn fetches(client: Client) {
    if !client.is_within_reach() {
        return;
    }
    let ca = TestCa::new();
    let nginx = Nginx::start(&ca.issue(), &Site::new()).unwrap();
    for (service, outcome) in [(Service::Http, "served"), (Service::Tls13, "tunnelled")] {
        let proxy = Proxy::start(&[]);
        let errand = Errand::prepare(client, &nginx, service, ca.pem());
        let mut command = errand.through(&format!("http://{}", proxy.address));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{command:?}: {told}\n{}",
            nginx.error_log()
        );
        errand.check();
        // A kept connection's line comes when it ends: with the client.
        for line in proxy.log(1) {
            assert_eq!(line["outcome"], outcome, "{line}");
            assert!(
                line["target"].as_str().unwrap().contains("127.0.0.1"),
                "{line}"
            );
        }
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
