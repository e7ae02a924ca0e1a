//! One request and its response over one connection.

mod download;
mod upload;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fumehood_control::{
    Blame, Cause, Deadlines, Exchange, ExchangeId, Failure, Hop, HopAsk, JourneyEvent, ProxyFault,
    ResponseHead, RetrySafety, Summary, Timings, ToEmbedder, TokenFault,
};
use tokio::time::{Instant, Sleep};

use crate::allowance::Allowance;
use crate::connection::Connection;
use crate::instance::{CodecError, Event, RequestHead, cause_of_protocol};
use crate::outbox::Outbox;
use crate::payload::Pipe;
use crate::upstream;
use download::{Download, Downloading};
use upload::{Upload, Uploading};

/// Shortest time between two `Progress` messages of an exchange.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What an exchange brought, and whether its connection can go on.
pub(crate) struct Outcome {
    /// How it went, without the connection's share of the figures.
    pub result: Result<Summary, Failure>,
    /// The codec would take another request.
    pub reusable: bool,
    /// The request's source is untouched, so it could be sent again.
    pub source: SourceState,
}

/// Payload's ends.
pub(crate) struct Pipes {
    /// Where the response's goes.
    pub sink: Pipe,
    /// Where the request's comes from.
    pub source: Option<Pipe>,
    /// How much of it may move.
    pub allowance: Allowance,
}

/// What became of the request's source of payload.
pub(crate) enum SourceState {
    /// Nothing was read; there may never have been one.
    Untouched,
    /// Read from: the request cannot be sent again.
    Consumed,
}

/// Sends the request and receives the response. Ends when both have, or
/// at the first failure.
pub(crate) async fn run(
    connection: &mut Connection,
    id: ExchangeId,
    exchange: &Exchange,
    pipes: &Pipes,
    outbox: &Outbox,
    began: Instant,
) -> Outcome {
    let mut running = match Running::new(connection, id, exchange, pipes, outbox, began) {
        Ok(running) => running,
        Err(cause) => {
            let failure = failure(cause, RetrySafety::NotSent);
            return Outcome {
                result: Err(failure),
                reusable: false,
                source: SourceState::Untouched,
            };
        }
    };
    let result = running.drive().await;
    let consumed = running.upload.sent > 0;
    Outcome {
        reusable: running.reusable && running.upload.is_done(),
        result: match result {
            Ok(()) => Ok(running.summary()),
            Err(cause) => {
                let retry = match &cause {
                    Cause::Proxy { .. } if !consumed => RetrySafety::NotSent,
                    _ => running.retry_safety(),
                };
                Err(failure(running.explain(cause), retry))
            }
        },
        source: if consumed {
            SourceState::Consumed
        } else {
            SourceState::Untouched
        },
    }
}

struct Running<'a> {
    connection: &'a mut Connection,
    outbox: &'a Outbox,
    id: ExchangeId,
    deadlines: Deadlines,
    upload: Upload,
    download: Download,
    timer: Pin<Box<Sleep>>,
    /// When the peer last did something, or was last not waited for.
    peer_moved: Instant,
    reported: Instant,
    began: Instant,
    timings: Timings,
    reusable: bool,
    /// The proxy whose challenge is the embedder's to answer.
    challenger: Option<&'a Hop>,
}

/// Something for the exchange to act on.
enum Step {
    /// The request is with the peer.
    Sent,
    /// The codec said this.
    Said(Vec<Event>),
    /// It is time to tell how far it is.
    Report,
}

impl<'a> Running<'a> {
    fn new(
        connection: &'a mut Connection,
        id: ExchangeId,
        exchange: &'a Exchange,
        pipes: &Pipes,
        outbox: &'a Outbox,
        began: Instant,
    ) -> Result<Running<'a>, Cause> {
        let opening = connection
            .codec
            .encode_head(RequestHead {
                method: exchange.method.clone(),
                target: exchange.path.clone(),
                fields: exchange.fields.iter().collect(),
                payload: exchange.payload,
                upgrade: false,
            })
            .map_err(cause_of)?;
        let now = Instant::now();
        Ok(Running {
            connection,
            outbox,
            id,
            deadlines: exchange.deadlines,
            upload: Upload::new(opening.bytes, exchange, pipes),
            download: Download::new(pipes.sink.clone(), pipes.allowance.clone(), &opening.demand),
            timer: Box::pin(tokio::time::sleep_until(now)),
            peer_moved: now,
            reported: now,
            began,
            timings: Timings::default(),
            reusable: false,
            challenger: exchange.via.last().filter(|hop| {
                let HopAsk::Request { hold_challenge, .. } = hop.ask else {
                    return false;
                };
                hold_challenge
            }),
        })
    }

    async fn drive(&mut self) -> Result<(), Cause> {
        loop {
            let step = std::future::poll_fn(|cx| self.poll_step(cx)).await;
            for instance in self.connection.taken_over() {
                self.outbox
                    .journey(self.id, JourneyEvent::Resumed(instance))
                    .await?;
            }
            match step? {
                Step::Sent => {
                    self.timings.sent_us = Some(self.elapsed_us());
                    self.outbox.journey(self.id, JourneyEvent::Sent).await?;
                }
                Step::Said(events) => {
                    if self.deliver(events).await? {
                        return Ok(());
                    }
                }
                Step::Report => self.outbox.try_send(ToEmbedder::Progress {
                    id: self.id,
                    received: self.download.received,
                    sent: self.upload.sent,
                }),
            }
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Cause>> {
        let before = (self.upload.sent, self.download.received);
        let connection = &mut *self.connection;
        let uploading = self
            .upload
            .poll(cx, &mut connection.transport, &mut connection.codec)?;
        if self.upload.is_done() && self.timings.sent_us.is_none() {
            self.peer_moved = Instant::now();
            return Poll::Ready(Ok(Step::Sent));
        }
        let downloading =
            self.download
                .poll(cx, &mut connection.transport, &mut connection.codec)?;
        let waits_for_peer = match downloading {
            Downloading::Said(events) => {
                self.peer_moved = Instant::now();
                return Poll::Ready(Ok(Step::Said(events)));
            }
            Downloading::Peer => uploading != Uploading::Source,
            Downloading::Sink => false,
        };
        let moved = before != (self.upload.sent, self.download.received);
        if moved || !waits_for_peer {
            self.peer_moved = Instant::now();
        }
        if moved && self.reported.elapsed() >= PROGRESS_INTERVAL {
            self.reported = Instant::now();
            return Poll::Ready(Ok(Step::Report));
        }
        self.poll_deadline(cx)
    }

    /// Pending, or the deadline of the present phase has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Cause>> {
        let awaits_head = self.upload.is_done() && self.timings.head_us.is_none();
        let (phase, milliseconds) = if awaits_head {
            ("head", self.deadlines.head_ms)
        } else {
            ("idle", self.deadlines.idle_ms)
        };
        let deadline = self.peer_moved + Duration::from_millis(milliseconds.into());
        // The timer may lag behind the deadline, which only ever moves on:
        // re-arming it at each byte would cost more than the wakeup saved.
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(Cause::Deadline {
                    phase: phase.to_owned(),
                    milliseconds,
                }));
            }
            self.timer.as_mut().reset(deadline);
        }
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
            return self.poll_deadline(cx);
        }
        Poll::Pending
    }

    /// Tells the embedder what the codec said. True at the end of the exchange.
    async fn deliver(&mut self, events: Vec<Event>) -> Result<bool, Cause> {
        for event in events {
            match event {
                Event::Informational(head) => {
                    self.outbox.informational(self.id, head.into()).await?;
                }
                Event::Head(head) if head.status == 407 && self.challenger.is_some() => {
                    return Err(self.challenged(&head.into()));
                }
                Event::Head(head) => {
                    self.timings.head_us = Some(self.elapsed_us());
                    self.outbox.head(self.id, head.into()).await?;
                }
                Event::Trailers(fields) => {
                    self.outbox.trailers(self.id, fields.to_list()).await?;
                }
                Event::Complete { reusable } => {
                    self.reusable = reusable;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The proxy wants to know who asks before it does anything.
    fn challenged(&mut self, head: &ResponseHead) -> Cause {
        let fault = upstream::refused(&mut self.connection.codec, head);
        self.challenger
            .map_or(Cause::Cancelled, |hop| upstream::at(hop, fault))
    }

    /// A failure to send is the better explanation of a missing answer.
    fn explain(&self, cause: Cause) -> Cause {
        match (self.upload.refusal(), &cause) {
            (Some(errno), Cause::Truncated { .. } | Cause::Socket { .. }) => upload::refused(errno),
            _ => cause,
        }
    }

    fn retry_safety(&self) -> RetrySafety {
        match (self.upload.begun, self.download.begun) {
            (_, true) => RetrySafety::Answered,
            (true, false) => RetrySafety::MaybeProcessed,
            (false, false) => RetrySafety::NotSent,
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            timings: self.timings,
            payload_received: self.download.received,
            payload_sent: self.upload.sent,
            bytes_past_guests: self.download.received + self.upload.sent,
            ..Summary::default()
        }
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A failure with its blame, which follows from the cause.
pub(crate) fn failure(cause: Cause, retry: RetrySafety) -> Failure {
    Failure {
        blame: blame_for(&cause),
        cause,
        retry,
    }
}

/// Who has to change something.
fn blame_for(cause: &Cause) -> Blame {
    use fumehood_control::DialFailure;
    match cause {
        Cause::Dial(DialFailure::Denied(_) | DialFailure::NoGrant | DialFailure::Outside(_))
        | Cause::Lapsed(_) => Blame::Policy,
        Cause::Dial(DialFailure::Busy) | Cause::EngineDied | Cause::Busy => Blame::Engine,
        Cause::Dial(_) | Cause::Socket { .. } | Cause::Deadline { .. } => Blame::Network,
        Cause::Truncated { .. }
        | Cause::HttpViolation(_)
        | Cause::Violation { .. }
        | Cause::Limit(_)
        | Cause::Tls(_)
        | Cause::Certificate { .. } => Blame::Peer,
        Cause::Guest { .. } => Blame::Guest,
        Cause::Proxy { fault, .. } => match &**fault {
            ProxyFault::Cause(cause) => blame_for(cause),
            ProxyFault::Violation(_) => Blame::Peer,
            ProxyFault::NoMethod | ProxyFault::Login => Blame::Caller,
            ProxyFault::Token(
                TokenFault::Malformed | TokenFault::Unbound | TokenFault::TooManyLegs,
            ) => Blame::Peer,
            ProxyFault::Token(_) => Blame::Caller,
            ProxyFault::Refused { status: 407, .. } => Blame::Caller,
            ProxyFault::Refused { .. } | ProxyFault::Socks { .. } => Blame::Network,
            ProxyFault::Full { .. } => Blame::Engine,
        },
        Cause::Sink { .. } | Cause::Source { .. } | Cause::BadRequest(_) | Cause::Cancelled => {
            Blame::Caller
        }
    }
}

/// What a codec's refusal means to the embedder.
pub(crate) fn cause_of(error: CodecError) -> Cause {
    match error {
        CodecError::Fault(fault) => fault.into(),
        CodecError::Protocol(error) => cause_of_protocol(error),
    }
}

/// A socket's error, or the typed cause a TLS stream put inside it.
pub(crate) fn socket(error: &io::Error) -> Cause {
    if let Some(cause) = crate::tls::cause_inside(error) {
        return cause;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Cause::Truncated {
            place: "tls-record".to_owned(),
        },
        _ => Cause::Socket {
            errno: error.raw_os_error().unwrap_or(0),
        },
    }
}
