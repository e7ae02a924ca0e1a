//! The client as a component: the world `fumehood:tls/tls-client`.
//!
//! An instance serves one connection, so the one [`Client`] is the instance's
//! state.

pub mod bindings;
mod convert;

use std::cell::RefCell;

use bindings::exports::fumehood::tls::client as wit;
use fumehood_guest_sdk::panic;

use crate::Client;

/// Serves the instance's connection.
#[derive(Debug)]
pub struct TlsClient;

impl wit::Guest for TlsClient {
    fn start(config: wit::Config) -> Result<wit::Progress, wit::Failure> {
        with_client(|client| Ok(client.start(config.into())?.into()))
    }

    fn receive(record: Vec<u8>) -> Result<wit::Progress, wit::Failure> {
        with_client(|client| Ok(client.receive(&record)?.into()))
    }

    fn adopt(established: wit::Established) -> Result<(), wit::Failure> {
        with_client(|client| Ok(client.adopt(&established.into())?))
    }

    fn post_handshake(message: Vec<u8>) -> Result<wit::Update, wit::Failure> {
        with_client(|client| Ok(client.post_handshake(&message)?.into()))
    }

    fn renew_outbound() -> Result<wit::Update, wit::Failure> {
        with_client(|client| Ok(client.renew_outbound()?.into()))
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
