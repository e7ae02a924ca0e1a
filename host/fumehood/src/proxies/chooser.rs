//! Which ways to try for a URL, by what is configured, and what failed lately.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StateMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fumehood_control::Wanted;
use fumehood_policy::{
    Bypass, Naming, PacSource, ProxySettings, Refetch, RequestUrl, RetryMemory, Route,
};
use tokio::sync::{Mutex, Semaphore};

use super::stamps::Stamps;
use super::{SystemProxyError, desktop_files, system_proxies, wpad};
use crate::pac::{Pac, PacError, PacOptions};
use crate::{Engine, Error, Question, ResolveError};

/// How long WPAD may look, in all places together: as long as a script that is named
/// may take.
const WPAD_WITHIN: Duration = Duration::from_secs(30);

/// Most questions to a script at once; others wait their turn. An engine takes more.
const CALLS: usize = 64;

/// Chooses proxies, by the settings that hold now. Cheap to clone.
///
/// A script is fetched when it is first needed, and again by
/// [`fumehood_policy::Refetch`], or when its file changed; between two fetches the
/// one before holds. The system's settings are read again when a file that they
/// stand in changed; both are looked at when a way is chosen, at most once a
/// second. Where there is none, or it fails, the settings' fallback is what there is. Proxies
/// that failed come last for a while. When the network is another, all of that begins
/// anew: the system's settings, the script, and what failed.
#[derive(Clone)]
pub struct ProxyChooser {
    engine: Engine,
    /// What holds now; another takes its place when the settings are replaced.
    choice: Arc<StateMutex<Arc<Choice>>>,
}

/// A chooser without the engine that it asks, which may hold it.
pub(crate) struct Choice {
    /// Held while a script is fetched, so that it happens once.
    script: Mutex<Script>,
    calls: Semaphore,
    /// As they were given, the system's not read yet.
    given: ProxySettings,
    /// What the system's are read from, which is watched.
    desktop: Stamps,
    /// The engine's count of networks, as of the one that all of this is for.
    network: AtomicU64,
    settings: StateMutex<Arc<ProxySettings>>,
    failed: StateMutex<RetryMemory<Route>>,
}

/// Ways to try, at least one, and who named their proxies.
pub(crate) struct Chosen {
    pub(crate) routes: Vec<Route>,
    pub(crate) naming: Naming,
    /// What they were chosen by.
    pub(crate) settings: Arc<ProxySettings>,
}

struct Script {
    /// Its file, which is watched.
    file: Stamps,
    /// What it was fetched for.
    of: Arc<ProxySettings>,
    loaded: Option<Pac>,
    refetch: Refetch,
}

/// Why there is no way to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The script cannot be had or has no answer, and there is no fallback.
    #[error("no proxy is known for this: {0}")]
    Pac(PacError),
    /// The script could not be had the last time it was tried, there is no
    /// fallback, and it is tried again later.
    #[error(
        "no proxy is known for this: the script {0} could not be had, and is fetched again later"
    )]
    NoScript(String),
    /// WPAD found no script under any search domain; why it did not under the last.
    #[error("no proxy is known for this: WPAD found no script: {0}")]
    Wpad(String),
    /// The system's settings.
    #[error(transparent)]
    System(#[from] SystemProxyError),
    /// The engine or the broker, which says nothing of the script: it is asked for as
    /// before, and what the fallback is makes no difference.
    #[error(transparent)]
    Engine(Error),
}

impl From<PacError> for ChooseError {
    fn from(error: PacError) -> Self {
        match error.of_our_own() {
            Ok(error) => ChooseError::Engine(error),
            Err(error) => ChooseError::Pac(error),
        }
    }
}

impl ProxyChooser {
    /// By these settings; the system's are read now.
    ///
    /// # Errors
    /// [`ChooseError::System`].
    pub async fn new(engine: &Engine, settings: ProxySettings) -> Result<Self, ChooseError> {
        Ok(ProxyChooser {
            engine: engine.clone(),
            choice: Arc::new(StateMutex::new(Arc::new(Choice::new(settings).await?))),
        })
    }

    /// Goes by other settings from now on, and forgets what failed.
    ///
    /// # Errors
    /// [`ChooseError::System`]; those before hold on then.
    pub async fn replace(&self, settings: ProxySettings) -> Result<(), ChooseError> {
        let choice = Arc::new(Choice::new(settings).await?);
        *lock(&self.choice) = choice;
        Ok(())
    }

    /// The ways to try for a URL, in this order; at least one.
    ///
    /// # Errors
    /// [`ChooseError`]. A script that fails without a fallback is an error and
    /// not DIRECT: nobody said that one may go without a proxy.
    pub async fn routes(&self, url: &RequestUrl) -> Result<Vec<Route>, ChooseError> {
        Ok(self.now().choose(&self.engine, url).await?.routes)
    }

    /// A way did not work and another was tried: it comes last for a while.
    pub fn failed(&self, route: &Route) {
        self.now().failed(route);
    }

    /// A way worked: nothing is held against it.
    pub fn worked(&self, route: &Route) {
        self.now().worked(route);
    }

    fn now(&self) -> Arc<Choice> {
        Arc::clone(&lock(&self.choice))
    }
}

impl Choice {
    pub(crate) async fn new(settings: ProxySettings) -> Result<Self, SystemProxyError> {
        // Before they are read, so that no change is missed.
        let desktop = Stamps::new(match settings {
            ProxySettings::System => desktop_files(),
            _ => Vec::new(),
        });
        let given = settings.clone();
        let settings = Arc::new(read(settings).await?);
        Ok(Choice {
            script: Mutex::new(Script::of(&settings)),
            calls: Semaphore::new(CALLS),
            given,
            desktop,
            network: AtomicU64::new(0),
            settings: StateMutex::new(settings),
            failed: StateMutex::default(),
        })
    }

    /// Whether every target goes straight, now and later.
    pub(crate) fn is_straight(&self) -> bool {
        self.given == ProxySettings::Direct
    }

    /// Begins anew where the network is another, and reads the system's settings
    /// again then and where they changed. Those that cannot be read are somebody's
    /// half-done work, and those before hold on.
    async fn follow(&self, engine: &Engine) {
        if self.is_straight() {
            return;
        }
        engine.shared.watch_network();
        let changes = engine.shared.network.changes();
        let is_another = self.network.swap(changes, Ordering::AcqRel) != changes;
        if is_another {
            self.begin_anew();
        }
        let changed = self.desktop.changed() || is_another;
        if !changed || self.given != ProxySettings::System {
            return;
        }
        match read(ProxySettings::System).await {
            Ok(settings) if settings == *self.settings() => {}
            Ok(settings) => {
                *lock(&self.settings) = Arc::new(settings);
                lock(&self.failed).clear();
            }
            Err(error) => tracing::warn!(%error, "the proxy settings before hold on"),
        }
    }

    /// What failed is forgotten, and a script is fetched for settings of its own.
    fn begin_anew(&self) {
        let mut settings = lock(&self.settings);
        *settings = Arc::new(ProxySettings::clone(&settings));
        drop(settings);
        lock(&self.failed).clear();
    }

    /// What holds now.
    pub(crate) fn settings(&self) -> Arc<ProxySettings> {
        Arc::clone(&lock(&self.settings))
    }

    pub(crate) async fn choose(
        &self,
        engine: &Engine,
        url: &RequestUrl,
    ) -> Result<Chosen, ChooseError> {
        self.follow(engine).await;
        let settings = self.settings();
        let (routes, naming) = match &*settings {
            // Read when the settings were taken.
            ProxySettings::Direct | ProxySettings::System => (vec![Route::Direct], Naming::User),
            ProxySettings::Fixed(fixed) => (fixed.routes(&url.target), Naming::User),
            // As in browsers: to a proxy, these are other machines.
            ProxySettings::Pac { .. } | ProxySettings::Wpad { .. }
                if Bypass::default().covers(&url.target) =>
            {
                (vec![Route::Direct], Naming::User)
            }
            ProxySettings::Pac { fallback, .. } | ProxySettings::Wpad { fallback } => {
                match self.ask(engine, &settings, url).await {
                    Ok(routes) => (routes, Naming::Script),
                    Err(error @ ChooseError::Engine(_)) => return Err(error),
                    Err(error) if fallback.is_empty() => return Err(error),
                    Err(error) => {
                        tracing::warn!(%error, "the fallback for the proxy script is used");
                        (fallback.clone(), Naming::User)
                    }
                }
            }
        };
        Ok(Chosen {
            routes: lock(&self.failed).order(&routes, Instant::now()),
            naming,
            settings,
        })
    }

    /// A proxy did not work. Where the way was straight, the target did not, which
    /// says nothing of others.
    pub(crate) fn failed(&self, route: &Route) {
        if route.proxy().is_some() {
            lock(&self.failed).failed(route, Instant::now());
        }
    }

    pub(crate) fn worked(&self, route: &Route) {
        lock(&self.failed).worked(route);
    }

    async fn ask(
        &self,
        engine: &Engine,
        settings: &Arc<ProxySettings>,
        url: &RequestUrl,
    ) -> Result<Vec<Route>, ChooseError> {
        // Closed never: it lives as long as this.
        let _turn = self.calls.acquire().await;
        let pac = self.script(engine, settings).await?;
        Ok(pac.find_proxy(&url.to_string()).await?)
    }

    /// The script, fetched where that is due.
    async fn script(
        &self,
        engine: &Engine,
        settings: &Arc<ProxySettings>,
    ) -> Result<Pac, ChooseError> {
        let mut script = self.script.lock().await;
        if !Arc::ptr_eq(&script.of, settings) {
            *script = Script::of(settings);
        } else if script.file.changed() {
            script.refetch.changed(Instant::now());
        }
        let mut error = None;
        // Not before it became due just now.
        if script.refetch.is_due(Instant::now()) {
            match find(engine, settings).await {
                Ok(pac) => {
                    script.loaded = Some(pac);
                    script.refetch.succeeded(Instant::now());
                }
                // Nobody has failed to have it. One that is loaded still holds.
                Err(why @ ChooseError::Engine(_)) => error = Some(why),
                Err(why) => {
                    script.refetch.failed(Instant::now());
                    error = Some(why);
                }
            }
        }
        match (&script.loaded, error) {
            // The one before holds.
            (Some(pac), _) => Ok(pac.clone()),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ChooseError::NoScript(match &**settings {
                ProxySettings::Pac { source, .. } => source.to_string(),
                _ => "that the network names".to_owned(),
            })),
        }
    }
}

impl Script {
    /// Of these settings, not fetched yet.
    fn of(settings: &Arc<ProxySettings>) -> Self {
        let file = match &**settings {
            ProxySettings::Pac {
                source: PacSource::File(path),
                ..
            } => vec![path.clone()],
            _ => Vec::new(),
        };
        Script {
            file: Stamps::new(file),
            of: Arc::clone(settings),
            loaded: None,
            refetch: Refetch::new(Instant::now()),
        }
    }
}

async fn fetch(engine: &Engine, source: &PacSource) -> Result<Pac, PacError> {
    let script = engine.pac_script(source).await?;
    engine.pac(script, PacOptions::default()).await
}

/// The script of these settings.
async fn find(engine: &Engine, settings: &ProxySettings) -> Result<Pac, ChooseError> {
    if let ProxySettings::Pac { source, .. } = settings {
        return Ok(fetch(engine, source).await?);
    }
    let found = tokio::time::timeout(WPAD_WITHIN, discover(engine)).await;
    found.unwrap_or_else(|_| Err(ChooseError::Wpad("it took too long".to_owned())))
}

/// The first script that WPAD finds.
async fn discover(engine: &Engine) -> Result<Pac, ChooseError> {
    let mut why =
        "there is no search domain that it may be looked for under; name the script itself \
                   (--proxy-pac, or proxy.mode \"pac\" and proxy.url)"
            .to_owned();
    let search = engine.search().await;
    let search = search.map_err(|why| ChooseError::Wpad(why.to_string()))?;
    for name in wpad::names(&search) {
        // In full: no search domain comes behind it.
        let asked = Question::new(&format!("{name}."), Wanted::Addresses);
        let found = match asked {
            Ok(question) => engine.resolve(&question).await,
            Err(error) => Err(error),
        };
        match found {
            Err(ResolveError::Engine(error @ Error::Engine(_))) => {
                return Err(ChooseError::Engine(error));
            }
            Err(error) => {
                why = error.to_string();
                continue;
            }
            Ok(_) => {}
        }
        let url = wpad::url(&name).map_err(PacError::Url)?;
        match fetch(engine, &PacSource::Url(url))
            .await
            .map_err(ChooseError::from)
        {
            Err(ChooseError::Pac(error)) => why = error.to_string(),
            found => return found,
        }
    }
    Err(ChooseError::Wpad(why))
}

async fn read(settings: ProxySettings) -> Result<ProxySettings, SystemProxyError> {
    match settings {
        ProxySettings::System => system_proxies().await,
        settings => Ok(settings),
    }
}

/// Consistent between any two statements that can panic.
fn lock<T>(state: &StateMutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for ProxyChooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyChooser")
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choice")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
