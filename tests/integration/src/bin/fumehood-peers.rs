//! Starts the servers that the bench fetches from, says on one line of JSON
//! where they are, and stops them when its standard input ends.
//!
//! ```text
//! {"ca_file": "/tmp/…/ca.pem", "http": "http://127.0.0.1:1", "tls12": …, "tls13": …}
//! ```
//!
//! Each serves `1gib.bin` and `1kib.bin`.

use std::error::Error;
use std::io::{self, Write};

use fumehood_tests::certs::TestCa;
use fumehood_tests::peers::{Nginx, Service, Site};
use fumehood_tests::temp::TempDir;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let ca = TestCa::new();
    let folder = TempDir::new()?;
    let ca_file = folder.write("ca.pem", ca.pem())?;
    let site = Site::new()
        .zeros("1gib.bin", 1 << 30)
        .zeros("1kib.bin", 1 << 10);
    let nginx = Nginx::start(&ca.issue(), &site)?;
    let base = |service| {
        let url = nginx.url(service, "");
        url.trim_end_matches('/').to_owned()
    };
    let addresses = json!({
        "ca_file": ca_file,
        "http": base(Service::Http),
        "tls12": base(Service::Tls12),
        "tls13": base(Service::Tls13),
    });
    writeln!(io::stdout(), "{addresses}")?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
