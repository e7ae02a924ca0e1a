//! The process with the guests: registry, instances, connections, streams.
//!
//! The flow, file by file:
//!
//! ```text
//! start      from an ordinary process to a sealed one: offer → isolate → load → seal
//! serve      messages from the embedder become exchanges; what they say goes back
//! hub        one exchange: an idle connection or a new one, TLS where asked for
//! dialer     asks the broker for connected sockets
//! tls        handshake in the guest, records here
//! exchange   head and payload, both ways at once, under deadlines
//! demand     exactly the piece of the stream that the codec wants to see
//! payload    descriptors that payload moves through, past the guests
//! resume     a codec that outlives its instances
//! registry   modules: versions, swaps, quarantine, reports
//! instance   guests, typed and bounded
//! driver     guests with sockets of their own, under a grant
//! pac        proxy auto-configuration scripts
//! proxy      clients of listening sockets that the broker passed
//! ```
//!
//! Nothing here opens a socket or a file, and nothing here parses: bytes from
//! the network are framed by guests, and moved by the host.

mod allowance;
mod code;
mod connection;
mod demand;
mod dialer;
mod driver;
mod exchange;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod hub;
mod idle;
mod instance;
#[cfg(feature = "measure")]
#[doc(hidden)]
pub mod measure;
mod outbox;
mod pac;
mod payload;
mod proxy;
mod registry;
mod replay;
mod resume;
mod serve;
mod start;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

pub use replay::{ReplayError, ReplayOutcome, replay};
pub use start::run;
