//! Which ways to try for a URL, by what is configured, and what failed lately.

use std::sync::{Arc, Mutex as StateMutex, MutexGuard, PoisonError};
use std::time::Instant;

use fumehood_policy::{Bypass, PacSource, ProxySettings, Refetch, RequestUrl, RetryMemory, Route};
use tokio::sync::Mutex;

use super::{SystemProxyError, system_proxies};
use crate::Engine;
use crate::pac::{Pac, PacError, PacOptions};

/// Where WPAD by DNS looks for the script: the name is the network's to answer.
const WPAD_URL: &str = "http://wpad/wpad.dat";

/// Chooses proxies, by the settings that hold now. Cheap to clone.
///
/// A script is fetched when it is first needed, and again by
/// [`fumehood_policy::Refetch`]; between two fetches the one before holds. Where
/// there is none, or it fails, the settings' fallback is what there is. Proxies
/// that failed come last for a while.
#[derive(Clone, Debug)]
pub struct ProxyChooser {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    /// Held while a script is fetched, so that it happens once.
    script: Mutex<Script>,
    settings: StateMutex<Arc<ProxySettings>>,
    failed: StateMutex<RetryMemory<Route>>,
}

struct Script {
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
    Pac(#[from] PacError),
    /// The script could not be had the last time it was tried, there is no
    /// fallback, and it is tried again later.
    #[error(
        "no proxy is known for this: the script {0} could not be had, and is fetched again later"
    )]
    NoScript(String),
    /// The system's settings.
    #[error(transparent)]
    System(#[from] SystemProxyError),
}

impl ProxyChooser {
    /// By these settings; the system's are read now.
    ///
    /// # Errors
    /// [`ChooseError::System`].
    pub async fn new(engine: &Engine, settings: ProxySettings) -> Result<Self, ChooseError> {
        let settings = Arc::new(read(settings).await?);
        let script = Script {
            of: Arc::clone(&settings),
            loaded: None,
            refetch: Refetch::new(Instant::now()),
        };
        let inner = Inner {
            engine: engine.clone(),
            script: Mutex::new(script),
            settings: StateMutex::new(settings),
            failed: StateMutex::default(),
        };
        Ok(ProxyChooser {
            inner: Arc::new(inner),
        })
    }

    /// Goes by other settings from now on, and forgets what failed. To be called
    /// when they changed, and with the same ones when the network did.
    ///
    /// # Errors
    /// [`ChooseError::System`]; those before hold on then.
    pub async fn replace(&self, settings: ProxySettings) -> Result<(), ChooseError> {
        let settings = read(settings).await?;
        *lock(&self.inner.settings) = Arc::new(settings);
        lock(&self.inner.failed).clear();
        Ok(())
    }

    /// The ways to try for a URL, in this order; at least one.
    ///
    /// # Errors
    /// [`ChooseError`]. A script that fails without a fallback is an error and
    /// not DIRECT: nobody said that one may go without a proxy.
    pub async fn routes(&self, url: &RequestUrl) -> Result<Vec<Route>, ChooseError> {
        let settings = Arc::clone(&lock(&self.inner.settings));
        let routes = match &*settings {
            // Read when the settings were taken.
            ProxySettings::Direct | ProxySettings::System => vec![Route::Direct],
            ProxySettings::Fixed(fixed) => fixed.routes(&url.target),
            // As in browsers: to a proxy, these are other machines.
            ProxySettings::Pac { .. } | ProxySettings::Wpad { .. }
                if Bypass::default().covers(&url.target) =>
            {
                vec![Route::Direct]
            }
            ProxySettings::Pac { fallback, .. } | ProxySettings::Wpad { fallback } => {
                match self.inner.ask(&settings, url).await {
                    Ok(routes) => routes,
                    Err(error) if fallback.is_empty() => return Err(error),
                    Err(error) => {
                        tracing::warn!(%error, "the fallback for the proxy script is used");
                        fallback.clone()
                    }
                }
            }
        };
        Ok(lock(&self.inner.failed).order(&routes, Instant::now()))
    }

    /// A way did not work and another was tried: it comes last for a while.
    pub fn failed(&self, route: &Route) {
        lock(&self.inner.failed).failed(route, Instant::now());
    }

    /// A way worked: nothing is held against it.
    pub fn worked(&self, route: &Route) {
        lock(&self.inner.failed).worked(route);
    }
}

impl Inner {
    async fn ask(
        &self,
        settings: &Arc<ProxySettings>,
        url: &RequestUrl,
    ) -> Result<Vec<Route>, ChooseError> {
        let pac = self.script(settings).await?;
        Ok(pac.find_proxy(&url.to_string()).await?)
    }

    /// The script, fetched where that is due.
    async fn script(&self, settings: &Arc<ProxySettings>) -> Result<Pac, ChooseError> {
        let source = source(settings)?;
        let mut script = self.script.lock().await;
        let now = Instant::now();
        if !Arc::ptr_eq(&script.of, settings) {
            *script = Script {
                of: Arc::clone(settings),
                loaded: None,
                refetch: Refetch::new(now),
            };
        }
        let mut error = None;
        if script.refetch.is_due(now) {
            match self.fetch(&source).await {
                Ok(pac) => {
                    script.loaded = Some(pac);
                    script.refetch.succeeded(Instant::now());
                }
                Err(why) => {
                    script.refetch.failed(Instant::now());
                    error = Some(why);
                }
            }
        }
        match (&script.loaded, error) {
            // The one before holds.
            (Some(pac), _) => Ok(pac.clone()),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(ChooseError::NoScript(source.to_string())),
        }
    }

    async fn fetch(&self, source: &PacSource) -> Result<Pac, PacError> {
        let script = self.engine.pac_script(source).await?;
        self.engine.pac(script, PacOptions::default()).await
    }
}

/// Where the script of these settings is.
fn source(settings: &ProxySettings) -> Result<PacSource, ChooseError> {
    match settings {
        ProxySettings::Pac { source, .. } => Ok(source.clone()),
        _ => {
            let url = WPAD_URL.parse().map_err(PacError::Url)?;
            Ok(PacSource::Url(url))
        }
    }
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

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
