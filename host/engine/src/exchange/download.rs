//! The inbound half of an exchange: framing to the codec, payload to the sink.

use std::io;
use std::task::{Context, Poll, ready};

use fumehood_control::Cause;
use tokio::task::coop::poll_proceed;

use super::{cause_of, socket};
use crate::allowance::Allowance;
use crate::demand::{Collected, Collector, Delimiter};
use crate::instance::{Demand, Event, LineDemand, Progress};
use crate::payload::Pipe;
use crate::resume::SteadyCodec;
use crate::transport::Transport;

/// Receives a response.
pub(super) struct Download {
    sink: Pipe,
    allowance: Allowance,
    state: State,
    /// Payload bytes written to the sink.
    pub received: u64,
    /// Some byte of a response arrived.
    pub begun: bool,
}

enum State {
    /// A piece for the codec.
    Collect(Collector),
    /// Payload: how much was demanded, how much of it is still to come, and
    /// what is to be collected behind it, or how the exchange ends then.
    Payload {
        demanded: u64,
        left: u64,
        then: Option<Collector>,
        completes: Option<bool>,
    },
    /// Payload until the peer closes.
    PayloadUntilClose,
    /// The codec wants nothing more.
    Idle,
}

/// What a download waits for, or brought.
pub(super) enum Downloading {
    /// The peer to send.
    Peer,
    /// The embedder to read.
    Sink,
    /// The codec said something; payload moved before it is in the sink.
    Said(Vec<Event>),
}

impl Download {
    pub(super) fn new(sink: Pipe, allowance: Allowance, demand: &Demand) -> Download {
        Download {
            sink,
            allowance,
            state: state_for(demand, None, None),
            received: 0,
            begun: false,
        }
    }

    /// Goes on until the codec says something or there is nothing to do.
    ///
    /// What was read at once may be tens of thousands of small chunks, each for
    /// the guest: others, and deadlines, have their turn in between.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        codec: &mut SteadyCodec,
    ) -> Result<Downloading, Cause> {
        loop {
            let Poll::Ready(turn) = poll_proceed(cx) else {
                return Ok(Downloading::Peer);
            };
            turn.made_progress();
            let progress = match &mut self.state {
                State::Idle => return Ok(Downloading::Peer),
                State::Collect(collector) => {
                    match poll_piece(cx, transport, collector, &mut self.begun) {
                        Poll::Pending => return Ok(Downloading::Peer),
                        Poll::Ready(Err(error)) => return Err(socket(&error)),
                        Poll::Ready(Ok(Piece::Whole)) => codec.receive(collector.bytes()),
                        Poll::Ready(Ok(Piece::Cut)) => {
                            codec.end_of_stream(collector.bytes().len() as u64)
                        }
                    }
                }
                State::Payload {
                    demanded,
                    left,
                    then,
                    completes,
                } => {
                    match poll_move(cx, transport, &self.sink, &self.allowance, *left)? {
                        Moved::Some(count) => {
                            self.received += count;
                            *left -= count;
                            if *left > 0 {
                                continue;
                            }
                            // What comes behind it tells the codec that it was moved.
                            if let Some(collector) = then.take() {
                                self.state = State::Collect(collector);
                                continue;
                            }
                            if let Some(reusable) = *completes {
                                self.state = State::Idle;
                                return Ok(Downloading::Said(vec![Event::Complete { reusable }]));
                            }
                            codec.payload_moved(*demanded)
                        }
                        Moved::End => codec.end_of_stream(0),
                        Moved::AwaitsPeer => return Ok(Downloading::Peer),
                        Moved::AwaitsSink => return Ok(Downloading::Sink),
                    }
                }
                State::PayloadUntilClose => {
                    match poll_move(cx, transport, &self.sink, &self.allowance, u64::MAX)? {
                        Moved::Some(count) => {
                            self.received += count;
                            continue;
                        }
                        Moved::End => codec.end_of_stream(0),
                        Moved::AwaitsPeer => return Ok(Downloading::Peer),
                        Moved::AwaitsSink => return Ok(Downloading::Sink),
                    }
                }
            }
            .map_err(cause_of)?;
            if let Some(events) = self.advance(progress) {
                return Ok(Downloading::Said(events));
            }
        }
    }

    /// Takes up the codec's next demand; returns what it said, if anything.
    fn advance(&mut self, progress: Progress) -> Option<Vec<Event>> {
        self.state = state_for(&progress.demand, progress.then, progress.completes);
        (!progress.events.is_empty()).then_some(progress.events)
    }
}

fn state_for(demand: &Demand, then: Option<LineDemand>, completes: Option<bool>) -> State {
    match demand {
        Demand::EmptyLine(at_most) => {
            State::Collect(Collector::new(Delimiter::EmptyLine, *at_most))
        }
        Demand::Lines(lines) => State::Collect(Collector::of(*lines)),
        Demand::Payload(length) => State::Payload {
            demanded: *length,
            left: *length,
            then: then.map(Collector::of),
            completes,
        },
        Demand::PayloadUntilClose => State::PayloadUntilClose,
        Demand::Nothing => State::Idle,
    }
}

enum Piece {
    /// As demanded.
    Whole,
    /// The stream ended inside it.
    Cut,
}

fn poll_piece(
    cx: &mut Context<'_>,
    transport: &mut Transport,
    collector: &mut Collector,
    begun: &mut bool,
) -> Poll<io::Result<Piece>> {
    loop {
        let offered = ready!(transport.poll_bytes(cx))?;
        if offered.is_empty() {
            return Poll::Ready(Ok(Piece::Cut));
        }
        *begun = true;
        let (count, collected) = collector.take(offered);
        transport.consume(count);
        if collected == Collected::Piece {
            return Poll::Ready(Ok(Piece::Whole));
        }
    }
}

enum Moved {
    Some(u64),
    End,
    AwaitsPeer,
    AwaitsSink,
}

/// Moves one buffer's worth of payload from the transport to the sink.
fn poll_move(
    cx: &mut Context<'_>,
    transport: &mut Transport,
    sink: &Pipe,
    allowance: &Allowance,
    left: u64,
) -> Result<Moved, Cause> {
    transport.expect(left);
    let reserved = allowance.reserve(left)?;
    let moved = poll_move_within(cx, transport, sink, reserved);
    let count = match &moved {
        Ok(Moved::Some(count)) => *count,
        _ => 0,
    };
    allowance.give_back(reserved - count);
    moved
}

/// Moves at most `most` bytes.
fn poll_move_within(
    cx: &mut Context<'_>,
    transport: &mut Transport,
    sink: &Pipe,
    most: u64,
) -> Result<Moved, Cause> {
    let offered = match transport.poll_bytes(cx) {
        Poll::Pending => return Ok(Moved::AwaitsPeer),
        Poll::Ready(Err(error)) => return Err(socket(&error)),
        Poll::Ready(Ok([])) => return Ok(Moved::End),
        Poll::Ready(Ok(offered)) => offered,
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let count = match sink.poll_write(cx, &offered[..offered.len().min(most)]) {
        Poll::Pending => return Ok(Moved::AwaitsSink),
        Poll::Ready(Ok(count)) => count,
        Poll::Ready(Err(error)) => {
            return Err(Cause::Sink {
                errno: error.raw_os_error().unwrap_or(0),
            });
        }
    };
    if count == 0 {
        return Err(Cause::Sink {
            errno: rustix::io::Errno::NOSPC.raw_os_error(),
        });
    }
    transport.consume(count);
    Ok(Moved::Some(count as u64))
}
