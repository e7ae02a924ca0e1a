//! From an ordinary process to a sealed one with its guests loaded.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{
    DialReply, DialRequest, EngineSetup, ModuleHeader, PROTOCOL_VERSION, ToEmbedder, ToEngine,
};
use fumehood_sandbox::{Bootstrap, Channel, ChannelError, MemfdError, Refusal, Role, map_sealed};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::dialer::Dialer;
use crate::hub::{Hub, INSTANCES_PER_CONNECTION};
use crate::idle::Idle;
use crate::instance::{CodecModule, Ticker};
use crate::outbox::{Outbox, Outgoing};
use crate::tls::{Anchors, KeyLogFile, TlsModule, Verifier};
use crate::{code, serve};

/// Largest native code of a module, in bytes; the largest of ours has 3 MiB.
const MAX_CODE_BYTES: usize = 64 << 20;

/// Most modules offered at a start; three are needed.
const MAX_MODULES: usize = 16;

/// Largest set of trust anchors, in bytes; systems ship about 200 KiB.
const MAX_ANCHOR_BYTES: usize = 4 << 20;

/// Threads that run exchanges. Instances do not scale over threads (a lock
/// in the kernel's memory management), and one more keeps a slow file from
/// stopping the rest.
pub(crate) const WORKERS: usize = 2;

/// Threads beside them, for exchanges while a write to a file blocks.
const MAX_BLOCKING_THREADS: usize = 16;

/// Instances kept free for the shared ones (`x509`).
const SHARED_INSTANCES: u32 = 4;

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
        };
        loop {
            let (message, mut fds) = control.recv()?;
            match message {
                ToEngine::Start => return Ok(offer),
                ToEngine::Module(header) if offer.modules.len() < MAX_MODULES => {
                    offer.modules.extend(fds.pop().map(|fd| (header, fd)));
                }
                ToEngine::Anchors => offer.anchors = fds.pop(),
                ToEngine::Broker => offer.broker = fds.pop(),
                ToEngine::KeyLog => offer.key_log = fds.pop(),
                _ => return Err(Stop::because("the embedder sent a message out of order")),
            }
        }
    }
}

/// Native code of one module, mapped.
struct Code {
    header: ModuleHeader,
    component: wasmtime::component::Component,
}

fn load(engine: &Engine, offer: &Offer, name: &str) -> Result<Code, Stop> {
    let (header, fd) = offer
        .modules
        .iter()
        .rev()
        .find(|(header, _)| header.name == name)
        .ok_or_else(|| Stop::because(format!("no module named {name} was offered")))?;
    let bytes = map_sealed(fd, MAX_CODE_BYTES)?;
    // The first instance would make the memory's image otherwise, with a call
    // (`memfd_create`) that the sealed process does not have.
    let component = code::load(engine, &bytes)
        .and_then(|component| {
            component
                .initialize_copy_on_write_image()
                .map(|()| component)
        })
        .map_err(|error| refuse_module(header, &error))?;
    Ok(Code {
        header: header.clone(),
        component,
    })
}

fn refuse_module(header: &ModuleHeader, error: &wasmtime::Error) -> Stop {
    Stop::because(format!(
        "module {} {} is refused: {error:#}",
        header.name, header.version
    ))
}

/// An engine that is sealed but has not said so.
struct Prepared {
    runtime: Runtime,
    hub: Hub,
    outgoing: Outgoing,
    ready: ToEmbedder,
    setup: EngineSetup,
}

fn prepare(
    bootstrap: Bootstrap,
    control: &Channel<ToEmbedder, ToEngine>,
) -> Result<Prepared, Stop> {
    // First, so that it overlaps with the embedder's preparations.
    let isolated = bootstrap.isolate(Role::Engine)?;
    let offer = Offer::receive(control)?;
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
        make_hub(&offer, outbox)?
    };
    let layers = isolated.seal(&offer.setup.required)?;
    let ready = ToEmbedder::Ready {
        version: PROTOCOL_VERSION,
        layers,
        anchors,
    };
    Ok(Prepared {
        runtime,
        hub,
        outgoing,
        ready,
        setup: offer.setup,
    })
}

fn make_hub(offer: &Offer, outbox: Outbox) -> Result<(Hub, u32), Stop> {
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
    let engine = Engine::new(&fumehood_wasm::engine_config(setup.max_instances))
        .map_err(|error| Stop::because(format!("the instance pool was not made: {error:#}")))?;
    let anchors = match &offer.anchors {
        Some(fd) => Anchors::parse(&map_sealed(fd, MAX_ANCHOR_BYTES)?)
            .ok_or_else(|| Stop::because("the trust anchors are not in the agreed form"))?,
        None => Anchors::default(),
    };
    let held = anchors.count();
    let http1 = load(&engine, offer, "http1")?;
    let tls = load(&engine, offer, "tls")?;
    let x509 = load(&engine, offer, "x509")?;
    let hub = Hub {
        codec: CodecModule::new(&engine, http1.header.clone(), &http1.component)
            .map_err(|error| refuse_module(&http1.header, &error))?,
        tls: TlsModule::new(&engine, tls.header.clone(), &tls.component)
            .map_err(|error| refuse_module(&tls.header, &error))?,
        verifier: Verifier::new(&engine, x509.header.clone(), &x509.component, anchors)
            .map_err(|error| refuse_module(&x509.header, &error))?,
        dialer: Dialer::new(broker_channel(offer)?),
        idle: Idle::new(
            setup.max_idle_connections as usize,
            Duration::from_millis(setup.idle_connection_ms.into()),
        ),
        room: Arc::new(Semaphore::new(connections as usize)),
        ticker: Ticker::start(engine)
            .map_err(|error| Stop::because(format!("no thread for the epoch: {error}")))?,
        outbox,
        key_log: key_log(offer)?,
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
