//! A server that does exactly as it is told, however wrong that is.
//!
//! A [`Script`] is what it does on one connection: wait for requests, send
//! bytes, and end well or badly. [`Server::start`] plays one script a
//! connection, over TCP as it is; [`Server::start_tls`] does so inside TLS.
//! Blocking sockets and a thread a connection; all of them end on drop.
//!
//! ```
//! use fumehood_tests::hostile::{Script, Server};
//!
//! // Promises ten bytes, sends three, and resets the connection.
//! let script = Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").then_reset();
//! let server = Server::start(vec![script]);
//! // … fetch server.url("/") …
//! assert_eq!(server.connections(), 0);
//! ```

mod gate;
mod nobody;
mod played;
mod request;
mod script;
mod server;
mod wire;

pub use gate::Gate;
pub use nobody::Nobody;
pub use request::Request;
pub use script::{End, Script, Step};
pub use server::{Canary, Server};
pub use wire::{server_config, server_config_with};
