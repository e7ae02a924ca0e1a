//! A child process in a role: started, told apart, and ended with its owner.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use fumehood_control::Message;
use fumehood_sandbox::{AsyncChannel, Channel};
use tokio::process::{Child, Command};

use crate::error::ChannelError;
use crate::log::LOG_VARIABLE;
use crate::{LaunchError, Role};

/// A running child and the channel to it. Dropped, the child is killed and reaped.
pub(crate) struct Process {
    pub(crate) role: Role,
    child: Child,
}

impl Process {
    /// Starts this program again in `role`, with nothing but the channel.
    pub(crate) fn start<S: Message, R: Message>(
        role: Role,
    ) -> Result<(Process, AsyncChannel<S, R>), LaunchError> {
        let broken = |e| LaunchError::Channel {
            role,
            source: ChannelError::Channel(e),
        };
        let (ours, theirs) = Channel::<S, R>::pair().map_err(broken)?;
        let child = command(role, theirs.into_fd()).spawn();
        let child = child.map_err(|source| LaunchError::Spawn { role, source })?;
        Ok((Process { role, child }, ours.into_async().map_err(broken)?))
    }

    /// Its number; 0 once it has ended.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Waits until it has ended; says how.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("unknown ({error})"),
        }
    }

    /// Kills and reaps it; says how it ended, by itself where it had.
    pub(crate) async fn kill(&mut self) -> String {
        // One that has ended by itself cannot be killed, and says so here.
        let _gone = self.child.start_kill();
        self.ended().await
    }
}

fn command(role: Role, channel: OwnedFd) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(format!("fumehood-{}", role.name()))
        .arg(role.argument());
    command
        .env_clear()
        .stdin(channel)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    match std::env::var_os(LOG_VARIABLE) {
        Some(filter) => command.env(LOG_VARIABLE, filter).stderr(Stdio::inherit()),
        None => command.stderr(Stdio::null()),
    };
    command
}
