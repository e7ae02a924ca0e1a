//! What the library says, as the guest behind glass tells it.

use fumehood_engine::fuzz::socks as wire;
use fumehood_guest_socks::{
    Address, Endpoint, Error, Event, Flaw, Next, Outcome, Piece, Request, ServerStep, Step, Version,
};

pub(super) fn wire_request(request: &Request) -> wire::Request {
    wire::Request {
        version: match request.version {
            Version::V4 => wire::Version::V4,
            Version::V4a => wire::Version::V4a,
            Version::V5 => wire::Version::V5,
        },
        destination: wire_endpoint(&request.destination),
        login: request.login.map(|it| wire::Login {
            name: it.name,
            password: it.password,
        }),
    }
}

pub(super) fn wire_endpoint(endpoint: &Endpoint) -> wire::Endpoint {
    wire::Endpoint {
        address: match &endpoint.address {
            Address::Name(name) => wire::Address::Name(name.clone()),
            Address::V4(it) => wire::Address::Ipv4(it.octets().into()),
            Address::V6(it) => wire::Address::Ipv6(it.segments().into()),
        },
        port: endpoint.port,
    }
}

pub(super) fn wire_outcome(outcome: Outcome) -> wire::Outcome {
    match outcome {
        Outcome::Granted => wire::Outcome::Granted,
        Outcome::Failure => wire::Outcome::Failure,
        Outcome::NotAllowed => wire::Outcome::NotAllowed,
        Outcome::NetworkUnreachable => wire::Outcome::NetworkUnreachable,
        Outcome::HostUnreachable => wire::Outcome::HostUnreachable,
        Outcome::ConnectionRefused => wire::Outcome::ConnectionRefused,
        Outcome::TimedOut => wire::Outcome::TimedOut,
        Outcome::NotSupported => wire::Outcome::NotSupported,
    }
}

/// Where a datagram goes.
pub(super) fn destination(told: &Result<Endpoint, Flaw>) -> String {
    let told = told.as_ref().map(wire_endpoint);
    format!("{:?}", told.map_err(ToString::to_string))
}

/// A step of the client's role.
pub(super) fn step(told: &Result<Step, Error>) -> String {
    result(told, |step| {
        let piece = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => format!("Bytes({bytes:?})"),
            Piece::Name => "Name".to_owned(),
            Piece::Password => "Password".to_owned(),
        };
        let send: Vec<String> = step.send.iter().map(piece).collect();
        let next = match &step.next {
            Next::Bytes(count) => format!("Bytes({count})"),
            Next::Connected(bound) => format!("Connected({:?})", wire_endpoint(bound)),
        };
        format!("Step {{ send: [{}], next: {next} }}", send.join(", "))
    })
}

/// A step of the server's role.
pub(super) fn server_step(told: &Result<ServerStep, Error>) -> String {
    result(told, |ServerStep { send, event, want }| {
        let event = event.as_ref().map(|event| match event {
            Event::Login(it) => {
                let (name, password) = (&it.name, &it.password);
                format!("Login(Credentials {{ name: {name:?}, password: {password:?} }})")
            }
            Event::Request(to) => format!("Request({:?})", wire_endpoint(to)),
            Event::Associate(from) => format!("Associate({:?})", wire_endpoint(from)),
        });
        let event = event.map_or_else(|| "None".to_owned(), |it| format!("Some({it})"));
        format!("Step {{ send: {send:?}, event: {event}, want: {want} }}")
    })
}

fn result<T>(told: &Result<T, Error>, text: impl FnOnce(&T) -> String) -> String {
    match told {
        Ok(it) => format!("Ok({})", text(it)),
        Err(error) => format!("Err({error:?})"),
    }
}
