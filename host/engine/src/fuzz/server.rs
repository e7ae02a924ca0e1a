//! The `http1` guest in the server's role, call by call.

use wasmtime::Store;

use super::{Ended, Said};
use crate::instance::http1::exports::fumehood::http1::{client, server as wire};
use crate::instance::{CodecModule, Fault, GuestState, arm};

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

    /// A response with that status and nothing else: its bytes, and whether another
    /// request may follow.
    ///
    /// # Errors
    /// As [`ServerCodec::demand`].
    pub fn respond(&mut self, status: u16) -> Said {
        let none = || client::FieldsParam {
            bytes: &[],
            ends: &[],
        };
        let answer = wire::Answer {
            status,
            reason: &[],
            fields: none(),
            payload: wire::PayloadLength::None,
            last: false,
            challenge: false,
        };
        arm(&mut self.store);
        let opening = match self.guest.call_encode_head(&mut self.store, answer) {
            Ok(Ok(opening)) => opening,
            Ok(Err(error)) => return Ok(format!("{error:?}")),
            Err(error) => return Err(self.ended(&error)),
        };
        if let Some(persists) = opening.persists {
            return Ok(format!("{:?} {persists}", opening.bytes));
        }
        arm(&mut self.store);
        match self.guest.call_end_payload(&mut self.store, none()) {
            Ok(Ok(end)) => Ok(format!(
                "{:?} {}",
                [opening.bytes, end.bytes].concat(),
                end.persists
            )),
            Ok(Err(error)) => Ok(format!("{error:?}")),
            Err(error) => Err(self.ended(&error)),
        }
    }

    fn step(&self, told: Told<wire::Progress>) -> Said {
        match told {
            Ok(Ok(progress)) => Ok(text(&progress)),
            Ok(Err(error)) => Ok(format!("{error:?}")),
            Err(error) => Err(self.ended(&error)),
        }
    }

    fn ended(&self, error: &wasmtime::Error) -> Ended {
        Fault::of_call(self.store.data(), error).into()
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
