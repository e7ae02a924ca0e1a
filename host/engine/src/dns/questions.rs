//! The `dns` guest where it reads questions of a confined program and words the
//! replies: an instance a call, apart from the one that resolves, that has nothing.

use std::net::IpAddr;
use std::sync::Arc;

use fumehood_control::MAX_REPLY_DATAGRAM_BYTES;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Result, Store};

use crate::instance::http1::fumehood::guest::panic;
use crate::instance::{Fault, GuestState, Trace, arm, new_store};
use crate::registry::About;

/// Generated bindings of the world `dns-questions`, alone in their module.
pub(crate) mod bindings {
    #![allow(missing_docs, reason = "generated; documented in wit/dns")]
    wasmtime::component::bindgen!({
        world: "fumehood:dns/dns-questions",
        path: [
            "../../wit/guest",
            "../../wit/deps/io",
            "../../wit/deps/clocks",
            "../../wit/deps/random",
            "../../wit/deps/sockets",
            "../../wit/dns",
        ],
        with: { "fumehood:guest/panic": crate::instance::http1::fumehood::guest::panic },
    });
}

use bindings::exports::fumehood::dns::questions as wire;
use bindings::{DnsQuestions, DnsQuestionsPre};
pub(crate) use wire::{Asked, Carrier, Found, Reading, Sought, Verdict};

/// Longest message of a stream, in bytes: what 16 bits of length can say, and these.
const MAX_STREAM_MESSAGE_BYTES: u32 = 2 + u16::MAX as u32;

/// Longest name that a guest may tell, in bytes: 255 on the wire, each of which
/// may take four.
const MAX_NAME_BYTES: usize = 4 * 255;

/// The part of a loaded `dns` module that reads questions.
pub(crate) struct Questions {
    about: Arc<About>,
    engine: Engine,
    pre: DnsQuestionsPre<GuestState>,
}

impl Questions {
    /// Links the module to its last words, and to nothing else that it can call.
    ///
    /// # Errors
    /// When it does not export the interface.
    pub(crate) fn new(
        engine: &Engine,
        about: &Arc<About>,
        component: &Component,
    ) -> Result<Questions> {
        let mut linker = Linker::new(engine);
        panic::add_to_linker::<GuestState, HasSelf<GuestState>>(&mut linker, |state| state)?;
        linker.define_unknown_imports_as_traps(component)?;
        Ok(Questions {
            about: Arc::clone(about),
            engine: engine.clone(),
            pre: DnsQuestionsPre::new(linker.instantiate_pre(component)?)?,
        })
    }

    /// How many bytes more a stream must show before this is a whole message;
    /// none where it is.
    pub(crate) fn missing(&self, received: &[u8]) -> Result<usize, Fault> {
        let wanted = self.call(
            ("missing", received.len()),
            |guest, store| guest.call_missing(store, received),
            |wanted| *wanted <= MAX_STREAM_MESSAGE_BYTES,
        )?;
        Ok(usize::try_from(wanted).unwrap_or(usize::MAX))
    }

    /// Reads a message.
    pub(crate) fn read(&self, message: &[u8], carrier: Carrier) -> Result<Reading, Fault> {
        self.call(
            ("read", message.len()),
            |guest, store| guest.call_read(store, message, carrier),
            |reading| match reading {
                Reading::Reply(bytes) => is_sendable(bytes, carrier),
                Reading::Question(asked) => asked.name.len() <= MAX_NAME_BYTES,
                Reading::Nothing => true,
            },
        )
    }

    /// Words the reply to a message that was a question.
    pub(crate) fn answer(
        &self,
        message: &[u8],
        carrier: Carrier,
        verdict: &Verdict,
    ) -> Result<Vec<u8>, Fault> {
        self.call(
            ("answer", message.len()),
            |guest, store| guest.call_answer(store, message, carrier, verdict),
            |bytes| is_sendable(bytes, carrier),
        )
    }

    /// Makes an instance, and one call to it. What no sound guest says ends it too.
    fn call<T>(
        &self,
        (name, length): (&'static str, usize),
        act: impl FnOnce(&wire::Guest, &mut Store<GuestState>) -> Result<T>,
        is_sound: impl FnOnce(&T) -> bool,
    ) -> Result<T, Fault> {
        let mut store = new_store(&self.engine, GuestState::new(&self.about), |state| state);
        let guest: DnsQuestions = match self.pre.instantiate(&mut store) {
            Ok(guest) => guest,
            Err(error) => return Err(Fault::of_call(store.data(), &error)),
        };
        arm(&mut store);
        let state = store.data_mut();
        state.entered = true;
        state.calls += 1;
        state.trail.note(Trace::CallWith(name, length as u64));
        match act(guest.fumehood_dns_questions(), &mut store) {
            Ok(told) if is_sound(&told) => Ok(told),
            Ok(_) => {
                let detail = format!("the guest answered \"{name}\" with what none sound says");
                Err(Fault::of_words(store.data(), "nonsense", detail))
            }
            Err(error) => Err(Fault::of_call(store.data(), &error)),
        }
    }
}

/// Whether a reply is within what its carrier takes.
fn is_sendable(bytes: &[u8], carrier: Carrier) -> bool {
    let most = match carrier {
        Carrier::Datagram => MAX_REPLY_DATAGRAM_BYTES,
        Carrier::Stream => MAX_STREAM_MESSAGE_BYTES as usize,
    };
    !bytes.is_empty() && bytes.len() <= most
}

/// As the guest is told of an address.
pub(crate) fn address(address: IpAddr) -> wire::Address {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            wire::Address::Ipv4((a, b, c, d))
        }
        IpAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.segments();
            wire::Address::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}
