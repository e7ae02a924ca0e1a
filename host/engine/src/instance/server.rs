//! The `http1` guest in the server's role, typed: one instance serves one
//! client's connection.
//!
//! It is not resumed when it ends: a client that broke it loses its connection,
//! and nobody else notices.

use std::sync::Arc;

use fumehood_control::{Aftermath, Cause, Login, MAX_LOGIN_BYTES, PayloadLength};
use wasmtime::Store;

use super::codec::CodecModule;
use super::fields::is_token;
use super::http1::exports::fumehood::http1::server as wire;
use super::trail::Trace;
use super::words::{self, Nonsense};
use super::{CodecError, Fault, GuestState, arm};
use super::{Demand, Fields, LineDemand, PayloadFrame};
use crate::registry::{Registry, Version};

/// A request, in the host's types and sound.
#[derive(Debug)]
pub(crate) struct Request {
    pub method: String,
    pub minor_version: u8,
    pub target: Asked,
    /// As they are passed on.
    pub fields: Fields,
    pub payload: PayloadLength,
    /// It offers to go on as a WebSocket.
    pub upgrade: bool,
    /// Who the client says it is.
    pub login: Option<Login>,
}

/// What a request asks for; visible ASCII.
#[derive(Debug)]
pub(crate) enum Asked {
    /// `host:port`.
    Authority(String),
    /// `scheme://host[:port]`, and a path.
    Absolute { origin: String, path: String },
    /// Something of the proxy itself.
    Local,
}

/// A response to be sent.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub status: u16,
    pub reason: &'a [u8],
    pub fields: &'a Fields,
    pub payload: PayloadLength,
    /// The connection ends with it.
    pub last: bool,
    /// It asks who the client is.
    pub challenge: bool,
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub bytes: Vec<u8>,
    /// Where the guest is done with the response: whether another request may
    /// follow. There is no [`ServerCodec::end_payload`] then.
    pub persists: Option<bool>,
}

/// The end of a response.
#[derive(Debug)]
pub(crate) struct Ending {
    pub bytes: Vec<u8>,
    /// Another request may follow.
    pub persists: bool,
}

/// The outcome of a step.
#[derive(Debug)]
pub(crate) struct Step {
    /// A request began.
    pub request: Option<Request>,
    pub demand: Demand,
    pub then: Option<LineDemand>,
}

/// One client connection's codec.
pub(crate) struct ServerCodec {
    store: Store<GuestState>,
    guest: wire::Guest,
    registry: Arc<Registry>,
    version: Arc<Version<CodecModule>>,
}

impl ServerCodec {
    /// An instance of the current version.
    ///
    /// # Errors
    /// [`Cause::Guest`] when there is none to be had.
    pub(crate) fn new(registry: &Arc<Registry>) -> Result<ServerCodec, Cause> {
        let version = registry.http1.current()?;
        let (store, guest) = version
            .module
            .serve()
            .inspect_err(|fault| fault.settle(Aftermath::Failed))?;
        Ok(ServerCodec {
            store,
            guest,
            registry: Arc::clone(registry),
            version,
        })
    }

    /// It is of the version that is current. To be looked at between requests.
    pub(crate) fn is_current(&self) -> bool {
        self.registry
            .http1
            .current()
            .is_ok_and(|current| Arc::ptr_eq(&current, &self.version))
    }

    /// The demand in force. After a response that persists it is again what it
    /// was at first.
    pub(crate) fn demand(&mut self) -> Result<Demand, CodecError> {
        self.before(Trace::Call("current-demand"));
        let told = self.guest.call_current_demand(&mut self.store);
        let demand = self.read(told.map(Ok))?;
        words::demand(demand).map_err(|Nonsense(what)| self.nonsense(what))
    }

    /// Shows the demanded bytes.
    pub(crate) fn receive(&mut self, data: &[u8]) -> Result<Step, CodecError> {
        self.before(Trace::CallWith("receive", data.len() as u64));
        self.store.data_mut().preferences = self.registry.supervisor.preferences().http1;
        let told = self.guest.call_receive(&mut self.store, data);
        self.step(told)
    }

    /// Reports payload moved.
    pub(crate) fn payload_moved(&mut self, count: u64) -> Result<Step, CodecError> {
        self.before(Trace::CallWith("payload-moved", count));
        let told = self.guest.call_payload_moved(&mut self.store, count);
        self.step(told)
    }

    /// Reports the client's close.
    pub(crate) fn end_of_stream(&mut self, pending: u64) -> Result<Step, CodecError> {
        self.before(Trace::CallWith("end-of-stream", pending));
        let told = self.guest.call_end_of_stream(&mut self.store, pending);
        self.step(told)
    }

    /// A response's head.
    pub(crate) fn encode_head(&mut self, answer: &Answer<'_>) -> Result<Head, CodecError> {
        let Answer { status, fields, .. } = answer;
        self.before(Trace::Head("encode-head", *status, fields.len()));
        let head = wire::Answer {
            status: *status,
            reason: answer.reason,
            fields: fields.to_wire(),
            payload: match answer.payload {
                PayloadLength::None => wire::PayloadLength::None,
                PayloadLength::Known(length) => wire::PayloadLength::Known(length),
                PayloadLength::Unknown => wire::PayloadLength::Unknown,
            },
            last: answer.last,
            challenge: answer.challenge,
        };
        let told = self.guest.call_encode_head(&mut self.store, head);
        let wire::Opening { bytes, persists } = self.read(told)?;
        Ok(Head { bytes, persists })
    }

    /// What to write around `length` bytes of response payload.
    pub(crate) fn frame_payload(&mut self, length: u64) -> Result<PayloadFrame, CodecError> {
        self.before(Trace::CallWith("frame-payload", length));
        let told = self.guest.call_frame_payload(&mut self.store, length);
        self.read(told)
    }

    /// What to write after a response.
    pub(crate) fn end_payload(&mut self, trailers: &Fields) -> Result<Ending, CodecError> {
        self.before(Trace::CallWith("end-payload", trailers.len() as u64));
        let told = self
            .guest
            .call_end_payload(&mut self.store, trailers.to_wire());
        let wire::Ending { bytes, persists } = self.read(told)?;
        Ok(Ending { bytes, persists })
    }

    fn before(&mut self, trace: Trace) {
        arm(&mut self.store);
        let state = self.store.data_mut();
        state.calls += 1;
        state.trail.note(trace);
    }

    fn step(
        &mut self,
        told: wasmtime::Result<Result<wire::Progress, wire::Error>>,
    ) -> Result<Step, CodecError> {
        let progress = self.read(told)?;
        sound(progress).map_err(|Nonsense(what)| self.nonsense(what))
    }

    fn nonsense(&self, what: &str) -> CodecError {
        let detail = format!("the guest told {what}");
        self.ended(Fault::of_words(self.store.data(), "nonsense", detail))
    }

    /// Nothing takes the place of an instance that ended.
    fn ended(&self, fault: Fault) -> CodecError {
        fault.settle(Aftermath::Failed);
        self.registry.enforce();
        CodecError::Fault(fault)
    }

    fn read<T>(&self, told: wasmtime::Result<Result<T, wire::Error>>) -> Result<T, CodecError> {
        match told {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(error)) => Err(CodecError::Protocol(error)),
            Err(error) => Err(self.ended(Fault::of_call(self.store.data(), &error))),
        }
    }
}

/// A step's outcome, if all of it makes sense.
fn sound(told: wire::Progress) -> Result<Step, Nonsense> {
    let (demand, then) = words::demands(told.demand, told.then)?;
    let mut request = None;
    for event in told.events {
        if let wire::Event::Request(told) = event {
            request = Some(sound_request(told)?);
        }
    }
    Ok(Step {
        request,
        demand,
        then,
    })
}

fn sound_request(told: wire::Request) -> Result<Request, Nonsense> {
    let visible = |text: &str| {
        let sound = text.bytes().all(|byte| byte.is_ascii_graphic());
        sound
            .then_some(())
            .ok_or(Nonsense("a target that is no text"))
    };
    if !is_token(told.method.as_bytes()) {
        return Err(Nonsense("a method that is not a token"));
    }
    let target = match told.target {
        wire::RequestTarget::Authority(text) => {
            visible(&text)?;
            Asked::Authority(text)
        }
        wire::RequestTarget::Absolute(wire::AbsoluteTarget { origin, path }) => {
            visible(&origin)?;
            visible(&path)?;
            // It is written behind the origin that was judged.
            if !path.starts_with('/') {
                return Err(Nonsense("a path that does not begin with a slash"));
            }
            Asked::Absolute { origin, path }
        }
        wire::RequestTarget::Local(_) => Asked::Local,
    };
    Ok(Request {
        method: told.method,
        minor_version: told.minor_version.min(1),
        target,
        fields: Fields::sound(told.fields)?,
        payload: match told.payload {
            wire::PayloadLength::None => PayloadLength::None,
            wire::PayloadLength::Known(length) => PayloadLength::Known(length),
            wire::PayloadLength::Unknown => PayloadLength::Unknown,
        },
        upgrade: told.upgrade,
        // One that is too long for anybody is of nobody.
        login: told.login.and_then(|it| login(it.name, it.password)),
    })
}

/// A login that can be somebody's.
pub(super) fn login(name: Vec<u8>, password: Vec<u8>) -> Option<Login> {
    let fits = name.len() <= MAX_LOGIN_BYTES && password.len() <= MAX_LOGIN_BYTES;
    fits.then_some(Login { name, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(origin: &str, path: &str) -> wire::Request {
        wire::Request {
            method: "GET".to_owned(),
            minor_version: 1,
            target: wire::RequestTarget::Absolute(wire::AbsoluteTarget {
                origin: origin.to_owned(),
                path: path.to_owned(),
            }),
            fields: wire::FieldsResult {
                bytes: Vec::new(),
                ends: Vec::new(),
            },
            payload: wire::PayloadLength::None,
            upgrade: false,
            login: None,
        }
    }

    /// What is judged is the origin alone, and the path is written behind it.
    #[test]
    fn a_path_cannot_lengthen_the_origin() {
        for path in ["", ".evil.test/", "@evil.test/", ":81/", "a/"] {
            assert!(
                sound_request(request("http://a.test", path)).is_err(),
                "{path}"
            );
        }
        assert!(sound_request(request("http://a.test", "/.evil.test/")).is_ok());
    }
}
