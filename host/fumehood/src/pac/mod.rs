//! Proxy auto-configuration: scripts that choose proxies, run by a guest.
//!
//! ```text
//! script    a script that is held, and questions to it
//! source    where scripts come from
//! target    what a script is asked about
//! place     what scripts learn of this machine: addresses, zone
//! book      questions under way and their answers
//! error     why there is no answer
//! ```
//!
//! A script is a stranger's program. It is parsed and run in the engine, by the
//! guest `pac`, which can have names looked up and do nothing else. Names go
//! through the broker, under the policy, as the client `pac`: what the policy
//! denies has no address as far as the script knows. They are never looked up
//! through a proxy, so a script does not wait for its own answer.

mod book;
mod error;
mod place;
mod script;
mod source;
mod target;

pub(crate) use book::PacBook;
pub use error::PacError;
pub use fumehood_control::{
    MAX_PAC_NAMES, MAX_PAC_SCRIPT_BYTES, MAX_PAC_SCRIPTS, PacFailure, PacFinding, PacFound,
    PacName, PacRemark, PacSeverity, PacStep, PacThrown,
};
pub use place::{PacZone, ZoneError};
pub use script::{Pac, PacCall, PacNames, PacOptions};
pub use source::SourceFailure;
