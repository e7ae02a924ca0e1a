//! `fumehood policy explain` asks whom a request would ask.

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::peers::Unbound;

/// `policy explain --json`, where the resolver's servers are known.
fn explain(server: impl ToString, arguments: &[&str]) -> Finished {
    Fetch::command("policy")
        .env("FUMEHOOD_DNS_RESOLV_CONF", "/nonexistent/resolv.conf")
        .env("FUMEHOOD_DNS_HOSTS_FILE", "/nonexistent/hosts")
        .env("FUMEHOOD_DNS_MODE", "guest")
        .env("FUMEHOOD_DNS_SERVERS", server.to_string())
        .args(["explain", "--json"])
        .args(arguments)
        .run()
}

#[test]
fn with_the_guest_s_mode_the_guest_is_asked_and_the_policy_judges() {
    let unbound = Unbound::start().unwrap();
    // Only this server knows the name. Its addresses are of documentation.
    let finished = explain(unbound.address(), &["http://www.fumehood.test/"]);
    assert_eq!(finished.code(), 110, "{finished:?}");
    let report = finished.report();
    let addresses = report["addresses"].as_array().unwrap();
    let told: Vec<_> = addresses
        .iter()
        .map(|it| it["address"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["2001:db8::10", "192.0.2.10"]);
    assert_eq!(report["verdict"], "denied");
}

#[test]
fn what_the_guest_does_not_find_is_unresolved_and_literals_are_not_asked_about() {
    let unbound = Unbound::start().unwrap();
    let explain = |arguments: &[&str]| explain(unbound.address(), arguments);
    let finished = explain(&["http://nobody.fumehood.test/"]);
    assert_eq!(finished.code(), 6, "{finished:?}");
    assert_eq!(
        finished.report()["proxy"]["proxy_status"]
            .as_str()
            .map(|it| it.contains("dns_error")),
        Some(true)
    );
    let finished = explain(&["http://[2606:4700::1111]/"]);
    assert_eq!(finished.code(), 0, "{finished:?}");
    let report = finished.report();
    assert_eq!(report["addresses"][0]["address"], "2606:4700::1111");
    // A name of this machine is known without asking.
    let report = explain(&["http://localhost/", "--allow-private", "localhost"]).report();
    assert_eq!(report["verdict"], "allowed", "{report}");
    assert_eq!(report["addresses"][0]["space"], "loopback", "{report}");
}
