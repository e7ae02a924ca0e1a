//! A program that is not ours, in a network of its own whose one way out are
//! sockets we hold.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::Arc;

use fumehood_control::{FromLauncher, LayerReport, PROTOCOL_VERSION, ToLauncher};
use fumehood_sandbox::{AsyncChannel, Channel};
use tokio::process::{Child, Command};

#[cfg(doc)]
use crate::Engine;
use crate::error::ChannelError;
use crate::launch::in_time;
use crate::{LaunchError, Role, roles};

pub use fumehood_control::{NAMES_INSIDE, PROXY_INSIDE};

type Launcher = AsyncChannel<ToLauncher, FromLauncher>;

/// A program to be run with no network but a proxy at [`PROXY_INSIDE`], and whoever
/// answers at [`NAMES_INSIDE`] what it asks about names.
///
/// It gets our standard streams, our environment and our process group. It
/// loses every other descriptor, all capabilities, and the means to gain
/// privileges: a network namespace of its own in a user namespace of its own.
/// `docs/run.md` says what it still can.
#[derive(Clone, Debug, Default)]
pub struct Confined {
    /// The program, found as a shell finds it.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Set on top of our environment.
    pub variables: Vec<(OsString, OsString)>,
    /// Whether it may make Unix sockets. With them it reaches what listens on
    /// such a socket outside and can ask that for what it may not do itself.
    pub unix_sockets: bool,
}

/// Why a confined program does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfinedError {
    /// There is no network to put it into; nothing was executed.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It cannot be executed.
    #[error("{program} cannot be executed: {source}")]
    NotExecuted {
        /// As it was given.
        program: String,
        /// Why not.
        source: io::Error,
    },
}

/// A network that is there, and a program that waits. Dropped, there is none.
#[derive(Debug)]
pub struct Entered {
    child: Child,
    channel: Launcher,
    program: OsString,
    sockets: Sockets,
    layers: Vec<LayerReport>,
}

/// What the program finds in its network.
#[derive(Debug)]
struct Sockets {
    proxy: Arc<OwnedFd>,
    names: Arc<OwnedFd>,
    datagrams: Arc<OwnedFd>,
}

impl Confined {
    /// Makes the network and leaves the program waiting in it. Must be called
    /// on a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`LaunchError`]; where namespaces cannot be had, [`LaunchError::Refused`]
    /// says why and what to do.
    pub async fn enter(self) -> Result<Entered, LaunchError> {
        const ROLE: Role = Role::Launcher;
        if !roles::initialised() {
            return Err(LaunchError::NotInitialised);
        }
        let broken = |e| channel(ChannelError::Channel(e));
        let (ours, theirs) = Channel::<ToLauncher, FromLauncher>::pair().map_err(broken)?;
        let mut child = self
            .command(theirs.into_fd())
            .spawn()
            .map_err(|source| LaunchError::Spawn { role: ROLE, source })?;
        let ours = ours.into_async().map_err(broken)?;
        let answer = in_time(ROLE, greet(&ours, self.unix_sockets)).await?;
        let (sockets, layers) = match answer {
            Ok((message, sockets)) => ready(message, sockets)?,
            Err(error) if error.is_closed() => {
                let ended = child.wait().await;
                let status = ended.map_or_else(|e| e.to_string(), |status| status.to_string());
                return Err(LaunchError::Died { role: ROLE, status });
            }
            Err(error) => return Err(channel(error)),
        };
        Ok(Entered {
            child,
            channel: ours,
            program: self.program,
            sockets,
            layers,
        })
    }

    fn command(&self, channel: OwnedFd) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0(format!("fumehood-{}", Role::Launcher.name()))
            .arg(Role::Launcher.argument())
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(channel)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

impl Entered {
    /// What listens at [`PROXY_INSIDE`] in there; for
    /// [`crate::ProxyAddress::Socket`].
    #[must_use]
    pub fn proxy(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.sockets.proxy)
    }

    /// What programs in there ask at [`NAMES_INSIDE`]: a socket that listens for
    /// streams, and one for datagrams; for [`Engine::serve_names`].
    #[must_use]
    pub fn names(&self) -> [Arc<OwnedFd>; 2] {
        let Sockets {
            names, datagrams, ..
        } = &self.sockets;
        [Arc::clone(names), Arc::clone(datagrams)]
    }

    /// What holds. Landlock may be missing: Linux has the kind that is of use
    /// here since 6.12. So may mounts of its own, where a container or a security
    /// module forbids them: then the program asks for names where nobody answers,
    /// unless it asks at [`NAMES_INSIDE`] by itself.
    #[must_use]
    pub fn layers(&self) -> &[LayerReport] {
        &self.layers
    }

    /// Executes the program.
    ///
    /// # Errors
    /// [`ConfinedError::NotExecuted`], as where there is no such program.
    pub async fn run(self) -> Result<Child, ConfinedError> {
        let told = self.channel.send(&ToLauncher::Go, &[]).await;
        told.map_err(|e| channel(e.into()))?;
        match self.channel.recv().await {
            // It closes by executing.
            Err(fumehood_sandbox::ChannelError::Closed) => Ok(self.child),
            Err(error) => Err(channel(error.into()).into()),
            Ok((FromLauncher::NotExecuted { errno }, _)) => Err(ConfinedError::NotExecuted {
                program: self.program.to_string_lossy().into_owned(),
                source: io::Error::from_raw_os_error(errno),
            }),
            Ok(_) => Err(channel(ChannelError::OutOfOrder).into()),
        }
    }
}

async fn greet(
    channel: &Launcher,
    unix_sockets: bool,
) -> Result<(FromLauncher, Vec<OwnedFd>), ChannelError> {
    let hello = ToLauncher::Hello {
        version: PROTOCOL_VERSION,
        unix_sockets,
    };
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
    // One that could not even begin has said why.
    let _told = channel.send(&hello, &streams).await;
    Ok(channel.recv().await?)
}

/// The sockets, and what holds.
fn ready(
    message: FromLauncher,
    sockets: Vec<OwnedFd>,
) -> Result<(Sockets, Vec<LayerReport>), LaunchError> {
    match message {
        FromLauncher::Ready {
            version: PROTOCOL_VERSION,
            layers,
        } => match <[OwnedFd; 3]>::try_from(sockets).map(|all| all.map(Arc::new)) {
            Ok([proxy, names, datagrams]) => {
                let sockets = Sockets {
                    proxy,
                    names,
                    datagrams,
                };
                Ok((sockets, layers))
            }
            Err(_) => Err(channel(ChannelError::OutOfOrder)), // the codec has counted
        },
        FromLauncher::Ready { version, .. } => Err(LaunchError::Version {
            role: Role::Launcher,
            theirs: version,
        }),
        FromLauncher::Refused { layers, why } => Err(LaunchError::Refused {
            role: Role::Launcher,
            why,
            layers,
        }),
        FromLauncher::NotExecuted { .. } => Err(channel(ChannelError::OutOfOrder)),
    }
}

fn channel(source: ChannelError) -> LaunchError {
    LaunchError::Channel {
        role: Role::Launcher,
        source,
    }
}
