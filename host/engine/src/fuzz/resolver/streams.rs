//! What a resolver waits for, reads and writes.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use super::network::{Deed, End, Line, Network, Shared, Standing, Way};

/// Waits until that is so. Nobody wakes who waits: all is looked at again whenever
/// the guest goes on.
pub(super) async fn until(network: &Shared, mut ready: impl FnMut(&mut Network) -> bool + Send) {
    poll_fn(|_| match ready(&mut network.lock()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// A moment to wait for, since the clock's zero.
pub(super) struct Alarm {
    at: Duration,
    network: Shared,
}

impl Alarm {
    pub(super) fn new(at: Duration, network: &Shared) -> Alarm {
        network.lock().alarms.push(at);
        Alarm {
            at,
            network: network.clone(),
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let alarms = &mut self.network.lock().alarms;
        if let Some(place) = alarms.iter().position(|at| *at == self.at) {
            alarms.swap_remove(place);
        }
    }
}

#[async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        let at = self.at;
        until(&self.network, |network| network.now >= at).await;
    }
}

/// Ready while there is a task.
pub(super) struct Inbox(pub(super) Shared);

#[async_trait]
impl Pollable for Inbox {
    async fn ready(&mut self) {
        until(&self.0, |network| !network.tasks.is_empty()).await;
    }
}

/// What comes by a connection.
pub(super) struct Reader(pub(super) Arc<Way>);

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        let number = self.0.number;
        until(&self.0.network, |network| {
            network.line(number).is_none_or(Line::is_readable)
        })
        .await;
    }
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut network = self.0.network.lock();
        let line = network.line(self.0.number).ok_or(StreamError::Closed)?;
        line.false_alarm = false;
        let count = line.inbound.len().min(size);
        match &line.end {
            Some(End::Closed) if count == 0 => Err(StreamError::Closed),
            Some(End::Broken(why)) if count == 0 => Err(broken(why)),
            _ => Ok(line.inbound.drain(..count).collect()),
        }
    }
}

/// What goes out by it.
pub(super) struct Writer(pub(super) Arc<Way>);

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        let number = self.0.number;
        until(&self.0.network, |network| {
            network.line(number).is_none_or(Line::is_writable)
        })
        .await;
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut network = self.0.network.lock();
        let line = network.line(self.0.number).ok_or(StreamError::Closed)?;
        let Some(room) = line.room.checked_sub(bytes.len()) else {
            return Err(StreamError::trap("a guest wrote more than it had leave to"));
        };
        line.room = room;
        let wrote = Deed::Wrote(self.0.number, bytes.to_vec());
        network.deeds.push(wrote);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let mut network = self.0.network.lock();
        let line = network.line(self.0.number).ok_or(StreamError::Closed)?;
        match &line.end {
            Some(End::Deaf) => Err(StreamError::Closed),
            Some(End::Broken(why)) => Err(broken(why)),
            Some(End::Closed) | None => Ok(line.room),
        }
    }
}

fn broken(why: &str) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::msg(why.to_owned()))
}

impl Line {
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.standing, Standing::Asked) || self.false_alarm
    }

    fn is_readable(&mut self) -> bool {
        let ended = matches!(self.end, Some(End::Closed | End::Broken(_)));
        ended || !self.inbound.is_empty() || self.false_alarm
    }

    fn is_writable(&mut self) -> bool {
        let ended = matches!(self.end, Some(End::Deaf | End::Broken(_)));
        ended || self.room > 0
    }
}
