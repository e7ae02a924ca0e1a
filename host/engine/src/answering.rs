//! The embedder's questions about names: each a task of its own, until it is
//! answered or nobody waits for it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_control::{
    MAX_RESOLVER_SETUP_BYTES, NameAnswer, NameCause, NameQuery, ResolverSetup, ToEmbedder,
    Unresolved, fragments,
};
use fumehood_sandbox::map_sealed;
use tokio::sync::oneshot;

use crate::dns::failure;
use crate::hub::Hub;

/// Questions under way; shared with their tasks, which take themselves off it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answering {
    /// Dropped, a sender ends its task.
    running: Arc<Mutex<HashMap<u64, oneshot::Sender<()>>>>,
}

impl Answering {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a setup of the resolver. One that cannot be read is none: an embedder
    /// of another build was told so long before.
    pub(crate) fn set_up(&self, hub: &Hub, fds: &[OwnedFd]) {
        let read = |fd: &OwnedFd| -> Option<ResolverSetup> {
            let map = map_sealed(fd, MAX_RESOLVER_SETUP_BYTES).ok()?;
            ResolverSetup::decode(&map).ok()
        };
        match fds.first().and_then(read) {
            Some(setup) => hub.names.set_up(setup),
            None => tracing::error!("a resolver's setup could not be read"),
        }
    }

    /// Answers a question, when there is an answer.
    pub(crate) fn begin(&self, hub: &Arc<Hub>, id: u64, query: NameQuery) {
        let (stop, stopped) = oneshot::channel();
        self.lock().insert(id, stop);
        let (hub, this) = (Arc::clone(hub), self.clone());
        tokio::spawn(async move {
            let name = query.name.clone();
            tokio::select! {
                outcome = hub.names.ask(query) => answer(&hub, id, name, &outcome).await,
                _ = stopped => {}
            }
            this.forget(id);
        });
    }

    /// Nobody waits for an answer any more.
    pub(crate) fn forget(&self, id: u64) {
        self.lock().remove(&id);
    }
}

async fn answer(hub: &Hub, id: u64, name: String, outcome: &Result<NameAnswer, Unresolved>) {
    // An honest answer is no longer than a message of 64 KiB.
    let too_long = || {
        let cause = NameCause::Malformed("the answer is too long".to_owned());
        let outcome: Result<NameAnswer, Unresolved> = Err(failure(name, cause));
        fragments(&outcome).unwrap_or_default()
    };
    let mut pieces = fragments(outcome).unwrap_or_else(|_| too_long());
    let last = pieces.pop().unwrap_or_default();
    let all = pieces
        .into_iter()
        .map(|bytes| ToEmbedder::ResolvedFragment { id, bytes })
        .chain([ToEmbedder::Resolved { id, bytes: last }]);
    for message in all {
        if hub.outbox.send(message).await.is_err() {
            // Nobody is left to tell.
            return;
        }
    }
}
