//! The local forward proxy, as an embedder holds it.

mod state;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fumehood_control::{
    AccessRecord, Admission, Deadlines, GrantId, ListenerBounds, ListenerId, ListenerSetup,
    MAX_ACCESS_RECORDS, MAX_LISTENERS, MAX_TALLIED_DENIALS, ProxyLeave, Serves, StandingGrant,
    ToBroker, ToEmbedder, ToEngine, policy_fragments,
};
use fumehood_policy::{ClientName, Policy};
use rustix::process::{Uid, geteuid};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;

use crate::admitted::{Admitted, Door, UsersStatus};
use crate::error::ChannelError;
use crate::live::Running;
use crate::logins::Logins;
use crate::proxies::{WayOut, Whom};
use crate::settings::Current;
use crate::shared::Shared;
use crate::traffic::Counters;
use crate::unix_socket::{self, SocketFile};
use crate::users::Users;
use crate::{Engine, LaunchError, ResolveError};
use state::State;

/// Connections alive at once, tunnels among them: two descriptors each, of
/// which an engine has 16,384.
const CONNECTIONS: u32 = 6000;

/// From a request's first byte to the end of its head, in milliseconds.
const HEAD_MS: u32 = 30_000;

/// Between two requests, in milliseconds; browsers keep theirs for minutes.
const KEEP_ALIVE_MS: u32 = 120_000;

/// Between two bytes in a tunnel, in milliseconds: an hour, as long as programs
/// keep a connection that says nothing.
const TUNNEL_IDLE_MS: u32 = 3_600_000;

/// Batches of records that may wait to be read. More are dropped and counted.
const WAITING_BATCHES: usize = 1024;

/// How long the broker has to listen.
const LISTENING_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks whether `resolv.conf` and `hosts` are what they were. Networks
/// change slower.
const NAMES_LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// How long is waited before processes that cannot be launched are launched again.
const LAUNCH_PAUSE: Duration = Duration::from_secs(1);

/// Where a proxy listens.
#[derive(Clone, Debug)]
pub enum ProxyAddress {
    /// There; port 0 is any. The broker makes the socket, and the next one takes it over.
    /// Clients of SOCKS 5 can send datagrams beside it, where the policy allows some.
    Bind(SocketAddr),
    /// On a TCP socket that listens already, as a service manager gives it.
    Socket(Arc<OwnedFd>),
    /// On a Unix socket of this path, for this user alone: its mode is 0600. It goes
    /// with the proxy.
    Unix(PathBuf),
}

/// Connections that wait to be accepted from a Unix socket: the kernel's own bound
/// is mostly as high.
const UNIX_BACKLOG: i32 = 4096;

/// How a proxy is to be.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// Where it listens. Whoever can connect there may ask for all that the
    /// policy allows: keep it on loopback.
    pub address: ProxyAddress,
    /// What the policy's rules know its clients by: users by their own names, and
    /// else those of a Unix socket as `uid-` and their user's number.
    pub client: Option<ClientName>,
    /// Who may ask, by name and password: the Basic scheme (RFC 7617) in HTTP, RFC
    /// 1929 in SOCKS 5. Default whoever can connect.
    pub users: Option<Arc<Users>>,
    /// The name in `Via` fields (RFC 9110 section 7.6.3), a token. `None` adds none.
    pub via: Option<String>,
    /// How servers are waited for; the engine's own where it is none.
    pub deadlines: Option<Deadlines>,
    /// What clients may take. Default 6,000 connections, also from one address;
    /// 30 s for a head, 120 s between requests, an hour of silence in a tunnel.
    pub bounds: ListenerBounds,
    /// Tell of every request: [`Proxy::records`].
    pub records: bool,
}

impl ProxyOptions {
    /// The defaults: no name, no users, `Via: 1.1 fumehood`, no records.
    #[must_use]
    pub fn new(address: ProxyAddress) -> Self {
        ProxyOptions {
            address,
            client: None,
            users: None,
            via: Some("fumehood".to_owned()),
            deadlines: None,
            bounds: ListenerBounds {
                connections: CONNECTIONS,
                connections_per_address: CONNECTIONS,
                head_ms: HEAD_MS,
                keep_alive_ms: KEEP_ALIVE_MS,
                tunnel_idle_ms: TUNNEL_IDLE_MS,
            },
            records: false,
        }
    }
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The broker could not listen there.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --listen, or end \
         what listens there"
    )]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The broker did not answer.
    #[error("the broker did not say within {} s whether it listens", LISTENING_WITHIN.as_secs())]
    NoAnswer,
    /// There is no Unix socket to be had there.
    #[error("cannot listen on {path:?}: {why}")]
    Unix {
        /// Where.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// As many listeners as there may be.
    #[error("{MAX_LISTENERS} proxies run already")]
    TooMany,
    /// The name for `Via` is not a token.
    #[error("the name for Via is not a token (RFC 9110 section 5.6.2): {0:?}")]
    Via(String),
    /// It serves whoever can connect.
    #[error("this proxy was begun without users, and serves whoever can connect")]
    NoUsers,
    /// The processes could not be launched.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// They could not be talked to.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Names cannot be resolved as the configuration says.
    #[error(transparent)]
    Names(#[from] ResolveError),
}

/// A proxy that listens. Dropped, it listens no more.
///
/// When the engine or the broker dies, its connections end with it; the listening
/// socket does not. Connects wait for the next, which is launched at once, or after a rest.
pub struct Proxy {
    engine: Engine,
    state: Arc<State>,
    records: mpsc::Receiver<Vec<AccessRecord>>,
    /// What goes on beside, for as long as it listens.
    beside: Vec<AbortHandle>,
}

/// The proxies of an engine.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Mutex<BTreeMap<ListenerId, Arc<State>>>,
    current: Arc<Current>,
    counters: Arc<Counters>,
    /// Clients that say who they are.
    pub(crate) logins: Logins,
    /// A process has died.
    gone: Notify,
    /// Somebody launches it again.
    watched: AtomicBool,
    /// Who is asked which way clients' requests go out.
    pub(crate) whom: Arc<Whom>,
    /// The proxies that the broker knows of.
    told: Mutex<ProxyLeave>,
}

impl Listeners {
    pub(crate) fn new(current: &Arc<Current>, counters: &Arc<Counters>) -> Arc<Self> {
        Arc::new(Listeners {
            all: Mutex::default(),
            current: Arc::clone(current),
            counters: Arc::clone(counters),
            logins: Logins::new(),
            gone: Notify::new(),
            watched: AtomicBool::new(false),
            whom: Arc::default(),
            told: Mutex::default(),
        })
    }

    /// Says who chooses the way out of clients' requests.
    pub(crate) fn answer_by(&self, shared: &Arc<Shared>) {
        // It is said once, where an engine is made.
        let _said = self.whom.set(Arc::downgrade(shared));
    }

    /// Whether one of them serves names.
    pub(crate) fn serve_names(&self) -> bool {
        let names = |state: &Arc<State>| state.setup.serves == Serves::Names;
        self.all().values().any(names)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<ListenerId, Arc<State>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that are to serve.
    fn states(&self) -> Vec<Arc<State>> {
        let all = self.all();
        let serving = all.values().filter(|it| !it.is_draining());
        serving.cloned().collect()
    }

    /// Whether somebody launches again what dies; from now on somebody does.
    pub(crate) fn watched(&self) -> bool {
        self.watched.swap(true, Ordering::AcqRel)
    }

    /// Tells that a process has died.
    pub(crate) fn wake(&self) {
        self.gone.notify_one();
    }

    /// Whether a message of the engine is for here.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(
            message,
            ToEmbedder::Access(_)
                | ToEmbedder::Drained(_)
                | ToEmbedder::Reported(_)
                | ToEmbedder::ProxyTally(_)
        )
    }

    /// Takes a message that [`Listeners::takes`].
    ///
    /// # Errors
    /// [`ChannelError`] when the engine says what it cannot.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        match message {
            ToEmbedder::Access(records) if records.len() <= MAX_ACCESS_RECORDS => {
                self.record(records);
                Ok(())
            }
            ToEmbedder::Drained(listener) => {
                if let Some(state) = self.all().get(&listener) {
                    state.drained.send_replace(true);
                }
                Ok(())
            }
            ToEmbedder::Reported(denial) => {
                self.current.report(&denial);
                Ok(())
            }
            ToEmbedder::ProxyTally(tally) if tally.denied.len() <= MAX_TALLIED_DENIALS => {
                self.counters.proxied(&tally);
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// A batch may be of several listeners.
    fn record(&self, records: Vec<AccessRecord>) {
        let mut by_listener: BTreeMap<ListenerId, Vec<AccessRecord>> = BTreeMap::new();
        for record in records {
            by_listener.entry(record.listener).or_default().push(record);
        }
        let all = self.all();
        for (listener, records) in by_listener {
            let Some(state) = all.get(&listener) else {
                continue;
            };
            let count = records.len() as u64;
            if state.records.try_send(records).is_err() {
                state.lost.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Who may ask at a listener.
    pub(crate) fn admitted(&self, listener: ListenerId) -> Option<Arc<Admitted>> {
        Some(Arc::clone(&self.all().get(&listener)?.admitted))
    }

    /// The users of all that have some.
    pub(crate) fn users(&self) -> Vec<UsersStatus> {
        let all = self.all();
        all.values().filter_map(|it| it.admitted.status()).collect()
    }

    /// Takes what the broker says of a listener.
    pub(crate) fn listening(&self, listener: ListenerId, bound: Result<Option<SocketAddr>, i32>) {
        if let Some(state) = self.all().get(&listener) {
            state.bound.send_replace(Some(bound));
        }
    }

    /// Takes the socket that the broker has made, so that it outlives that broker.
    ///
    /// # Errors
    /// [`ChannelError`] where it is not what was asked for: one gone rogue does not choose
    /// where those after it listen.
    pub(crate) fn listens(
        &self,
        listener: ListenerId,
        address: SocketAddr,
        socket: OwnedFd,
    ) -> Result<(), ChannelError> {
        // It may have ended meanwhile.
        let Some(state) = self.all().get(&listener).cloned() else {
            return Ok(());
        };
        state.keep(address, socket)?;
        self.listening(listener, Ok(Some(address)));
        Ok(())
    }

    /// Has a new broker listen.
    pub(crate) async fn set_up_broker(&self, running: &Running) {
        for state in self.states() {
            if let Err(error) = state.listen(running).await {
                tracing::error!(%error, "the broker was not told to listen");
            }
        }
    }

    /// Connections of proxies that drain have ended with their engine.
    fn end_drains(&self) {
        for state in self.all().values().filter(|it| it.is_draining()) {
            state.drained.send_replace(true);
        }
    }

    /// Has a new engine serve.
    pub(crate) async fn set_up_engine(&self, running: &Running, policy: &Policy, way_out: &WayOut) {
        self.end_drains();
        let states = self.states();
        if states.is_empty() {
            return;
        }
        let told = async {
            self.tell_policy(running, policy).await?;
            self.tell_way_out(running, way_out).await?;
            for state in states {
                state.serve(running).await?;
            }
            Ok::<(), ChannelError>(())
        };
        if let Err(error) = told.await {
            tracing::error!(%error, "the engine was not told what to serve");
        }
    }

    /// Whether the broker knows these proxies, and no others.
    pub(crate) fn is_told(&self, leave: &ProxyLeave) -> bool {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) == *leave
    }

    /// Says whether proxies are gone through, and which those may be: the broker
    /// first, which has to know them when the engine comes with one.
    pub(crate) async fn tell_way_out(
        &self,
        running: &Running,
        way_out: &WayOut,
    ) -> Result<(), ChannelError> {
        if self.all().is_empty() {
            return Ok(());
        }
        let leave = way_out.leave();
        let proxies = ToBroker::Proxies(leave.clone());
        running.broker.channel.send(&proxies, &[]).await?;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = leave;
        let routed = ToEngine::Routed(!way_out.is_straight());
        Ok(running.engine.channel.send(&routed, &[]).await?)
    }

    /// Gives the engine the policy that requests are judged by.
    pub(crate) async fn tell_policy(
        &self,
        running: &Running,
        policy: &Policy,
    ) -> Result<(), ChannelError> {
        if self.all().is_empty() {
            return Ok(());
        }
        let mut pieces = policy_fragments(policy)?;
        let last = pieces.pop().unwrap_or_default();
        let channel = &running.engine.channel;
        for bytes in pieces {
            channel
                .send(&ToEngine::PolicyFragment { bytes }, &[])
                .await?;
        }
        Ok(channel.send(&ToEngine::Policy { bytes: last }, &[]).await?)
    }
}

impl Engine {
    /// Listens as a forward proxy: HTTP/1.1 with CONNECT and absolute URLs, and
    /// SOCKS 4, 4a and 5 with CONNECT and, of 5, UDP ASSOCIATE (RFC 1928).
    /// Every request is judged by the policy of that moment; what is denied is
    /// answered with 403, `Proxy-Status` (RFC 9209) and problem details (RFC
    /// 9457). They go out the way that requests of this engine go which do not say
    /// otherwise; a proxy there learns who asks of this engine, not of its clients.
    ///
    /// # Errors
    /// [`ProxyError`]
    pub async fn proxy(&self, options: ProxyOptions) -> Result<Proxy, ProxyError> {
        let shared = &self.shared;
        if let Some(via) = options.via.as_deref().filter(|via| !is_token(via)) {
            return Err(ProxyError::Via(via.to_owned()));
        }
        let deadlines = options.deadlines.unwrap_or_else(|| self.deadlines());
        let unix = match &options.address {
            ProxyAddress::Unix(path) => {
                let listening = unix_socket::listen_at(path, UNIX_BACKLOG);
                let (socket, file) = listening.map_err(|why| ProxyError::Unix {
                    path: path.clone(),
                    why,
                })?;
                Some((Arc::new(socket), file))
            }
            ProxyAddress::Bind(_) | ProxyAddress::Socket(_) => None,
        };
        // Its mode lets in nobody else.
        let user = unix.as_ref().and_then(|_| name_of_user(geteuid()));
        let admission = match options.users {
            Some(_) => Admission::Login,
            None => Admission::Anyone(StandingGrant {
                id: GrantId(shared.number()),
                client: options.client.or(user),
            }),
        };
        // Others may be of another network, or have no address.
        let datagrams = matches!(options.address, ProxyAddress::Bind(_));
        let setup = ListenerSetup {
            id: ListenerId(shared.number()),
            serves: Serves::Requests,
            admission,
            via: options.via,
            deadlines,
            bounds: options.bounds,
            records: options.records,
            datagrams,
        };
        self.listen(setup, options.address, unix, options.users)
            .await
    }

    /// Has a listener served.
    pub(crate) async fn listen(
        &self,
        setup: ListenerSetup,
        address: ProxyAddress,
        unix: Option<(Arc<OwnedFd>, SocketFile)>,
        users: Option<Arc<Users>>,
    ) -> Result<Proxy, ProxyError> {
        let shared = &self.shared;
        let (records, told) = mpsc::channel(WAITING_BATCHES);
        let state = Arc::new(State {
            setup,
            address,
            unix: Mutex::new(unix),
            made: Mutex::default(),
            admitted: Arc::new(Admitted::new(users)),
            bound: watch::Sender::new(None),
            draining: AtomicBool::new(false),
            drained: watch::Sender::new(false),
            records,
            lost: AtomicU64::new(0),
        });
        let mut proxy = Proxy {
            engine: self.clone(),
            state: Arc::clone(&state),
            records: told,
            beside: Vec::new(),
        };
        {
            let mut all = shared.listeners.all();
            if all.len() >= MAX_LISTENERS {
                return Err(ProxyError::TooMany);
            }
            all.insert(state.setup.id, Arc::clone(&state));
        }
        let begun = proxy.begin().await;
        if begun.is_err() {
            shared.listeners.all().remove(&state.setup.id);
        }
        begun.map(|()| proxy)
    }
}

impl Proxy {
    /// Has the processes listen and serve, and waits until they do.
    async fn begin(&mut self) -> Result<(), ProxyError> {
        let (shared, state) = (&self.engine.shared, &self.state);
        shared.tell_names_to_dial(&shared.running().await?).await?;
        shared
            .with_running(async |running: &Running| {
                state.listen(running).await?;
                let policy = Arc::clone(&shared.current.now().policy);
                shared.listeners.tell_policy(running, &policy).await?;
                let way_out = shared.way_out();
                shared.listeners.tell_way_out(running, &way_out).await?;
                state.serve(running).await
            })
            .await??;
        shared.keep_running();
        let mut bound = state.bound.subscribe();
        let told = tokio::time::timeout(LISTENING_WITHIN, bound.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(bound)) => match *bound {
                Some(Ok(_)) => Ok(()),
                Some(Err(errno)) => Err(ProxyError::Listen {
                    address: match &state.address {
                        ProxyAddress::Bind(address) => address.to_string(),
                        ProxyAddress::Socket(_) => "the socket that was given".to_owned(),
                        ProxyAddress::Unix(path) => path.display().to_string(),
                    },
                    source: std::io::Error::from_raw_os_error(errno),
                }),
                None => Err(ProxyError::NoAnswer),
            },
            Ok(Err(_)) | Err(_) => Err(ProxyError::NoAnswer),
        }
    }

    /// Serves these users from now on, and nobody else. Who was admitted before is
    /// asked about again at the next request; a request or a tunnel that is under way
    /// goes on.
    ///
    /// # Errors
    /// [`ProxyError::NoUsers`].
    pub async fn set_users(&self, users: Arc<Users>) -> Result<(), ProxyError> {
        self.door()?.set_users(&self.engine.shared, users).await;
        Ok(())
    }

    /// Has the users read from this file whenever it changes, as by
    /// [`Proxy::set_users`]. A file that [`Users::read`] refuses leaves those before,
    /// and [`crate::Status::users`] says so, and the log.
    ///
    /// # Errors
    /// [`ProxyError::NoUsers`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn follow_users(&mut self, file: PathBuf) -> Result<(), ProxyError> {
        let following = self
            .door()?
            .follow(Arc::downgrade(&self.engine.shared), file);
        let task = tokio::spawn(following).abort_handle();
        self.keep_beside(task);
        Ok(())
    }

    fn door(&self) -> Result<Door, ProxyError> {
        match self.state.setup.admission {
            Admission::Anyone(_) => Err(ProxyError::NoUsers),
            Admission::Login => Ok(Door {
                listener: self.state.setup.id,
                admitted: Arc::clone(&self.state.admitted),
            }),
        }
    }

    /// Has something go on beside for as long as it listens.
    pub(crate) fn keep_beside(&mut self, task: AbortHandle) {
        self.beside.push(task);
    }

    /// Where it listens; nowhere that has an address on a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.state.bound.borrow().and_then(Result::ok).flatten()
    }

    /// The next requests that are over, at most [`MAX_ACCESS_RECORDS`]; waits
    /// for one. Without [`ProxyOptions::records`] there are none.
    pub async fn records(&mut self) -> Option<Vec<AccessRecord>> {
        self.records.recv().await
    }

    /// Records that are there already.
    pub fn records_at_once(&mut self) -> Option<Vec<AccessRecord>> {
        self.records.try_recv().ok()
    }

    /// Records that were dropped since nobody read them in time.
    #[must_use]
    pub fn lost_records(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// Begins to end it: connections that wait are accepted and no more, and
    /// responses from now on are the last of their connections. A process that is dead
    /// just now is not launched again for that.
    ///
    /// # Errors
    /// [`ChannelError`], but for a process that is dead.
    pub async fn begin_drain(&self) -> Result<(), ChannelError> {
        let listener = self.state.setup.id;
        self.state.draining.store(true, Ordering::Release);
        // Path and port are free from now on for whoever comes next.
        drop(self.state.unix().take());
        drop(self.state.made().take());
        let running = self.engine.shared.as_it_is().await;
        let close = ToBroker::CloseListener(listener);
        let closed = running.broker.channel.send(&close, &[]).await;
        let drain = ToEngine::DrainListener(listener);
        let told = running.engine.channel.send(&drain, &[]).await;
        if let Err(fumehood_sandbox::ChannelError::Closed) = told {
            // Its connections have ended with it.
            self.state.drained.send_replace(true);
        }
        // Each is told, whatever has become of the other.
        unless_gone(closed)?;
        unless_gone(told)
    }

    /// Resolves when the last connection of a proxy that is drained has ended.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut drained = self.state.drained.subscribe();
        async move {
            // Without a sender there is no proxy, and so no connection.
            let _closed = drained.wait_for(|it| *it).await;
        }
    }
}

/// A process that is gone neither listens nor serves.
fn unless_gone(sent: Result<(), fumehood_sandbox::ChannelError>) -> Result<(), ChannelError> {
    match sent {
        Ok(()) | Err(fumehood_sandbox::ChannelError::Closed) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let listeners = &self.engine.shared.listeners;
        listeners.all().remove(&self.state.setup.id);
        self.beside.iter().for_each(AbortHandle::abort);
        let (engine, id) = (self.engine.clone(), self.state.setup.id);
        let leaves = self.state.all_leaves();
        // Without a runtime nothing runs any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let running = engine.shared.as_it_is().await;
                let broker = &running.broker.channel;
                // Processes that are gone serve nobody.
                let _gone = broker.send(&ToBroker::CloseListener(id), &[]).await;
                for leave in leaves {
                    let _gone = broker.send(&ToBroker::Revoke(leave.id), &[]).await;
                }
                let drain = ToEngine::DrainListener(id);
                let _gone = running.engine.channel.send(&drain, &[]).await;
            });
        }
    }
}

/// Launches again what has died, for as long as there is an engine, and has it
/// know when names are to be resolved in another way.
pub(crate) async fn keep_running(shared: Weak<Shared>, listeners: Arc<Listeners>) {
    let mut pause = NAMES_LOOKED_AT_EVERY;
    loop {
        // In time or not, there may be something to do.
        let _late = tokio::time::timeout(pause, listeners.gone.notified()).await;
        pause = NAMES_LOOKED_AT_EVERY;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if listeners.states().is_empty() {
            // A launch would do nothing but cut off what drains.
            if shared.engine_if_alive().await.is_none() {
                listeners.end_drains();
            }
            continue;
        }
        match shared.running().await {
            Ok(running) => {
                if let Err(error) = shared.tell_names_to_dial(&running).await {
                    tracing::error!(%error, "names cannot be resolved as configured");
                }
            }
            // It was told of when it began.
            Err(LaunchError::Resting(rest)) => pause = rest.left(),
            Err(error) => {
                tracing::error!(%error, "the proxy's engine is not launched");
                pause = LAUNCH_PAUSE;
            }
        }
    }
}

/// What the policy's rules know the user of a Unix socket by.
fn name_of_user(uid: Uid) -> Option<ClientName> {
    format!("uid-{}", uid.as_raw()).parse().ok()
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
