//! WASI's sockets as a [`Network`].

use std::collections::{BTreeMap, VecDeque};

use super::bindings::fumehood::dns::secure::Posting;
use super::bindings::wasi::io::poll::Pollable;
use super::bindings::wasi::sockets::instance_network::instance_network;
use super::bindings::wasi::sockets::network::ErrorCode;
use super::bindings::wasi::sockets::udp::{
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use super::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use super::convert::{
    family_of, secure_error, server as to_wit, socket_address, to_socket_address, unspecified,
};
use super::line::Line;
use crate::{Action, Channel, Event, ExchangeId, Network, Server};

/// Datagrams taken at once from one socket; it waits for one.
const DATAGRAMS: u64 = 8;

/// One question's socket. The fields are dropped in order, children first.
struct Datagram {
    ready: Pollable,
    incoming: IncomingDatagramStream,
    _outgoing: OutgoingDatagramStream,
    _socket: UdpSocket,
}

/// An HTTPS exchange. The fields are dropped in order, children first.
struct Post {
    ready: Pollable,
    posting: Posting,
}

/// What a pollable belongs to.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Datagram(ExchangeId),
    Post(ExchangeId),
    Channel(Channel),
}

/// All sockets, and what has been heard from them.
#[derive(Default)]
pub(super) struct Sockets {
    datagrams: BTreeMap<ExchangeId, Datagram>,
    posts: BTreeMap<ExchangeId, Post>,
    lines: BTreeMap<Channel, Line>,
    events: VecDeque<Event>,
}

impl Network for Sockets {
    fn perform(&mut self, action: Action) {
        match action {
            Action::Datagram {
                exchange,
                server,
                message,
            } => match Datagram::send(&server, message) {
                Ok(datagram) => {
                    self.datagrams.insert(exchange, datagram);
                }
                Err(why) => self.events.push_back(Event::Failed {
                    exchange,
                    why: describe(why),
                }),
            },
            Action::Stream {
                channel,
                server,
                message,
            } => self.stream(channel, &server, &message),
            Action::Post {
                exchange,
                server,
                message,
            } => {
                let posting = Posting::new(&to_wit(server), &message);
                let ready = posting.subscribe();
                self.posts.insert(exchange, Post { ready, posting });
            }
            Action::Forget(exchange) => {
                self.datagrams.remove(&exchange);
                self.posts.remove(&exchange);
            }
            Action::HangUp(channel) => {
                // What came by it before it is opened again is not heard either.
                self.events
                    .retain(|event| channel_of(event) != Some(channel));
                self.lines.remove(&channel);
            }
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl Sockets {
    /// Adds what to wait for, and returns what each belongs to.
    pub(super) fn pollables<'a>(&'a self, pollables: &mut Vec<&'a Pollable>) -> Vec<Place> {
        let mut places = Vec::new();
        for (exchange, datagram) in &self.datagrams {
            pollables.push(&datagram.ready);
            places.push(Place::Datagram(*exchange));
        }
        for (exchange, post) in &self.posts {
            pollables.push(&post.ready);
            places.push(Place::Post(*exchange));
        }
        for (channel, line) in &self.lines {
            for pollable in line.pollables() {
                pollables.push(pollable);
                places.push(Place::Channel(*channel));
            }
        }
        places
    }

    /// Turns what has come to a place into events.
    pub(super) fn look(&mut self, place: Place) {
        match place {
            Place::Datagram(exchange) => self.receive(exchange),
            Place::Post(exchange) => self.finish_post(exchange),
            Place::Channel(channel) => self.advance(channel),
        }
    }

    fn receive(&mut self, exchange: ExchangeId) {
        let Some(datagram) = self.datagrams.get(&exchange) else {
            return;
        };
        match datagram.incoming.receive(DATAGRAMS) {
            Ok(received) => self
                .events
                .extend(received.into_iter().map(|it| Event::Datagram {
                    exchange,
                    from: socket_address(it.remote_address),
                    message: it.data,
                })),
            Err(why) => {
                self.datagrams.remove(&exchange);
                self.events.push_back(Event::Failed {
                    exchange,
                    why: describe(why),
                });
            }
        }
    }

    fn finish_post(&mut self, exchange: ExchangeId) {
        let Some(outcome) = self.posts.get(&exchange).and_then(|it| it.posting.finish()) else {
            return;
        };
        self.posts.remove(&exchange);
        self.events.push_back(match outcome {
            Ok(message) => Event::Posted { exchange, message },
            Err(why) => Event::Failed {
                exchange,
                why: secure_error(why),
            },
        });
    }

    fn stream(&mut self, channel: Channel, server: &Server, message: &[u8]) {
        if self.has_ended(channel) {
            // This is lost with the connection, whose end is told next: to open another
            // now would have it taken for that one, and nobody would close it.
            return;
        }
        let line = match self.lines.get_mut(&channel) {
            Some(line) => line,
            None => match Line::open(channel, server) {
                Ok(line) => self.lines.entry(channel).or_insert(line),
                Err(why) => {
                    self.events.push_back(Event::Closed { channel, why });
                    return;
                }
            },
        };
        line.send(message);
        self.advance(channel);
    }

    /// Whether its end is still to be told.
    fn has_ended(&self, channel: Channel) -> bool {
        let is_end = |it: &Event| matches!(it, Event::Closed { channel: of, .. } if *of == channel);
        self.events.iter().any(is_end)
    }

    fn advance(&mut self, channel: Channel) {
        let Some(line) = self.lines.get_mut(&channel) else {
            return;
        };
        let ended = line.advance().err();
        while let Some(message) = line.next_message() {
            self.events.push_back(Event::Stream { channel, message });
        }
        if let Some(why) = ended {
            self.lines.remove(&channel);
            self.events.push_back(Event::Closed { channel, why });
        }
    }
}

impl Datagram {
    /// A fresh socket, on a port that the system draws by lot, connected so
    /// that only the server is heard.
    fn send(server: &Server, message: Vec<u8>) -> Result<Self, ErrorCode> {
        let socket = create_udp_socket(family_of(server.address))?;
        let network = instance_network();
        socket.start_bind(&network, unspecified(server.address))?;
        socket.finish_bind()?;
        let remote = to_socket_address(server.address);
        let (incoming, outgoing) = socket.stream(Some(remote))?;
        // A socket this young has room; one that has none is of no use.
        let question = OutgoingDatagram {
            data: message,
            remote_address: None,
        };
        if outgoing.check_send()? == 0 || outgoing.send(&[question])? == 0 {
            return Err(ErrorCode::WouldBlock);
        }
        Ok(Datagram {
            ready: incoming.subscribe(),
            incoming,
            _outgoing: outgoing,
            _socket: socket,
        })
    }
}

fn channel_of(event: &Event) -> Option<Channel> {
    match event {
        Event::Stream { channel, .. } | Event::Closed { channel, .. } => Some(*channel),
        Event::Datagram { .. } | Event::Posted { .. } | Event::Failed { .. } => None,
    }
}

/// WASI's code for people.
pub(super) fn describe(code: ErrorCode) -> String {
    match code {
        ErrorCode::AccessDenied => "the grant does not cover this server".to_owned(),
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        ErrorCode::ConnectionReset => "connection reset".to_owned(),
        ErrorCode::RemoteUnreachable => "host unreachable".to_owned(),
        ErrorCode::Timeout => "connection timed out".to_owned(),
        other => other.name().replace('-', " "),
    }
}
