//! `fumehood resolve`: real processes against real servers (unbound, nsd, BIND), and
//! against some that do as they please.
#![allow(clippy::unwrap_used, reason = "a test")]

mod authoritative;
mod dnssec;
mod encrypted;
mod explain;
mod files;
mod real;
mod servers;

use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::peers::Unbound;
use serde_json::Value;

/// `fumehood resolve`, with no file of this machine in play.
fn command() -> Fetch {
    Fetch::command("resolve")
        .env("FUMEHOOD_DNS_RESOLV_CONF", "/nonexistent/resolv.conf")
        .env("FUMEHOOD_DNS_HOSTS_FILE", "/nonexistent/hosts")
}

/// The same at this server.
fn at(server: impl ToString) -> Fetch {
    command().arg("--server").arg(server.to_string())
}

/// Addresses that unbound serves are of documentation, which are not public.
fn ask(unbound: &Unbound, arguments: &[&str]) -> Finished {
    at(unbound.address())
        .args(["--json", "--private-answers"])
        .args(arguments)
        .run()
}

/// The report of a lookup that succeeded.
fn found(finished: &Finished) -> Value {
    assert_eq!(finished.code(), 0, "{finished:?}");
    finished.report()
}

/// The data of all records.
fn data(report: &Value) -> Vec<String> {
    let records = report["records"].as_array().unwrap();
    let data = records.iter().map(|it| it["data"].as_str().unwrap());
    data.map(str::to_owned).collect()
}

/// The names of all steps.
fn steps(report: &Value) -> Vec<String> {
    let steps = report["steps"].as_array().unwrap();
    let names = steps.iter().map(|it| it["event"].as_str().unwrap());
    names.map(str::to_owned).collect()
}
