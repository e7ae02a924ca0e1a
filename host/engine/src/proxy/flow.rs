//! One direction of an exchange: pieces for a codec, payload past it, and what
//! is on its way out.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

use crate::demand::{Collected, Collector, Delimiter};
use crate::instance::{Demand, LineDemand, PayloadFrame};
use crate::transport::Transport;

/// Bytes that may wait to be written before nothing more is read. Heads and
/// small payload go out in one call.
const FULL: usize = 64 * 1024;

/// Payload of at least so many bytes is written from where it was read.
const DIRECT: usize = 16 * 1024;

/// A stream as a codec takes it apart.
pub(crate) struct Inbound {
    state: State,
}

enum State {
    Collect(Collector),
    Payload {
        demanded: u64,
        left: u64,
        then: Option<Collector>,
    },
    UntilClose,
    Nothing,
}

/// What came.
pub(crate) enum Found {
    /// [`Inbound::piece`], for the codec.
    Piece,
    /// The stream ended, so many bytes into the demand.
    Cut(u64),
    /// So many bytes of payload, at least one, are there to be moved.
    Payload(usize),
}

impl Inbound {
    pub(crate) fn new(demand: &Demand, then: Option<LineDemand>) -> Inbound {
        let state = match demand {
            Demand::EmptyLine(at_most) => {
                State::Collect(Collector::new(Delimiter::EmptyLine, *at_most))
            }
            Demand::Lines(lines) => State::Collect(Collector::of(*lines)),
            Demand::Payload(length) => State::Payload {
                demanded: *length,
                left: *length,
                then: then.map(Collector::of),
            },
            Demand::PayloadUntilClose => State::UntilClose,
            Demand::Nothing => State::Nothing,
        };
        Inbound { state }
    }

    /// Nothing more is to come.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Nothing)
    }

    /// The next thing. Not to be asked for where nothing is to come.
    ///
    /// What was read at once may be tens of thousands of small things, each for a
    /// guest: others, and deadlines, have their turn in between.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Transport,
    ) -> Poll<io::Result<Found>> {
        let turn = ready!(poll_proceed(cx));
        let found = ready!(self.poll_found(cx, from));
        turn.made_progress();
        Poll::Ready(found)
    }

    fn poll_found(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Transport,
    ) -> Poll<io::Result<Found>> {
        let collector = match &mut self.state {
            State::Nothing => return Poll::Pending,
            State::Payload { left, .. } => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                return poll_payload(cx, from, most);
            }
            State::UntilClose => return poll_payload(cx, from, usize::MAX),
            State::Collect(collector) => collector,
        };
        loop {
            let offered = ready!(from.poll_bytes(cx))?;
            if offered.is_empty() {
                let pending = collector.bytes().len() as u64;
                return Poll::Ready(Ok(Found::Cut(pending)));
            }
            let (count, collected) = collector.take(offered);
            from.consume(count);
            if collected == Collected::Piece {
                return Poll::Ready(Ok(Found::Piece));
            }
        }
    }

    /// What was collected.
    pub(crate) fn piece(&self) -> &[u8] {
        match &self.state {
            State::Collect(collector) => collector.bytes(),
            _ => &[],
        }
    }

    /// So many bytes of payload were moved. Returns how many the codec is to be
    /// told of, where it is.
    pub(crate) fn moved(&mut self, count: u64) -> Option<u64> {
        let State::Payload {
            demanded,
            left,
            then,
        } = &mut self.state
        else {
            return None;
        };
        *left -= count;
        if *left > 0 {
            return None;
        }
        match then.take() {
            // What comes behind it tells the codec that it was moved.
            Some(collector) => {
                self.state = State::Collect(collector);
                None
            }
            None => Some(*demanded),
        }
    }
}

fn poll_payload(
    cx: &mut Context<'_>,
    from: &mut Transport,
    most: usize,
) -> Poll<io::Result<Found>> {
    from.expect(most as u64);
    let offered = ready!(from.poll_bytes(cx))?.len();
    Poll::Ready(Ok(match offered {
        0 => Found::Cut(0),
        offered => Found::Payload(offered.min(most)),
    }))
}

/// Bytes on their way out.
#[derive(Default)]
pub(super) struct Outbound {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbound {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// No more is to be put in before some is out.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Writes all of it.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Transport,
    ) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            match ready!(to.poll_write(cx, &self.bytes[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.bytes.clear();
        self.written = 0;
        to.poll_flush(cx)
    }

    /// How much of `length` bytes of payload one framed piece takes.
    pub(super) fn piece_of(length: usize) -> usize {
        length.min(FULL)
    }

    /// Takes up payload that was found, framed as a whole.
    pub(super) fn take_framed(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Transport,
        length: usize,
        frame: &PayloadFrame,
    ) -> Poll<io::Result<()>> {
        let offered = ready!(from.poll_bytes(cx))?;
        self.push(&frame.before);
        self.push(&offered[..length]);
        self.push(&frame.after);
        from.consume(length);
        Poll::Ready(Ok(()))
    }

    /// Moves payload that was found and needs no frame: at once where it is
    /// much, else with what else goes out. Returns how much.
    pub(super) fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Transport,
        to: &mut Transport,
        length: usize,
    ) -> Poll<Result<usize, Moving>> {
        let offered = match ready!(from.poll_bytes(cx)) {
            Ok(offered) => &offered[..length],
            Err(error) => return Poll::Ready(Err(Moving::From(error))),
        };
        let count = if length < DIRECT || !self.bytes.is_empty() {
            let count = length.min(FULL);
            self.bytes.extend_from_slice(&offered[..count]);
            count
        } else {
            ready!(to.poll_write(cx, offered)).map_err(|_| Moving::To)?
        };
        if count == 0 {
            return Poll::Ready(Err(Moving::To));
        }
        from.consume(count);
        Poll::Ready(Ok(count))
    }
}

/// Which end broke.
pub(super) enum Moving {
    From(io::Error),
    To,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use crate::transport::PlainStream;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    /// More than a turn is to have, and fewer than one read brings.
    const PIECES: usize = 10_000;

    #[tokio::test]
    async fn a_flood_of_small_pieces_leaves_others_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut theirs = TcpStream::connect(address).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        theirs.write_all(&[b'\n'; PIECES]).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut from = Transport::Plain(PlainStream::new(ours));
        let line = Demand::Lines(LineDemand {
            count: 1,
            at_most: 8,
        });
        let (mut pieces, mut turns) = (0, 0);
        while pieces < PIECES {
            turns += 1;
            std::future::poll_fn(|cx| {
                let before = pieces;
                while let Poll::Ready(found) = Inbound::new(&line, None).poll(cx, &mut from) {
                    match found.unwrap() {
                        Found::Piece => pieces += 1,
                        _ => return Poll::Ready(()),
                    }
                }
                match pieces - before {
                    0 => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            })
            .await;
            tokio::task::yield_now().await;
        }
        assert!(turns > 10, "{turns}");
    }
}
