//! The `http1` guest in the server's role, call by call.

use fumehood_control::{Field, PayloadLength};
use wasmtime::Store;

use super::{Ended, Said};
use crate::instance::http1::exports::fumehood::http1::{client, server as wire};
use crate::instance::{CodecModule, Fault, Fields, GuestState, arm};

/// A response's head, as `wit/http1` has it.
pub struct ServerHead {
    /// 100–999, or what is none.
    pub status: u16,
    /// May be empty.
    pub reason: Vec<u8>,
    /// As a server sent them.
    pub fields: Vec<Field>,
    /// How much content follows.
    pub payload: PayloadLength,
    /// The connection ends with it.
    pub last: bool,
    /// It asks who the client is.
    pub challenge: bool,
}

/// An instance. Each call returns the text of its answer or of its error, as they
/// are in `wit/http1`.
pub struct ServerCodec {
    store: Store<GuestState>,
    guest: wire::Guest,
}

type Told<T> = wasmtime::Result<Result<T, wire::Error>>;

impl ServerCodec {
    pub(super) fn new(module: &CodecModule) -> Result<ServerCodec, Ended> {
        let (store, guest) = module.serve()?;
        Ok(ServerCodec { store, guest })
    }

    /// `current-demand`.
    ///
    /// # Errors
    /// When the guest ended; so for all calls.
    pub fn demand(&mut self) -> Said {
        arm(&mut self.store);
        let told = self.guest.call_current_demand(&mut self.store);
        super::told(told, self.store.data())
    }

    /// `receive`.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn receive(&mut self, data: &[u8]) -> Said {
        arm(&mut self.store);
        let told = self.guest.call_receive(&mut self.store, data);
        self.step(told)
    }

    /// `payload-moved`.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn payload_moved(&mut self, count: u64) -> Said {
        arm(&mut self.store);
        let told = self.guest.call_payload_moved(&mut self.store, count);
        self.step(told)
    }

    /// `end-of-stream`.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn end_of_stream(&mut self, pending: u64) -> Said {
        arm(&mut self.store);
        let told = self.guest.call_end_of_stream(&mut self.store, pending);
        self.step(told)
    }

    /// `encode-head`: its bytes, and whether another request may follow where the guest
    /// is done with it.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn encode_head(&mut self, head: &ServerHead) -> Said {
        let fields: Fields = head.fields.iter().collect();
        let answer = wire::Answer {
            status: head.status,
            reason: &head.reason,
            fields: fields.to_wire(),
            payload: match head.payload {
                PayloadLength::None => wire::PayloadLength::None,
                PayloadLength::Known(length) => wire::PayloadLength::Known(length),
                PayloadLength::Unknown => wire::PayloadLength::Unknown,
            },
            last: head.last,
            challenge: head.challenge,
        };
        arm(&mut self.store);
        let told = self.guest.call_encode_head(&mut self.store, answer);
        self.answer(told, |opening| {
            format!("{:?} {:?}", opening.bytes, opening.persists)
        })
    }

    /// `frame-payload`.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn frame_payload(&mut self, length: u64) -> Said {
        arm(&mut self.store);
        let told = self.guest.call_frame_payload(&mut self.store, length);
        self.answer(told, |frame| format!("{frame:?}"))
    }

    /// `end-payload`.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn end_payload(&mut self, trailers: &[Field]) -> Said {
        let trailers: Fields = trailers.iter().collect();
        arm(&mut self.store);
        let told = self
            .guest
            .call_end_payload(&mut self.store, trailers.to_wire());
        self.answer(told, |ending| format!("{ending:?}"))
    }

    fn step(&self, told: Told<wire::Progress>) -> Said {
        self.answer(told, text)
    }

    fn answer<T>(&self, told: Told<T>, text: impl Fn(&T) -> String) -> Said {
        match told {
            Ok(Ok(answer)) => Ok(text(&answer)),
            Ok(Err(error)) => Ok(format!("{error:?}")),
            Err(error) => Err(Fault::of_call(self.store.data(), &error).into()),
        }
    }
}

fn text(progress: &wire::Progress) -> String {
    let events: Vec<String> = progress
        .events
        .iter()
        .map(|event| match event {
            wire::Event::Request(request) => self::request(request),
            wire::Event::RequestEnd => "RequestEnd".to_owned(),
        })
        .collect();
    let (events, demand, then) = (events.join(", "), &progress.demand, &progress.then);
    format!("Progress {{ events: [{events}], demand: {demand:?}, then: {then:?} }}")
}

fn request(told: &wire::Request) -> String {
    let target = match &told.target {
        wire::RequestTarget::Authority(text) => format!("Authority({text:?})"),
        wire::RequestTarget::Absolute(it) => format!("Absolute({:?}, {:?})", it.origin, it.path),
        wire::RequestTarget::Local(text) => format!("Local({text:?})"),
    };
    let fields = fields(&told.fields);
    let login = told.login.as_ref().map(|it| (&it.name, &it.password));
    format!(
        "Request({:?}, {}, {target}, {fields:?}, {:?}, {}, {login:?})",
        told.method, told.minor_version, told.payload, told.upgrade
    )
}

/// Each name and value, as far as there is one.
fn fields(told: &client::FieldsResult) -> Vec<&[u8]> {
    let mut start = 0;
    let mut next = |end: &u32| {
        let part = told.bytes.get(start..*end as usize);
        start = *end as usize;
        part.unwrap_or_default()
    };
    told.ends.iter().map(&mut next).collect()
}
