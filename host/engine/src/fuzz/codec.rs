//! The `http1` guest, call by call.

use std::hash::RandomState;
use std::sync::Arc;

use fumehood_control::{Field, Http1Preferences, PayloadLength};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Ended, Said, ServerCodec};
use crate::instance::{
    Answer, Call, Codec as Instance, CodecError, CodecModule, Progress, RequestHead,
};
use crate::registry::About;

/// A loaded `http1` module.
pub struct CodecGuest {
    module: CodecModule,
}

impl CodecGuest {
    pub(super) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<CodecGuest> {
        let module = CodecModule::new(engine, about, component)?;
        Ok(CodecGuest { module })
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// When it ends before its first call.
    pub fn instance(&self) -> Result<Codec, Ended> {
        Ok(Codec {
            instance: self.module.instantiate()?,
            hasher: RandomState::new(),
        })
    }

    /// A fresh instance in the server's role.
    ///
    /// # Errors
    /// As [`CodecGuest::instance`].
    pub fn server(&self) -> Result<ServerCodec, Ended> {
        ServerCodec::new(&self.module)
    }
}

/// An instance. Each call returns the text of its answer or of its error, as
/// they are in `wit/http1`.
pub struct Codec {
    instance: Instance,
    hasher: RandomState,
}

impl Codec {
    /// `encode-head`.
    ///
    /// # Errors
    /// When the guest ended; so for all calls.
    pub fn encode_head(
        &mut self,
        method: &str,
        target: &str,
        fields: &[Field],
        payload: PayloadLength,
    ) -> Said {
        let head = RequestHead {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: fields.iter().collect(),
            payload,
            upgrade: false,
        };
        self.perform(&Call::EncodeHead(
            Box::new(head),
            Http1Preferences::default(),
        ))
    }

    /// `frame-payload`.
    ///
    /// # Errors
    /// As [`Codec::encode_head`].
    pub fn frame_payload(&mut self, length: u64) -> Said {
        self.perform(&Call::FramePayload(length))
    }

    /// `end-payload`.
    ///
    /// # Errors
    /// As [`Codec::encode_head`].
    pub fn end_payload(&mut self) -> Said {
        self.perform(&Call::EndPayload)
    }

    /// `receive`.
    ///
    /// # Errors
    /// As [`Codec::encode_head`].
    pub fn receive(&mut self, data: &[u8]) -> Said {
        self.perform(&Call::Receive(data.into()))
    }

    /// `payload-moved`.
    ///
    /// # Errors
    /// As [`Codec::encode_head`].
    pub fn payload_moved(&mut self, count: u64) -> Said {
        self.perform(&Call::PayloadMoved(count))
    }

    /// `end-of-stream`.
    ///
    /// # Errors
    /// As [`Codec::encode_head`].
    pub fn end_of_stream(&mut self, pending: u64) -> Said {
        self.perform(&Call::EndOfStream(pending))
    }

    /// `challenges`.
    ///
    /// # Errors
    /// As [`Codec::encode_head`].
    pub fn challenges(&mut self, value: &[u8]) -> Said {
        self.perform(&Call::Challenges(value.into()))
    }

    fn perform(&mut self, call: &Call) -> Said {
        match self.instance.perform(call, &self.hasher) {
            Ok(answered) => Ok(match answered.answer {
                Answer::Opening(opening) => format!("{:?}", opening.bytes),
                Answer::Bytes(bytes) => format!("{bytes:?}"),
                Answer::Frame(frame) => format!("{frame:?}"),
                Answer::Demand(demand) => format!("{demand:?}"),
                Answer::Challenges(all) => format!("{all:?}"),
                Answer::Progress(progress) => told(&progress),
            }),
            Err(CodecError::Protocol(error)) => Ok(format!("{error:?}")),
            Err(CodecError::Fault(fault)) => Err(fault.into()),
        }
    }
}

/// As the native codec shows it, which is asked for `completes` by itself.
fn told(progress: &Progress) -> String {
    let Progress {
        events,
        demand,
        then,
        completes: _,
    } = progress;
    format!("Progress {{ events: {events:?}, demand: {demand:?}, then: {then:?} }}")
}
