//! One request to a server and its response back to the client, both at once.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use fumehood_control::{Cause, Deadlines, Field, Hop, PayloadLength};
use tokio::time::Instant;

use super::flow::{Found, Inbound, Moving, Outbound};
use super::listener::Listener;
use super::patience::Patience;
use crate::connection::Connection;
use crate::exchange::{cause_of, socket};
use crate::instance::{
    CodecError, Demand, Event, Fields, LineDemand, Progress, RequestHead, ResponseHead,
    ServerAnswer, ServerCodec,
};
use crate::transport::Transport;
use crate::upstream;

/// How an exchange ended.
pub(super) enum End {
    /// Both messages are whole, or the response is and the request need not be.
    Complete {
        /// The client may send another request.
        persists: bool,
        /// The server may be sent another.
        reusable: bool,
    },
    /// Both sides go on with something else.
    Upgraded,
    /// The server's side failed.
    Failed(Cause),
    /// The client broke the protocol.
    Broken(CodecError),
    /// The client is gone.
    Gone,
}

/// The client's side.
pub(super) struct ClientSide<'a> {
    pub(super) transport: &'a mut Transport,
    pub(super) codec: &'a mut ServerCodec,
}

/// What is to be known of the request and its listener.
pub(super) struct Terms<'a> {
    pub(super) deadlines: Deadlines,
    /// Appended to the response's fields.
    pub(super) via: Option<&'a Field>,
    /// The client understands informational responses.
    pub(super) informational: bool,
    /// The proxy that is asked in the server's place.
    pub(super) asked: Option<&'a Hop>,
    /// While it drains, responses are the last of their connections.
    pub(super) listener: &'a Listener,
}

/// An exchange under way.
pub(super) struct Forward<'a> {
    client: ClientSide<'a>,
    server: &'a mut Connection,
    terms: Terms<'a>,
    up: Up,
    down: Down,
    /// When something last moved.
    moved: Instant,
}

/// The request's direction.
struct Up {
    inbound: Inbound,
    out: Outbound,
    payload: PayloadLength,
    ended: bool,
    done: bool,
    bytes: u64,
    /// Something behind the head was taken from the client.
    begun: bool,
    /// Not all of it was taken by the server.
    cut: bool,
}

/// The response's direction.
struct Down {
    inbound: Inbound,
    out: Outbound,
    /// Of the final head, once it has come.
    status: u16,
    chunked: bool,
    /// Content that the client was promised, in bytes, where it was.
    promised: Option<u64>,
    trailers: Fields,
    /// How the exchange ends once the payload in demand is moved.
    completes: Option<bool>,
    /// The client's codec is done: whether another request may follow.
    persists: Option<bool>,
    complete: Option<Completion>,
    bytes: u64,
    /// Something of a response has come.
    begun: bool,
    /// The server's side failed; what came before is still to be written.
    failed: Option<Cause>,
}

/// The response is whole; what remains is to write it.
#[derive(Clone, Copy)]
struct Completion {
    reusable: bool,
    persists: bool,
    upgraded: bool,
}

impl<'a> Forward<'a> {
    /// Begins with a request whose head has come; `demand` is for its content.
    pub(super) fn begin(
        client: ClientSide<'a>,
        server: &'a mut Connection,
        head: RequestHead,
        (demand, then): (&Demand, Option<LineDemand>),
        terms: Terms<'a>,
    ) -> Result<Forward<'a>, Cause> {
        let payload = head.payload;
        let mut out = Outbound::default();
        let opening = server.codec.encode_head(head).map_err(cause_of)?;
        out.push(&opening.bytes);
        Ok(Forward {
            client,
            server,
            terms,
            up: Up {
                inbound: Inbound::new(demand, then),
                out,
                payload,
                ended: false,
                done: false,
                bytes: 0,
                begun: false,
                cut: false,
            },
            down: Down {
                inbound: Inbound::new(&opening.demand, None),
                out: Outbound::default(),
                status: 0,
                chunked: false,
                promised: None,
                trailers: Fields::default(),
                completes: None,
                persists: None,
                complete: None,
                bytes: 0,
                begun: false,
                failed: None,
            },
            moved: Instant::now(),
        })
    }

    /// Content from the client and to it, in bytes.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.up.bytes, self.down.bytes)
    }

    /// Of the final head that was passed on; 0 before.
    pub(super) fn status(&self) -> u16 {
        self.down.status
    }

    /// The server has begun to answer, or content of the request is spent: it
    /// cannot be sent again.
    pub(super) fn is_spent(&self) -> bool {
        self.down.begun || !self.down.inbound.piece().is_empty() || self.has_spent_content()
    }

    /// Content of the request is spent. A piece is taken from its first byte on, not
    /// once it is whole.
    pub(super) fn has_spent_content(&self) -> bool {
        self.up.begun || self.up.bytes > 0 || !self.up.inbound.piece().is_empty()
    }

    /// Runs to the end.
    pub(super) async fn run(&mut self, patience: &mut Patience) -> End {
        std::future::poll_fn(|cx| self.poll(cx, patience)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, patience: &mut Patience) -> Poll<End> {
        let before = self.mark();
        if !self.up.done
            && let Poll::Ready(Err(end)) = self.poll_up(cx)
        {
            return Poll::Ready(end);
        }
        match self.poll_rest(cx) {
            Poll::Ready(Ok(end) | Err(end)) => return Poll::Ready(end),
            Poll::Pending => {}
        }
        if before != self.mark() {
            self.moved = Instant::now();
        }
        let (phase, milliseconds) = match self.up.done && self.down.status == 0 {
            true => ("head", self.terms.deadlines.head_ms),
            false => ("idle", self.terms.deadlines.idle_ms),
        };
        let deadline = self.moved + Duration::from_millis(milliseconds.into());
        patience.poll(cx, deadline).map(|()| {
            End::Failed(Cause::Deadline {
                phase: phase.to_owned(),
                milliseconds,
            })
        })
    }

    /// What changes when something moves.
    fn mark(&self) -> (u64, u64, bool, u16) {
        (
            self.up.bytes,
            self.down.bytes,
            self.up.done,
            self.down.status,
        )
    }

    /// The request: pieces to the client's codec, payload to the server.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            if self.up.out.is_full() || self.up.inbound.is_over() {
                if self.up.inbound.is_over() && !self.up.ended {
                    self.end_request()?;
                }
                match ready!(self.up.out.poll_flush(cx, &mut self.server.transport)) {
                    Ok(()) if !self.up.inbound.is_over() => continue,
                    // The server may have answered before it closed (RFC 9112
                    // section 9.5), so its answer is still read.
                    Ok(()) => self.up.done = true,
                    Err(_) => self.up.cut_off(),
                }
                return Poll::Ready(Ok(()));
            }
            let found = match self.up.inbound.poll(cx, self.client.transport) {
                Poll::Ready(Ok(found)) => found,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Gone)),
                Poll::Pending => {
                    match ready!(self.up.out.poll_flush(cx, &mut self.server.transport)) {
                        Ok(()) => {}
                        Err(_) => self.up.cut_off(),
                    }
                    return Poll::Pending;
                }
            };
            let step = match found {
                Found::Piece => {
                    self.up.begun = true;
                    self.client.codec.receive(self.up.inbound.piece())
                }
                Found::Cut(pending) => self.client.codec.end_of_stream(pending),
                Found::Payload(length) => match ready!(self.poll_up_payload(cx, length))? {
                    Some(demanded) => self.client.codec.payload_moved(demanded),
                    None => continue,
                },
            };
            let step = step.map_err(End::Broken)?;
            self.up.inbound = Inbound::new(&step.demand, step.then);
        }
    }

    fn poll_up_payload(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Poll<Result<Option<u64>, End>> {
        let length = Outbound::piece_of(length);
        let frame = self.server.codec.frame_payload(length as u64);
        let frame = frame.map_err(|error| End::Failed(cause_of(error)))?;
        let taken = self
            .up
            .out
            .take_framed(cx, self.client.transport, length, &frame);
        ready!(taken).map_err(|_| End::Gone)?;
        self.up.bytes += length as u64;
        Poll::Ready(Ok(self.up.inbound.moved(length as u64)))
    }

    fn end_request(&mut self) -> Result<(), End> {
        self.up.ended = true;
        if self.up.payload == PayloadLength::Unknown {
            let last = self.server.codec.end_payload();
            let last = last.map_err(|error| End::Failed(cause_of(error)))?;
            self.up.out.push(&last);
        }
        Ok(())
    }

    /// The response. One that breaks off goes out as far as it came.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, End>> {
        if self.down.failed.is_none() {
            match ready!(self.poll_down(cx)) {
                Err(End::Failed(cause)) if self.down.status > 0 => self.down.failed = Some(cause),
                end => return Poll::Ready(end),
            }
        }
        let flushed = self.down.out.poll_flush(cx, self.client.transport);
        ready!(flushed).map_err(|_| End::Gone)?;
        let cause = self.down.failed.take().unwrap_or(Cause::Cancelled);
        Poll::Ready(Err(End::Failed(cause)))
    }

    /// The response: pieces to the server's codec, payload to the client.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<End, End>> {
        loop {
            if let Some(completion) = self.down.complete {
                return match ready!(self.down.out.poll_flush(cx, self.client.transport)) {
                    Ok(()) => Poll::Ready(Ok(completion.end())),
                    Err(_) => Poll::Ready(Err(End::Gone)),
                };
            }
            if self.down.out.is_full() {
                let flushed = self.down.out.poll_flush(cx, self.client.transport);
                ready!(flushed).map_err(|_| End::Gone)?;
            }
            let found = match self.down.inbound.poll(cx, &mut self.server.transport) {
                Poll::Ready(found) => found.map_err(|error| End::Failed(socket(&error)))?,
                Poll::Pending => {
                    let flushed = self.down.out.poll_flush(cx, self.client.transport);
                    ready!(flushed).map_err(|_| End::Gone)?;
                    return Poll::Pending;
                }
            };
            let codec = &mut self.server.codec;
            let progress = match found {
                Found::Piece => {
                    self.down.begun = true;
                    codec.receive(self.down.inbound.piece())
                }
                Found::Cut(pending) => codec.end_of_stream(pending),
                Found::Payload(length) => match ready!(self.poll_down_payload(cx, length))? {
                    Some(demanded) => match self.down.completes {
                        Some(reusable) => {
                            self.complete(reusable)?;
                            continue;
                        }
                        None => self.server.codec.payload_moved(demanded),
                    },
                    None => continue,
                },
            };
            let progress = progress.map_err(|error| End::Failed(cause_of(error)))?;
            self.deliver(progress)?;
        }
    }

    fn poll_down_payload(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Poll<Result<Option<u64>, End>> {
        let after = self.down.bytes.saturating_add(length as u64);
        if self.down.promised.is_some_and(|promised| after > promised) {
            return Poll::Ready(Err(misframed()));
        }
        let from = &mut self.server.transport;
        let count = if self.down.chunked {
            let length = Outbound::piece_of(length);
            let frame = self.client.codec.frame_payload(length as u64);
            let frame = frame.map_err(End::Broken)?;
            let taken = self.down.out.take_framed(cx, from, length, &frame);
            ready!(taken).map_err(|error| End::Failed(socket(&error)))?;
            length
        } else {
            let moved = self
                .down
                .out
                .poll_move(cx, from, self.client.transport, length);
            match ready!(moved) {
                Ok(count) => count,
                Err(Moving::From(error)) => {
                    return Poll::Ready(Err(End::Failed(socket(&error))));
                }
                Err(Moving::To) => return Poll::Ready(Err(End::Gone)),
            }
        };
        self.down.bytes += count as u64;
        Poll::Ready(Ok(self.down.inbound.moved(count as u64)))
    }

    /// Passes on what the server's codec said.
    fn deliver(&mut self, progress: Progress) -> Result<(), End> {
        let Progress {
            events,
            demand,
            then,
            completes,
        } = progress;
        let whole = events
            .iter()
            .any(|event| matches!(event, Event::Complete { .. }));
        for event in events {
            match event {
                Event::Informational(head) if self.terms.informational => {
                    self.encode(head, PayloadLength::None)?;
                }
                Event::Informational(_) => {}
                Event::Head(head) => {
                    let status = head.status;
                    if let Some(hop) = self.terms.asked.filter(|_| status == 407) {
                        // It wants to know who we are, not who the client is.
                        let fault = upstream::refused(&mut self.server.codec, &head.into());
                        return Err(End::Failed(upstream::at(hop, fault)));
                    }
                    let payload = match &demand {
                        _ if whole => PayloadLength::None,
                        Demand::Payload(length) => PayloadLength::Known(*length),
                        _ => PayloadLength::Unknown,
                    };
                    self.down.chunked = payload == PayloadLength::Unknown;
                    self.down.promised = match payload {
                        PayloadLength::None => Some(0),
                        PayloadLength::Known(length) => Some(length),
                        PayloadLength::Unknown => None,
                    };
                    self.encode(head, payload)?;
                    self.down.status = status;
                }
                Event::Trailers(fields) => self.down.trailers = fields,
                Event::Complete { reusable } => self.complete(reusable)?,
            }
        }
        self.down.inbound = Inbound::new(&demand, then);
        self.down.completes = completes;
        Ok(())
    }

    fn encode(&mut self, mut head: ResponseHead, payload: PayloadLength) -> Result<(), End> {
        if head.status >= 200 {
            self.terms
                .via
                .iter()
                .for_each(|via| head.fields.push(&via.name, &via.value));
        }
        let answer = ServerAnswer {
            status: head.status,
            reason: &head.reason,
            fields: &head.fields,
            payload,
            last: self.terms.listener.is_draining(),
            challenge: false,
        };
        let head = self.client.codec.encode_head(&answer);
        let head = head.map_err(|error| match error {
            // It is the server's head that cannot be passed on.
            CodecError::Protocol(_) => End::Failed(Cause::Limit("response-head".to_owned())),
            CodecError::Fault(_) => End::Broken(error),
        })?;
        self.down.out.push(&head.bytes);
        self.down.persists = head.persists;
        Ok(())
    }

    fn complete(&mut self, reusable: bool) -> Result<(), End> {
        if self.down.promised.is_some_and(|it| it != self.down.bytes) {
            return Err(misframed());
        }
        let upgraded = self.down.status == 101;
        let persists = match self.down.persists {
            Some(persists) => persists,
            None => {
                let ending = self.client.codec.end_payload(&self.down.trailers);
                let ending = ending.map_err(End::Broken)?;
                self.down.out.push(&ending.bytes);
                ending.persists
            }
        };
        self.down.complete = Some(Completion {
            // What is left of a request would be read as the next one.
            reusable: reusable && self.up.done && !self.up.cut,
            persists,
            upgraded,
        });
        Ok(())
    }
}

impl Up {
    /// Nothing more can be sent.
    fn cut_off(&mut self) {
        (self.done, self.cut) = (true, true);
    }
}

/// What follows a response would be read as another server's.
fn misframed() -> End {
    End::Failed(Cause::HttpViolation("bad-content-length".to_owned()))
}

impl Completion {
    fn end(self) -> End {
        match self.upgraded {
            true => End::Upgraded,
            false => End::Complete {
                persists: self.persists,
                reusable: self.reusable,
            },
        }
    }
}
