//! Whether the network is still the one it was: the kernel tells of addresses and
//! routes that come and go, and what that comes to is looked up.
//!
//! ```text
//! notices   word that something came or went
//! tables    own addresses and default routes, of /proc/net
//! ```

mod notices;
mod tables;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fumehood_control::ToEngine;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::shared::Shared;
use notices::Notices;
use tables::Look;
pub(crate) use tables::own_addresses;

/// Between two looks while what comes and goes is of other networks, such as those
/// of containers.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(250);

/// As long as nothing came or went, a network that changed is taken to be whole:
/// addresses, routes and the other family come within milliseconds of each other.
const QUIET: Duration = Duration::from_millis(500);

/// Longest wait for that, of a network that never is.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// What is known of the network that an engine is on.
#[derive(Debug, Default)]
pub(crate) struct Network {
    changes: AtomicU64,
    watched: AtomicBool,
}

impl Network {
    /// How often it was another since the engine was launched.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Has changes noticed from now on. `None` where they are already, and where the
    /// kernel does not tell.
    pub(crate) fn watch(&self, shared: &Arc<Shared>) -> Option<AbortHandle> {
        if self.watched.swap(true, Ordering::AcqRel) {
            return None;
        }
        match Notices::open() {
            Ok(notices) => {
                // Before anything is made for this network.
                let known = Look::now();
                let watching = watch(Arc::downgrade(shared), notices, known);
                Some(tokio::spawn(watching).abort_handle())
            }
            Err(error) => {
                tracing::warn!(%error, "changes of the network are not noticed");
                None
            }
        }
    }
}

async fn watch(shared: Weak<Shared>, notices: Notices, known: Look) {
    if let Err(error) = watch_until_error(&shared, &notices, known).await {
        tracing::warn!(%error, "changes of the network are not noticed any more");
    }
}

async fn watch_until_error(
    shared: &Weak<Shared>,
    notices: &Notices,
    mut known: Look,
) -> io::Result<()> {
    loop {
        notices.heard().await?;
        // At once, so that no address that goes and comes back is missed.
        if Look::now() == known {
            sleep(LOOKED_AT_EVERY).await;
            continue;
        }
        // In time or not, there is something to tell.
        let _late = timeout(SETTLED_WITHIN, quiet(notices)).await;
        known = Look::now();
        let Some(shared) = shared.upgrade() else {
            return Ok(());
        };
        tracing::info!("the network is another");
        shared.network_changed().await;
    }
}

/// Waits until nothing comes or goes for a while.
async fn quiet(notices: &Notices) -> io::Result<()> {
    while let Ok(heard) = timeout(QUIET, notices.heard()).await {
        heard?;
    }
    Ok(())
}

impl Shared {
    /// The network is another. What was chosen for the one before is chosen anew when
    /// it is next asked for; who resolves names is read again; and connections that
    /// nobody uses are not kept, as what they lead through may be gone.
    async fn network_changed(&self) {
        self.network.changes.fetch_add(1, Ordering::AcqRel);
        self.names.look_again().await;
        let running = self.as_it_is().await;
        if !running.broker.life.lasts() || !running.engine.life.lasts() {
            // Launched again they are told, and keep nothing.
            return;
        }
        if let Err(error) = self.tell_names_to_dial(&running).await {
            tracing::error!(%error, "names cannot be resolved as configured");
        }
        let told = running.engine.channel.send(&ToEngine::CloseIdle, &[]).await;
        if let Err(error) = told {
            running.engine.life.note(&error);
        }
    }
}
