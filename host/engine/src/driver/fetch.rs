//! One transfer through a driver: payload goes guest → host → sink, a piece at a time.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{
    Aftermath, Cause, Exchange, ExchangeId, Failure, JourneyEvent, PayloadLength, RetrySafety,
    Summary, Timings, ToEmbedder,
};
use fumehood_policy::{Lapse, ServedScheme};
use rustix::io::Errno;
use tokio::time::{Instant, timeout};

use super::access::{Access, Log};
use super::module::{DriverInstance, Failure as Told};
use crate::exchange::{PROGRESS_INTERVAL, Pipes, failure};
use crate::hub::{Hub, micros};
use crate::instance::{Fault, bounded, sound_head};
use crate::payload::Pipe;

/// Most bytes of payload that a driver is asked for at once: a few segments, and
/// small beside a guest's memory. One piece is held here while it is written.
const PIECE_BYTES: u32 = 64 * 1024;

/// Runs an exchange whose scheme a driver serves.
pub(crate) async fn run(
    hub: &Hub,
    id: ExchangeId,
    exchange: &Exchange,
    scheme: ServedScheme,
    pipes: &Pipes,
) -> Result<Summary, Failure> {
    let mut transfer = Transfer {
        hub,
        id,
        exchange,
        began: Instant::now(),
        timings: Timings::default(),
        received: 0,
        answered: RetrySafety::NotSent,
    };
    let outcome = transfer.run(scheme, pipes).await;
    outcome.map_err(|cause| failure(cause, transfer.answered))
}

/// A transfer under way.
struct Transfer<'a> {
    hub: &'a Hub,
    id: ExchangeId,
    exchange: &'a Exchange,
    began: Instant,
    timings: Timings,
    received: u64,
    /// How far it is.
    answered: RetrySafety,
}

impl Transfer<'_> {
    async fn run(&mut self, scheme: ServedScheme, pipes: &Pipes) -> Result<Summary, Cause> {
        if self.exchange.payload != PayloadLength::None {
            let why = "a driver sends no content, and the request has some";
            return Err(Cause::BadRequest(why.to_owned()));
        }
        let _room = self
            .hub
            .reserve(0, self.exchange.deadlines.connect_ms)
            .await?;
        let mut driver = self.start(scheme, pipes).await?;
        self.fetch(&mut driver).await?;
        self.body(&mut driver, pipes).await?;
        self.timings.total_us = self.elapsed();
        Ok(Summary {
            timings: self.timings,
            payload_received: self.received,
            bytes_through_guests: driver.bytes(),
            guest_calls: driver.calls(),
            guest_memory_bytes: driver.memory_bytes(),
            ..Summary::default()
        })
    }

    /// An instance of the version that serves the scheme now.
    async fn start(&self, scheme: ServedScheme, pipes: &Pipes) -> Result<DriverInstance, Cause> {
        let version = self.hub.registry.drivers.serving(&scheme)?;
        let deadline = Duration::from_millis(self.exchange.deadlines.connect_ms.into());
        let dialer = Arc::clone(&self.hub.dialer);
        let names = Arc::clone(&self.hub.names);
        let access = Access::new(dialer, names, self.exchange.grant, deadline)
            .with_allowance(pipes.allowance.clone());
        let instance = timeout(deadline, version.module.instantiate(access))
            .await
            .map_err(|_| Cause::Busy)?;
        let driver = instance.map_err(|fault| self.settle(fault))?;
        let made = JourneyEvent::Instantiated(driver.describe());
        self.hub.outbox.journey(self.id, made).await?;
        Ok(driver)
    }

    /// Up to the head. The driver connects meanwhile, so it has both times.
    async fn fetch(&mut self, driver: &mut DriverInstance) -> Result<(), Cause> {
        let deadlines = &self.exchange.deadlines;
        let log = Arc::clone(driver.log());
        let milliseconds = deadlines.connect_ms.saturating_add(deadlines.head_ms);
        self.answered = RetrySafety::MaybeProcessed;
        let told = self
            .within("head", milliseconds, driver.fetch(self.exchange))
            .await;
        self.tell_connections(&log).await?;
        let head = match told? {
            Ok(head) => head,
            Err(told) => return Err(self.explain(driver, told, "before-head")),
        };
        let fields = head.fields.into_iter();
        let fields = fields.map(|field| (field.name, field.value));
        let head =
            sound_head(head.status, fields).map_err(|what| self.settle(driver.nonsense(what)))?;
        self.timings.head_us = Some(self.elapsed());
        self.answered = RetrySafety::Answered;
        self.hub.outbox.head(self.id, head).await
    }

    /// The payload, to its end.
    async fn body(&mut self, driver: &mut DriverInstance, pipes: &Pipes) -> Result<(), Cause> {
        let log = Arc::clone(driver.log());
        let milliseconds = self.exchange.deadlines.idle_ms;
        let mut reported = Instant::now();
        loop {
            let asked = driver.read_body(PIECE_BYTES);
            let told = self.within("idle", milliseconds, asked).await;
            let piece = match told? {
                Ok(piece) => piece,
                Err(told) => return Err(self.explain(driver, told, "in-payload")),
            };
            if piece.is_empty() {
                // A guest may take the end of its leave for the peer's.
                log.lapsed().map_or(Ok(()), Err)?;
                return self.tell_connections(&log).await;
            }
            // What a guest unpacks or makes up moves by no socket.
            let most = self.exchange.leave.map_or(u64::MAX, |leave| leave.bytes);
            if piece.len() as u64 > most.saturating_sub(self.received) {
                return Err(Cause::Lapsed(Lapse::Spent));
            }
            write_all(&pipes.sink, &piece).await?;
            self.received += piece.len() as u64;
            if reported.elapsed() >= PROGRESS_INTERVAL {
                reported = Instant::now();
                self.hub.outbox.try_send(ToEmbedder::Progress {
                    id: self.id,
                    received: self.received,
                    sent: 0,
                });
            }
        }
    }

    /// A call within a deadline.
    async fn within<T>(
        &self,
        phase: &str,
        milliseconds: u32,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Cause> {
        match timeout(Duration::from_millis(milliseconds.into()), call).await {
            Ok(told) => told.map_err(|fault| self.settle(fault)),
            Err(_) => Err(Cause::Deadline {
                phase: phase.to_owned(),
                milliseconds,
            }),
        }
    }

    /// Counts and reports a driver's end. It is never resumed.
    fn settle(&self, fault: Fault) -> Cause {
        fault.settle(Aftermath::Failed);
        self.hub.registry.enforce();
        fault.into()
    }

    /// What a driver's failure means to the embedder.
    fn explain(&self, driver: &DriverInstance, told: Told, place: &str) -> Cause {
        if let Some(lapsed) = driver.log().lapsed() {
            return lapsed;
        }
        match told {
            Told::Network => driver.log().trouble().unwrap_or_else(|| {
                self.settle(driver.nonsense("of a network failure that there was not"))
            }),
            Told::Truncated => Cause::Truncated {
                place: place.to_owned(),
            },
            Told::Protocol(detail) => Cause::Violation {
                driver: driver.describe().module,
                detail: bounded(&detail),
            },
            Told::Unsupported(why) => Cause::BadRequest(bounded(&why)),
        }
    }

    async fn tell_connections(&mut self, log: &Log) -> Result<(), Cause> {
        for event in log.take_connected() {
            self.timings.connected_us.get_or_insert(self.elapsed());
            self.hub.outbox.journey(self.id, event).await?;
        }
        Ok(())
    }

    fn elapsed(&self) -> u64 {
        micros(self.began.elapsed())
    }
}

async fn write_all(sink: &Pipe, mut piece: &[u8]) -> Result<(), Cause> {
    while !piece.is_empty() {
        let written = poll_fn(|cx| sink.poll_write(cx, piece)).await;
        let errno = match written {
            Ok(0) => Errno::NOSPC.raw_os_error(),
            Ok(count) => {
                piece = &piece[count..];
                continue;
            }
            Err(error) => error.raw_os_error().unwrap_or(0),
        };
        return Err(Cause::Sink { errno });
    }
    Ok(())
}
