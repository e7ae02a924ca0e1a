//! The engine as an embedder holds it: launched, watched, launched again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use fumehood_control::{FromBroker, GrantId, ToBroker, ToEmbedder, ToEngine, policy_fragments};
use fumehood_policy::{Policy, ProxySettings, RequestUrl, UrlError};
use tokio::sync::mpsc::{
    Receiver, UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::AbortHandle;

use crate::asking::Remembered;
use crate::config::{Config, Configured, EngineBuilder};
use crate::desk::{Desk, News};
use crate::error::{CallerError, ChannelError, LaunchError};
use crate::grant::Grants;
use crate::launch::{self, BrokerChannel, EngineChannel, Launched, Readiness};
use crate::modules::Registry;
use crate::names::{Answers, Teller};
use crate::pac::PacBook;
use crate::process::Process;
use crate::proxies::{Choice, ChooseError, Guide, NoWayOut, WayOut};
use crate::proxy::{self, Listeners};
use crate::routes::{Leave, Routes};
use crate::settings::{self, Current};
use crate::traffic::Counters;
use crate::upstream::TokenDesk;
use crate::{
    Client, Error, Modules, admin, crashes, desk, logins, modules, pressure, roles, upstream,
};

/// Under which the broker knows the resolver's leave. Other numbers follow.
const RESOLVER_GRANT: GrantId = GrantId(1);

/// A launched engine with its broker. Cheap to clone; the processes end with
/// the last clone and the last exchange.
///
/// When a process dies, exchanges under way end with
/// [`crate::EngineError::Problem`], and the next request launches it again, with
/// the modules it had, the same of them current. [`Client`] sends again
/// what it safely can ([`crate::Retry`]).
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
    /// Engines launched since the first, each in the place of one that died.
    pub restarts: u64,
}

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
    running: Mutex<Running>,
    /// Source of exchange and grant numbers, across launches.
    numbers: AtomicU64,
    /// How often an engine took the place of one that had died.
    restarts: AtomicU64,
    pub(crate) permits: Arc<Semaphore>,
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
    /// What goes on beside: admin socket, module directory, memory.
    tasks: std::sync::Mutex<Vec<AbortHandle>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(AbortHandle::abort);
    }
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
    pub(crate) pid: u32,
    pub(crate) readiness: Readiness,
    alive: Arc<AtomicBool>,
    /// Grants whose exchanges are over. Its end ends the watch.
    over: UnboundedSender<GrantId>,
}

/// An engine that has been ready. Dropped by all, it is killed.
pub(crate) struct LiveEngine {
    pub(crate) channel: Arc<EngineChannel>,
    pub(crate) routes: Arc<Routes>,
    /// What does not wait for an answer: exchanges nobody wants any more,
    /// grants that were taken back.
    pub(crate) orders: UnboundedSender<ToEngine>,
    /// Questions about modules.
    pub(crate) desk: Arc<Desk>,
    /// Questions about scripts.
    pub(crate) pac: Arc<PacBook>,
    /// Questions about names.
    pub(crate) answers: Arc<Answers>,
    pub(crate) pid: u32,
    pub(crate) readiness: Readiness,
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
        // First, as it may be refused.
        let admin = match &config.admin_socket {
            Some(path) => Some(admin::Listener::bind(path)?),
            None => None,
        };
        let registry = Arc::new(Registry::new(&config.modules));
        let current = Arc::new(config.current());
        let follows = config.follow.as_ref().is_some_and(|it| it.proxies);
        let proxies_said = match &config.way_out {
            Configured::Chosen(settings) if follows => Some(settings.clone()),
            _ => None,
        };
        let way_out = match &config.way_out {
            Configured::Straight => WayOut::Straight,
            Configured::Chain(proxies) => WayOut::Chain(Arc::new(proxies.clone())),
            Configured::Chosen(settings) => {
                WayOut::Chosen(Arc::new(Choice::new(settings.clone()).await?))
            }
        };
        let (broker, engine) = launch::both(&config, &current.now(), &registry.offer()).await?;
        let counters = Arc::new(Counters::default());
        let listeners = Listeners::new(&current, &counters);
        let running = Running {
            broker: LiveBroker::watch(broker, &current, &listeners),
            engine: LiveEngine::watch(engine, &registry, &config, &counters, &listeners),
        };
        let permits = usize::try_from(config.limits.max_exchanges.max(1)).unwrap_or(usize::MAX);
        let shared = Shared {
            config,
            current,
            grants: Grants::default(),
            remembered: Remembered::default(),
            counters,
            names: Teller::new(RESOLVER_GRANT),
            running: Mutex::new(running),
            numbers: AtomicU64::new(RESOLVER_GRANT.0 + 1),
            answers: upstream::Answers::default(),
            restarts: AtomicU64::new(0),
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            registry,
            listeners,
            way_out: std::sync::Mutex::new(way_out),
            proxies_said: Mutex::new(proxies_said),
            evaluator: Mutex::default(),
            tasks: std::sync::Mutex::default(),
        };
        let engine = Engine {
            shared: Arc::new(shared),
        };
        engine.shared.listeners.answer_by(&engine.shared);
        engine.begin_tasks(admin);
        Ok(engine)
    }

    /// They end with the engine's last clone.
    fn begin_tasks(&self, admin: Option<admin::Listener>) {
        let weak = || Arc::downgrade(&self.shared);
        let mut tasks = vec![tokio::spawn(pressure::watch(weak())).abort_handle()];
        if let Some(listener) = admin {
            tasks.push(tokio::spawn(listener.serve(weak())).abort_handle());
        }
        if let Some((folder, on_change)) = self.shared.config.module_directory.clone() {
            let watching = modules::watch(weak(), folder, on_change);
            tasks.push(tokio::spawn(watching).abort_handle());
        }
        let follow = self.shared.config.follow.as_ref().filter(|it| it.watch);
        if let Some(file) = follow.and_then(|follow| follow.file.clone()) {
            tasks.push(tokio::spawn(settings::watch(weak(), file)).abort_handle());
        }
        *self
            .shared
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = tasks;
    }

    /// The modules, to be listed, loaded, swapped while all goes on.
    #[must_use]
    pub fn modules(&self) -> Modules {
        Modules::new(self.clone())
    }

    /// Reads a URL: of the web, or of a scheme that a driver module serves now.
    /// Where the scheme is unknown and there is a module directory, all that is
    /// in it is loaded first.
    ///
    /// # Errors
    /// [`CallerError::Url`], which says what to do for an unknown scheme.
    pub async fn parse_url(&self, text: &str) -> Result<RequestUrl, Error> {
        let shared = &self.shared;
        let parse = || RequestUrl::parse_served(text, &shared.registry.schemes());
        let parsed = match (parse(), &shared.config.module_directory) {
            (Err(UrlError::Scheme(_)), Some((folder, _))) => {
                // What is refused of it is told elsewhere; what is there counts.
                if let Err(error) = self.modules().load_directory(folder).await {
                    tracing::warn!(%error, "the module directory cannot be read");
                }
                parse()
            }
            (parsed, _) => parsed,
        };
        parsed.map_err(|error| Error::Caller(CallerError::Url(error)))
    }

    /// A client that sends `http` requests: a [`tower_service::Service`].
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.clone())
    }

    /// Has requests that begin later go by other proxy settings; the system's are
    /// read now. To be called when they changed, and with the same ones when the
    /// network did: what failed is forgotten, and a script fetched anew.
    ///
    /// # Errors
    /// [`CallerError::NoWay`] where the system's cannot be used; those before hold
    /// on then. [`crate::EngineError`] where the processes could not be told.
    pub async fn set_proxy_settings(&self, settings: ProxySettings) -> Result<(), Error> {
        let choice = Choice::new(settings).await.map_err(ChooseError::from);
        let choice = choice.map_err(NoWayOut::from)?;
        let way_out = WayOut::Chosen(Arc::new(choice));
        Ok(self.shared.replace_way_out(way_out).await?)
    }

    /// Waits until the crash reports of guests that have faulted so far are
    /// written. A program that is about to end calls it.
    pub async fn flush_reports(&self) {
        if let Some(engine) = self.shared.engine_if_alive().await {
            // Its answer comes after whatever it reported before.
            let _answer = desk::ask(&engine, ToEngine::Inspect, None).await;
            engine.desk.flush().await;
        }
    }

    /// Engines launched since the first, each in the place of one that died.
    pub(crate) fn restarts(&self) -> u64 {
        self.shared.restarts.load(Ordering::Relaxed)
    }

    /// How the latest launch went: times, and every layer of both sandboxes.
    pub async fn launch_report(&self) -> LaunchReport {
        let running = self.shared.running.lock().await;
        LaunchReport {
            broker: running.broker.readiness.clone(),
            engine: running.engine.readiness.clone(),
            restarts: self.restarts(),
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
        self.with_running(async |running: &Running| running.clone())
            .await
    }

    /// Does something with processes that live, before they can be replaced.
    pub(crate) async fn with_running<T>(
        &self,
        act: impl AsyncFnOnce(&Running) -> T,
    ) -> Result<T, LaunchError> {
        let mut running = self.running.lock().await;
        self.revive(&mut running).await?;
        Ok(act(&running).await)
    }

    async fn revive(&self, running: &mut Running) -> Result<(), LaunchError> {
        if !running.broker.is_alive() {
            let now = self.current.now();
            let modules = self.registry.offer();
            let (broker, engine) = launch::both(&self.config, &now, &modules).await?;
            *running = Running {
                broker: LiveBroker::watch(broker, &self.current, &self.listeners),
                engine: self.watch(engine),
            };
            self.restarts.fetch_add(1, Ordering::Relaxed);
            self.inform(running).await;
            self.listeners.set_up_broker(running).await;
            self.listeners
                .set_up_engine(running, &now.policy, &self.way_out())
                .await;
        } else if !running.engine.is_alive() {
            let now = self.current.now();
            let modules = self.registry.offer();
            let broker = &running.broker.channel;
            let engine = launch::engine_for(&self.config, &now, &modules, broker).await?;
            running.engine = self.watch(engine);
            self.restarts.fetch_add(1, Ordering::Relaxed);
            self.inform(running).await;
            self.listeners
                .set_up_engine(running, &now.policy, &self.way_out())
                .await;
        }
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

    /// Goes by what the settings say of the way out, where that is something else
    /// than before; where they say nothing any more, straight.
    pub(crate) async fn follow_proxies(&self, said: Option<ProxySettings>) -> Result<(), Error> {
        let mut before = self.proxies_said.lock().await;
        if *before == said {
            return Ok(());
        }
        let way_out = match &said {
            None => WayOut::Straight,
            Some(settings) => {
                let choice = Choice::new(settings.clone()).await;
                let choice = choice.map_err(ChooseError::from).map_err(NoWayOut::from)?;
                WayOut::Chosen(Arc::new(choice))
            }
        };
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

    /// Has the broker know the proxies that a way out has by now, before the engine
    /// comes with one of them.
    pub(crate) async fn tell_leave(&self, way_out: &WayOut) {
        if !self.listeners.is_told(&way_out.leave()) {
            let running = self.running.lock().await;
            // A broker that is gone is launched again, and told then.
            let _gone = self.listeners.tell_way_out(&running, way_out).await;
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
                running.engine.note(&error);
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
        let watching = proxy::keep_running(Arc::downgrade(self), Arc::clone(&self.listeners));
        let answering = logins::answer_all(Arc::downgrade(self));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.listeners.watched() {
            tasks.push(tokio::spawn(watching).abort_handle());
            tasks.push(tokio::spawn(answering).abort_handle());
        }
    }

    /// Processes as they are, without launching others.
    pub(crate) async fn as_it_is(&self) -> Running {
        self.running.lock().await.clone()
    }

    /// The engine as it is, without launching another.
    pub(crate) async fn engine_if_alive(&self) -> Option<Arc<LiveEngine>> {
        let engine = self.running.lock().await.engine.clone();
        engine.is_alive().then_some(engine)
    }
}

impl LiveBroker {
    /// What holds a grant: dropped when the exchange is over, it is taken back.
    pub(crate) fn leave(&self, grant: GrantId) -> Leave {
        Leave::new(grant, &self.over)
    }

    fn watch(
        launched: Launched<BrokerChannel>,
        current: &Arc<Current>,
        listeners: &Arc<Listeners>,
    ) -> Arc<Self> {
        let (over, ended) = unbounded_channel();
        let channel = Arc::new(launched.channel);
        let pid = launched.process.id();
        let alive = Arc::new(AtomicBool::new(true));
        tokio::spawn(watch_broker(
            launched.process,
            channel.clone(),
            alive.clone(),
            ended,
            current.clone(),
            listeners.clone(),
        ));
        Arc::new(LiveBroker {
            channel,
            pid,
            readiness: launched.readiness,
            alive,
            over,
        })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// It was found to be gone, perhaps before the watch has found out.
    pub(crate) fn is_gone(&self) {
        self.alive.store(false, Ordering::Release);
    }

    /// A message did not reach it. When that is because it is gone, the next
    /// request need not find out by itself, even before the watch has.
    pub(crate) fn note(&self, error: &fumehood_sandbox::ChannelError) {
        if matches!(error, fumehood_sandbox::ChannelError::Closed) {
            self.is_gone();
        }
    }
}

impl LiveEngine {
    fn watch(
        launched: Launched<EngineChannel>,
        registry: &Arc<Registry>,
        config: &Config,
        counters: &Arc<Counters>,
        listeners: &Arc<Listeners>,
    ) -> Arc<Self> {
        registry.learn(&launched.drivers);
        let (orders, ordered) = unbounded_channel();
        let (desk, news) = Desk::new();
        let reports = crashes::Writer::new(&config.crash_reports, &launched.readiness.layers);
        tokio::spawn(hear(news, registry.clone(), reports));
        let live = Arc::new(LiveEngine {
            channel: Arc::new(launched.channel),
            routes: Arc::new(Routes::new(counters.clone())),
            orders,
            desk: Arc::new(desk),
            answers: Answers::new(),
            pac: Arc::default(),
            pid: launched.process.id(),
            readiness: launched.readiness,
            alive: Arc::new(AtomicBool::new(true)),
        });
        let hears = Hears {
            routes: live.routes.clone(),
            desk: live.desk.clone(),
            answers: live.answers.clone(),
            pac: live.pac.clone(),
            listeners: listeners.clone(),
            orders: live.orders.downgrade(),
            guide: Guide::new(&listeners.whom, &live.channel),
            tokens: TokenDesk::new(&listeners.whom, &live.channel),
        };
        tokio::spawn(watch_engine(
            launched.process,
            live.channel.clone(),
            hears,
            live.alive.clone(),
            ordered,
        ));
        live
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// It was found to be gone, perhaps before the watch has found out.
    pub(crate) fn is_gone(&self) {
        self.alive.store(false, Ordering::Release);
    }

    /// A message did not reach it. When that is because it is gone, the next
    /// request need not find out by itself, even before the watch has.
    pub(crate) fn note(&self, error: &fumehood_sandbox::ChannelError) {
        if matches!(error, fumehood_sandbox::ChannelError::Closed) {
            self.is_gone();
        }
    }
}

/// Owns the broker. After `Ready` it tells of what the policy only reports;
/// whatever else comes, the end of file first of all, ends it.
async fn watch_broker(
    mut process: Process,
    channel: Arc<BrokerChannel>,
    alive: Arc<AtomicBool>,
    ended: UnboundedReceiver<GrantId>,
    current: Arc<Current>,
    listeners: Arc<Listeners>,
) {
    let reports = async {
        loop {
            match channel.recv().await {
                Ok((FromBroker::Reported(denial), _none)) => current.report(&denial),
                Ok((FromBroker::Listening { listener, bound }, _none)) => {
                    listeners.listening(listener, bound);
                }
                _ => return,
            }
        }
    };
    tokio::select! {
        () = reports => {}
        () = revoke_all(&channel, ended) => {}
    }
    alive.store(false, Ordering::Release);
    process.kill().await;
    listeners.wake();
}

/// Who hears what an engine says.
struct Hears {
    routes: Arc<Routes>,
    desk: Arc<Desk>,
    answers: Arc<Answers>,
    pac: Arc<PacBook>,
    listeners: Arc<Listeners>,
    orders: WeakUnboundedSender<ToEngine>,
    guide: Guide,
    tokens: TokenDesk,
}

impl Hears {
    fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        if let ToEmbedder::Login {
            id,
            listener,
            login,
        } = message
        {
            let question = (id, listener, login);
            self.listeners.logins.take(question, self.orders.clone());
            return Ok(());
        }
        match &message {
            it if Desk::takes(it) => self.desk.take(message),
            it if Answers::takes(it) => self.answers.take(message),
            it if PacBook::takes(it) => self.pac.take(message),
            it if Listeners::takes(it) => self.listeners.take(message),
            it if Guide::takes(it) => self.guide.take(message),
            it if TokenDesk::takes(it) => self.tokens.take(message),
            _ => self.routes.take(message),
        }
    }

    fn close(&self) {
        self.routes.close();
        self.desk.close();
        self.answers.close();
        self.pac.close();
    }
}

/// Takes back the grants of exchanges that are over, until nobody has any.
pub(crate) async fn revoke_all(channel: &BrokerChannel, mut ended: UnboundedReceiver<GrantId>) {
    while let Some(grant) = ended.recv().await {
        if channel.send(&ToBroker::Revoke(grant), &[]).await.is_err() {
            return;
        }
    }
}

/// Owns the engine: routes what it says, passes orders on, until it
/// ends, says what it must not, or nobody holds it any more.
async fn watch_engine(
    mut process: Process,
    channel: Arc<EngineChannel>,
    hears: Hears,
    alive: Arc<AtomicBool>,
    ordered: UnboundedReceiver<ToEngine>,
) {
    // Side by side, so that neither direction waits for the other.
    tokio::select! {
        () = route_all(&channel, &hears) => {}
        () = order_all(&channel, ordered) => {}
    }
    alive.store(false, Ordering::Release);
    hears.close();
    process.kill().await;
    hears.listeners.wake();
}

async fn route_all(channel: &EngineChannel, hears: &Hears) {
    while let Ok((message, _none)) = channel.recv().await {
        if let Err(error) = hears.take(message) {
            tracing::error!(%error, "the engine is ended for what it said");
            return;
        }
    }
}

async fn order_all(channel: &EngineChannel, mut ordered: UnboundedReceiver<ToEngine>) {
    while let Some(order) = ordered.recv().await {
        if channel.send(&order, &[]).await.is_err() {
            return;
        }
    }
}

/// Acts on what the engine says unasked, until it is gone.
async fn hear(mut news: Receiver<News>, registry: Arc<Registry>, reports: crashes::Writer) {
    while let Some(news) = news.recv().await {
        match news {
            News::Quarantined { name, from, to } => {
                tracing::warn!(module = name, "a version is quarantined for its faults");
                // A new engine is not to begin with it again.
                registry.make_current(&name, &to);
                registry.quarantine(&name, &from);
            }
            News::Fault(report) => reports.write(*report).await,
            News::Flush(done) => {
                // Whoever asked may have given up.
                let _unheard = done.send(());
            }
        }
    }
}
