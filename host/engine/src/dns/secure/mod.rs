//! Channels to servers of encrypted DNS, with TLS by the engine's own guests.
//!
//! ```text
//! ways      connect under the resolver's grant, shake hands, verify the name
//!   stream  a TLS connection as a pair of the guest's streams
//!   post    an exchange of DNS over HTTPS, by the `http1` guest
//! ```
//!
//! The resolver names a server of its setup, and gets plaintext. It sees no key;
//! and what verifies the name is not what asked for it.

mod post;
mod stream;
mod ways;

use std::future::poll_fn;

use wasmtime::component::Resource;
use wasmtime::{Result, format_err};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::fumehood::dns::secure::{self as wire, Error};
use super::bindings::fumehood::dns::types::Server;
use super::state::DnsState;
use crate::driver::Work;
use crate::tls::TlsStream;
use stream::{Reader, Shared, Writer};
pub(crate) use ways::MAX_CHANNELS;
pub(super) use ways::Ways;

/// A TLS connection being made, or the reason why it is not.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connecting(Option<Work<std::result::Result<TlsStream, Error>>>);

/// An exchange of DNS over HTTPS.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Posting(Option<Work<std::result::Result<Vec<u8>, Error>>>);

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

#[async_trait]
impl Pollable for Connecting {
    async fn ready(&mut self) {
        if let Some(work) = &mut self.0 {
            poll_fn(|cx| work.poll(cx)).await;
        }
    }
}

#[async_trait]
impl Pollable for Posting {
    async fn ready(&mut self) {
        if let Some(work) = &mut self.0 {
            poll_fn(|cx| work.poll(cx)).await;
        }
    }
}

/// Its outcome, once and when it is there.
fn finish<T>(work: &mut Option<Work<T>>) -> Result<Option<T>> {
    let Some(running) = work else {
        return Err(format_err!(
            "a guest asked again for what it had been given"
        ));
    };
    match running.now() {
        None => Ok(None),
        Some(_) => Ok(work.take().and_then(Work::into_done)),
    }
}

impl wire::Host for &mut DnsState {}

impl wire::HostConnecting for &mut DnsState {
    fn new(&mut self, server: Server) -> Result<Resource<Connecting>> {
        let work = match self.ways.own(&server) {
            Some((setup, server)) => self.ways.connect(setup, server)?,
            None => Work::Done(Err(Error::Denied)),
        };
        Ok(self.table.push(Connecting(Some(work)))?)
    }

    fn subscribe(&mut self, this: Resource<Connecting>) -> Result<Resource<DynPollable>> {
        subscribe(&mut self.table, this)
    }

    fn finish(
        &mut self,
        this: Resource<Connecting>,
    ) -> Result<Option<std::result::Result<Streams, Error>>> {
        let stream = match finish(&mut self.table.get_mut(&this)?.0)? {
            None => return Ok(None),
            Some(Err(error)) => return Ok(Some(Err(error))),
            Some(Ok(stream)) => Shared::new(stream),
        };
        let input: DynInputStream = Box::new(Reader::new(stream.clone()));
        let output: DynOutputStream = Box::new(Writer::new(stream));
        let input = self.table.push(input)?;
        let output = self.table.push(output)?;
        Ok(Some(Ok((input, output))))
    }

    fn drop(&mut self, this: Resource<Connecting>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl wire::HostPosting for &mut DnsState {
    fn new(&mut self, server: Server, message: Vec<u8>) -> Result<Resource<Posting>> {
        let work = match self.ways.own(&server) {
            Some((setup, server)) => self.ways.post(setup, server, message)?,
            None => Work::Done(Err(Error::Denied)),
        };
        Ok(self.table.push(Posting(Some(work)))?)
    }

    fn subscribe(&mut self, this: Resource<Posting>) -> Result<Resource<DynPollable>> {
        subscribe(&mut self.table, this)
    }

    fn finish(
        &mut self,
        this: Resource<Posting>,
    ) -> Result<Option<std::result::Result<Vec<u8>, Error>>> {
        finish(&mut self.table.get_mut(&this)?.0)
    }

    fn drop(&mut self, this: Resource<Posting>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
