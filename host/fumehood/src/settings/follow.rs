//! What holds now, and how another version takes its place while all goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use fumehood_control::{Deadlines, GuestPreferences, TlsOptions};
use fumehood_policy::{Denial, Policy, ProxySettings};
use serde::{Deserialize, Serialize};

use super::{Settings, SettingsError, SettingsSource};
use crate::config::Configured;
use crate::shared::Shared;
use crate::watched::Watched;
use crate::{Dns, Engine, hex};

/// Bytes of a policy's digest that are shown.
const DIGEST_BYTES: usize = 8;

/// What requests go by from now on. Those under way keep what they began with.
#[derive(Debug)]
pub(crate) struct Now {
    pub(crate) policy: Arc<Policy>,
    pub(crate) deadlines: Deadlines,
    pub(crate) tls: TlsOptions,
    pub(crate) dns: Arc<Dns>,
    pub(crate) guests: GuestPreferences,
    pub(crate) revision: Revision,
    /// Connections must not be shared ([`Policy::judges_connections_by_request`]).
    pub(crate) by_request: bool,
}

/// What a version has beside its policy.
#[derive(Clone, Debug)]
pub(crate) struct Preferences {
    pub(crate) deadlines: Deadlines,
    pub(crate) tls: TlsOptions,
    pub(crate) dns: Arc<Dns>,
    pub(crate) guests: GuestPreferences,
}

impl From<&Now> for Preferences {
    fn from(now: &Now) -> Self {
        Preferences {
            deadlines: now.deadlines,
            tls: now.tls,
            dns: Arc::clone(&now.dns),
            guests: now.guests,
        }
    }
}

/// Which version of a policy holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Counts versions since the engine was launched, from 1.
    pub number: u64,
    /// First 8 bytes of the policy's SHA-256, in hexadecimal.
    pub digest: String,
    /// The file it was read from; `None` where it was not read from one.
    pub file: Option<PathBuf>,
}

/// Whether and what an engine reads again.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    pub(crate) source: SettingsSource,
    /// The file that was read at first, if it was there.
    pub(crate) file: Option<PathBuf>,
    /// Whether to read it whenever it changes, and not just when asked.
    pub(crate) watch: bool,
    /// The way out, unless somebody said it in place of the settings.
    pub(crate) proxies: Option<FollowedProxies>,
}

/// The way out as far as the settings say it.
#[derive(Clone, Debug)]
pub(crate) struct FollowedProxies {
    /// What they said at first.
    pub(crate) said: Option<ProxySettings>,
    /// What holds where they say nothing.
    pub(crate) otherwise: Configured,
}

/// The version that holds, and how often it was not obeyed.
#[derive(Debug)]
pub(crate) struct Current {
    now: Mutex<Arc<Now>>,
    last_error: Mutex<Option<SettingsError>>,
    /// Why changes of the file are not noticed, once they are not.
    not_watched: OnceLock<String>,
    reported: AtomicU64,
    /// Held while a version is read and put in place, so that none is
    /// overtaken by an older one.
    turn: tokio::sync::Mutex<()>,
}

impl Current {
    pub(crate) fn new(policy: Policy, preferences: Preferences, file: Option<PathBuf>) -> Self {
        let revision = Revision {
            number: 1,
            digest: digest(&policy),
            file,
        };
        let now = Now {
            by_request: policy.judges_connections_by_request(),
            policy: Arc::new(policy),
            deadlines: preferences.deadlines,
            tls: preferences.tls,
            dns: preferences.dns,
            guests: preferences.guests,
            revision,
        };
        Current {
            now: Mutex::new(Arc::new(now)),
            last_error: Mutex::default(),
            not_watched: OnceLock::new(),
            reported: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// What holds for a request that begins now.
    pub(crate) fn now(&self) -> Arc<Now> {
        Arc::clone(&lock(&self.now))
    }

    /// Why the last attempt to read it again failed, if it did.
    pub(crate) fn last_error(&self) -> Option<SettingsError> {
        lock(&self.last_error).clone()
    }

    /// Why changes of its file are not noticed, where they should be and are not.
    pub(crate) fn not_watched(&self) -> Option<&str> {
        self.not_watched.get().map(String::as_str)
    }

    /// Would-be denials that were let through and told of.
    pub(crate) fn reported(&self) -> u64 {
        self.reported.load(Ordering::Relaxed)
    }

    /// Tells of a would-be denial.
    pub(crate) fn report(&self, denial: &Denial) {
        self.reported.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(reason = denial.reason.name(), %denial, "would be denied");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(policy: &Policy) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    // A policy that could not be encoded would not reach the broker either.
    let pieces = fumehood_control::policy_fragments(policy).unwrap_or_default();
    hex::encode(&digest(&SHA256, &pieces.concat()).as_ref()[..DIGEST_BYTES])
}

impl Engine {
    /// The policy that holds for the next request.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.shared.current.now().policy)
    }

    /// Which version of the policy that is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.shared.current.now().revision.clone()
    }

    /// The deadlines of the next exchange that brings none.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        self.shared.current.now().deadlines
    }

    /// How TLS is spoken on the next exchange that does not say.
    #[must_use]
    pub fn tls(&self) -> TlsOptions {
        self.shared.current.now().tls
    }

    /// Replaces the policy, in one step. Requests that begin later go by it;
    /// those under way go on, and idle connections are closed.
    ///
    /// # Errors
    /// [`SettingsError::NotTaken`]: then the one before holds.
    pub async fn set_policy(&self, policy: Policy) -> Result<Revision, SettingsError> {
        let _turn = self.shared.current.turn.lock().await;
        let before = self.shared.current.now();
        let preferences = Preferences::from(&*before);
        self.replace(policy, preferences, None).await
    }

    /// What is preferred of the guests from the next message on.
    #[must_use]
    pub fn guest_preferences(&self) -> GuestPreferences {
        self.shared.current.now().guests
    }

    /// Replaces what is preferred of the guests. What is out of its bounds is moved
    /// to the nearest. Messages that begin later go by it; idle connections are
    /// closed.
    ///
    /// # Errors
    /// As for [`Engine::set_policy`].
    pub async fn set_guest_preferences(
        &self,
        guests: GuestPreferences,
    ) -> Result<Revision, SettingsError> {
        let _turn = self.shared.current.turn.lock().await;
        let before = self.shared.current.now();
        let preferences = Preferences {
            guests: guests.within_bounds(),
            ..Preferences::from(&*before)
        };
        let file = before.revision.file.clone();
        self.replace(Policy::clone(&before.policy), preferences, file)
            .await
    }

    /// Reads the settings again that [`crate::EngineBuilder::follow`] named.
    /// Policy, proxies, timeouts, TLS versions, DNS and preferences of guests hold for
    /// the next request; limits for the next launch.
    ///
    /// # Errors
    /// [`SettingsError`]: then what held before holds, and
    /// [`crate::Status`] shows the error.
    pub async fn reload(&self) -> Result<Revision, SettingsError> {
        let _turn = self.shared.current.turn.lock().await;
        let done = self.try_reload().await;
        if let Err(error) = &done {
            tracing::warn!(%error, "the configuration is not taken; what was before holds");
        }
        *lock(&self.shared.current.last_error) = done.as_ref().err().cloned();
        done
    }

    async fn try_reload(&self) -> Result<Revision, SettingsError> {
        let follow = self.shared.config.follow.clone();
        let follow = follow.ok_or(SettingsError::NotFollowed)?;
        let proxies = follow.proxies.clone();
        let reading = tokio::task::spawn_blocking(move || again(&follow));
        let settings = reading
            .await
            .map_err(|e| SettingsError::NotTaken(e.to_string()))??;
        let preferences = Preferences {
            deadlines: settings.deadlines(),
            tls: settings.tls(),
            dns: Arc::new(settings.dns()),
            guests: settings.guest_preferences(),
        };
        let said = settings.proxies.value;
        let way_out = match proxies {
            Some(FollowedProxies { otherwise, .. }) => {
                let another = self.shared.another_way_out(said.as_ref(), &otherwise);
                another
                    .await
                    .map_err(|e| SettingsError::NotTaken(e.to_string()))?
            }
            None => None,
        };
        // The policy first: it can be refused, and then nothing has changed.
        let revision = self
            .replace(settings.policy, preferences, settings.file)
            .await?;
        if let Some(way_out) = way_out {
            let followed = self.shared.follow_proxies(said, way_out).await;
            followed.map_err(|e| SettingsError::NotTaken(e.to_string()))?;
        }
        Ok(revision)
    }

    async fn replace(
        &self,
        policy: Policy,
        preferences: Preferences,
        file: Option<PathBuf>,
    ) -> Result<Revision, SettingsError> {
        let current = &self.shared.current;
        let digest = digest(&policy);
        let policy = Arc::new(policy);
        let hold = || {
            let mut now = lock(&current.now);
            let revision = Revision {
                number: now.revision.number + 1,
                digest,
                file,
            };
            *now = Arc::new(Now {
                by_request: policy.judges_connections_by_request(),
                policy: Arc::clone(&policy),
                deadlines: preferences.deadlines,
                tls: preferences.tls,
                dns: preferences.dns,
                guests: preferences.guests,
                revision: revision.clone(),
            });
            revision
        };
        let told = self.shared.replace_policy(&policy, hold).await;
        self.shared.remembered.forget();
        told.map_err(|e| SettingsError::NotTaken(e.to_string()))
    }
}

/// Reads settings again. A file that is gone or empty is a file that somebody
/// is writing, and not the wish to have no policy.
fn again(follow: &Follow) -> Result<Settings, SettingsError> {
    let settings = Settings::load(&follow.source)?;
    let lost = |why: &str| SettingsError::File {
        path: follow.file.clone().unwrap_or_default(),
        why: why.to_owned(),
    };
    match (&follow.file, &settings.file) {
        (None, _) => Ok(settings),
        (Some(_), None) => Err(lost("it was there and is gone; put it back, or start anew")),
        (Some(path), Some(_)) => match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() == 0 => Err(lost(
                "it is empty; to go by the defaults write a comment into it",
            )),
            _ => Ok(settings),
        },
    }
}

/// Reads settings again whenever their file changes, for as long as there is
/// an engine.
pub(crate) async fn watch(engine: Weak<Shared>, file: PathBuf) {
    let Err(why) = reload_on_change(&engine, &file).await else {
        return;
    };
    tracing::warn!(%why, "the configuration is not watched");
    if let Some(shared) = engine.upgrade() {
        // There is one watch, and this is its end.
        let _first = shared.current.not_watched.set(why.to_string());
    }
}

/// Ends well with the engine.
async fn reload_on_change(engine: &Weak<Shared>, file: &Path) -> io::Result<()> {
    let watched = Watched::new(file)?;
    loop {
        watched.changed().await?;
        let Some(shared) = engine.upgrade() else {
            return Ok(());
        };
        // It is logged, and kept for whoever asks.
        let _told = Engine { shared }.reload().await;
    }
}
