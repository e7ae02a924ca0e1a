//! The codec as a component: the world `fumehood:socks/socks`.
//!
//! An instance serves one connection in one role.

pub mod bindings;
mod convert;

use std::cell::RefCell;

use bindings::exports::fumehood::socks::{client, datagrams, server, types};
use fumehood_guest_sdk::panic;

use crate::{Client, Server};

/// Serves the instance's connection.
#[derive(Debug)]
pub struct Socks;

impl client::Guest for Socks {
    fn begin(request: client::Request) -> Result<client::Step, types::Error> {
        let request = convert::request(request);
        Ok(with_client(|it| it.begin(request))?.into())
    }

    fn receive(data: Vec<u8>) -> Result<client::Step, types::Error> {
        Ok(with_client(|it| it.receive(&data))?.into())
    }
}

impl server::Guest for Socks {
    fn begin(wants_login: bool) -> Result<server::Step, types::Error> {
        Ok(with_server(|it| it.begin(wants_login))?.into())
    }

    fn receive(data: Vec<u8>) -> Result<server::Step, types::Error> {
        Ok(with_server(|it| it.receive(&data))?.into())
    }

    fn admit(admitted: bool) -> Result<server::Step, types::Error> {
        Ok(with_server(|it| it.admit(admitted))?.into())
    }

    fn reply(
        outcome: server::Outcome,
        bound: Option<types::Endpoint>,
    ) -> Result<Vec<u8>, types::Error> {
        let bound = bound.map(convert::endpoint);
        Ok(with_server(|it| it.reply(outcome.into(), bound.as_ref()))?)
    }

    fn farewell() -> Vec<u8> {
        with_server(Server::farewell)
    }
}

impl datagrams::Guest for Socks {
    fn measure(start: Vec<u8>) -> Result<u16, datagrams::Flaw> {
        panic::install();
        let start = start.as_array().ok_or(datagrams::Flaw::Malformed)?;
        Ok(crate::measure(*start)?)
    }

    fn read(header: Vec<u8>) -> Result<types::Endpoint, datagrams::Flaw> {
        panic::install();
        Ok(crate::read(&header)?.into())
    }

    fn write(source: types::Endpoint) -> Result<Vec<u8>, types::Error> {
        panic::install();
        Ok(crate::write(&convert::endpoint(source))?)
    }
}

/// Gives an export the instance's client, with last words prepared.
fn with_client<T>(call: impl FnOnce(&mut Client) -> T) -> T {
    thread_local! {
        static CLIENT: RefCell<Client> = RefCell::new(Client::new());
    }
    panic::install();
    CLIENT.with_borrow_mut(call)
}

/// The same with its server.
fn with_server<T>(call: impl FnOnce(&mut Server) -> T) -> T {
    thread_local! {
        static SERVER: RefCell<Server> = RefCell::new(Server::new());
    }
    panic::install();
    SERVER.with_borrow_mut(call)
}
