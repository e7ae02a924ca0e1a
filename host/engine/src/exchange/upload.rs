//! The outbound half of an exchange: head, then payload, framed by the codec.

use std::io;
use std::task::{Context, Poll, ready};

use fumehood_control::{Cause, Exchange, PayloadLength, SourceEnd};

use super::{Pipes, cause_of, socket};
use crate::allowance::Allowance;
use crate::payload::{Pipe, SOURCE_CHUNK};
use crate::resume::SteadyCodec;
use crate::transport::Transport;

/// Sends a request.
pub(super) struct Upload {
    state: State,
    out: Vec<u8>,
    written: usize,
    chunk: Vec<u8>,
    source: Option<Pipe>,
    source_end: SourceEnd,
    allowance: Allowance,
    /// Payload still to be read; `None` until the source ends.
    left: Option<u64>,
    /// Payload bytes read from the source.
    pub sent: u64,
    /// Some byte of the request was accepted by the transport.
    pub begun: bool,
}

/// What happens once `out` is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Read more payload.
    Payload,
    /// The end was framed; flush.
    Flush,
    /// All is with the peer.
    Done,
    /// The peer takes no more; it may still answer.
    Refused(i32),
}

/// What an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uploading {
    /// The peer to read.
    Peer,
    /// The embedder to write.
    Source,
    /// Nothing: it is done, or the peer takes no more.
    Ended,
}

impl Upload {
    /// Begins with an encoded head.
    pub(super) fn new(head: Vec<u8>, exchange: &Exchange, pipes: &Pipes) -> Upload {
        let left = match exchange.payload {
            PayloadLength::None => Some(0),
            PayloadLength::Known(length) => Some(length),
            PayloadLength::Unknown => None,
        };
        Upload {
            state: State::Payload,
            out: head,
            written: 0,
            chunk: Vec::new(),
            source: pipes.source.clone(),
            source_end: exchange.source_end,
            allowance: pipes.allowance.clone(),
            left,
            sent: 0,
            begun: false,
        }
    }

    /// The request is with the peer as a whole.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The error with which the peer stopped taking the request.
    pub(super) fn refusal(&self) -> Option<i32> {
        match self.state {
            State::Refused(errno) => Some(errno),
            _ => None,
        }
    }

    /// Goes as far as it can without waiting.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        codec: &mut SteadyCodec,
    ) -> Result<Uploading, Cause> {
        loop {
            match self.state {
                State::Done | State::Refused(_) => return Ok(Uploading::Ended),
                State::Payload | State::Flush => {}
            }
            match self.poll_out(cx, transport) {
                Poll::Pending => return Ok(Uploading::Peer),
                Poll::Ready(Err(error)) => {
                    // The peer may have answered before it closed (RFC 9112
                    // section 9.5), so its answer is still read.
                    self.state = State::Refused(error.raw_os_error().unwrap_or(0));
                }
                Poll::Ready(Ok(())) if self.state == State::Flush => self.state = State::Done,
                Poll::Ready(Ok(())) => match self.poll_source(cx, codec)? {
                    Poll::Pending => return Ok(Uploading::Source),
                    Poll::Ready(()) => {}
                },
            }
        }
    }

    /// Writes `out` and flushes it.
    fn poll_out(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
    ) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let count = ready!(transport.poll_write(cx, &self.out[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.begun = true;
        }
        self.out.clear();
        self.written = 0;
        transport.poll_flush(cx)
    }

    /// Reads the next piece of payload and puts it, framed, into `out`.
    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
        codec: &mut SteadyCodec,
    ) -> Result<Poll<()>, Cause> {
        let room = usize::try_from(self.left.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let count = match (&self.source, room) {
            (_, 0) | (None, _) => 0,
            (Some(source), room) => {
                let reserved = self.allowance.reserve(room.min(SOURCE_CHUNK) as u64)?;
                self.chunk
                    .resize(usize::try_from(reserved).unwrap_or(SOURCE_CHUNK), 0);
                let read = source.poll_read(cx, &mut self.chunk);
                let count = match &read {
                    Poll::Ready(Ok(count)) => *count,
                    _ => 0,
                };
                self.allowance.give_back(reserved - count as u64);
                match read {
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(Ok(count)) => count,
                    Poll::Ready(Err(error)) => {
                        return Err(Cause::Source {
                            errno: error.raw_os_error().unwrap_or(0),
                        });
                    }
                }
            }
        };
        if count == 0 {
            return self.end(codec).map(Poll::Ready);
        }
        self.chunk.truncate(count);
        self.frame(codec)?;
        Ok(Poll::Ready(()))
    }

    fn frame(&mut self, codec: &mut SteadyCodec) -> Result<(), Cause> {
        let length = self.chunk.len() as u64;
        let frame = codec.frame_payload(length).map_err(cause_of)?;
        if frame.before.is_empty() && frame.after.is_empty() {
            std::mem::swap(&mut self.out, &mut self.chunk);
        } else {
            self.out.extend_from_slice(&frame.before);
            self.out.extend_from_slice(&self.chunk);
            self.out.extend_from_slice(&frame.after);
        }
        self.left = self.left.map(|left| left - length);
        self.sent += length;
        Ok(())
    }

    /// The source ended because nobody holds its other end any more.
    fn owner_is_gone(&self) -> bool {
        self.source_end == SourceEnd::Shutdown
            && self.left.is_none()
            && self.source.as_ref().is_some_and(Pipe::is_hung_up)
    }

    fn end(&mut self, codec: &mut SteadyCodec) -> Result<(), Cause> {
        if self.left.is_some_and(|left| left > 0) || self.owner_is_gone() {
            return Err(Cause::Source { errno: 0 });
        }
        self.source = None;
        self.out = codec.end_payload().map_err(cause_of)?;
        self.state = State::Flush;
        Ok(())
    }
}

/// The cause when the peer neither took the request nor answered.
pub(super) fn refused(errno: i32) -> Cause {
    socket(&io::Error::from_raw_os_error(errno))
}
