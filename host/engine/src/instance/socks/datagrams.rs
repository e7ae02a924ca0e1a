//! The guest as reader and writer of the header of an association's datagrams
//! (RFC 1928 section 7). It is shown the header and nothing behind it.

use std::net::SocketAddr;

use fumehood_control::{Aftermath, Cause};

use super::bindings::exports::fumehood::socks::datagrams as wire;
use super::{Endpoint, SocksGuest, endpoint_of};
use crate::instance::Fault;

pub(crate) use wire::Flaw;

/// How much of a datagram tells how long its header is, in bytes.
pub(crate) const DATAGRAM_START_BYTES: usize = 5;

/// Shortest header, in bytes: a name of one letter and what is around it.
const MIN_DATAGRAM_HEADER_BYTES: usize = 8;

/// Longest header, in bytes: a name of 255 bytes and what is around it.
pub(crate) const MAX_DATAGRAM_HEADER_BYTES: usize = 262;

impl SocksGuest {
    /// How long the header is that begins so, in bytes.
    ///
    /// # Errors
    /// When the guest ended.
    pub(crate) fn measure(
        &mut self,
        start: &[u8; DATAGRAM_START_BYTES],
    ) -> Result<Result<usize, Flaw>, Cause> {
        self.enter("measure", start.len());
        let datagrams = self.guest.fumehood_socks_datagrams();
        let told = datagrams.call_measure(&mut self.store, start);
        match told.map_err(|error| self.fault(&error))? {
            Err(flaw) => Ok(Err(flaw)),
            Ok(length) => {
                let length = usize::from(length);
                match (MIN_DATAGRAM_HEADER_BYTES..=MAX_DATAGRAM_HEADER_BYTES).contains(&length) {
                    true => Ok(Ok(length)),
                    false => Err(self.unsound("a header's length that none has")),
                }
            }
        }
    }

    /// Where a datagram with this header goes.
    ///
    /// # Errors
    /// When the guest ended.
    pub(crate) fn destination(&mut self, header: &[u8]) -> Result<Result<Endpoint, Flaw>, Cause> {
        self.enter("read", header.len());
        let datagrams = self.guest.fumehood_socks_datagrams();
        let told = datagrams.call_read(&mut self.store, header);
        told.map_err(|error| self.fault(&error))
    }

    /// The header of what came from there.
    ///
    /// # Errors
    /// When the guest ended.
    pub(crate) fn header(&mut self, source: SocketAddr) -> Result<Vec<u8>, Cause> {
        self.enter("write", 0);
        let datagrams = self.guest.fumehood_socks_datagrams();
        let told = datagrams.call_write(&mut self.store, &endpoint_of(source));
        match told.map_err(|error| self.fault(&error))? {
            Ok(header) if header.len() <= MAX_DATAGRAM_HEADER_BYTES => Ok(header),
            Ok(_) | Err(_) => Err(self.unsound("no header for an address")),
        }
    }

    fn fault(&self, error: &wasmtime::Error) -> Cause {
        settled(Fault::of_call(self.store.data(), error))
    }

    fn unsound(&self, what: &str) -> Cause {
        let detail = format!("the guest told {what}");
        settled(Fault::of_words(self.store.data(), "nonsense", detail))
    }
}

/// A guest's end is its association's.
fn settled(fault: Fault) -> Cause {
    fault.settle(Aftermath::Failed);
    fault.into()
}
