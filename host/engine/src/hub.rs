//! What all exchanges share, and how one runs from dial to done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use fumehood_control::{
    Aftermath, Cause, DialFailure, Exchange, ExchangeId, Failure, JourneyEvent, RetrySafety,
    Summary, Timings,
};
use fumehood_policy::Scheme;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::dialer::Dialer;
use crate::driver;
use crate::exchange::{self, Outcome, Pipes, SourceState, failure};
use crate::idle::{Idle, Key};
use crate::instance::{Faults, Ticker};
use crate::outbox::Outbox;
use crate::proxy::Proxy;
use crate::registry::{Registry, Version};
use crate::resume::SteadyCodec;
use crate::tls::{self, HandshakeError, KeyLogFile, TlsModule, TlsStream};
use crate::transport::{PlainStream, Transport};

/// Guest instances that a connection needs: codec and TLS.
pub(crate) const INSTANCES_PER_CONNECTION: u32 = 2;

/// The engine's heart: guests, the way to the broker, idle connections.
pub(crate) struct Hub {
    pub registry: Arc<Registry>,
    pub dialer: Arc<Dialer>,
    pub idle: Idle,
    /// One permit a connection the instance pool has room for.
    pub room: Arc<Semaphore>,
    pub ticker: Ticker,
    pub outbox: Outbox,
    pub key_log: Option<Arc<KeyLogFile>>,
    /// Listeners, and who is served over them.
    pub proxy: Proxy,
    /// Share of the memory outside that is in use, in percent, as last told.
    pub pressure: AtomicU16,
}

/// Pressure, in percent, above which idle connections are closed, the older
/// half each time it is told.
const SHED_ABOVE: u16 = 80;

/// Pressure, in percent, above which no exchange is begun beside another.
const REFUSE_ABOVE: u16 = 100;

impl Hub {
    /// Acts on how scarce memory is outside.
    pub(crate) fn feel(&self, percent: u16) {
        self.pressure.store(percent, Ordering::Relaxed);
        if percent > REFUSE_ABOVE {
            self.idle.clear();
        } else if percent > SHED_ABOVE {
            self.idle.shed();
        }
    }

    /// Memory is so scarce that no exchange should begin.
    pub(crate) fn is_starved(&self) -> bool {
        self.pressure.load(Ordering::Relaxed) > REFUSE_ABOVE
    }

    /// Goes over what depends on versions: to be called when one became current.
    pub(crate) fn follow_swap(&self) {
        let _active = self.ticker.activate();
        self.idle.sweep(&self.registry);
        self.registry.rest();
    }

    /// Runs one exchange to its end.
    pub(crate) async fn run(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        pipes: Pipes,
    ) -> Result<Summary, Failure> {
        let total = exchange.deadlines.total_ms;
        let _active = self.ticker.activate();
        let running = self.run_without_deadline(id, exchange, pipes);
        match tokio::time::timeout(Duration::from_millis(total.into()), running).await {
            Ok(outcome) => outcome,
            Err(_) => Err(failure(
                Cause::Deadline {
                    phase: "total".to_owned(),
                    milliseconds: total,
                },
                RetrySafety::MaybeProcessed,
            )),
        }
    }

    async fn run_without_deadline(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        pipes: Pipes,
    ) -> Result<Summary, Failure> {
        if let Scheme::Served(scheme) = exchange.target.scheme {
            return driver::run(self, id, exchange, scheme, &pipes).await;
        }
        let began = Instant::now();
        let key = Key::new(&exchange.target, exchange.tls);
        let idle = if exchange.fresh_connection {
            None
        } else {
            self.idle.take(&key)
        };
        if let Some(mut connection) = idle {
            let reused = JourneyEvent::Reused {
                peer: connection.peer,
            };
            self.outbox.journey(id, reused).await.map_err(not_sent)?;
            if let Some(instance) = connection.codec.refresh().map_err(not_sent)? {
                let made = JourneyEvent::Instantiated(instance);
                self.outbox.journey(id, made).await.map_err(not_sent)?;
            }
            let attempt = self.attempt(id, exchange, connection, &pipes, began).await;
            if !attempt.may_repeat(&exchange.method) {
                return attempt.result;
            }
            self.outbox
                .journey(id, JourneyEvent::Retried)
                .await
                .map_err(not_sent)?;
        }
        let (connection, reached) = self.open(id, exchange, began).await.map_err(not_sent)?;
        let mut result = self
            .attempt(id, exchange, connection, &pipes, began)
            .await
            .result;
        if let Ok(summary) = &mut result {
            summary.timings.resolved_us = reached.resolved_us;
            summary.timings.connected_us = reached.connected_us;
            summary.timings.tls_us = reached.tls_us;
        }
        result
    }

    /// One try on one connection, which is kept for the next if it can be.
    async fn attempt(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        mut connection: Connection,
        pipes: &Pipes,
        began: Instant,
    ) -> Attempt {
        let before = connection.meter();
        let outcome =
            exchange::run(&mut connection, id, exchange, pipes, &self.outbox, began).await;
        let Outcome {
            mut result,
            reusable,
            source,
        } = outcome;
        if let Ok(summary) = &mut result {
            connection.account(before, summary);
        }
        let kept = reusable && self.keep(exchange, connection);
        if let Ok(summary) = &mut result {
            summary.connection_kept = kept;
            summary.timings.total_us = micros(began.elapsed());
        }
        Attempt { result, source }
    }

    fn keep(&self, exchange: &Exchange, connection: Connection) -> bool {
        if connection.has_outlived_its_guest(&self.registry) {
            return false;
        }
        self.idle
            .park(Key::new(&exchange.target, exchange.tls), connection)
    }

    /// A new connection, with TLS where the target asks for it.
    async fn open(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
    ) -> Result<(Connection, Timings), Cause> {
        let since = Instant::now();
        let room = self.reserve(exchange.deadlines.connect_ms).await?;
        let reached = match exchange.target.scheme {
            Scheme::Http => {
                let (stream, peer, timings) = self.dial(id, exchange, began).await?;
                Reached {
                    transport: Transport::Plain(PlainStream::new(stream)),
                    peer,
                    timings,
                }
            }
            Scheme::Https => self.secured(id, exchange, began).await?,
            // A driver has connections of its own, and never comes here.
            Scheme::Served(scheme) => {
                let why = format!("{} is not spoken over a kept connection", scheme.name());
                return Err(Cause::BadRequest(why));
            }
        };
        let Reached {
            transport,
            peer,
            timings,
        } = reached;
        let codec = SteadyCodec::new(&self.registry)?;
        self.outbox
            .journey(id, JourneyEvent::Instantiated(codec.describe()))
            .await?;
        Ok((
            Connection {
                transport,
                codec,
                peer,
                since,
                _room: room,
            },
            timings,
        ))
    }

    /// A connection as the broker makes it.
    async fn dial(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
    ) -> Result<(TcpStream, SocketAddr, Timings), Cause> {
        let deadline = Duration::from_millis(exchange.deadlines.connect_ms.into());
        let dialled = self.dialer.dial(exchange.grant, deadline).await?;
        let timings = Timings {
            resolved_us: (dialled.resolve_us > 0)
                .then(|| micros(began.elapsed()).saturating_sub(dialled.connect_us)),
            connected_us: Some(micros(began.elapsed())),
            ..Timings::default()
        };
        let peer = dialled.peer;
        let connected = JourneyEvent::Connected {
            peer,
            refused: dialled.refused,
            attempts: dialled.attempts,
            resolve_us: dialled.resolve_us,
            connect_us: dialled.connect_us,
        };
        self.outbox.journey(id, connected).await?;
        Ok((dialled.stream, peer, timings))
    }

    /// A connection with TLS. When the guest ends in the handshake, nothing of
    /// the request was sent: it is tried again on another connection, with the
    /// same version once, then with the good one before. (A handshake cannot be
    /// taken over: what it knew of keys is gone.)
    async fn secured(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
    ) -> Result<Reached, Cause> {
        let version = self.registry.tls.current()?;
        let mut faults = match self.try_secured(id, exchange, began, &version).await {
            Ok(reached) => return Ok(reached),
            Err(HandshakeError::Other(cause)) => return Err(cause),
            Err(HandshakeError::Guest(fault)) => Faults::from(fault),
        };
        let again = Some(&version)
            .filter(|version| !version.about.is_condemned())
            .cloned();
        let before = self.registry.tls.previous(version.digest());
        for version in [again, before].into_iter().flatten() {
            self.outbox.journey(id, JourneyEvent::Retried).await?;
            match self.try_secured(id, exchange, began, &version).await {
                Ok(reached) => {
                    faults.settle(Aftermath::Retried);
                    self.registry.enforce();
                    return Ok(reached);
                }
                Err(HandshakeError::Guest(fault)) => faults.push(fault),
                // The guest's end explains more than a used-up grant.
                Err(HandshakeError::Other(Cause::Dial(DialFailure::NoGrant))) => break,
                Err(HandshakeError::Other(cause)) => return Err(cause),
            }
        }
        let cause = faults.fail("it was tried again, and ended the same way");
        self.registry.enforce();
        Err(cause)
    }

    async fn try_secured(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
        version: &Arc<Version<TlsModule>>,
    ) -> Result<Reached, HandshakeError> {
        let peer = tls::Peer {
            registry: &self.registry,
            version,
            options: exchange.tls,
            host: &exchange.target.host,
            key_log: self.key_log.clone(),
        };
        // The broker connects while the guest writes its ClientHello.
        let dialling = self.dial(id, exchange, began);
        let (dialled, begun) = tokio::join!(dialling, async { tls::begin(peer) });
        let begun = begun?;
        let (stream, peer, mut timings) = dialled?;
        let stream = self.secure(id, exchange, stream, begun).await?;
        timings.tls_us = Some(micros(began.elapsed()));
        Ok(Reached {
            transport: Transport::Tls(Box::new(stream)),
            peer,
            timings,
        })
    }

    /// Room in the instance pool.
    pub(crate) async fn reserve(&self, milliseconds: u32) -> Result<OwnedSemaphorePermit, Cause> {
        let waiting = Arc::clone(&self.room).acquire_owned();
        if self.room.available_permits() == 0 {
            // Idle connections hold instances that a request needs now.
            self.idle.clear();
        }
        match tokio::time::timeout(Duration::from_millis(milliseconds.into()), waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Cause::Busy),
        }
    }

    async fn secure(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        stream: TcpStream,
        begun: tls::Begun,
    ) -> Result<TlsStream, HandshakeError> {
        let milliseconds = exchange.deadlines.tls_ms;
        let handshake = tls::handshake(stream, begun);
        let established =
            match tokio::time::timeout(Duration::from_millis(milliseconds.into()), handshake).await
            {
                Ok(outcome) => outcome?,
                Err(_) => {
                    let deadline = Cause::Deadline {
                        phase: "tls".to_owned(),
                        milliseconds,
                    };
                    return Err(deadline.into());
                }
            };
        for instance in established.instances {
            self.outbox
                .journey(id, JourneyEvent::Instantiated(instance))
                .await?;
        }
        self.outbox
            .journey(id, JourneyEvent::Tls(established.summary))
            .await?;
        Ok(established.stream)
    }
}

/// A connection up to where HTTP begins.
struct Reached {
    transport: Transport,
    peer: SocketAddr,
    timings: Timings,
}

/// How one try went.
struct Attempt {
    result: Result<Summary, Failure>,
    source: SourceState,
}

impl Attempt {
    /// The idle connection turned out to be dead, and the request can go out
    /// once more without being done twice (RFC 9112 section 9.3.1).
    fn may_repeat(&self, method: &str) -> bool {
        let Err(failure) = &self.result else {
            return false;
        };
        let connection_was_dead = match &failure.cause {
            Cause::Socket { .. } => true,
            // Many servers close an idle TLS connection without close_notify.
            Cause::Truncated { place } => matches!(&place[..], "before-head" | "tls-record"),
            _ => false,
        };
        let safe = match failure.retry {
            RetrySafety::NotSent => true,
            RetrySafety::MaybeProcessed => is_idempotent(method),
            RetrySafety::Answered => false,
        };
        connection_was_dead && safe && matches!(self.source, SourceState::Untouched)
    }
}

/// Methods whose repetition does no harm (RFC 9110 section 9.2.2).
pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
    )
}

fn not_sent(cause: Cause) -> Failure {
    failure(cause, RetrySafety::NotSent)
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
