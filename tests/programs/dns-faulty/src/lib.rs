//! The dns guest with a trap in it, for tests.
//!
//! It is the real resolver until it is asked for a name with
//! `fumehood-fault-NAME` in it. What is named, `trap`, `hang` or `memory`,
//! happens as the query is taken; of `question-fumehood-fault-NAME`, as a
//! confined program's question is read.
#![cfg(target_family = "wasm")]

use bindings::exports::fumehood::dns::questions::{self, Carrier, Reading, Verdict};
use bindings::exports::fumehood::dns::resolver::Guest;
use fumehood_guest_dns::component::{DnsResolver, bindings, serve};
use fumehood_program_faults::{asked_for, strike};

/// Before the marker, where it is the reading that goes wrong.
const READING: &[u8] = b"question-";

struct Faulty;

bindings::export_dns_resolver!(Faulty with_types_in bindings);

impl Guest for Faulty {
    fn run() {
        serve(|query| {
            asked_for(query.name.as_bytes())
                .into_iter()
                .for_each(strike);
        });
    }
}

impl questions::Guest for Faulty {
    fn missing(received: Vec<u8>) -> u32 {
        DnsResolver::missing(received)
    }

    fn read(message: Vec<u8>, carrier: Carrier) -> Reading {
        // The hook for last words is in there.
        let reading = DnsResolver::read(message.clone(), carrier);
        if message.windows(READING.len()).any(|it| it == READING) {
            asked_for(&message).into_iter().for_each(strike);
        }
        reading
    }

    fn answer(message: Vec<u8>, carrier: Carrier, verdict: Verdict) -> Vec<u8> {
        DnsResolver::answer(message, carrier, verdict)
    }
}
