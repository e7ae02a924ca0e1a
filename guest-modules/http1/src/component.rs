//! The codec as a component: the world `fumehood:http1/http1`.
//!
//! An instance serves one connection in one role, so the one [`Client`] or the
//! one server is the instance's state. With the `component` feature
//! [`bindings`] emits its exports; without it another guest can wrap [`Http1`]
//! and emit its own.

pub mod bindings;
mod convert;
mod server;

use std::cell::RefCell;

use bindings::exports::fumehood::http1::client as wit;
use bindings::fumehood::http1::preferences;
use fumehood_guest_sdk::panic;

use crate::{Client, Preferences};

/// Serves the instance's connection.
#[derive(Debug)]
pub struct Http1;

impl wit::Guest for Http1 {
    fn encode_head(head: wit::RequestHead) -> Result<wit::Opening, wit::Error> {
        with_client(|client| {
            client.prefer(preferred());
            Ok(wit::Opening {
                bytes: client.encode_head(&convert::request_head(&head))?,
                demand: client.demand().into(),
            })
        })
    }

    fn frame_payload(length: u64) -> Result<wit::PayloadFrame, wit::Error> {
        with_client(|client| Ok(client.frame_payload(length)?.into()))
    }

    fn end_payload() -> Result<Vec<u8>, wit::Error> {
        with_client(|client| client.end_payload().map_err(wit::Error::from))
    }

    fn current_demand() -> wit::Demand {
        with_client(|client| client.demand().into())
    }

    fn receive(data: Vec<u8>) -> Result<wit::Progress, wit::Error> {
        with_client(|client| {
            let progress = client.read(&data)?;
            Ok(convert::progress(progress, client.completes()))
        })
    }

    fn payload_moved(count: u64) -> Result<wit::Progress, wit::Error> {
        with_client(|client| {
            let progress = client.payload_moved(count)?;
            Ok(convert::progress(progress, client.completes()))
        })
    }

    fn challenges(value: Vec<u8>) -> Vec<wit::Challenge> {
        let challenge = |it: crate::Challenge| wit::Challenge {
            scheme: it.scheme,
            token: it.token,
            parameters: it.parameters,
        };
        panic::install();
        crate::challenges(&value)
            .into_iter()
            .map(challenge)
            .collect()
    }

    fn end_of_stream(pending: u64) -> Result<wit::Progress, wit::Error> {
        with_client(|client| {
            let progress = client.end_of_stream(pending)?;
            Ok(convert::progress(progress, client.completes()))
        })
    }
}

/// What the embedder prefers now.
fn preferred() -> Preferences {
    let values = preferences::current();
    Preferences::new(values.max_head_bytes, values.max_fields)
}

/// Gives an export the instance's client, with last words prepared.
fn with_client<T>(call: impl FnOnce(&mut Client) -> T) -> T {
    thread_local! {
        static CLIENT: RefCell<Client> = RefCell::new(Client::new());
    }
    panic::install();
    CLIENT.with_borrow_mut(call)
}
