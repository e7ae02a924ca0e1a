//! How an engine is to be, and the builder that says so.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use fumehood_control::{Deadlines, EngineSetup, Layer, TlsOptions, TlsVersion, Verification};
use fumehood_policy::{Policy, PrivateHost, TooManyRules};

use crate::{Anchors, Engine, LaunchError, Module};

/// Resolving and connecting, in milliseconds: as long as browsers wait.
const CONNECT_MS: u32 = 30_000;

/// The TLS handshake, in milliseconds: as long as browsers wait.
const TLS_MS: u32 = 30_000;

/// From request to response head, in milliseconds: as long as browsers wait.
const HEAD_MS: u32 = 300_000;

/// Between two bytes of payload, in milliseconds: a stalled peer is given up
/// on after as long as browsers wait for a head.
const IDLE_MS: u32 = 300_000;

/// Guest instances alive at once: `x509`, and two for each of 128 connections.
const MAX_INSTANCES: u32 = 264;

/// Exchanges under way at once; more wait in the embedder.
const MAX_EXCHANGES: u32 = 128;

/// Idle connections kept, in all.
const MAX_IDLE_CONNECTIONS: u32 = 32;

/// How long an idle connection is kept, in milliseconds; servers close theirs
/// after 5 to 120 s.
const IDLE_CONNECTION_MS: u32 = 90_000;

/// What an engine may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most guest instances alive at once. Default 264.
    pub max_instances: u32,
    /// Most exchanges under way at once; more wait their turn. Default 128.
    pub max_exchanges: u32,
    /// Most idle connections kept. Default 32.
    pub max_idle_connections: u32,
    /// How long an idle connection is kept, in milliseconds. Default 90 s.
    pub idle_connection_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_instances: MAX_INSTANCES,
            max_exchanges: MAX_EXCHANGES,
            max_idle_connections: MAX_IDLE_CONNECTIONS,
            idle_connection_ms: IDLE_CONNECTION_MS,
        }
    }
}

/// The deadlines an exchange has unless it brings its own: 30 s to connect,
/// 30 s for TLS, 300 s for the head and between bytes, none in all.
#[must_use]
pub fn default_deadlines() -> Deadlines {
    Deadlines {
        connect_ms: CONNECT_MS,
        tls_ms: TLS_MS,
        head_ms: HEAD_MS,
        idle_ms: IDLE_MS,
        total_ms: u32::MAX,
    }
}

/// TLS 1.2 and 1.3, the certificate verified.
#[must_use]
pub fn default_tls() -> TlsOptions {
    TlsOptions {
        verification: Verification::Full,
        min_version: TlsVersion::V1_2,
        max_version: TlsVersion::V1_3,
    }
}

/// What [`EngineBuilder`] collects; a relaunch replays it.
pub(crate) struct Config {
    pub(crate) policy: Policy,
    pub(crate) anchors: Anchors,
    pub(crate) modules: Vec<Module>,
    pub(crate) required: Vec<Layer>,
    pub(crate) limits: Limits,
    pub(crate) deadlines: Deadlines,
    pub(crate) tls: TlsOptions,
    pub(crate) key_log: Option<Arc<OwnedFd>>,
}

impl Config {
    pub(crate) fn setup(&self) -> EngineSetup {
        EngineSetup {
            required: self.required.clone(),
            max_instances: self.limits.max_instances,
            max_exchanges: self.limits.max_exchanges,
            max_idle_connections: self.limits.max_idle_connections,
            idle_connection_ms: self.limits.idle_connection_ms,
            key_log: self.key_log.is_some(),
        }
    }
}

/// Says how an engine is to be. Made by [`Engine::builder`].
///
/// Defaults: every public address may be reached and no private one; the
/// system's trust anchors; the guests built in; every layer of the sandbox
/// required; [`default_deadlines`], [`default_tls`], [`Limits::default`]; no key log.
#[must_use = "an engine runs once it is launched"]
pub struct EngineBuilder {
    config: Config,
}

impl EngineBuilder {
    pub(crate) fn new() -> Self {
        EngineBuilder {
            config: Config {
                policy: Policy::default(),
                anchors: Anchors::default(),
                modules: Module::embedded_defaults(),
                required: Layer::ALL.to_vec(),
                limits: Limits::default(),
                deadlines: default_deadlines(),
                tls: default_tls(),
                key_log: None,
            },
        }
    }

    /// Replaces the policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.config.policy = policy;
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

    /// Which certificates a server's chain may end at.
    pub fn anchors(mut self, anchors: Anchors) -> Self {
        self.config.anchors = anchors;
        self
    }

    /// Replaces the guests: exactly these are loaded.
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
