//! What embedder and a program's launcher say to each other. One launcher, one program.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use crate::{LayerReport, Message};

/// Where the proxy is, in the program's own network. Always the same, so that
/// what builds cache does not change from run to run: the port that proxies
/// have by custom. Nobody else listens in there yet.
pub const PROXY_INSIDE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 3128);

/// Where names are answered in there, over datagrams and streams: where programs
/// ask that find no `resolv.conf` at all.
pub const NAMES_INSIDE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// Embedder to launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLauncher {
    /// First message: enter the network and answer `Ready`. Three descriptors:
    /// the program's standard input, output and error.
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// Whether the program may make Unix sockets, by which it reaches
        /// whatever listens on one outside.
        unix_sockets: bool,
    },
    /// The proxy is served: become the program. The channel's end says that it did.
    Go,
}

impl Message for ToLauncher {
    fn fd_count(&self) -> usize {
        match self {
            ToLauncher::Hello { .. } => 3,
            ToLauncher::Go => 0,
        }
    }
}

/// Launcher to embedder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLauncher {
    /// Nothing is reachable any more but what listens in there. Three descriptors:
    /// a socket that listens at [`PROXY_INSIDE`], one that does at
    /// [`NAMES_INSIDE`], and one for datagrams there.
    Ready {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// What holds and what does not.
        layers: Vec<LayerReport>,
    },
    /// It will not start the program. It exits after this.
    Refused {
        /// What holds and what does not.
        layers: Vec<LayerReport>,
        /// One sentence for people.
        why: String,
    },
    /// The program cannot be executed. It exits after this.
    NotExecuted {
        /// What `execve` failed with.
        errno: i32,
    },
}

impl Message for FromLauncher {
    fn fd_count(&self) -> usize {
        match self {
            FromLauncher::Ready { .. } => 3,
            FromLauncher::Refused { .. } | FromLauncher::NotExecuted { .. } => 0,
        }
    }
}
