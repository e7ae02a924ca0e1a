//! Proxy auto-configuration: which proxy a script chooses for a URL, without I/O.
//!
//! An [`Evaluator`] holds one script, warm, and answers calls. Names are
//! resolved by what implements [`Resolve`]; time, random seed, zone and own
//! addresses come with the calls, so a call is a function of what it is given
//! and of the script's own globals.
//!
//! In order of flow: `evaluator` (load, call) → `engine` (the JavaScript
//! context) → `builtins` (what scripts may call) → `call` (what one call
//! knows and may) → `proxies` (the answer, as a list).
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

pub mod bounds;
mod builtins;
mod call;
#[cfg(target_family = "wasm")]
pub mod component;
mod engine;
mod error;
mod evaluator;
mod lint;
mod proxies;
mod resolve;
mod surroundings;
mod target;
mod text;

pub use call::Step;
pub use error::{CallError, LoadError, Thrown};
pub use evaluator::{Evaluator, Explained, Finding, Moment};
pub use lint::{MAX_REMARKS, Remark, Rule, Severity, lint};
pub use proxies::{Answer, Endpoint, Proxy};
pub use resolve::{Resolve, Unresolved};
pub use surroundings::{Civil, Surroundings, Transition, Zone};
pub use target::{Target, TargetError};
