//! The dns guest with a trap in it, for tests.
//!
//! It is the real resolver until it is asked for a name with
//! `fumehood-fault-NAME` in it. What is named, `trap`, `hang` or `memory`,
//! happens as the query is taken.
#![cfg(target_family = "wasm")]

use bindings::exports::fumehood::dns::resolver::Guest;
use fumehood_guest_dns::component::{bindings, serve};
use fumehood_program_faults::{asked_for, strike};

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
