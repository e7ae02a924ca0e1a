//! The server's role of the component.

use std::cell::RefCell;

use fumehood_guest_sdk::panic;

use super::bindings::exports::fumehood::http1::server as wit;
use super::convert::{fields_of, in_one_piece};
use super::{Http1, preferred};
use crate::types::Lent;
use crate::{
    Answer, Ending, Field, Line, Request, RequestTarget, Server, ServerEvent, ServerProgress,
};

impl wit::Guest for Http1 {
    fn current_demand() -> wit::Demand {
        with_server(|server| server.demand().into())
    }

    fn receive(data: Vec<u8>) -> Result<wit::Progress, wit::Error> {
        with_server(|server| {
            if server.awaits_head() {
                server.prefer(preferred());
            }
            Ok(server.read(&data)?.into())
        })
    }

    fn payload_moved(count: u64) -> Result<wit::Progress, wit::Error> {
        with_server(|server| Ok(server.payload_moved(count)?.into()))
    }

    fn end_of_stream(pending: u64) -> Result<wit::Progress, wit::Error> {
        with_server(|server| Ok(server.end_of_stream(pending)?.into()))
    }

    fn encode_head(head: wit::Answer) -> Result<wit::Opening, wit::Error> {
        with_server(|server| {
            let bytes = server.encode_head(&answer(&head))?;
            let persists = match server.is_framed() {
                true => Some(server.end_payload(&[])?.persists),
                false => None,
            };
            Ok(wit::Opening { bytes, persists })
        })
    }

    fn frame_payload(length: u64) -> Result<wit::PayloadFrame, wit::Error> {
        with_server(|server| Ok(server.frame_payload(length)?.into()))
    }

    fn end_payload(trailers: wit::Fields) -> Result<wit::Ending, wit::Error> {
        let own = |(name, value): Lent<'_>| Field {
            name: name.to_owned(),
            value: value.to_vec(),
        };
        let trailers: Vec<Field> = fields_of(&trailers).into_iter().map(own).collect();
        with_server(|server| Ok(server.end_payload(&trailers)?.into()))
    }
}

/// Gives an export the instance's server, with last words prepared.
fn with_server<T>(call: impl FnOnce(&mut Server) -> T) -> T {
    thread_local! {
        static SERVER: RefCell<Server> = RefCell::new(Server::new());
    }
    panic::install();
    SERVER.with_borrow_mut(call)
}

/// An answer whose fields are lent.
fn answer(answer: &wit::Answer) -> Answer<Lent<'_>> {
    Answer {
        status: answer.status,
        reason: answer.reason.clone(),
        fields: fields_of(&answer.fields),
        payload: answer.payload.into(),
        last: answer.last,
        challenge: answer.challenge,
    }
}

impl<F: Line> From<ServerProgress<F>> for wit::Progress {
    fn from(progress: ServerProgress<F>) -> Self {
        Self {
            events: progress.events.into_iter().map(Into::into).collect(),
            demand: progress.demand.into(),
            then: progress.then.map(wit::LineDemand::from),
        }
    }
}

impl<F: Line> From<ServerEvent<F>> for wit::Event {
    fn from(event: ServerEvent<F>) -> Self {
        match event {
            ServerEvent::Request(request) => Self::Request(request.into()),
            ServerEvent::RequestEnd => Self::RequestEnd,
        }
    }
}

impl<F: Line> From<Request<F>> for wit::Request {
    fn from(request: Request<F>) -> Self {
        Self {
            method: request.method,
            minor_version: request.minor_version,
            target: match request.target {
                RequestTarget::Authority(text) => wit::RequestTarget::Authority(text),
                RequestTarget::Absolute { origin, path } => {
                    wit::RequestTarget::Absolute(wit::AbsoluteTarget { origin, path })
                }
                RequestTarget::Local(text) => wit::RequestTarget::Local(text),
            },
            fields: in_one_piece(&request.fields),
            payload: request.payload.into(),
            upgrade: request.upgrade,
            login: request.login.map(|it| wit::Credentials {
                name: it.name,
                password: it.password,
            }),
        }
    }
}

impl From<Ending> for wit::Ending {
    fn from(ending: Ending) -> Self {
        Self {
            bytes: ending.bytes,
            persists: ending.persists,
        }
    }
}
