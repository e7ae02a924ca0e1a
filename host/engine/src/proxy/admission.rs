//! Who a client is, where it has to say so: the embedder knows names and passwords.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fumehood_control::{Cause, ListenerId, Login, MAX_LOGINS, StandingGrant, ToEmbedder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::lock;
use crate::outbox::Outbox;

/// Logins that wait to be judged.
pub(super) struct Admissions {
    next: AtomicU64,
    /// One permit a login that the embedder is asked about.
    room: Arc<Semaphore>,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

/// A question. Whether whoever asked still waits or not, it has its place until
/// the embedder answers: work that is given up on here is not there.
struct Waiting {
    answer: oneshot::Sender<Option<StandingGrant>>,
    _place: OwnedSemaphorePermit,
}

impl Admissions {
    pub(super) fn new() -> Admissions {
        Admissions {
            next: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(MAX_LOGINS)),
            waiting: Mutex::default(),
        }
    }

    /// Asks whose login it is; nobody's gives no leave.
    ///
    /// # Errors
    /// [`Cause::Busy`] where that is not known in time.
    pub(super) async fn ask(
        &self,
        outbox: &Outbox,
        listener: ListenerId,
        login: Login,
        deadline: Instant,
    ) -> Result<Option<StandingGrant>, Cause> {
        let place = timeout_at(deadline, Arc::clone(&self.room).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(Cause::Busy);
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            answer,
            _place: place,
        };
        lock(&self.waiting).insert(id, waiting);
        let question = ToEmbedder::Login {
            id,
            listener,
            login,
        };
        if let Err(cause) = outbox.send(question).await {
            lock(&self.waiting).remove(&id);
            return Err(cause);
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(grant)) => Ok(grant),
            Ok(Err(_)) => Err(Cause::EngineDied),
            Err(_) => Err(Cause::Busy),
        }
    }

    /// Takes the embedder's answer.
    pub(super) fn answer(&self, id: u64, grant: Option<StandingGrant>) {
        if let Some(waits) = lock(&self.waiting).remove(&id) {
            // Whoever asked may have gone.
            let _gone = waits.answer.send(grant);
        }
    }
}

/// Whether a login is the one that was judged before, told in a time that does
/// not depend on where they differ.
pub(super) fn is_same(one: &Login, other: &Login) -> bool {
    let differs = |one: &[u8], other: &[u8]| {
        let pairs = one.iter().zip(other);
        let bits = pairs.fold(0, |bits, (one, other)| {
            std::hint::black_box(bits | (one ^ other))
        });
        one.len() != other.len() || bits != 0
    };
    !(differs(&one.name, &other.name) | differs(&one.password, &other.password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_login_is_the_same() {
        let login = |name: &str, password: &str| Login {
            name: name.into(),
            password: password.into(),
        };
        let it = login("ann", "secret");
        assert!(is_same(&it, &login("ann", "secret")));
        for other in [
            login("ann", "secreT"),
            login("ann", "secret1"),
            login("ann", ""),
            login("bnn", "secret"),
            login("", "secret"),
            login("annsecret", ""),
        ] {
            assert!(!is_same(&it, &other), "{other:?}");
        }
    }
}
