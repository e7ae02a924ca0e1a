//! A connection to a server: transport, codec, and what they cost.

use std::net::SocketAddr;
use std::task::{Context, Waker};

use fumehood_control::{Cause, Instance, Summary};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::resume::SteadyCodec;
use crate::transport::Transport;

/// One connection with the guest instances that serve it. Dropping it closes
/// the socket and frees the instances.
pub(crate) struct Connection {
    pub transport: Transport,
    pub codec: SteadyCodec,
    pub peer: SocketAddr,
    /// When it was begun to be made.
    pub since: Instant,
    /// Room in the instance pool; given back with the connection.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.transport.farewell();
    }
}

/// Guests' work on a connection so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    pub bytes_through_guests: u64,
    pub calls: u64,
    pub memory_bytes: u64,
}

impl Meter {
    /// Both together.
    pub(crate) fn and(self, other: Meter) -> Meter {
        Meter {
            bytes_through_guests: self.bytes_through_guests + other.bytes_through_guests,
            calls: self.calls + other.calls,
            memory_bytes: self.memory_bytes + other.memory_bytes,
        }
    }
}

impl Connection {
    /// Whether an idle connection can carry a request: nothing arrived, nor a part
    /// of a record, and the peer has not closed.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.transport.poll_bytes(&mut cx).is_pending() && self.transport.is_quiet()
    }

    /// What is left of it as a tunnel, which needs no codec.
    pub(crate) fn into_parts(mut self) -> (Transport, Option<OwnedSemaphorePermit>) {
        let transport = std::mem::replace(&mut self.transport, Transport::Closed);
        (transport, self.room.take())
    }

    /// Gives back what an idle connection has no use for.
    pub(crate) fn rest(&mut self) {
        self.transport.shrink();
        self.codec.rest();
        // Of those who took over nobody asks any more.
        let _untold = self.taken_over();
    }

    /// Whether all its guests are of the versions that new connections take.
    pub(crate) fn is_current(&self) -> bool {
        self.codec.is_current() && self.transport.is_current()
    }

    /// Gives it guests of the current versions, on the same socket: the peer does
    /// not notice. To be called between two exchanges only. Returns those that
    /// were made.
    ///
    /// # Errors
    /// When there is none to be had, or it cannot go on where the one before
    /// stands: the connection is of no further use.
    pub(crate) fn refresh(&mut self) -> Result<Vec<Instance>, Cause> {
        let mut made = self.transport.refresh()?;
        made.extend(self.codec.refresh()?);
        Ok(made)
    }

    /// The same for somebody else: nothing that one showed a codec is in another's.
    ///
    /// # Errors
    /// As [`Connection::refresh`].
    pub(crate) fn renew(&mut self) -> Result<(), Cause> {
        self.transport.refresh()?;
        self.codec.renew()
    }

    /// Instances that took over since the last time.
    pub(crate) fn taken_over(&mut self) -> Vec<Instance> {
        let mut all = self.transport.taken_over();
        all.append(&mut self.codec.taken_over());
        all
    }

    /// What its guests have done until now.
    pub(crate) fn meter(&self) -> Meter {
        self.transport.meter().and(Meter {
            bytes_through_guests: self.codec.bytes(),
            calls: self.codec.calls(),
            memory_bytes: self.codec.memory_bytes(),
        })
    }

    /// Adds the guests' share since `before` to an exchange's summary.
    pub(crate) fn account(&self, before: Meter, summary: &mut Summary) {
        let now = self.meter();
        summary.bytes_through_guests = now.bytes_through_guests - before.bytes_through_guests;
        summary.guest_calls = now.calls - before.calls;
        summary.guest_memory_bytes = now.memory_bytes;
    }
}
