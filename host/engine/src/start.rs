//! From an ordinary process to a sealed one with its guests loaded.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::Duration;

use crate::dialer::Dialer;
use crate::dns::{MAX_CHANNELS, Names};
use crate::hub::{Hub, INSTANCES_PER_CONNECTION};
use crate::idle::Idle;
use crate::instance::Ticker;
use crate::outbox::{Outbox, Outgoing};
use crate::proxy::Proxy;
use crate::registry::{Limits, Registry};
use crate::serve;
use crate::tls::{Anchors, KeyLogFile};
use crate::turns::Turns;
use crate::upstream::Tokens;
use fumehood_control::{
    DialReply, DialRequest, DriverSchemes, EngineSetup, GuestPreferences, LayerReport, MAX_DRIVERS,
    MAX_VERSIONS, ModuleHeader, PROTOCOL_VERSION, ToEmbedder, ToEngine,
};
use fumehood_sandbox::{Bootstrap, Channel, ChannelError, MemfdError, Refusal, Role, map_sealed};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore};
use wasmtime::PoolingAllocationConfig;

/// Kinds of modules beside drivers: `http1`, `tls`, `x509`, `dns`, `socks`, `pac`.
const KINDS: usize = 6;

/// Most modules offered at a start: every version of every kind and driver that
/// an engine may hold. One that takes another's place is given them all.
const MAX_MODULES: usize = (KINDS + MAX_DRIVERS) * MAX_VERSIONS;

/// Largest set of trust anchors, in bytes; systems ship about 200 KiB.
const MAX_ANCHOR_BYTES: usize = 4 << 20;

/// Threads that run exchanges. Instances do not scale over threads (a lock
/// in the kernel's memory management), and one more keeps a slow file from
/// stopping the rest.
pub(crate) const WORKERS: usize = 2;

/// Threads beside them, for exchanges while a write to a file blocks.
const MAX_BLOCKING_THREADS: usize = 16;

/// Instances kept free: for the shared ones (`x509`, `dns`), for a new version's
/// trial, for those that take over while the old ones are still there, and for
/// the resolver's own connections.
const SHARED_INSTANCES: u32 = 8 + INSTANCES_PER_CONNECTION * MAX_CHANNELS;

/// Plays the engine's role, from the first thing in `main` to the end of the process.
#[must_use]
pub fn run() -> ExitCode {
    let (bootstrap, control) = match Bootstrap::enter() {
        Ok(entered) => entered,
        // There is no channel to say it on: standard input was not one.
        Err(refusal) => return last_resort(&refusal),
    };
    let control = match Channel::<ToEmbedder, ToEngine>::from_fd(control) {
        Ok(control) => control,
        Err(error) => return last_resort(&error),
    };
    match prepare(bootstrap, &control) {
        Ok(prepared) => prepared.serve(control),
        Err(Stop::Gone) => ExitCode::SUCCESS,
        Err(Stop::Refused(refused)) => {
            // The embedder may be gone already; the exit code still tells.
            let _ = control.send(&refused, &[]);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "there is no channel yet")]
fn last_resort(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("fumehood engine: {error}");
    ExitCode::FAILURE
}

/// Why there is no engine.
enum Stop {
    /// The embedder went away.
    Gone,
    /// A `ToEmbedder::Refused`.
    Refused(Box<ToEmbedder>),
}

impl Stop {
    fn because(why: impl Into<String>) -> Stop {
        Stop::Refused(Box::new(ToEmbedder::Refused {
            layers: Vec::new(),
            why: why.into(),
        }))
    }
}

impl From<ChannelError> for Stop {
    fn from(error: ChannelError) -> Stop {
        match error {
            ChannelError::Closed => Stop::Gone,
            error => Stop::because(error.to_string()),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(Box::new(ToEmbedder::Refused {
            layers: refusal.layers().to_vec(),
            why: refusal.to_string(),
        }))
    }
}

impl From<MemfdError> for Stop {
    fn from(error: MemfdError) -> Stop {
        Stop::because(error.to_string())
    }
}

/// Everything the embedder offers before `Start`.
struct Offer {
    setup: EngineSetup,
    modules: Vec<(ModuleHeader, OwnedFd)>,
    anchors: Option<OwnedFd>,
    broker: Option<OwnedFd>,
    key_log: Option<OwnedFd>,
    preferences: GuestPreferences,
}

impl Offer {
    fn receive(control: &Channel<ToEmbedder, ToEngine>) -> Result<Offer, Stop> {
        let setup = match control.recv()?.0 {
            ToEngine::Hello {
                version: PROTOCOL_VERSION,
                setup,
            } => setup,
            ToEngine::Hello { version, .. } => {
                return Err(Stop::because(format!(
                    "the embedder speaks version {version} of the control protocol and this \
                     engine speaks {PROTOCOL_VERSION}: they are of different builds"
                )));
            }
            _ => {
                return Err(Stop::because(
                    "the embedder's first message is not a greeting",
                ));
            }
        };
        let mut offer = Offer {
            setup,
            modules: Vec::new(),
            anchors: None,
            broker: None,
            key_log: None,
            preferences: GuestPreferences::default(),
        };
        loop {
            let (message, mut fds) = control.recv()?;
            match message {
                ToEngine::Start => return Ok(offer),
                ToEngine::Module(header) if offer.modules.len() < MAX_MODULES => {
                    offer.modules.extend(fds.pop().map(|fd| (header, fd)));
                }
                ToEngine::Module(_) => {
                    let why = format!("more than {MAX_MODULES} modules were offered");
                    return Err(Stop::because(why));
                }
                ToEngine::Anchors => offer.anchors = fds.pop(),
                ToEngine::Broker => offer.broker = fds.pop(),
                ToEngine::KeyLog => offer.key_log = fds.pop(),
                ToEngine::Preferences(preferences) => offer.preferences = preferences,
                _ => return Err(Stop::because("the embedder sent a message out of order")),
            }
        }
    }
}

/// Loads all modules that were offered; of each kind the last is current.
fn load_all(registry: &Registry, modules: Vec<(ModuleHeader, OwnedFd)>) -> Result<(), Stop> {
    for (header, code) in modules {
        registry
            .load(&header, code)
            .and_then(|()| registry.swap(&header.name, header.digest).map(drop))
            .map_err(|why| {
                let ModuleHeader { name, version, .. } = &header;
                Stop::because(format!("module {name} {version} is refused: {why}"))
            })?;
    }
    match registry.missing() {
        Some(name) => Err(Stop::because(format!("no module named {name} was offered"))),
        None => Ok(()),
    }
}

/// An engine that is sealed but has not said so.
struct Prepared {
    runtime: Runtime,
    hub: Hub,
    outgoing: Outgoing,
    ready: Ready,
    setup: EngineSetup,
}

/// What is known of readiness once the sandbox is closed.
struct Ready {
    layers: Vec<LayerReport>,
    anchors: u32,
}

impl Ready {
    /// Drivers say what they serve only then.
    fn with_drivers(self, drivers: Vec<DriverSchemes>) -> ToEmbedder {
        ToEmbedder::Ready {
            version: PROTOCOL_VERSION,
            layers: self.layers,
            anchors: self.anchors,
            drivers,
        }
    }
}

fn prepare(
    bootstrap: Bootstrap,
    control: &Channel<ToEmbedder, ToEngine>,
) -> Result<Prepared, Stop> {
    remember_pagemap();
    // Early, so that it overlaps with the embedder's preparations.
    let isolated = bootstrap.isolate(Role::Engine)?;
    let mut offer = Offer::receive(control)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("engine")
        .enable_all()
        .build()
        .map_err(|error| Stop::because(format!("no runtime: {error}")))?;
    let (outbox, outgoing) = Outbox::new();
    let (hub, anchors) = {
        // Descriptors are registered with the runtime while the hub is made.
        let _inside = runtime.enter();
        make_hub(&mut offer, outbox)?
    };
    let layers = isolated.seal(&offer.setup.required)?;
    let ready = Ready { layers, anchors };
    Ok(Prepared {
        runtime,
        hub,
        outgoing,
        ready,
        setup: offer.setup,
    })
}

/// Opens this process's own `/proc/self/pagemap` while there is a `/proc`: wasmtime
/// keeps it. By it the kernel says which pages a guest has written, so that a slot is
/// made ready by clearing these few. Without it, as before Linux 6.7, all that a slot
/// keeps is cleared.
fn remember_pagemap() {
    let _known_from_now_on = PoolingAllocationConfig::is_pagemap_scan_available();
}

fn make_hub(offer: &mut Offer, outbox: Outbox) -> Result<(Hub, u32), Stop> {
    let setup = &offer.setup;
    let connections =
        setup.max_instances.saturating_sub(SHARED_INSTANCES) / INSTANCES_PER_CONNECTION;
    if connections == 0 {
        return Err(Stop::because(format!(
            "max_instances of {} leaves no room for a connection; {} are needed at least",
            setup.max_instances,
            SHARED_INSTANCES + INSTANCES_PER_CONNECTION
        )));
    }
    let connections = connections.min(setup.max_connections.max(1));
    if setup.max_instances > fumehood_wasm::MAX_INSTANCES {
        return Err(Stop::because(format!(
            "max_instances of {} is more than a process has address space for: {} is the most",
            setup.max_instances,
            fumehood_wasm::MAX_INSTANCES
        )));
    }
    let anchors = match &offer.anchors {
        Some(fd) => Anchors::parse(&map_sealed(fd, MAX_ANCHOR_BYTES)?)
            .ok_or_else(|| Stop::because("the trust anchors are not in the agreed form"))?,
        None => Anchors::default(),
    };
    let held = anchors.count();
    let registry = Registry::new(Limits::from(setup), anchors)
        .map_err(|error| Stop::because(format!("the instance pool was not made: {error:#}")))?;
    registry.supervisor.prefer(offer.preferences);
    let ticker = Ticker::start(registry.engine().clone())
        .map_err(|error| Stop::because(format!("no thread for the epoch: {error}")))?;
    load_all(&registry, std::mem::take(&mut offer.modules))?;
    let setup = &offer.setup;
    let hub = Hub {
        registry: Arc::new(registry),
        dialer: Dialer::new(broker_channel(offer)?),
        names: Names::new(),
        idle: Idle::new(
            setup.max_idle_connections as usize,
            setup.max_per_origin as usize,
            Duration::from_millis(setup.idle_connection_ms.into()),
        ),
        turns: Turns::new(setup.max_per_origin, setup.max_per_proxy),
        room: Arc::new(Semaphore::new(connections as usize)),
        places: connections,
        made: AtomicU64::new(0),
        wanted: Notify::new(),
        ticker,
        outbox,
        key_log: key_log(offer)?,
        proxy: Proxy::new(),
        tokens: Tokens::default(),
        pressure: AtomicU16::new(0),
    };
    Ok((hub, held))
}

fn broker_channel(
    offer: &Offer,
) -> Result<fumehood_sandbox::AsyncChannel<DialRequest, DialReply>, Stop> {
    let fd = offer
        .broker
        .as_ref()
        .ok_or_else(|| Stop::because("no channel to a broker was offered"))?;
    let fd = fd
        .try_clone()
        .map_err(|error| Stop::because(error.to_string()))?;
    Ok(Channel::<DialRequest, DialReply>::from_fd(fd)?.into_async()?)
}

fn key_log(offer: &Offer) -> Result<Option<Arc<KeyLogFile>>, Stop> {
    let Some(fd) = &offer.key_log else {
        return Ok(None);
    };
    let fd = fd
        .try_clone()
        .map_err(|error| Stop::because(error.to_string()))?;
    Ok(Some(Arc::new(KeyLogFile::new(fd))))
}

impl Prepared {
    fn serve(self, control: Channel<ToEmbedder, ToEngine>) -> ExitCode {
        let Prepared {
            runtime,
            hub,
            outgoing,
            ready,
            setup,
        } = self;
        let served = runtime.block_on(async move {
            let control = control.into_async()?;
            let ready = {
                let _active = hub.ticker.activate();
                ready.with_drivers(hub.registry.drivers.introduce_all().await)
            };
            control.send(&ready, &[]).await?;
            serve::serve(
                control,
                Arc::new(hub),
                outgoing,
                setup.max_exchanges as usize,
            )
            .await
        });
        // Guests may be running on other threads: leave without waiting for them.
        std::process::exit(match served {
            Ok(()) | Err(ChannelError::Closed) => 0,
            Err(_) => 1,
        })
    }
}
