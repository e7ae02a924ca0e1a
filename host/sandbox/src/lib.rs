//! Namespaces, Landlock, seccomp tables, fd passing: the only unsafe.
//!
//! A process plays its role like this; each phase consumes the former, so the
//! order cannot be mistaken:
//!
//! ```no_run
//! use fumehood_control::{Layer, ToEmbedder, ToEngine};
//! use fumehood_sandbox::{Bootstrap, Channel, Role};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // First thing in main, before any thread. Standard input is the channel.
//! let (bootstrap, control) = Bootstrap::enter()?;
//! let control = Channel::<ToEmbedder, ToEngine>::from_fd(control)?;
//! // Before any thread, and before anything that a guest could have made.
//! let isolated = bootstrap.isolate(Role::Engine)?;
//! // ... receive what is needed, load guests, start threads ...
//! let layers = isolated.seal(&[Layer::NetNamespace, Layer::Landlock])?;
//! // From here on the filter kills. `layers` goes into `Ready`.
//! # Ok(())
//! # }
//! ```
//!
//! The embedder starts such a process with one end of [`Channel::pair`] as its
//! standard input and a cleared environment; end of file there means that the
//! embedder is gone. [`probe_layers`] and [`probe_attack`] prove in a
//! throw-away child what a sandbox is worth here. [`serve_launcher`] is for
//! programs that are not ours: it takes nothing but the network from them.

mod attack;
mod body;
mod channel;
mod launcher;
mod layers;
mod memfd;
mod phases;
mod probe;
mod proc_status;
mod ready;
mod refusal;
mod remedy;
mod seccomp;
mod steps;
mod sys;

pub use attack::{Attack, Expected, PreparedAttack};
pub use body::{BODY_BUFFER_BYTES, body_pair};
pub use channel::{AsyncChannel, Channel, ChannelError, MAX_FDS};
pub use launcher::serve_launcher;
pub use memfd::{
    MemfdError, SealedCode, SealedMap, map_code, map_sealed, scratch, seal_scratch, seal_with,
    sealed,
};
pub use phases::{Bootstrap, Isolated, Role};
pub use probe::{
    PROBE_TIMEOUT, ProbeError, Verdict, probe_attack, probe_attack_on, probe_layers, serve_probe,
};
pub use ready::ReadyFd;
pub use refusal::Refusal;
pub use remedy::{HostFacts, Remedy, remedy};
pub use steps::{
    MAX_BROKER_FILES, MAX_COMPILER_CPU_SECONDS, MAX_COMPILER_FILES, MAX_COMPILER_MEMORY,
    MAX_COMPILER_OUTPUT, MAX_ENGINE_FILES, NOBODY, enter_private_network,
};
pub use sys::{ignore_file_size_signal, set_low_water};
