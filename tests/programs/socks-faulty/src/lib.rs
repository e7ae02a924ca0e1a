//! The socks guest with a trap in it, for tests.
//!
//! It is the real codec until a client of the proxy names where it wants a tunnel or
//! a datagram to go, and the name has `fumehood-fault-` in it. What follows is done then, as if
//! the client had found a bug in the parser: `trap`, `hang`, `memory`; `nonsense`
//! asks for bytes behind a request, which no sound codec does.
#![cfg(target_family = "wasm")]

use bindings::exports::fumehood::socks::{client, datagrams, server, types};
use fumehood_guest_socks::component::{Socks, bindings};
use fumehood_program_faults::{asked_for, strike};

struct Faulty;

bindings::export_socks!(Faulty with_types_in bindings);

impl client::Guest for Faulty {
    fn begin(request: client::Request) -> Result<client::Step, types::Error> {
        <Socks as client::Guest>::begin(request)
    }

    fn receive(data: Vec<u8>) -> Result<client::Step, types::Error> {
        <Socks as client::Guest>::receive(data)
    }
}

impl server::Guest for Faulty {
    fn begin(wants_login: bool) -> Result<server::Step, types::Error> {
        <Socks as server::Guest>::begin(wants_login)
    }

    fn receive(data: Vec<u8>) -> Result<server::Step, types::Error> {
        let fault = asked_for(&data).map(str::to_owned);
        let mut step = <Socks as server::Guest>::receive(data)?;
        match fault.as_deref() {
            Some("nonsense") => step.want = 1,
            Some(fault) => strike(fault),
            None => {}
        }
        Ok(step)
    }

    fn admit(admitted: bool) -> Result<server::Step, types::Error> {
        <Socks as server::Guest>::admit(admitted)
    }

    fn reply(
        outcome: server::Outcome,
        bound: Option<types::Endpoint>,
    ) -> Result<Vec<u8>, types::Error> {
        <Socks as server::Guest>::reply(outcome, bound)
    }

    fn farewell() -> Vec<u8> {
        <Socks as server::Guest>::farewell()
    }
}

impl datagrams::Guest for Faulty {
    fn measure(start: Vec<u8>) -> Result<u16, datagrams::Flaw> {
        <Socks as datagrams::Guest>::measure(start)
    }

    fn read(header: Vec<u8>) -> Result<types::Endpoint, datagrams::Flaw> {
        if let Some(fault) = asked_for(&header) {
            strike(fault);
        }
        <Socks as datagrams::Guest>::read(header)
    }

    fn write(source: types::Endpoint) -> Result<Vec<u8>, types::Error> {
        <Socks as datagrams::Guest>::write(source)
    }
}
