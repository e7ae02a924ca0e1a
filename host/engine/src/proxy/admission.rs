//! Who a client is, where it has to say so: the embedder knows names and passwords.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fumehood_control::{Cause, ListenerId, Login, MAX_LOGINS, StandingGrant, ToEmbedder};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::lock;
use crate::outbox::Outbox;

/// Logins that wait to be judged.
pub(super) struct Admissions {
    next: AtomicU64,
    /// One permit a login that the embedder is asked about.
    room: Semaphore,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Option<StandingGrant>>>>,
}

impl Admissions {
    pub(super) fn new() -> Admissions {
        Admissions {
            next: AtomicU64::new(0),
            room: Semaphore::new(MAX_LOGINS),
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
        let asking = async {
            let _permit = self.room.acquire().await.map_err(|_| Cause::EngineDied)?;
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let (sender, answer) = oneshot::channel();
            lock(&self.waiting).insert(id, sender);
            let _forgotten = Forget { all: self, id };
            let question = ToEmbedder::Login {
                id,
                listener,
                login,
            };
            outbox.send(question).await?;
            answer.await.map_err(|_| Cause::EngineDied)
        };
        timeout_at(deadline, asking)
            .await
            .unwrap_or(Err(Cause::Busy))
    }

    /// Takes the embedder's answer.
    pub(super) fn answer(&self, id: u64, grant: Option<StandingGrant>) {
        if let Some(waits) = lock(&self.waiting).remove(&id) {
            // Whoever asked may have gone.
            let _gone = waits.send(grant);
        }
    }
}

/// Takes a question back when nobody waits for its answer any more.
struct Forget<'a> {
    all: &'a Admissions,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.all.waiting).remove(&self.id);
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
