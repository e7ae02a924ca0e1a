//! The http1 guest with a trap in it, for demonstrations and tests.
//!
//! It is the real codec until a final response has a field
//! `x-fumehood-fault`; then the server has the guest in its hand, as if it had
//! found a bug in the parser. What the value names is done when the head is shown:
//!
//! | value | what happens | what must end it |
//! |---|---|---|
//! | `trap` | a panic | the trap |
//! | `hang` | an endless loop | the deadline |
//! | `memory` | memory is taken without end | the memory bound |
//! | `garbage` | the head is told with a status of 65535 and a field that would break out of a text, and `u64::MAX` bytes of payload are demanded | the host's own checks |
//! | `more` | once the payload in demand has moved, as much is demanded again | the host's own count |
//! | `less` | a payload that breaks off is told as whole | the same |
//! | `hoard` | 12 MiB are taken and kept | the bound of all guests together, once enough do |
//! | `later` | a panic at the fourth piece of a chunked body's framing | the trap |
//!
//! In an informational response the value `upload` asks for a panic at the
//! next piece of request payload.
//!
//! Any other value leaves the exchange as it is. In the server's role, a request asks for
//! the first three in the same way.
#![cfg(target_family = "wasm")]

mod fault;
mod server;

use bindings::exports::fumehood::http1::client::{
    Challenge, Demand, Error, Event, Guest, Opening, PayloadFrame, Progress, RequestHead,
};
use fault::Fault;
use fumehood_guest_http1::component::{Http1, bindings};

struct Faulty;

bindings::export_http1!(Faulty with_types_in bindings);

impl Guest for Faulty {
    fn encode_head(head: RequestHead) -> Result<Opening, Error> {
        Http1::encode_head(head)
    }

    fn frame_payload(length: u64) -> Result<PayloadFrame, Error> {
        fault::frame_piece();
        Http1::frame_payload(length)
    }

    fn end_payload() -> Result<Vec<u8>, Error> {
        Http1::end_payload()
    }

    fn current_demand() -> Demand {
        Http1::current_demand()
    }

    fn receive(data: Vec<u8>) -> Result<Progress, Error> {
        fault::count_piece();
        let progress = Http1::receive(data)?;
        let fault = progress.events.iter().find_map(|event| match event {
            Event::Head(head) => Fault::asked_for(&head.fields),
            Event::Informational(head) => {
                fault::arm(head);
                None
            }
            _ => None,
        });
        Ok(match fault {
            Some(fault) => fault.strike(progress),
            None => progress,
        })
    }

    fn payload_moved(count: u64) -> Result<Progress, Error> {
        match fault::lie() {
            Some(Fault::More) => Ok(fault::again(count)),
            _ => Http1::payload_moved(count),
        }
    }

    fn challenges(value: Vec<u8>) -> Vec<Challenge> {
        Http1::challenges(value)
    }

    fn end_of_stream(pending: u64) -> Result<Progress, Error> {
        match fault::lie() {
            Some(Fault::Less) => Ok(fault::whole()),
            _ => Http1::end_of_stream(pending),
        }
    }
}
