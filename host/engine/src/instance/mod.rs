//! Guest instances: what they may use, how their end is told, who drives them.

mod codec;
mod state;
mod ticker;

pub(crate) use codec::{
    Codec, CodecError, CodecModule, Demand, Event, Progress, ProtocolError, describe,
};
pub(crate) use state::{Fault, GuestState, arm};
pub(crate) use ticker::Ticker;

/// Generated bindings of the `http1-client` world, alone in their module.
pub(crate) mod http1 {
    #![allow(missing_docs, reason = "generated; documented in wit/http1")]
    wasmtime::component::bindgen!({
        world: "fumehood:http1/http1-client",
        path: ["../../wit/guest", "../../wit/http1"],
        additional_derives: [PartialEq, Eq],
    });
}
