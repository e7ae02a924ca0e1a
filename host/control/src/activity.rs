//! What an engine does beside running guests: connections, names, scripts.
//!
//! Gauges are of the moment; counts begin with the engine.

use serde::{Deserialize, Serialize};

use crate::ModuleStatus;

/// How an engine is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Every version that it holds.
    pub modules: Vec<ModuleStatus>,
    /// What it does.
    pub activity: Activity,
}

/// What an engine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Connections to servers.
    pub pool: PoolActivity,
    /// Questions about names.
    pub names: NameActivity,
    /// Proxy auto-configuration.
    pub scripts: ScriptActivity,
}

/// Connections of the program's own exchanges and of requests that a proxy's clients
/// ask for, which are kept for the next, and the places that all connections with
/// guests take. Tunnels are none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolActivity {
    /// Connections that wait for another request.
    pub idle: u64,
    /// Exchanges whose turn it is: each has a connection, or makes one; and
    /// connections that serve a client.
    pub in_use: u64,
    /// Exchanges that wait for a turn, at their origin or their proxy, and clients'
    /// requests that do so at a proxy.
    pub waiting: u64,
    /// Connections made.
    pub made: u64,
    /// Idle connections that were taken for another request.
    pub reused: u64,
    /// Connections there may be. One through proxies takes a place more for each;
    /// clients of a proxy take theirs too.
    pub places: u64,
    /// Of these, taken; by idle ones too.
    pub places_taken: u64,
    /// Whoever waits for such a place.
    pub waiting_for_place: u64,
}

/// Questions that were put to the engine's own resolver, by what came of them.
/// Names that the system's resolver finds are none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameActivity {
    /// Answered by a server.
    pub from_servers: u64,
    /// Answered from the cache.
    pub from_cache: u64,
    /// Answered from the host table, or by the rules for special names.
    pub from_here: u64,
    /// The name, or a record of the type, does not exist; from the cache too.
    pub absent: u64,
    /// Not answered.
    pub failed: u64,
    /// Without an answer yet.
    pub under_way: u64,
}

/// Proxy auto-configuration scripts and calls of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptActivity {
    /// Scripts that are held.
    pub held: u64,
    /// Scripts that were loaded.
    pub loaded: u64,
    /// Scripts that could not be.
    pub not_loaded: u64,
    /// Calls that told a way.
    pub calls: u64,
    /// Calls that did not.
    pub failed_calls: u64,
    /// Questions without an answer yet.
    pub under_way: u64,
    /// Time of all calls together, from question to answer: waiting for a turn and for
    /// names is part of it. In microseconds.
    pub calls_us: u64,
}
