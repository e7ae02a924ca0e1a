//! Proof in a throw-away child of what the sandbox is worth on this host.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use fumehood_control::{LayerReport, Message};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use serde::{Deserialize, Serialize};

use crate::{Attack, Bootstrap, Channel, ChannelError, Expected, Role};

/// How long a child may take, which normally takes milliseconds. A machine
/// busy enough to exceed it could not run an engine either.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What came of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel killed the process for it.
    Killed,
    /// The call answered with this `errno`.
    Refused(i32),
    /// It worked: the sandbox has a hole.
    Succeeded,
}

impl Verdict {
    /// Whether it is what must come of the attack.
    #[must_use]
    pub fn is(self, expected: Expected) -> bool {
        match expected {
            Expected::Killed => self == Verdict::Killed,
            Expected::Refused(errno) => self == Verdict::Refused(errno),
        }
    }
}

/// Why a probe has nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The child could not be started.
    #[error("the probe process could not be started: {0}")]
    Start(std::io::Error),
    /// The child did not keep to what a probe does. Seldom more than a program
    /// that does not call [`serve_probe`] in the role it was given.
    #[error("the probe process did not answer as one: {0}")]
    Channel(#[from] ChannelError),
    /// The child ended without an answer, and not by an attack.
    #[error("the probe process ended early ({0}); what it wrote to standard error says more")]
    Ended(std::process::ExitStatus),
    /// The child's sandbox is below the floor, so there is nothing to attack.
    #[error("the probe process is not in a sandbox: {why}")]
    Unsealed {
        /// How every layer is; empty when it did not come so far.
        layers: Vec<LayerReport>,
        /// One sentence for people.
        why: String,
    },
}

/// Parent to child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Request {
    EngineLayers,
    BrokerLayers,
    CompilerLayers,
    Attack(Attack),
    AttackOnCompiler(Attack),
}

/// Child to parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reply {
    Layers(Vec<LayerReport>),
    Refused {
        layers: Vec<LayerReport>,
        why: String,
    },
    /// The attack did not kill. `None` when it worked.
    Survived {
        errno: Option<i32>,
    },
}

impl Message for Request {
    fn fd_count(&self) -> usize {
        0
    }
}

impl Message for Reply {
    fn fd_count(&self) -> usize {
        0
    }
}

/// Finds out which layers a process in this role can have. `command` starts a
/// program that calls [`serve_probe`] first thing in `main`.
///
/// # Errors
/// [`ProbeError`], but not when layers are missing, even of the floor: the
/// report says so.
pub fn probe_layers(command: &mut Command, role: Role) -> Result<Vec<LayerReport>, ProbeError> {
    let request = match role {
        Role::Engine => Request::EngineLayers,
        Role::Broker => Request::BrokerLayers,
        Role::Compiler => Request::CompilerLayers,
    };
    let mut probe = Probe::start(command, request)?;
    match probe.reply()? {
        Some(Reply::Layers(layers)) => Ok(layers),
        Some(Reply::Refused { layers, .. }) if !layers.is_empty() => Ok(layers),
        Some(Reply::Refused { layers, why }) => Err(ProbeError::Unsealed { layers, why }),
        Some(Reply::Survived { .. }) | None => Err(ProbeError::Ended(probe.end()?)),
    }
}

/// Tries an attack from within the engine's sandbox. `command` as for
/// [`probe_layers`].
///
/// # Errors
/// [`ProbeError`] when no attack took place.
pub fn probe_attack(command: &mut Command, attack: Attack) -> Result<Verdict, ProbeError> {
    try_attack(command, Request::Attack(attack))
}

/// Tries an attack from within the sandbox of a role that reaches nothing:
/// the engine's or the compiler's. `command` as for [`probe_layers`].
///
/// # Errors
/// [`ProbeError`] when no attack took place, as for the broker, whose network
/// an attack would really use.
pub fn probe_attack_on(
    command: &mut Command,
    role: Role,
    attack: Attack,
) -> Result<Verdict, ProbeError> {
    match role {
        Role::Engine => try_attack(command, Request::Attack(attack)),
        Role::Compiler => try_attack(command, Request::AttackOnCompiler(attack)),
        Role::Broker => Err(ProbeError::Unsealed {
            layers: Vec::new(),
            why: "no attack is tried from a process that has the network".to_owned(),
        }),
    }
}

fn try_attack(command: &mut Command, request: Request) -> Result<Verdict, ProbeError> {
    let mut probe = Probe::start(command, request)?;
    // The sandbox's own report comes first, so that a child killed on its way
    // into the sandbox is not taken for one killed by the attack.
    match probe.reply()? {
        Some(Reply::Layers(_)) => {}
        Some(Reply::Refused { layers, why }) => return Err(ProbeError::Unsealed { layers, why }),
        Some(Reply::Survived { .. }) | None => return Err(ProbeError::Ended(probe.end()?)),
    }
    match probe.reply()? {
        Some(Reply::Survived { errno: Some(errno) }) => Ok(Verdict::Refused(errno)),
        Some(Reply::Survived { errno: None }) => Ok(Verdict::Succeeded),
        Some(_) => Err(ProbeError::Ended(probe.end()?)),
        None => {
            let status = probe.end()?;
            match status.signal() {
                Some(libc::SIGSYS) => Ok(Verdict::Killed),
                // A program that replaced ours ends well: the attack worked.
                None if status.success() => Ok(Verdict::Succeeded),
                _ => Err(ProbeError::Ended(status)),
            }
        }
    }
}

/// The child's part: to be called first thing in `main` by the program that
/// the `command` of [`probe_layers`] and [`probe_attack`] starts.
#[must_use]
pub fn serve_probe() -> ExitCode {
    // Nobody is there to be told of an error but the parent, which sees the end.
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let (bootstrap, control) = Bootstrap::enter()?;
    let channel = Channel::<Reply, Request>::from_fd(control)?;
    let (request, _) = channel.recv()?;
    let role = match request {
        Request::EngineLayers | Request::Attack(_) => Role::Engine,
        Request::BrokerLayers => Role::Broker,
        Request::CompilerLayers | Request::AttackOnCompiler(_) => Role::Compiler,
    };
    let attack = match request {
        Request::Attack(attack) | Request::AttackOnCompiler(attack) => Some(attack.prepare()?),
        Request::EngineLayers | Request::BrokerLayers | Request::CompilerLayers => None,
    };
    match bootstrap
        .isolate(role)
        .and_then(|isolated| isolated.seal(&[]))
    {
        Ok(layers) => channel.send(&Reply::Layers(layers), &[])?,
        Err(refusal) => {
            let layers = refusal.layers().to_vec();
            return Ok(channel.send(
                &Reply::Refused {
                    layers,
                    why: refusal.to_string(),
                },
                &[],
            )?);
        }
    }
    if let Some(attack) = attack {
        let errno = attack.perform().err();
        channel.send(&Reply::Survived { errno }, &[])?;
    }
    Ok(())
}

/// A child under probe; ends with it.
struct Probe {
    child: Child,
    channel: Option<Channel<Request, Reply>>,
}

impl Probe {
    fn start(command: &mut Command, request: Request) -> Result<Self, ProbeError> {
        let (ours, theirs) = Channel::pair()?;
        set_socket_timeout(&ours, Timeout::Recv, Some(PROBE_TIMEOUT))
            .map_err(|errno| ProbeError::Start(errno.into()))?;
        let child = command
            .env_clear()
            .stdin(theirs.into_fd())
            .stdout(Stdio::null())
            .spawn()
            .map_err(ProbeError::Start)?;
        // The command keeps the other end open until told otherwise, and with
        // it this one from seeing the child's end.
        command.stdin(Stdio::null());
        let probe = Self {
            child,
            channel: Some(ours),
        };
        probe.send(request)?;
        Ok(probe)
    }

    fn send(&self, request: Request) -> Result<(), ProbeError> {
        match &self.channel {
            Some(channel) => Ok(channel.send(&request, &[])?),
            None => Err(ChannelError::Closed.into()),
        }
    }

    /// `None` when the child ended.
    fn reply(&self) -> Result<Option<Reply>, ProbeError> {
        let Some(channel) = &self.channel else {
            return Ok(None);
        };
        match channel.recv() {
            Ok((reply, _)) => Ok(Some(reply)),
            Err(ChannelError::Closed) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the child, which ends at the latest when its channel does.
    fn end(&mut self) -> Result<std::process::ExitStatus, ProbeError> {
        self.channel = None;
        self.child.wait().map_err(ProbeError::Start)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.channel = None;
        // After an answer it ends by itself; without one it is in the way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
