//! Guest instances: what they may use, how their end is told, who drives them.

mod call;
mod codec;
mod fault;
mod fields;
mod recording;
mod server;
pub(crate) mod socks;
mod state;
mod ticker;
mod trail;
mod words;

pub(crate) use call::{Answer, Call, Opening, RequestHead};
pub(crate) use codec::{
    Answered, Codec, CodecError, CodecModule, Demand, LineDemand, PayloadFrame, ProtocolError,
};
pub(crate) use fault::{Fault, Faults};
pub(crate) use fields::Fields;
pub(crate) use server::{Answer as ServerAnswer, Asked, Request, ServerCodec};
pub(crate) use state::{Bounds, GuestState, arm, bounded, bounded_to, new_store};
pub(crate) use ticker::{Active, CALL_DEADLINE_TICKS, Ticker, ticks};
pub(crate) use trail::Trace;
pub(crate) use words::{Event, Progress, ResponseHead, cause_of_protocol, sound_head};

/// Generated bindings of the `http1` world, alone in their module.
pub(crate) mod http1 {
    #![allow(missing_docs, reason = "generated; documented in wit/http1")]
    wasmtime::component::bindgen!({
        world: "fumehood:http1/http1",
        path: ["../../wit/guest", "../../wit/http1"],
        // What a guest is told is copied once, into its memory.
        ownership: Borrowing { duplicate_if_necessary: true },
        additional_derives: [PartialEq, Eq, Hash],
    });
}
