//! The real processes against real and hostile servers: what the tests share.
//!
//! ```no_run
//! use fumehood_tests::{certs::TestCa, peers::{Nginx, Service, Site}};
//!
//! let ca = TestCa::new();
//! let site = Site::new().file("hello.txt", b"hello\n").zeros("big.bin", 1 << 30);
//! let nginx = Nginx::start(&ca.issue(), &site).expect("nginx is installed");
//! let url = nginx.url(Service::Tls13, "hello.txt");
//! // … fetch it, trusting ca.pem() …
//! assert_eq!(nginx.wait_for_requests(1)[0].status, 200);
//! ```

pub mod artifacts;
pub mod certs;
pub mod clients;
pub mod dns;
pub mod fetch;
pub mod hostile;
pub mod peers;
pub mod processes;
pub mod temp;
