//! Connections, a few at once, each in a task of its own.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Connections at once; more wait to be accepted.
pub(super) const MAX_CONNECTIONS: usize = 8;

/// Wait after accepting failed, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts for as long as it is polled, and has each connection served.
pub(super) async fn accept_all<C, F>(
    mut poll_accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<C>>,
    serve: impl Fn(C) -> F,
) where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match poll_fn(&mut poll_accept).await {
            Ok(connection) => {
                let serving = serve(connection);
                tokio::spawn(async move {
                    let _permit = permit;
                    if let Err(error) = serving.await {
                        tracing::debug!(%error, "an admin connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an admin connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
