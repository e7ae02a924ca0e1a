//! Where a user's files belong (XDG base directories).

use std::env;
use std::path::PathBuf;

/// Our folder in each of them.
const OURS: &str = "fumehood";

/// Native code of modules: `$XDG_CACHE_HOME/fumehood/modules`.
pub(crate) fn module_cache() -> Option<PathBuf> {
    Some(base("XDG_CACHE_HOME", ".cache")?.join("modules"))
}

/// Crash reports: `$XDG_STATE_HOME/fumehood/crashes`.
pub(crate) fn crashes() -> Option<PathBuf> {
    Some(base("XDG_STATE_HOME", ".local/state")?.join("crashes"))
}

/// Modules of the user's: `$XDG_DATA_HOME/fumehood/modules`.
pub(crate) fn modules() -> Option<PathBuf> {
    Some(base("XDG_DATA_HOME", ".local/share")?.join("modules"))
}

/// The configuration: `$XDG_CONFIG_HOME/fumehood/config.toml`.
pub(crate) fn config() -> Option<PathBuf> {
    Some(base("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}

/// Admin sockets: `$XDG_RUNTIME_DIR/fumehood`.
pub(crate) fn sockets() -> Option<PathBuf> {
    Some(absolute("XDG_RUNTIME_DIR")?.join(OURS))
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join(OURS))
}

/// A relative path in these variables is to be ignored, says their specification.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}
