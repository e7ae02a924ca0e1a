//! The process with the guests: registry, instances, connections, streams.
//!
//! The flow, file by file:
//!
//! ```text
//! start      from an ordinary process to a sealed one: offer → isolate → load → seal
//! serve      messages from the embedder become exchanges; what they say goes back
//! hub        one exchange: an idle connection or a new one
//! idle       connections that wait for another request
//! key        what two requests must agree on to share one
//! turns      how many connections there may be to one place, and who is next
//! reach      a new connection: dialled, led through proxies, TLS where asked for
//! upstream   proxies on the way
//! questions  what the embedder is asked, and who waits for its answers
//! dialer     asks the broker for connected sockets
//! tls        handshake in the guest, records here
//! exchange   head and payload, both ways at once, under deadlines
//! demand     exactly the piece of the stream that the codec wants to see
//! payload    descriptors that payload moves through, past the guests
//! resume     a codec that outlives its instances
//! registry   modules: versions, swaps, quarantine, reports
//! instance   guests, typed and bounded
//! driver     guests with sockets of their own, under a grant
//! dns        names, by a guest that lives as long as the engine
//! answering  the embedder's questions about names
//! proxy      clients of listening sockets that the broker passed
//! pac        proxy auto-configuration scripts
//! ```
//!
//! Nothing here opens a socket or a file, and nothing here parses: bytes from
//! the network are framed by guests, and moved by the host.

mod allowance;
mod answering;
mod code;
mod connection;
mod demand;
mod dialer;
mod dns;
mod driver;
mod exchange;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod gauge;
mod hub;
mod idle;
mod instance;
mod key;
mod low_water;
#[cfg(feature = "measure")]
#[doc(hidden)]
pub mod measure;
mod outbox;
mod pac;
mod payload;
mod proxy;
mod questions;
mod reach;
mod registry;
mod replay;
mod resume;
mod serve;
mod start;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod turns;
mod upstream;

pub use replay::{Divergence, ReplayError, ReplayOutcome, replay};
pub use start::run;
