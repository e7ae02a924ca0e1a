//! Who may ask at a listener, and the leave of those who have: others may take their
//! place while it serves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fumehood_control::{ListenerId, StandingGrant, ToBroker, ToEngine};
use fumehood_policy::ClientName;
use serde::{Deserialize, Serialize};

use crate::shared::Shared;
use crate::users::{Users, UsersError};
use crate::watched::Watched;

/// The users of a proxy, for [`crate::Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersStatus {
    /// How many there are.
    pub users: usize,
    /// The file that is read whenever it changes ([`crate::Proxy::follow_users`]).
    pub file: Option<PathBuf>,
    /// Why it was not taken the last time, if it was not: those before hold.
    pub last_error: Option<String>,
}

/// Of one listener.
#[derive(Debug)]
pub(crate) struct Admitted(Mutex<Now>);

#[derive(Debug)]
struct Now {
    /// None where whoever connects may ask.
    users: Option<Arc<Users>>,
    /// Of users that have been here.
    leaves: BTreeMap<ClientName, StandingGrant>,
    file: Option<PathBuf>,
    last_error: Option<String>,
}

impl Admitted {
    pub(crate) fn new(users: Option<Arc<Users>>) -> Admitted {
        Admitted(Mutex::new(Now {
            users,
            leaves: BTreeMap::new(),
            file: None,
            last_error: None,
        }))
    }

    pub(crate) fn users(&self) -> Option<Arc<Users>> {
        self.now().users.clone()
    }

    /// The leave of one of these users, this one where there is none yet. `None`
    /// where others have taken their place by now.
    pub(crate) fn leave_of(
        &self,
        users: &Arc<Users>,
        user: &ClientName,
        new: impl FnOnce() -> StandingGrant,
    ) -> Option<StandingGrant> {
        let mut now = self.now();
        if !now.users.as_ref().is_some_and(|it| Arc::ptr_eq(it, users)) {
            return None;
        }
        let leave = now.leaves.entry(user.clone()).or_insert_with(new);
        Some(leave.clone())
    }

    pub(crate) fn leaves(&self) -> Vec<StandingGrant> {
        self.now().leaves.values().cloned().collect()
    }

    /// Whether it was not taken back meanwhile.
    pub(crate) fn has(&self, leave: &StandingGrant) -> bool {
        self.now().leaves.values().any(|it| it.id == leave.id)
    }

    /// Others take the place of those there are. Returns the leave of who is not
    /// among them any more.
    fn replace(&self, users: Arc<Users>) -> Vec<StandingGrant> {
        let mut now = self.now();
        let gone = now.leaves.extract_if(.., |name, _| !users.has(name));
        let gone = gone.map(|(_, leave)| leave).collect();
        (now.users, now.last_error) = (Some(users), None);
        gone
    }

    /// None where whoever connects may ask.
    pub(crate) fn status(&self) -> Option<UsersStatus> {
        let now = self.now();
        Some(UsersStatus {
            users: now.users.as_ref()?.count(),
            file: now.file.clone(),
            last_error: now.last_error.clone(),
        })
    }

    fn refuse(&self, why: &str) {
        tracing::warn!(why, "the users' file is not taken; those before hold");
        self.now().last_error = Some(why.to_owned());
    }

    /// Consistent between any two statements that can panic.
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener, and who may ask there.
pub(crate) struct Door {
    pub(crate) listener: ListenerId,
    pub(crate) admitted: Arc<Admitted>,
}

impl Door {
    /// Serves these users from now on. Who is not among them any more has no leave to
    /// dial, and everybody is asked about again.
    pub(crate) async fn set_users(&self, shared: &Shared, users: Arc<Users>) {
        let gone = self.admitted.replace(users);
        let running = shared.as_it_is().await;
        // Processes that are gone serve nobody, and others are told anew.
        let told = ToEngine::Users(self.listener);
        let _gone = running.engine.channel.send(&told, &[]).await;
        for leave in gone {
            let back = ToBroker::Revoke(leave.id);
            let _gone = running.broker.channel.send(&back, &[]).await;
        }
    }

    /// Reads the users again now and whenever their file changes, for as long as
    /// there is an engine.
    pub(crate) async fn follow(self, engine: Weak<Shared>, file: PathBuf) {
        self.admitted.now().file = Some(file.clone());
        let watched = match Watched::new(&file) {
            Ok(watched) => watched,
            Err(why) => return self.admitted.refuse(&not_watched(&why)),
        };
        loop {
            let Some(shared) = engine.upgrade() else {
                return;
            };
            // Also at first: it may have changed before it was watched.
            match read(file.clone()).await {
                Ok(users) => self.set_users(&shared, Arc::new(users)).await,
                Err(why) => self.admitted.refuse(&why.to_string()),
            }
            drop(shared);
            if let Err(why) = watched.changed().await {
                return self.admitted.refuse(&not_watched(&why));
            }
        }
    }
}

fn not_watched(why: &std::io::Error) -> String {
    format!("it is not watched: {why}")
}

async fn read(file: PathBuf) -> Result<Users, UsersError> {
    let reading = tokio::task::spawn_blocking(move || Users::read(&file));
    let failed = |error| UsersError::Read(std::io::Error::other(error));
    reading.await.unwrap_or_else(|error| Err(failed(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_control::GrantId;

    use super::*;

    fn users(names: &[&str]) -> Arc<Users> {
        let line = |name: &&str| Users::line(&name.parse().unwrap(), b"secret").unwrap() + "\n";
        let text: String = names.iter().map(line).collect();
        Arc::new(Users::parse(&text).unwrap())
    }

    #[test]
    fn who_is_gone_has_no_leave_any_more_and_is_given_none() {
        let before = users(&["ann", "bob"]);
        let admitted = Admitted::new(Some(Arc::clone(&before)));
        let leave = |users: &Arc<Users>, name: &str, number| {
            let client: ClientName = name.parse().unwrap();
            let new = || StandingGrant {
                id: GrantId(number),
                client: Some(client.clone()),
            };
            admitted.leave_of(users, &client, new)
        };
        let ann = leave(&before, "ann", 1).unwrap();
        let bob = leave(&before, "bob", 2).unwrap();
        assert_eq!(leave(&before, "ann", 3), Some(ann.clone()), "it has one");

        let after = users(&["ann", "carl"]);
        assert_eq!(
            admitted.replace(Arc::clone(&after)),
            std::slice::from_ref(&bob)
        );
        assert!(admitted.has(&ann) && !admitted.has(&bob));
        // Judged by those before, at the moment when others came.
        assert_eq!(leave(&before, "bob", 4), None);
        assert_eq!(leave(&before, "ann", 5), None);
        assert_eq!(leave(&after, "ann", 6), Some(ann));
        assert_eq!(admitted.status().unwrap().users, 2);
        assert_eq!(Admitted::new(None).status(), None);
    }
}
