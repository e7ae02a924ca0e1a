//! How an engine is to be, and the builder that says so.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{Deadlines, EngineSetup, GuestPreferences, Layer, TlsOptions};
use fumehood_policy::{Policy, PrivateHost, ProxySettings, TooManyRules};

use crate::asking::{Answer, Asked, Asker};
use crate::modules::{COMPILE_WITHIN, Maker};
use crate::settings::{
    Current, Follow, FollowedProxies, ModuleSettings, Preferences, Settings, SettingsSource,
};
use crate::{
    Anchors, CrashReports, Dns, Engine, LaunchError, Module, ModuleTrust, OnChange, Proxies, Retry,
};

/// Guest instances alive at once: two for each of 128 connections, and those
/// that are shared or stand by.
const MAX_INSTANCES: u32 = 272;

/// Exchanges under way at once; more wait in the embedder.
const MAX_EXCHANGES: u32 = 128;

/// Idle connections kept, in all.
const MAX_IDLE_CONNECTIONS: u32 = 32;

/// How long an idle connection is kept, in milliseconds; servers close theirs
/// after 5 to 120 s.
const IDLE_CONNECTION_MS: u32 = 90_000;

/// Connections to one origin: what browsers have, and servers are made for.
const MAX_PER_ORIGIN: u32 = 6;

/// Connections through one proxy: what browsers have.
const MAX_PER_PROXY: u32 = 32;

/// Connections in all: half of what a process may have descriptors for by
/// default, and between what Chromium and Firefox have.
const MAX_CONNECTIONS: u32 = 512;

/// Memory of the engine process, in bytes: its guests together, and as much
/// again for everything else.
const MEMORY_BYTES: u64 = 512 << 20;

/// Faults of one version after which it is quarantined.
const QUARANTINE_FAULTS: u32 = 3;

/// The time within which they have to be: a peer that provokes one a day is
/// contained as it is.
const QUARANTINE_WINDOW: Duration = Duration::from_secs(60);

/// How long a version that is no longer current is told of as draining at most: a
/// usual exchange is over by then.
const DRAIN: Duration = Duration::from_secs(30);

/// What an engine may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most guest instances alive at once: two for each connection, and 16 that
    /// are shared or stand by. Default 272, at most 16,384. What is not in use costs
    /// address space alone; SPECIFICATION.md says what an idle one takes.
    pub max_instances: u32,
    /// Most exchanges under way at once; more wait their turn. Default 128.
    pub max_exchanges: u32,
    /// Most idle connections kept. Default 32. Each also takes a descriptor, of
    /// which an engine has at most 16,384.
    pub max_idle_connections: u32,
    /// How long an idle connection is kept, in milliseconds. Default 90 s.
    pub idle_connection_ms: u32,
    /// Most connections, idle ones too, to one origin on the same terms; who
    /// comes later waits in order. Default 6, as browsers have it.
    pub max_per_origin: u32,
    /// Most connections, idle ones too, through one proxy. Default 32, as browsers
    /// have it.
    pub max_per_proxy: u32,
    /// Most connections, idle ones too, in all; one through proxies counts for
    /// one more a proxy. Default 512.
    pub max_connections: u32,
    /// Memory that the engine process is to stay under, in bytes. Near it, and
    /// where the whole machine is short, it sheds idle connections. Default
    /// 512 MiB.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_instances: MAX_INSTANCES,
            max_exchanges: MAX_EXCHANGES,
            max_idle_connections: MAX_IDLE_CONNECTIONS,
            idle_connection_ms: IDLE_CONNECTION_MS,
            max_per_origin: MAX_PER_ORIGIN,
            max_per_proxy: MAX_PER_PROXY,
            max_connections: MAX_CONNECTIONS,
            memory_bytes: MEMORY_BYTES,
        }
    }
}

/// The deadlines an exchange has unless it brings its own: 30 s to connect,
/// 30 s for TLS, 300 s for the head and between bytes, none in all.
#[must_use]
pub fn default_deadlines() -> Deadlines {
    Deadlines::default()
}

/// TLS 1.2 and 1.3, the certificate verified.
#[must_use]
pub fn default_tls() -> TlsOptions {
    TlsOptions::default()
}

/// What [`EngineBuilder`] collects; a relaunch replays it.
pub(crate) struct Config {
    pub(crate) policy: Policy,
    pub(crate) dns: Dns,
    pub(crate) guests: GuestPreferences,
    pub(crate) anchors: Anchors,
    pub(crate) modules: Vec<Module>,
    pub(crate) required: Vec<Layer>,
    pub(crate) limits: Limits,
    pub(crate) deadlines: Deadlines,
    pub(crate) tls: TlsOptions,
    pub(crate) retry: Retry,
    pub(crate) key_log: Option<Arc<OwnedFd>>,
    pub(crate) quarantine_faults: u32,
    pub(crate) quarantine_window: Duration,
    pub(crate) drain: Duration,
    pub(crate) record: bool,
    pub(crate) trust: ModuleTrust,
    pub(crate) compiler: Option<PathBuf>,
    pub(crate) compile_within: Duration,
    pub(crate) module_cache: Option<PathBuf>,
    pub(crate) module_directory: Option<(PathBuf, OnChange)>,
    pub(crate) admin_socket: Option<PathBuf>,
    pub(crate) crash_reports: CrashReports,
    /// What is read again, and the file that the policy is of.
    pub(crate) follow: Option<Follow>,
    pub(crate) asker: Option<Asker>,
    pub(crate) way_out: Configured,
    pub(crate) metrics_address: Option<SocketAddr>,
}

/// How requests that do not say otherwise are to find their way out.
#[derive(Clone, Debug)]
pub(crate) enum Configured {
    Straight,
    Chain(Proxies),
    Chosen(ProxySettings),
}

impl Config {
    pub(crate) fn setup(&self) -> EngineSetup {
        EngineSetup {
            required: self.required.clone(),
            max_instances: self.limits.max_instances,
            max_exchanges: self.limits.max_exchanges,
            max_idle_connections: self.limits.max_idle_connections,
            idle_connection_ms: self.limits.idle_connection_ms,
            max_per_origin: self.limits.max_per_origin,
            max_per_proxy: self.limits.max_per_proxy,
            max_connections: self.limits.max_connections,
            quarantine_faults: self.quarantine_faults,
            quarantine_window_ms: milliseconds(self.quarantine_window),
            drain_ms: milliseconds(self.drain),
            record: self.record,
            key_log: self.key_log.is_some(),
        }
    }

    /// What requests go by until something else is said.
    pub(crate) fn current(&self) -> Current {
        let file = self.follow.as_ref().and_then(|it| it.file.clone());
        let preferences = Preferences {
            deadlines: self.deadlines,
            tls: self.tls,
            dns: Arc::new(self.dns.clone()),
            guests: self.guests,
        };
        Current::new(self.policy.clone(), preferences, file)
    }

    /// What makes native code of modules.
    pub(crate) fn maker(&self) -> Maker {
        Maker {
            program: self.compiler.clone(),
            cache: self.module_cache.clone(),
            required: self.required.clone(),
            within: self.compile_within,
        }
    }
}

/// At most 49 days, which is as good as for ever.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Says how an engine is to be. Made by [`Engine::builder`].
///
/// Defaults: every public address may be reached and no private one; the
/// system's trust anchors; the guests built in; every layer of the sandbox
/// required; [`default_deadlines`], [`default_tls`], [`Limits::default`]; no key
/// log; a version is quarantined after 3 faults in 60 s, and drained for 30 s
/// when another takes its place; crash reports in the user's state directory,
/// without content; no admin socket, no port for metrics, no module directory.
#[must_use = "an engine runs once it is launched"]
pub struct EngineBuilder {
    config: Config,
}

impl EngineBuilder {
    pub(crate) fn new() -> Self {
        EngineBuilder {
            config: Config {
                policy: Policy::default(),
                dns: Dns::default(),
                guests: GuestPreferences::default(),
                anchors: Anchors::default(),
                modules: Module::embedded_defaults(),
                required: Layer::ALL.to_vec(),
                limits: Limits::default(),
                deadlines: default_deadlines(),
                tls: default_tls(),
                retry: Retry::default(),
                key_log: None,
                quarantine_faults: QUARANTINE_FAULTS,
                quarantine_window: QUARANTINE_WINDOW,
                drain: DRAIN,
                record: false,
                trust: ModuleTrust::default(),
                compiler: None,
                compile_within: COMPILE_WITHIN,
                module_cache: None,
                module_directory: None,
                admin_socket: None,
                crash_reports: CrashReports::default(),
                follow: None,
                asker: None,
                way_out: Configured::Straight,
                metrics_address: None,
            },
        }
    }

    /// Replaces the policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.config.policy = policy;
        self
    }

    /// Goes by settings: takes their policy, timeouts, TLS versions, DNS, proxies,
    /// preferences of guests and limits in place of what was said before. Where
    /// they say nothing of proxies or modules, what was said before holds. They are
    /// read again by [`Engine::reload`] and, with `watch`, whenever their file changes;
    /// what they say of modules holds for the launch.
    pub fn follow(mut self, settings: &Settings, source: &SettingsSource, watch: bool) -> Self {
        self.config.policy = settings.policy.clone();
        self.config.dns = settings.dns();
        self.config.guests = settings.guest_preferences();
        self.config.deadlines = settings.deadlines();
        self.config.tls = settings.tls();
        self.config.limits = settings.limits();
        let otherwise = self.config.way_out.clone();
        if let Some(proxies) = &settings.proxies.value {
            self.config.way_out = Configured::Chosen(proxies.clone());
        }
        self.config.follow = Some(Follow {
            proxies: Some(FollowedProxies {
                said: settings.proxies.value.clone(),
                otherwise,
            }),
            source: source.clone(),
            file: settings.file.clone(),
            watch,
        });
        self.module_settings(&settings.modules)
    }

    /// Asks where a rule of the policy wants it ([`fumehood_policy::Effect::Ask`]):
    /// a request waits for the answer, and is denied where none comes within
    /// the deadline. Requests that ask at once ask each for itself. Default
    /// nobody, which is no.
    pub fn on_ask<F, A>(mut self, deadline: Duration, ask: F) -> Self
    where
        F: Fn(Asked) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.config.asker = Some(Asker {
            ask: Arc::new(move |asked| Box::pin(ask(asked))),
            deadline,
        });
        self
    }

    /// Lets a host be reached whose address is not public (loopback, RFC 1918,
    /// …), as [`Policy::allow_private`].
    ///
    /// # Errors
    /// [`TooManyRules`] when the policy is full.
    pub fn allow_private(mut self, host: PrivateHost) -> Result<Self, TooManyRules> {
        self.config.policy.allow_private(host)?;
        Ok(self)
    }

    /// Says how names are resolved. Default: those of requests by the system,
    /// in the broker; and what [`Engine::resolve`] is asked by the servers of
    /// `/etc/resolv.conf`.
    pub fn dns(mut self, dns: Dns) -> Self {
        self.config.dns = dns;
        self
    }

    /// Says what is preferred of the guests. What is out of its bounds is moved to
    /// the nearest.
    pub fn guest_preferences(mut self, preferences: GuestPreferences) -> Self {
        self.config.guests = preferences.within_bounds();
        self
    }

    /// Which certificates a server's chain may end at.
    pub fn anchors(mut self, anchors: Anchors) -> Self {
        self.config.anchors = anchors;
        self
    }

    /// Replaces the guests: exactly these are loaded. Of several with one name
    /// the last is current, and those before it stand by.
    pub fn modules(mut self, modules: Vec<Module>) -> Self {
        self.config.modules = modules;
        self
    }

    /// Allows a layer of the sandbox to be missing. What holds is in
    /// [`Engine::launch_report`]. The floor ([`Layer::FLOOR`]) cannot be given up.
    pub fn allow_missing(mut self, layer: Layer) -> Self {
        self.config
            .required
            .retain(|required| *required != layer || Layer::FLOOR.contains(&layer));
        self
    }

    /// Sets what the engine may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Sets the deadlines of exchanges that bring none.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.config.deadlines = deadlines;
        self
    }

    /// Sets how TLS is spoken on exchanges that do not say.
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.config.tls = tls;
        self
    }

    /// Sends requests that do not say otherwise through proxies, and those of
    /// clients of [`Engine::proxy`]. Default none.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.config.way_out = Configured::Chain(proxies);
        self.keep_way_out()
    }

    /// The same by settings: a script, proxies by scheme, the system's. They are
    /// asked about each request; where one way does not work the next is tried, and
    /// one that failed comes last for a while. [`ProxySettings::System`] is read at
    /// the launch; without it no variable and no setting of the system is looked at.
    /// See [`Engine::set_proxy_settings`]. Default [`ProxySettings::Direct`].
    pub fn proxy_settings(mut self, settings: ProxySettings) -> Self {
        self.config.way_out = Configured::Chosen(settings);
        self.keep_way_out()
    }

    /// Whoever says the way out says it in place of the settings that are followed.
    fn keep_way_out(mut self) -> Self {
        if let Some(follow) = &mut self.config.follow {
            follow.proxies = None;
        }
        self
    }

    /// Says whether requests whose engine died are sent again by themselves, for
    /// those that do not say. Default [`Retry::WhereSafe`].
    pub fn retry(mut self, retry: Retry) -> Self {
        self.config.retry = retry;
        self
    }

    /// Appends TLS secrets to a file, in the format of `SSLKEYLOGFILE`, for
    /// protocol analysers. Whoever reads it reads the traffic.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn key_log(mut self, path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path.into())?;
        self.config.key_log = Some(Arc::new(file.into()));
        Ok(self)
    }

    /// Quarantines a version after so many faults (1 at least) within this
    /// time; the one before takes over. Default 3 in 60 s.
    pub fn quarantine(mut self, faults: u32, within: Duration) -> Self {
        self.config.quarantine_faults = faults.max(1);
        self.config.quarantine_window = within;
        self
    }

    /// How long a version that is no longer current is told of as draining at most,
    /// while exchanges or tunnels are under way with it. Its end ends none of them:
    /// they go on with the version they began with. Idle connections do not wait
    /// for it, but move to the current version at once, on the same socket. Default
    /// 30 s.
    pub fn drain(mut self, time: Duration) -> Self {
        self.config.drain = time;
        self
    }

    /// Keeps the calls into guests with their content, and puts them beside
    /// the crash report of a guest that faults, so that the fault can be
    /// reproduced. They hold what the peer sent and what the request's head
    /// said, and no key. Default off.
    pub fn record(mut self, record: bool) -> Self {
        self.config.record = record;
        self
    }

    /// Which modules of files and of the module directory are taken. Default:
    /// all, signed or not.
    pub fn trust(mut self, trust: ModuleTrust) -> Self {
        self.config.trust = trust;
        self
    }

    /// The program `fumehood-compiler`. Default: what `FUMEHOOD_COMPILER` in
    /// the environment names, or the one beside this program.
    pub fn compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.config.compiler = Some(program.into());
        self
    }

    /// How long compiling a module may take, start to end. The processor time it
    /// has is bounded anyway, at 30 s. Default 60 s.
    pub fn compile_within(mut self, time: Duration) -> Self {
        self.config.compile_within = time;
        self
    }

    /// Where native code of modules is kept. Must be this user's alone.
    /// Default `$XDG_CACHE_HOME/fumehood/modules`.
    pub fn module_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.config.module_cache = Some(folder.into());
        self
    }

    /// Loads the modules in this directory, named as `http1@1.2.0.wasm`, and
    /// those that are put there while the engine runs. What is refused is in
    /// [`crate::Modules::list`]. Default none.
    pub fn module_directory(mut self, folder: impl Into<PathBuf>, on_change: OnChange) -> Self {
        self.config.module_directory = Some((folder.into(), on_change));
        self
    }

    /// Takes directory and trust of settings, each where they say something.
    pub fn module_settings(mut self, settings: &ModuleSettings) -> Self {
        if let Some(trust) = settings.trust() {
            self = self.trust(trust);
        }
        if let Some(folder) = &settings.directory.value {
            self = self.module_directory(folder, settings.on_change.value);
        }
        self
    }

    /// Listens there for `fumehood modules --socket`: a Unix socket for this
    /// user alone. Default none.
    pub fn admin_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.admin_socket = Some(path.into());
        self
    }

    /// Tells metrics at this loopback address and port (0 is any:
    /// [`Engine::metrics_address`]), to whoever connects and sends `GET /metrics`:
    /// every user of the machine can. Nothing else can be asked for there. Default
    /// none; any other address is refused at the launch.
    pub fn metrics_listen(mut self, address: SocketAddr) -> Self {
        self.config.metrics_address = Some(address);
        self
    }

    /// Where crash reports of guests go. Default
    /// `$XDG_STATE_HOME/fumehood/crashes`.
    pub fn crash_reports(mut self, reports: CrashReports) -> Self {
        self.config.crash_reports = reports;
        self
    }

    pub(crate) fn into_config(self) -> Config {
        self.config
    }

    /// Starts the broker and the engine and waits until both are ready and
    /// hold what is required of their sandboxes. Must be called on a tokio
    /// runtime with I/O and time; typically takes 5–15 ms.
    ///
    /// # Errors
    /// [`LaunchError`] says which process, and what to do.
    pub async fn launch(self) -> Result<Engine, LaunchError> {
        Engine::launch(self.config).await
    }
}
