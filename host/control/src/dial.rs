//! What embedder, engine and broker say to each other about dialling.

use std::net::{IpAddr, SocketAddr};

use fumehood_policy::{Denial, Host, Method, Target, Terms, Transport};
use serde::{Deserialize, Serialize};

use crate::{
    FirstHop, LayerReport, ListenerId, Message, ResolverGrant, SocketGrant, StandingGrant,
};

/// Most addresses of one name that are considered; the rest are dropped.
/// Real names have under 20.
pub const MAX_CANDIDATES: usize = 64;

/// Names a grant; chosen by the embedder, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantId(pub u64);

/// Leave to dial one target. The engine presents only its number, so even an
/// engine gone rogue reaches nothing that the embedder did not name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// By which the engine refers to it.
    pub id: GrantId,
    /// What may be dialled, or asked for at `proxy`.
    pub target: Target,
    /// Dial this in the target's place. The target is judged all the same, as
    /// far as that goes without its addresses.
    pub proxy: Option<FirstHop>,
    /// Who asks, how, and how far: what rules look at beside the target.
    pub terms: Terms,
    /// How many connections may be made, at least 1.
    pub uses: u32,
    /// How long it holds, in milliseconds from when the broker reads it.
    pub lifetime_ms: u32,
}

/// Embedder to broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToBroker {
    /// First message.
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
    },
    /// A piece of the policy; [`ToBroker::Policy`] closes it.
    PolicyFragment {
        /// Bytes of the encoded [`fumehood_policy::Policy`].
        bytes: Vec<u8>,
    },
    /// The last piece of the policy, which takes effect for later dials.
    Policy {
        /// Bytes of the encoded [`fumehood_policy::Policy`].
        bytes: Vec<u8>,
    },
    /// Enter the sandbox and answer `Ready`. Comes once, after the policy.
    Start {
        /// Layers without which not to start.
        required: Vec<crate::Layer>,
    },
    /// An engine's channel; replaces an earlier one. One descriptor.
    Engine,
    /// Leave to dial.
    Grant(Grant),
    /// Leave for a driver's sockets. Taken back as any other.
    SocketGrant(SocketGrant),
    /// Takes leave back; connections already made stay.
    Revoke(GrantId),
    /// Resolve the target's name as a dial would, and connect to nothing. The
    /// answer is [`FromBroker::Looked`].
    Look {
        /// By which the answer refers to it.
        id: u64,
        /// Whose name.
        target: Target,
        /// When to give up, in milliseconds.
        deadline_ms: u32,
    },
    /// Listen there, for as long as the broker lives or until
    /// [`ToBroker::CloseListener`]. Every engine gets a duplicate of the socket.
    /// The answer is [`FromBroker::Listens`], or [`FromBroker::Listening`] with an error.
    Listen {
        /// By which the rest refers to it.
        listener: ListenerId,
        /// Where; port 0 is any.
        address: SocketAddr,
    },
    /// The same with a socket that listens already. One descriptor. The answer is
    /// [`FromBroker::Listening`].
    Listener {
        /// By which the rest refers to it.
        listener: ListenerId,
        /// A broker has made it, so it is of the broker's network.
        made_here: bool,
    },
    /// Forget a listener. Engines have their duplicates until they drain.
    CloseListener(ListenerId),
    /// Leave to dial for a listener's clients. Taken back as any other.
    StandingGrant(StandingGrant),
    /// Leave for the engine's resolver. Replaces an earlier one.
    Resolver(ResolverGrant),
    /// To which proxies listeners' clients may be led: to none at first. Replaces
    /// what was said before.
    Proxies(crate::ProxyLeave),
}

impl Message for ToBroker {
    fn fd_count(&self) -> usize {
        usize::from(matches!(self, ToBroker::Engine | ToBroker::Listener { .. }))
    }
}

/// Broker to embedder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromBroker {
    /// The sandbox holds; dialling begins.
    Ready {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// What holds and what does not.
        layers: Vec<LayerReport>,
    },
    /// The broker will not run. It exits after this.
    Refused {
        /// What holds and what does not.
        layers: Vec<LayerReport>,
        /// One sentence for people.
        why: String,
    },
    /// What the policy only reports was let through.
    Reported(Denial),
    /// The answer to [`ToBroker::Look`].
    Looked {
        /// Of the question.
        id: u64,
        /// The first [`MAX_CANDIDATES`] addresses, or why there are none.
        addresses: Result<Vec<IpAddr>, DialFailure>,
    },
    /// The socket of [`ToBroker::Listen`] listens. One descriptor, a duplicate: given to
    /// the next broker, it takes the port over, and no connect is refused between them.
    Listens {
        /// Which.
        listener: ListenerId,
        /// Where.
        address: SocketAddr,
    },
    /// The answer to [`ToBroker::Listener`], and to [`ToBroker::Listen`] where that failed.
    Listening {
        /// Which.
        listener: ListenerId,
        /// Where, or the `errno` with which it was refused. A Unix socket has no
        /// address.
        bound: Result<Option<SocketAddr>, i32>,
    },
}

impl Message for FromBroker {
    fn fd_count(&self) -> usize {
        usize::from(matches!(self, FromBroker::Listens { .. }))
    }
}

/// Engine to broker. Never carries descriptors, so the engine needs no `sendmsg`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialRequest {
    /// Connect to the grant's target.
    Dial {
        /// By which the reply refers to it.
        id: u64,
        /// The leave.
        grant: GrantId,
        /// When to give up, in milliseconds.
        deadline_ms: u32,
        /// What the engine's resolver found for the target's name, at most
        /// [`MAX_CANDIDATES`]. Looked at, and needed, where the resolver's
        /// grant says so.
        found: Option<Vec<IpAddr>>,
    },
    /// Connect a driver's socket to one address, which its grant must cover.
    Connect {
        /// By which the reply refers to it; from the same count as dials.
        id: u64,
        /// A [`SocketGrant`].
        grant: GrantId,
        /// Where to.
        address: SocketAddr,
        /// Over what.
        transport: Transport,
        /// When to give up, in milliseconds.
        deadline_ms: u32,
    },
    /// Look up a name, which a driver's grant must cover.
    Lookup {
        /// By which the reply refers to it; from the same count as dials.
        id: u64,
        /// A [`SocketGrant`].
        grant: GrantId,
        /// The name, or an address written down.
        host: Host,
        /// When to give up, in milliseconds.
        deadline_ms: u32,
        /// As for a dial.
        found: Option<Vec<IpAddr>>,
    },
    /// Give up on a dial; a reply may still come.
    Cancel {
        /// Of the dial.
        id: u64,
    },
    /// Connect to a target that a listener's client asked for: a UDP socket where
    /// the target's scheme is `udp`, which is judged as such.
    DialFor {
        /// By which the reply refers to it; from the same count as dials.
        id: u64,
        /// A [`StandingGrant`].
        grant: GrantId,
        /// Where to; the policy is asked about it.
        target: Target,
        /// How: what rules look at beside the target.
        method: Option<Method>,
        /// What the engine's own resolver says of the name that is dialled, as for
        /// a dial.
        found: Option<Vec<IpAddr>>,
        /// When to give up, in milliseconds.
        deadline_ms: u32,
        /// Connect to this proxy in its place, which [`ToBroker::Proxies`] gives
        /// leave for.
        proxy: Option<FirstHop>,
    },
    /// Look up the name of a target that a listener's client asked for, for a
    /// proxy that is told addresses. Only where there may be proxies.
    LookupFor {
        /// By which the reply refers to it; from the same count as dials.
        id: u64,
        /// A [`StandingGrant`].
        grant: GrantId,
        /// Whose name; the policy is asked about it and its addresses.
        target: Target,
        /// What rules look at beside the target.
        method: Option<Method>,
        /// As for a dial.
        found: Option<Vec<IpAddr>>,
        /// When to give up, in milliseconds.
        deadline_ms: u32,
    },
    /// Receive the datagrams of a listener's client (RFC 1928 section 7), on a port
    /// of the kernel's choice. [`DialReply::Receiving`] follows, and
    /// [`DialReply::Connected`] once the client has sent one. Only for listeners
    /// that the broker itself has bound, and where the policy lets the client send
    /// datagrams somewhere.
    Associate {
        /// By which the replies refer to it; from the same count as dials.
        id: u64,
        /// A [`StandingGrant`].
        grant: GrantId,
        /// To which it came.
        listener: ListenerId,
        /// At this address of the listener's.
        at: IpAddr,
        /// From there; port 0 is the one that a first datagram comes from.
        client: SocketAddr,
        /// When to give up on that, in milliseconds.
        deadline_ms: u32,
    },
}

impl Message for DialRequest {
    fn fd_count(&self) -> usize {
        0
    }
}

/// One connection attempt, for the journey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried.
    pub address: SocketAddr,
    /// The `errno` it ended with; `None` for one that won or was overtaken.
    pub errno: Option<i32>,
}

/// Broker to engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialReply {
    /// Connected. One descriptor: a non-blocking TCP socket with
    /// `TCP_NODELAY`, or a connected UDP socket where one was asked for.
    Connected {
        /// Of the dial.
        id: u64,
        /// The address that passed the policy and answered.
        peer: SocketAddr,
        /// Addresses that the policy refused, at most [`MAX_CANDIDATES`].
        refused: Vec<SocketAddr>,
        /// Attempts before this one, and those it overtook.
        attempts: Vec<Attempt>,
        /// Time to resolve, in microseconds; zero for an IP literal.
        resolve_us: u64,
        /// Time to connect, in microseconds.
        connect_us: u64,
    },
    /// A name's addresses that passed the policy, at least one. A driver's
    /// sockets may be connected to them.
    Addresses {
        /// Of the lookup.
        id: u64,
        /// At most [`MAX_CANDIDATES`], best first.
        addresses: Vec<IpAddr>,
    },
    /// Not connected, or not looked up.
    Failed {
        /// Of the dial.
        id: u64,
        /// Why.
        failure: DialFailure,
    },
    /// A listening socket, unasked. One descriptor, in non-blocking mode.
    Listener {
        /// Which.
        listener: ListenerId,
    },
    /// A client's datagrams are received there. Another reply follows.
    Receiving {
        /// Of the association.
        id: u64,
        /// Where.
        at: SocketAddr,
    },
}

impl Message for DialReply {
    fn fd_count(&self) -> usize {
        usize::from(matches!(
            self,
            DialReply::Connected { .. } | DialReply::Listener { .. }
        ))
    }
}

/// What a driver asked for beyond its grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outside {
    /// An address that no place of the grant has, and no name that was looked up.
    Address(SocketAddr, Transport),
    /// A name.
    Host(Host),
    /// One more name than may be looked up under one grant.
    Names,
}

/// Why a dial brought no connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialFailure {
    /// The policy said no, to the target or to every address it has.
    Denied(Denial),
    /// The grant is unknown, used up, expired or revoked.
    NoGrant,
    /// The name does not resolve: the resolver's words.
    Resolve(String),
    /// Every address that passed refused or failed.
    Connect(Vec<Attempt>),
    /// The deadline passed: before an address was known, or while connecting.
    Timeout {
        /// True when it passed while the name was being resolved.
        resolving: bool,
    },
    /// The broker has as many dials as it takes; try later.
    Busy,
    /// A driver asked for a name or an address that its grant does not cover.
    /// Nothing was sent.
    Outside(Outside),
    /// The proxy is this program's own: its clients would be led in a circle.
    Loop,
}
