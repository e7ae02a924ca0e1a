//! Memory that is handed to the engine and that nobody can change any more.

use std::io::{Error, Result};
use std::os::fd::OwnedFd;

use tokio::task::spawn_blocking;

/// Puts `bytes` into such memory, off the runtime's threads: it blocks.
///
/// # Errors
/// Out of memory or of descriptors, or a name that cannot be one.
pub(crate) async fn sealed(name: &'static str, bytes: Vec<u8>) -> Result<OwnedFd> {
    let made = spawn_blocking(move || fumehood_sandbox::sealed(name, &[&bytes])).await;
    made.map_err(Error::other)?.map_err(Error::other)
}
