//! The engine as an embedder holds it: launched, watched, launched again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fumehood_control::{ExchangeId, ToEngine};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Semaphore};

use crate::config::{Config, EngineBuilder};
use crate::error::LaunchError;
use crate::launch::{self, BrokerChannel, EngineChannel, Launched, Readiness};
use crate::process::Process;
use crate::routes::Routes;
use crate::{Client, roles};

/// A launched engine with its broker. Cheap to clone; the processes end with
/// the last clone and the last exchange.
///
/// When a process dies, exchanges under way end with
/// [`crate::EngineError::Problem`], and the next request launches it again.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// How a launch went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchReport {
    /// The process that dials.
    pub broker: Readiness,
    /// The process with the guests.
    pub engine: Readiness,
}

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// What runs now; the lock is held while launching, so that it happens once.
    running: Mutex<Running>,
    /// Source of exchange and grant numbers, across launches.
    numbers: AtomicU64,
    pub(crate) permits: Arc<Semaphore>,
}

/// The processes as they were last seen.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) broker: Arc<LiveBroker>,
    pub(crate) engine: Arc<LiveEngine>,
}

/// A broker that has been ready. Dropped by all, it is killed.
pub(crate) struct LiveBroker {
    pub(crate) channel: Arc<BrokerChannel>,
    readiness: Readiness,
    alive: Arc<AtomicBool>,
    _ends_watch: UnboundedSender<()>,
}

/// An engine that has been ready. Dropped by all, it is killed.
pub(crate) struct LiveEngine {
    pub(crate) channel: Arc<EngineChannel>,
    pub(crate) routes: Arc<Routes>,
    /// Exchanges nobody waits for any more.
    pub(crate) cancels: UnboundedSender<ExchangeId>,
    readiness: Readiness,
    alive: Arc<AtomicBool>,
}

impl Engine {
    /// Begins to say how an engine is to be.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(crate) async fn launch(config: Config) -> Result<Self, LaunchError> {
        if !roles::initialised() {
            return Err(LaunchError::NotInitialised);
        }
        let (broker, engine) = launch::both(&config).await?;
        let running = Running {
            broker: LiveBroker::watch(broker),
            engine: LiveEngine::watch(engine),
        };
        let permits = usize::try_from(config.limits.max_exchanges.max(1)).unwrap_or(usize::MAX);
        let shared = Shared {
            config,
            running: Mutex::new(running),
            numbers: AtomicU64::new(1),
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
        };
        Ok(Engine {
            shared: Arc::new(shared),
        })
    }

    /// A client that sends `http` requests: a [`tower_service::Service`].
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.clone())
    }

    /// How the latest launch went: times, and every layer of both sandboxes.
    pub async fn launch_report(&self) -> LaunchReport {
        let running = self.shared.running.lock().await;
        LaunchReport {
            broker: running.broker.readiness.clone(),
            engine: running.engine.readiness.clone(),
        }
    }
}

impl Shared {
    /// A number never given before.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Processes that live, as far as is known; what died is launched again.
    pub(crate) async fn running(&self) -> Result<Running, LaunchError> {
        let mut running = self.running.lock().await;
        if !running.broker.is_alive() {
            let (broker, engine) = launch::both(&self.config).await?;
            *running = Running {
                broker: LiveBroker::watch(broker),
                engine: LiveEngine::watch(engine),
            };
        } else if !running.engine.is_alive() {
            let engine = launch::engine_for(&self.config, &running.broker.channel).await?;
            running.engine = LiveEngine::watch(engine);
        }
        Ok(running.clone())
    }
}

impl LiveBroker {
    fn watch(launched: Launched<BrokerChannel>) -> Arc<Self> {
        let (ends_watch, unused) = unbounded_channel();
        let channel = Arc::new(launched.channel);
        let alive = Arc::new(AtomicBool::new(true));
        tokio::spawn(watch_broker(
            launched.process,
            channel.clone(),
            alive.clone(),
            unused,
        ));
        Arc::new(LiveBroker {
            channel,
            readiness: launched.readiness,
            alive,
            _ends_watch: ends_watch,
        })
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// A message did not reach it. When that is because it is gone, the next
    /// request need not find out by itself, even before the watch has.
    pub(crate) fn note(&self, error: &fumehood_sandbox::ChannelError) {
        if matches!(error, fumehood_sandbox::ChannelError::Closed) {
            self.alive.store(false, Ordering::Release);
        }
    }
}

impl LiveEngine {
    fn watch(launched: Launched<EngineChannel>) -> Arc<Self> {
        let (cancels, cancelled) = unbounded_channel();
        let live = Arc::new(LiveEngine {
            channel: Arc::new(launched.channel),
            routes: Arc::new(Routes::new()),
            cancels,
            readiness: launched.readiness,
            alive: Arc::new(AtomicBool::new(true)),
        });
        tokio::spawn(watch_engine(
            launched.process,
            live.channel.clone(),
            live.routes.clone(),
            live.alive.clone(),
            cancelled,
        ));
        live
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// A message did not reach it. When that is because it is gone, the next
    /// request need not find out by itself, even before the watch has.
    pub(crate) fn note(&self, error: &fumehood_sandbox::ChannelError) {
        if matches!(error, fumehood_sandbox::ChannelError::Closed) {
            self.alive.store(false, Ordering::Release);
        }
    }
}

/// Owns the broker. It has nothing to say after `Ready`, so whatever comes,
/// the end of file first of all, ends it.
async fn watch_broker(
    mut process: Process,
    channel: Arc<BrokerChannel>,
    alive: Arc<AtomicBool>,
    mut unused: UnboundedReceiver<()>,
) {
    tokio::select! {
        _ = channel.recv() => {}
        _ = unused.recv() => {}
    }
    alive.store(false, Ordering::Release);
    process.kill().await;
}

/// Owns the engine: routes what it says, passes cancellations on, until it
/// ends, says what it must not, or nobody holds it any more.
async fn watch_engine(
    mut process: Process,
    channel: Arc<EngineChannel>,
    routes: Arc<Routes>,
    alive: Arc<AtomicBool>,
    cancelled: UnboundedReceiver<ExchangeId>,
) {
    // Side by side, so that neither direction waits for the other.
    tokio::select! {
        () = route_all(&channel, &routes) => {}
        () = cancel_all(&channel, cancelled) => {}
    }
    alive.store(false, Ordering::Release);
    routes.close();
    process.kill().await;
}

async fn route_all(channel: &EngineChannel, routes: &Routes) {
    while let Ok((message, _none)) = channel.recv().await {
        if let Err(error) = routes.take(message) {
            tracing::error!(%error, "the engine is ended for what it said");
            return;
        }
    }
}

async fn cancel_all(channel: &EngineChannel, mut cancelled: UnboundedReceiver<ExchangeId>) {
    while let Some(id) = cancelled.recv().await {
        if channel.send(&ToEngine::Cancel(id), &[]).await.is_err() {
            return;
        }
    }
}
