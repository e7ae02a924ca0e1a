//! The `pac` guest: proxy auto-configuration scripts, one warm instance each.
//!
//! ```text
//! module    the loaded guest: fresh instances, lint
//! state     what an instance may use and ask
//! script    one script and its instance, made again when it ended
//! worker    the thread that a script runs on
//! desk      questions of the embedder's, and names that scripts wait for
//! convert   the guest's types and the messages'
//! ```
//!
//! A guest that asks for a name that is not known yet ends its call; the desk has
//! the broker find the name, and makes the call again. So nothing waits inside.

pub(crate) mod bindings;
mod convert;
mod desk;
#[cfg(feature = "measure")]
pub(crate) mod measured;
mod module;
mod script;
mod state;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use desk::PacDesk;
#[cfg(feature = "fuzz")]
pub(crate) use module::{CALL_LIMIT, LOAD_LIMIT};
pub(crate) use module::{Evaluators, PacModule};
#[cfg(feature = "measure")]
pub(crate) use script::Script;
#[cfg(feature = "fuzz")]
pub(crate) use state::{BOUNDS, arm};
#[cfg(feature = "fuzz")]
pub(crate) use worker::STACK_BYTES;
