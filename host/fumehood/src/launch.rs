//! From nothing to a broker and an engine that are ready.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use fumehood_control::{
    DialReply, DialRequest, DriverSchemes, FromBroker, LayerReport, LayerState, Message,
    PROTOCOL_VERSION, ToBroker, ToEmbedder, ToEngine, policy_fragments,
};
use fumehood_policy::Policy;
use fumehood_sandbox::{AsyncChannel, Channel, sealed};

use crate::config::Config;
use crate::error::ChannelError;
use crate::process::Process;
use crate::settings::Now;
use crate::{LaunchError, Module, Role};

/// How long a process may take to be ready. A busy machine takes 0.1 s.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Our end of the engine's channel.
pub(crate) type EngineChannel = AsyncChannel<ToEngine, ToEmbedder>;

/// Our end of the broker's channel.
pub(crate) type BrokerChannel = AsyncChannel<ToBroker, FromBroker>;

/// What a process is like once it is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Its number.
    pub pid: u32,
    /// From the launch's start to its word that it is ready, in microseconds.
    pub ready_us: u64,
    /// Its sandbox.
    pub layers: Vec<LayerReport>,
}

/// A child that is ready.
pub(crate) struct Launched<C> {
    pub(crate) process: Process,
    pub(crate) channel: C,
    pub(crate) readiness: Readiness,
    /// What the drivers among an engine's modules serve.
    pub(crate) drivers: Vec<DriverSchemes>,
}

/// Starts both processes at once, to go by what holds now.
pub(crate) async fn both(
    config: &Config,
    now: &Now,
    modules: &[Module],
) -> Result<(Launched<BrokerChannel>, Launched<EngineChannel>), LaunchError> {
    let begun = Instant::now();
    let engine = Process::start(Role::Engine)?;
    let broker = Process::start(Role::Broker)?;
    let (engine_end, broker_end) = between(Role::Engine)?;
    tokio::try_join!(
        ready_broker(config, &now.policy, broker, Some(broker_end), begun),
        ready_engine(config, now, modules, engine, engine_end, begun),
    )
}

/// Starts a broker that no engine asks anything of.
pub(crate) async fn broker_alone(
    config: &Config,
    policy: &Policy,
) -> Result<Launched<BrokerChannel>, LaunchError> {
    let broker = Process::start(Role::Broker)?;
    ready_broker(config, policy, broker, None, Instant::now()).await
}

/// Gives a broker a policy, cut into pieces.
pub(crate) async fn tell_policy(
    channel: &BrokerChannel,
    mut pieces: Vec<Vec<u8>>,
) -> Result<(), ChannelError> {
    let last = pieces.pop().unwrap_or_default();
    for bytes in pieces {
        let piece = ToBroker::PolicyFragment { bytes };
        channel.send(&piece, &[]).await?;
    }
    Ok(channel.send(&ToBroker::Policy { bytes: last }, &[]).await?)
}

/// Starts an engine for a broker that is there already.
pub(crate) async fn engine_for(
    config: &Config,
    now: &Now,
    modules: &[Module],
    broker: &BrokerChannel,
) -> Result<Launched<EngineChannel>, LaunchError> {
    let begun = Instant::now();
    let engine = Process::start(Role::Engine)?;
    let (engine_end, broker_end) = between(Role::Engine)?;
    let told = broker.send(&ToBroker::Engine, &[broker_end.as_fd()]).await;
    told.map_err(|e| LaunchError::Channel {
        role: Role::Broker,
        source: e.into(),
    })?;
    drop(broker_end);
    ready_engine(config, now, modules, engine, engine_end, begun).await
}

/// The channel between engine and broker, which we only make and give away.
fn between(role: Role) -> Result<(OwnedFd, OwnedFd), LaunchError> {
    let (engine, broker) =
        Channel::<DialRequest, DialReply>::pair().map_err(|e| LaunchError::Channel {
            role,
            source: e.into(),
        })?;
    Ok((engine.into_fd(), broker.into_fd()))
}

async fn ready_broker(
    config: &Config,
    policy: &Policy,
    (process, channel): (Process, BrokerChannel),
    engine: Option<OwnedFd>,
    begun: Instant,
) -> Result<Launched<BrokerChannel>, LaunchError> {
    let talk = async {
        channel
            .send(
                &ToBroker::Hello {
                    version: PROTOCOL_VERSION,
                },
                &[],
            )
            .await?;
        tell_policy(&channel, policy_fragments(policy)?).await?;
        channel
            .send(
                &ToBroker::Start {
                    required: config.required.clone(),
                },
                &[],
            )
            .await?;
        if let Some(engine) = engine {
            channel.send(&ToBroker::Engine, &[engine.as_fd()]).await?;
        }
        Ok(())
    };
    let answer = answer_to(Role::Broker, talk, &channel).await;
    finish(config, process, channel, answer, begun).await
}

async fn ready_engine(
    config: &Config,
    now: &Now,
    modules: &[Module],
    (process, channel): (Process, EngineChannel),
    broker: OwnedFd,
    begun: Instant,
) -> Result<Launched<EngineChannel>, LaunchError> {
    // Reading the system's store takes a while: meanwhile the engine starts.
    let source = config.anchors.clone();
    let anchors = tokio::task::spawn_blocking(move || source.encode());
    let modules = in_memory(modules)?;
    let talk = async {
        let hello = ToEngine::Hello {
            version: PROTOCOL_VERSION,
            setup: config.setup(),
        };
        channel.send(&hello, &[]).await?;
        let preferences = ToEngine::Preferences(now.guests);
        channel.send(&preferences, &[]).await?;
        for (header, code) in &modules {
            channel.send(header, &[code.as_fd()]).await?;
        }
        channel.send(&ToEngine::Broker, &[broker.as_fd()]).await?;
        drop(broker);
        if let Some(log) = &config.key_log {
            channel.send(&ToEngine::KeyLog, &[log.as_fd()]).await?;
        }
        Ok::<(), ChannelError>(())
    };
    let told = in_time(Role::Engine, talk).await?;
    let anchors = anchors
        .await
        .map_err(|e| LaunchError::Anchors(e.to_string()))??;
    let anchors = sealed("anchors", &[&anchors])?;
    let talk = async {
        told?;
        channel.send(&ToEngine::Anchors, &[anchors.as_fd()]).await?;
        channel.send(&ToEngine::Start, &[]).await?;
        Ok(())
    };
    let answer = answer_to(Role::Engine, talk, &channel).await;
    finish(config, process, channel, answer, begun).await
}

/// The guests' native code, in sealed memory.
fn in_memory(modules: &[Module]) -> Result<Vec<(ToEngine, OwnedFd)>, LaunchError> {
    let sealed = |module: &Module| {
        Ok((
            ToEngine::Module(module.header()),
            sealed(&module.name, &[&module.code])?,
        ))
    };
    modules.iter().map(sealed).collect()
}

/// What either process says to `Start`.
enum Answer {
    Ready {
        version: u16,
        layers: Vec<LayerReport>,
        drivers: Vec<DriverSchemes>,
    },
    Refused {
        layers: Vec<LayerReport>,
        why: String,
    },
    Other,
}

impl From<FromBroker> for Answer {
    fn from(message: FromBroker) -> Self {
        match message {
            FromBroker::Ready { version, layers } => Answer::Ready {
                version,
                layers,
                drivers: Vec::new(),
            },
            FromBroker::Refused { layers, why } => Answer::Refused { layers, why },
            FromBroker::Reported(_)
            | FromBroker::Looked { .. }
            | FromBroker::Listens { .. }
            | FromBroker::Listening { .. } => Answer::Other,
        }
    }
}

impl From<ToEmbedder> for Answer {
    fn from(message: ToEmbedder) -> Self {
        match message {
            ToEmbedder::Ready {
                version,
                layers,
                anchors: _,
                drivers,
            } => Answer::Ready {
                version,
                layers,
                drivers,
            },
            ToEmbedder::Refused { layers, why } => Answer::Refused { layers, why },
            _ => Answer::Other,
        }
    }
}

/// A process that takes longer than [`READY_WITHIN`] is given up.
pub(crate) async fn in_time<T>(
    role: Role,
    talk: impl Future<Output = T>,
) -> Result<T, LaunchError> {
    let late = LaunchError::TimedOut {
        role,
        seconds: READY_WITHIN.as_secs(),
    };
    tokio::time::timeout(READY_WITHIN, talk)
        .await
        .map_err(|_| late)
}

/// Says all that is to be said, then listens. A child that refuses early may
/// be gone before all was said; what it answered is still there to read.
async fn answer_to<S: Message, R: Message + Into<Answer>>(
    role: Role,
    talk: impl Future<Output = Result<(), ChannelError>>,
    channel: &AsyncChannel<S, R>,
) -> Result<Answer, LaunchError> {
    let answered = async {
        match talk.await {
            Err(error) if !error.is_closed() => return Err(error),
            _ => {}
        }
        let (message, _none) = channel.recv().await?;
        Ok(message.into())
    };
    let answered = in_time(role, answered).await?;
    answered.map_err(|source| LaunchError::Channel { role, source })
}

/// Judges the answer.
async fn finish<C>(
    config: &Config,
    mut process: Process,
    channel: C,
    answer: Result<Answer, LaunchError>,
    begun: Instant,
) -> Result<Launched<C>, LaunchError> {
    let role = process.role;
    match answer {
        Ok(Answer::Ready {
            version,
            layers,
            drivers,
        }) if version == PROTOCOL_VERSION => {
            let missing = missing(config, &layers);
            if !missing.is_empty() {
                return Err(LaunchError::MissingLayers { role, missing });
            }
            let ready_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            let readiness = Readiness {
                pid: process.id(),
                ready_us,
                layers,
            };
            Ok(Launched {
                process,
                channel,
                readiness,
                drivers,
            })
        }
        Ok(Answer::Ready { version, .. }) => Err(LaunchError::Version {
            role,
            theirs: version,
        }),
        Ok(Answer::Refused { layers, why }) => Err(LaunchError::Refused { role, why, layers }),
        Ok(Answer::Other) => Err(LaunchError::Channel {
            role,
            source: ChannelError::OutOfOrder,
        }),
        Err(LaunchError::Channel { source, .. }) if source.is_closed() => Err(LaunchError::Died {
            role,
            status: process.ended().await,
        }),
        Err(error) => Err(error),
    }
}

/// Required layers that a process has not reported to hold or not to be its own.
fn missing(config: &Config, layers: &[LayerReport]) -> Vec<LayerReport> {
    let held = |layer| {
        layers.iter().any(|report| {
            report.layer == layer && !matches!(report.state, LayerState::Missing { .. })
        })
    };
    let absent = LayerState::Missing {
        syscall: "not reported".to_owned(),
        errno: 0,
    };
    let mut missing = Vec::new();
    for layer in config
        .required
        .iter()
        .copied()
        .filter(|layer| !held(*layer))
    {
        let report = layers.iter().find(|report| report.layer == layer).cloned();
        missing.push(report.unwrap_or(LayerReport {
            layer,
            state: absent.clone(),
        }));
    }
    missing
}
