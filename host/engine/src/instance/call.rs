//! A call of a codec as a value: it can be made again, recorded, and told of.

use fumehood_control::{Challenge, Http1Preferences, PayloadLength};
use serde::{Deserialize, Serialize};

use super::trail::{Trace, Trail};
use super::words::{Event, Progress};
use super::{Demand, Fields, PayloadFrame};

/// What a codec is asked; see `wit/http1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    /// Starts an exchange, for which these preferences hold to its end: another
    /// instance that takes it over is told the same.
    EncodeHead(Box<RequestHead>, Http1Preferences),
    FramePayload(u64),
    EndPayload,
    CurrentDemand,
    Receive(Box<[u8]>),
    PayloadMoved(u64),
    EndOfStream(u64),
    Challenges(Box<[u8]>),
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestHead {
    pub method: String,
    pub target: String,
    pub fields: Fields,
    pub payload: PayloadLength,
    /// Offers to go on as a WebSocket.
    pub upgrade: bool,
}

/// An exchange that begins.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// The head's.
    pub bytes: Vec<u8>,
    /// What the codec must see first.
    pub demand: Demand,
}

/// What a codec answers, each kind to its calls.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// To `encode-head`.
    Opening(Opening),
    /// To `end-payload`.
    Bytes(Vec<u8>),
    /// To `frame-payload`.
    Frame(PayloadFrame),
    /// To `current-demand`.
    Demand(Demand),
    /// To `challenges`.
    Challenges(Vec<Challenge>),
    /// To the rest.
    Progress(Progress),
}

impl Call {
    /// As in the WIT.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Call::EncodeHead(..) => "encode-head",
            Call::FramePayload(_) => "frame-payload",
            Call::EndPayload => "end-payload",
            Call::CurrentDemand => "current-demand",
            Call::Receive(_) => "receive",
            Call::PayloadMoved(_) => "payload-moved",
            Call::EndOfStream(_) => "end-of-stream",
            Call::Challenges(_) => "challenges",
        }
    }

    /// Bytes it shows to the guest.
    pub(crate) fn shown(&self) -> usize {
        match self {
            Call::Receive(bytes) | Call::Challenges(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Bytes it keeps.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Call::Receive(bytes) | Call::Challenges(bytes) => bytes.len(),
            Call::EncodeHead(head, _) => {
                head.method.len() + head.target.len() + head.fields.bytes()
            }
            _ => 0,
        }
    }

    pub(super) fn trace(&self) -> Trace {
        let name = self.name();
        match self {
            Call::EncodeHead(head, _) => Trace::Head(name, 0, head.fields.len()),
            Call::EndPayload | Call::CurrentDemand => Trace::Call(name),
            Call::Receive(bytes) | Call::Challenges(bytes) => {
                Trace::CallWith(name, bytes.len() as u64)
            }
            Call::FramePayload(count) | Call::PayloadMoved(count) | Call::EndOfStream(count) => {
                Trace::CallWith(name, *count)
            }
        }
    }
}

impl Answer {
    pub(super) fn trace_in(&self, trail: &mut Trail) {
        match self {
            Answer::Opening(opening) => {
                trail.note(Trace::CallWith("answered", opening.bytes.len() as u64));
            }
            Answer::Bytes(bytes) => trail.note(Trace::CallWith("answered", bytes.len() as u64)),
            Answer::Frame(frame) => {
                let around = frame.before.len() + frame.after.len();
                trail.note(Trace::CallWith("framed with", around as u64));
            }
            Answer::Demand(demand) => trail.note(trace_of(demand)),
            Answer::Challenges(all) => {
                trail.note(Trace::CallWith("told challenges", all.len() as u64));
            }
            Answer::Progress(progress) => {
                for event in &progress.events {
                    trail.note(trace_of_event(event));
                }
                trail.note(trace_of(&progress.demand));
            }
        }
    }
}

fn trace_of_event(event: &Event) -> Trace {
    match event {
        Event::Informational(head) => Trace::Head("informational", head.status, head.fields.len()),
        Event::Head(head) => Trace::Head("head", head.status, head.fields.len()),
        Event::Trailers(fields) => Trace::Trailers(fields.len()),
        Event::Complete { reusable } => Trace::Complete(*reusable),
    }
}

fn trace_of(demand: &Demand) -> Trace {
    match demand {
        Demand::EmptyLine(at_most) => Trace::Demand("empty line within", (*at_most).into()),
        Demand::Lines(lines) => Trace::Demand("lines", lines.count.into()),
        Demand::Payload(count) => Trace::Demand("payload", *count),
        Demand::PayloadUntilClose => Trace::Call("demand payload until close"),
        Demand::Nothing => Trace::Call("demand nothing"),
    }
}
