//! Between the library's types and the bindings'.

use std::net::Ipv6Addr;

use super::{client, datagrams, server, types};
use crate::{
    Address, Credentials, Endpoint, Error, Event, Flaw, Login, Next, Outcome, Piece, Request,
    ServerStep, Step, Version, Violation,
};

/// A destination or a bound address. A name is checked where it is written.
pub(super) fn endpoint(endpoint: types::Endpoint) -> Endpoint {
    let address = match endpoint.address {
        types::Address::Name(name) => Address::Name(name),
        types::Address::Ipv4((a, b, c, d)) => Address::V4([a, b, c, d].into()),
        types::Address::Ipv6((a, b, c, d, e, f, g, h)) => {
            Address::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
        }
    };
    Endpoint {
        address,
        port: endpoint.port,
    }
}

pub(super) fn request(request: client::Request) -> Request {
    Request {
        version: match request.version {
            client::Version::V4 => Version::V4,
            client::Version::V4a => Version::V4a,
            client::Version::V5 => Version::V5,
        },
        destination: endpoint(request.destination),
        login: request.login.map(|it| Login {
            name: it.name,
            password: it.password,
        }),
    }
}

impl From<Endpoint> for types::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        let address = match endpoint.address {
            Address::Name(name) => types::Address::Name(name),
            Address::V4(it) => types::Address::Ipv4(it.octets().into()),
            Address::V6(it) => types::Address::Ipv6(it.segments().into()),
        };
        Self {
            address,
            port: endpoint.port,
        }
    }
}

impl From<Step> for client::Step {
    fn from(step: Step) -> Self {
        let piece = |piece| match piece {
            Piece::Bytes(bytes) => types::Piece::Bytes(bytes),
            Piece::Name => types::Piece::Name,
            Piece::Password => types::Piece::Password,
        };
        Self {
            send: step.send.into_iter().map(piece).collect(),
            next: match step.next {
                Next::Bytes(count) => client::Next::Bytes(count),
                Next::Connected(bound) => client::Next::Connected(bound.into()),
            },
        }
    }
}

impl From<ServerStep> for server::Step {
    fn from(step: ServerStep) -> Self {
        let event = |event| match event {
            Event::Login(Credentials { name, password }) => {
                server::Event::Login(server::Credentials { name, password })
            }
            Event::Request(to) => server::Event::Request(to.into()),
            Event::Associate(from) => server::Event::Associate(from.into()),
        };
        Self {
            send: step.send,
            event: step.event.map(event),
            want: step.want,
        }
    }
}

impl From<server::Outcome> for Outcome {
    fn from(outcome: server::Outcome) -> Self {
        match outcome {
            server::Outcome::Granted => Self::Granted,
            server::Outcome::Failure => Self::Failure,
            server::Outcome::NotAllowed => Self::NotAllowed,
            server::Outcome::NetworkUnreachable => Self::NetworkUnreachable,
            server::Outcome::HostUnreachable => Self::HostUnreachable,
            server::Outcome::ConnectionRefused => Self::ConnectionRefused,
            server::Outcome::TimedOut => Self::TimedOut,
            server::Outcome::NotSupported => Self::NotSupported,
        }
    }
}

impl From<Flaw> for datagrams::Flaw {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Malformed => Self::Malformed,
            Flaw::Fragment => Self::Fragment,
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Peer(violation) => Self::Peer(match violation {
                Violation::BadVersion => types::Violation::BadVersion,
                Violation::BadReply => types::Violation::BadReply,
                Violation::BadMethod => types::Violation::BadMethod,
                Violation::BadAddress => types::Violation::BadAddress,
                Violation::BadReserved => types::Violation::BadReserved,
                Violation::BadLength => types::Violation::BadLength,
            }),
            Error::Refused(code) => Self::Refused(code),
            Error::NoMethod => Self::NoMethod,
            Error::Login => Self::Login,
            Error::Command => Self::Command,
            Error::Misuse(what) => Self::Misuse(what.to_owned()),
        }
    }
}
