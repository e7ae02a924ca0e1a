//! What the clones of an engine share: what it was set up with, and what runs now.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use fumehood_control::{GrantId, ToEngine, policy_fragments};
use fumehood_policy::{Policy, ProxySettings};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::task::AbortHandle;

use crate::asking::Remembered;
use crate::config::{Config, Configured};
use crate::error::{ChannelError, LaunchError};
use crate::grant::Grants;
use crate::launch::{self, EngineChannel, Launched};
use crate::live::{Death, Life, LiveBroker, LiveEngine, Running};
use crate::modules::Registry;
use crate::names::Teller;
use crate::network::Network;
use crate::proxies::{Choice, ChooseError, NoWayOut, WayOut};
use crate::proxy::{self, Listeners};
use crate::relaunch::{Lived, Relaunch, Rest};
use crate::settings::{self, Current};
use crate::traffic::Counters;
use crate::{Error, Role, SystemProxyError, admin, logins, modules, pressure, roles, upstream};

/// Under which the broker knows the resolver's leave. Other numbers follow.
const RESOLVER_GRANT: GrantId = GrantId(1);

/// How long is waited for a process to be reaped, so that it can be said how it
/// ended. One that has died takes milliseconds.
const REAPED_WITHIN: Duration = Duration::from_secs(1);

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Policy and preferences that hold now.
    pub(crate) current: Arc<Current>,
    /// Leave that was given to parts of the program.
    pub(crate) grants: Grants,
    /// What was answered for hosts.
    pub(crate) remembered: Remembered,
    /// What went through, across launches.
    pub(crate) counters: Arc<Counters>,
    /// How names are resolved, as the processes were told.
    pub(crate) names: Teller,
    /// What runs now; the lock is held while launching, so that it happens once.
    running: Arc<Mutex<Running>>,
    /// Source of exchange and grant numbers, across launches.
    numbers: AtomicU64,
    /// How often an engine took the place of one that had died.
    restarts: AtomicU64,
    /// When the next one may do so.
    relaunch: std::sync::Mutex<Relaunch>,
    pub(crate) permits: Arc<Semaphore>,
    /// Which network this is on.
    pub(crate) network: Network,
    /// What proxies have asked, and are told.
    pub(crate) answers: upstream::Answers,
    /// Which modules an engine is given.
    pub(crate) registry: Arc<Registry>,
    /// Forward proxies that listen.
    pub(crate) listeners: Arc<Listeners>,
    /// How requests find their way out.
    way_out: std::sync::Mutex<WayOut>,
    /// What the settings that are followed said of that.
    proxies_said: Mutex<Option<ProxySettings>>,
    /// Held while the evaluator of scripts is fetched, so that it is once.
    pub(crate) evaluator: Mutex<()>,
    /// Where metrics are told to whoever asks.
    pub(crate) metrics_address: Option<SocketAddr>,
    /// What goes on beside: admin socket, metrics, module directory, memory.
    tasks: std::sync::Mutex<Vec<AbortHandle>>,
}

impl Shared {
    /// Launches the processes, and what goes on beside them.
    pub(crate) async fn launch(config: Config) -> Result<Arc<Self>, LaunchError> {
        if !roles::initialised() {
            return Err(LaunchError::NotInitialised);
        }
        // First, as it may be refused.
        let admin = match &config.admin_socket {
            Some(path) => Some(admin::Listener::bind(path)?),
            None => None,
        };
        let metrics = match config.metrics_address {
            Some(address) => Some(admin::MetricsPort::bind(address).await?),
            None => None,
        };
        let registry = Arc::new(Registry::new(&config.modules));
        let current = Arc::new(config.current());
        let way_out = configured(&config.way_out).await?;
        let followed = config.follow.as_ref().and_then(|it| it.proxies.as_ref());
        let proxies_said = followed.and_then(|it| it.said.clone());
        let (broker, engine) = launch::both(&config, &current.now(), &registry.offer()).await?;
        let counters = Arc::new(Counters::default());
        let listeners = Listeners::new(&current, &counters);
        let running = Running::new(
            LiveBroker::watch(broker, &current, &listeners),
            LiveEngine::watch(engine, &registry, &config, &counters, &listeners),
        );
        let permits = usize::try_from(config.limits.max_exchanges.max(1)).unwrap_or(usize::MAX);
        let shared = Arc::new(Shared {
            config,
            current,
            grants: Grants::default(),
            remembered: Remembered::default(),
            counters,
            names: Teller::new(RESOLVER_GRANT),
            running: Arc::new(Mutex::new(running)),
            numbers: AtomicU64::new(RESOLVER_GRANT.0 + 1),
            network: Network::default(),
            answers: upstream::Answers::default(),
            restarts: AtomicU64::new(0),
            relaunch: std::sync::Mutex::default(),
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            registry,
            listeners,
            way_out: std::sync::Mutex::new(way_out),
            proxies_said: Mutex::new(proxies_said),
            evaluator: Mutex::default(),
            metrics_address: metrics.as_ref().map(admin::MetricsPort::address),
            tasks: std::sync::Mutex::default(),
        });
        shared.listeners.answer_by(&shared);
        shared.begin_tasks(admin, metrics);
        Ok(shared)
    }

    /// They end with whoever shares this.
    fn begin_tasks(
        self: &Arc<Self>,
        admin: Option<admin::Listener>,
        metrics: Option<admin::MetricsPort>,
    ) {
        let weak = || Arc::downgrade(self);
        let mut tasks = vec![tokio::spawn(pressure::watch(weak())).abort_handle()];
        if let Some(listener) = admin {
            tasks.push(tokio::spawn(listener.serve(weak())).abort_handle());
        }
        if let Some(port) = metrics {
            tasks.push(tokio::spawn(port.serve(weak())).abort_handle());
        }
        if let Some((folder, on_change)) = self.config.module_directory.clone() {
            let watching = modules::watch(weak(), folder, on_change);
            tasks.push(tokio::spawn(watching).abort_handle());
        }
        let follow = self.config.follow.as_ref().filter(|it| it.watch);
        if let Some(file) = follow.and_then(|follow| follow.file.clone()) {
            tasks.push(tokio::spawn(settings::watch(weak(), file)).abort_handle());
        }
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
    }

    /// Engines launched since the first, each in the place of one that died.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// A number never given before.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Processes that live, as far as is known; what died is launched again.
    pub(crate) async fn running(self: &Arc<Self>) -> Result<Running, LaunchError> {
        self.with_running(async |running: &Running| running.clone())
            .await
    }

    /// Does something with processes that live, before they can be replaced.
    pub(crate) async fn with_running<T>(
        self: &Arc<Self>,
        act: impl AsyncFnOnce(&Running) -> T,
    ) -> Result<T, LaunchError> {
        let mut running = Arc::clone(&self.running).lock_owned().await;
        if running.gone().is_some() {
            running = self.revived(running).await?;
        }
        Ok(act(&running).await)
    }

    /// In a task of its own: whoever asks may give up half way, and a process that is
    /// launched is told all that it has to be told.
    async fn revived(
        self: &Arc<Self>,
        mut running: OwnedMutexGuard<Running>,
    ) -> Result<OwnedMutexGuard<Running>, LaunchError> {
        let shared = Arc::clone(self);
        let reviving = tokio::spawn(async move {
            shared.revive(&mut running).await?;
            Ok(running)
        });
        match reviving.await {
            Ok(revived) => revived,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends.
                Err(_) => Err(LaunchError::Channel {
                    role: Role::Engine,
                    source: fumehood_sandbox::ChannelError::Closed.into(),
                }),
            },
        }
    }

    async fn revive(&self, running: &mut Running) -> Result<(), LaunchError> {
        let Some((role, life)) = running.gone() else {
            return Ok(());
        };
        if !std::mem::replace(&mut running.mourned, true) {
            self.mourn(role, &life, &running.engine).await;
        }
        if let Some(rest) = self.resting() {
            return Err(LaunchError::Resting(rest));
        }
        let launched = self.replace(role, running).await;
        if let Err(error) = &launched {
            let (now, why) = (Instant::now(), error.to_string());
            self.row_of_deaths().died(Lived::NOT_AT_ALL, now, why);
        }
        launched
    }

    /// Counts a death.
    async fn mourn(&self, role: Role, life: &Life, engine: &LiveEngine) {
        let why = |death: Death| format!("the {} ended: {}", role.name(), death.how);
        let known = life.death_so_far();
        let at = known.as_ref().map_or_else(Instant::now, |death| death.at);
        let ended_well = self.counters.ended_well();
        let lived = Lived {
            lasted: at.saturating_duration_since(engine.life.began()),
            exchanges: ended_well.saturating_sub(engine.ended_before),
        };
        let is_known = known.is_some();
        let told = known.map_or_else(|| format!("the {} ended", role.name()), why);
        self.row_of_deaths().died(lived, at, told);
        if self.resting().is_some() && !is_known {
            let death = tokio::time::timeout(REAPED_WITHIN, life.death()).await;
            if let Ok(Some(death)) = death {
                self.row_of_deaths().explain(why(death));
            }
        }
        if let Some(rest) = self.resting() {
            tracing::error!("{rest}");
        }
    }

    fn row_of_deaths(&self) -> std::sync::MutexGuard<'_, Relaunch> {
        // It is consistent between any two statements that can panic.
        self.relaunch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left of a rest after deaths, if one is kept.
    pub(crate) fn resting(&self) -> Option<Rest> {
        self.row_of_deaths().rest(Instant::now())
    }

    /// Launches what takes the place of one that is gone.
    async fn replace(&self, role: Role, running: &mut Running) -> Result<(), LaunchError> {
        let now = self.current.now();
        let modules = self.registry.offer();
        let both = role == Role::Broker;
        *running = if both {
            let (broker, engine) = launch::both(&self.config, &now, &modules).await?;
            let broker = LiveBroker::watch(broker, &self.current, &self.listeners);
            Running::new(broker, self.watch(engine))
        } else {
            let broker = running.broker.clone();
            let engine = launch::engine_for(&self.config, &now, &modules, &broker.channel);
            Running::new(broker.clone(), self.watch(engine.await?))
        };
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.inform(running).await;
        if both {
            self.listeners.set_up_broker(running).await;
        }
        self.listeners
            .set_up_engine(running, &now.policy, &self.way_out())
            .await;
        Ok(())
    }

    /// Has new processes know how names are resolved. Clients of a proxy do not
    /// come through the embedder first.
    async fn inform(&self, running: &Running) {
        if let Err(error) = self.tell_names_to_dial(running).await {
            tracing::error!(%error, "names cannot be resolved as configured");
        }
    }

    fn watch(&self, engine: Launched<EngineChannel>) -> Arc<LiveEngine> {
        let counters = &self.counters;
        LiveEngine::watch(
            engine,
            &self.registry,
            &self.config,
            counters,
            &self.listeners,
        )
    }

    /// How requests find their way out now.
    pub(crate) fn way_out(&self) -> WayOut {
        let way_out = self.way_out.lock();
        way_out.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The way out that the settings say, where that is something else than before;
    /// where they say nothing any more, as it was `otherwise`.
    pub(crate) async fn another_way_out(
        &self,
        said: Option<&ProxySettings>,
        otherwise: &Configured,
    ) -> Result<Option<WayOut>, Error> {
        if self.proxies_said.lock().await.as_ref() == said {
            return Ok(None);
        }
        let chosen = said.cloned().map(Configured::Chosen);
        let way_out = configured(chosen.as_ref().unwrap_or(otherwise)).await;
        let way_out = way_out.map_err(ChooseError::from).map_err(NoWayOut::from)?;
        Ok(Some(way_out))
    }

    /// Goes another way out, as the settings said.
    pub(crate) async fn follow_proxies(
        &self,
        said: Option<ProxySettings>,
        way_out: WayOut,
    ) -> Result<(), ChannelError> {
        let mut before = self.proxies_said.lock().await;
        self.replace_way_out(way_out).await?;
        *before = said;
        Ok(())
    }

    /// Has requests that begin later find another way out.
    pub(crate) async fn replace_way_out(&self, way_out: WayOut) -> Result<(), ChannelError> {
        // No launch comes between, so no process is missed.
        let running = self.running.lock().await;
        {
            let mut now = self.way_out.lock();
            let now = now.as_mut().map_err(|_| ChannelError::OutOfOrder)?;
            **now = way_out;
        }
        match self.listeners.tell_way_out(&running, &self.way_out()).await {
            // One that is gone is launched again, and told then.
            Err(error) if !error.is_closed() => Err(error),
            _ => Ok(()),
        }
    }

    /// Has the broker know the proxies that the way out has by now, before the
    /// engine comes with one of them.
    pub(crate) async fn tell_leave(&self) {
        if !self.listeners.is_told(&self.way_out().leave()) {
            let running = self.running.lock().await;
            // Read again: another may have taken its place meanwhile. A broker that
            // is gone is launched again, and told then.
            let way_out = self.way_out();
            let _gone = self.listeners.tell_way_out(&running, &way_out).await;
        }
    }

    /// Gives the broker another policy, which holds for requests from `hold` on,
    /// and the engine what is preferred of its guests from then on. Connections
    /// that were made under the policy before are not kept.
    pub(crate) async fn replace_policy<T>(
        &self,
        policy: &Policy,
        hold: impl FnOnce() -> T,
    ) -> Result<T, ChannelError> {
        let pieces = policy_fragments(policy)?;
        // No launch comes between, so no broker is missed.
        let running = self.running.lock().await;
        match launch::tell_policy(&running.broker.channel, pieces).await {
            // One that is gone is launched again, with the policy of then.
            Err(error) if !error.is_closed() => return Err(error),
            _ => {}
        }
        let held = hold();
        let preferences = ToEngine::Preferences(self.current.now().guests);
        for order in [preferences, ToEngine::CloseIdle] {
            if let Err(error) = running.engine.channel.send(&order, &[]).await {
                running.engine.life.note(&error);
            }
        }
        match self.listeners.tell_policy(&running, policy).await {
            Err(error) if !error.is_closed() => return Err(error),
            _ => {}
        }
        Ok(held)
    }

    /// Has what dies launched again from now on, and not only at the next request.
    pub(crate) fn keep_running(self: &Arc<Self>) {
        self.watch_network();
        let watching = proxy::keep_running(Arc::downgrade(self), Arc::clone(&self.listeners));
        let answering = logins::answer_all(Arc::downgrade(self));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.listeners.watched() {
            tasks.push(tokio::spawn(watching).abort_handle());
            tasks.push(tokio::spawn(answering).abort_handle());
        }
    }

    /// Has changes of the network noticed from now on.
    pub(crate) fn watch_network(self: &Arc<Self>) {
        if let Some(watching) = self.network.watch(self) {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.push(watching);
        }
    }

    /// Processes as they are, without launching others.
    pub(crate) async fn as_it_is(&self) -> Running {
        self.running.lock().await.clone()
    }

    /// The engine as it is, without launching another.
    pub(crate) async fn engine_if_alive(&self) -> Option<Arc<LiveEngine>> {
        let engine = self.running.lock().await.engine.clone();
        engine.life.lasts().then_some(engine)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The way out, its settings read where they are elsewhere.
async fn configured(way_out: &Configured) -> Result<WayOut, SystemProxyError> {
    Ok(match way_out {
        Configured::Straight => WayOut::Straight,
        Configured::Chain(proxies) => WayOut::Chain(Arc::new(proxies.clone())),
        Configured::Chosen(settings) => {
            WayOut::Chosen(Arc::new(Choice::new(settings.clone()).await?))
        }
    })
}
