//! What a resolver asks of the network, and what it hears back.

use crate::resolver::Resolver;
use crate::types::{Answer, Failure};
use crate::types::{QueryId, Server, Time, Transport};

/// One question to one server. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// A connection that many questions share: a server, by its index in the
/// configuration, and TCP or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Channel {
    /// Index in the configuration.
    pub server: usize,
    /// [`Transport::Tcp`] or [`Transport::Tls`].
    pub transport: Transport,
}

/// Something to do. Nothing answers at once; what comes of it is an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram from a fresh socket on a port nobody can guess, and
    /// hand over every datagram that comes to it.
    Datagram {
        /// Names the socket from now on.
        exchange: ExchangeId,
        /// Where to.
        server: Server,
        /// At most 512 bytes.
        message: Vec<u8>,
    },
    /// Send a message, its length before it, on a channel, which is opened if
    /// it is not open. What is sent on a channel whose end is yet to be told
    /// ([`Event::Closed`]) is lost with it: to open another now would have that
    /// taken for this one, and nobody would close it.
    Stream {
        /// Which.
        channel: Channel,
        /// Where to.
        server: Server,
        /// Without its length.
        message: Vec<u8>,
    },
    /// Send a message by HTTPS.
    Post {
        /// Names the exchange from now on.
        exchange: ExchangeId,
        /// Where to.
        server: Server,
        /// The content.
        message: Vec<u8>,
    },
    /// Close the socket of a `Datagram`, or give up a `Post`. Nothing more is
    /// heard of it.
    Forget(ExchangeId),
    /// Close a channel. Nothing more is heard of it until it is opened again.
    HangUp(Channel),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A datagram came to the exchange's socket.
    Datagram {
        /// Whose socket.
        exchange: ExchangeId,
        /// Who sent it.
        from: std::net::SocketAddr,
        /// What came.
        message: Vec<u8>,
    },
    /// A message came on a channel, its length taken off.
    Stream {
        /// Which.
        channel: Channel,
        /// What came.
        message: Vec<u8>,
    },
    /// The content of an HTTPS response of status 200 came.
    Posted {
        /// Which.
        exchange: ExchangeId,
        /// What came.
        message: Vec<u8>,
    },
    /// A `Datagram` or `Post` came to nothing. Says why, for people.
    Failed {
        /// Which.
        exchange: ExchangeId,
        /// Why.
        why: String,
    },
    /// A channel could not be opened, or has ended. Says why, for people.
    Closed {
        /// Which.
        channel: Channel,
        /// Why.
        why: String,
    },
}

/// Sockets, or what stands for them.
pub trait Network {
    /// Sets about an action. A failure is told as an event.
    fn perform(&mut self, action: Action);
    /// The next thing that has happened, without waiting for one.
    fn next_event(&mut self) -> Option<Event>;
}

/// Goes on until neither side has anything more to say, and hands over the
/// answers there are.
pub fn drive(
    resolver: &mut Resolver,
    network: &mut impl Network,
    now: Time,
    mut answered: impl FnMut(QueryId, Result<Answer, Failure>),
) {
    resolver.handle_timeout(now);
    loop {
        while let Some(action) = resolver.poll_action() {
            network.perform(action);
        }
        while let Some((id, outcome)) = resolver.poll_answer() {
            answered(id, outcome);
        }
        let Some(event) = network.next_event() else {
            return;
        };
        resolver.handle_event(event, now);
    }
}
