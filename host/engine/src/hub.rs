//! What all exchanges share, and how one runs from dial to done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use fumehood_control::{
    Activity, Cause, Exchange, ExchangeId, Failure, Instance, JourneyEvent, RetrySafety, Summary,
};
use fumehood_policy::Scheme;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::dialer::Dialer;
use crate::dns::Names;
use crate::driver;
use crate::exchange::{self, Outcome, Pipes, SourceState, failure};
use crate::idle::Idle;
use crate::instance::Ticker;
use crate::key::Key;
use crate::outbox::Outbox;
use crate::proxy::Proxy;
use crate::registry::Registry;
use crate::tls::KeyLogFile;
use crate::turns::Turns;
use crate::upstream::Tokens;

/// Guest instances that a connection needs: codec and TLS.
pub(crate) const INSTANCES_PER_CONNECTION: u32 = 2;

/// The engine's heart: guests, the way to the broker, idle connections.
pub(crate) struct Hub {
    pub registry: Arc<Registry>,
    pub dialer: Arc<Dialer>,
    pub names: Arc<Names>,
    pub idle: Idle,
    pub turns: Turns,
    /// One permit a connection that there may be and the instance pool has room
    /// for; one more for each proxy on its way.
    pub room: Arc<Semaphore>,
    /// Permits of `room`, taken or not.
    pub places: u32,
    /// Connections made for exchanges and for requests of listeners' clients.
    pub made: AtomicU64,
    /// Told when somebody waits for room, or memory is scarce: a proxy's client that
    /// waits for its next request gives its own back.
    pub wanted: Notify,
    pub ticker: Ticker,
    pub outbox: Outbox,
    pub key_log: Option<Arc<KeyLogFile>>,
    /// Listeners, and who is served over them.
    pub proxy: Proxy,
    /// What proxies are told of who asks, leg by leg.
    pub tokens: Tokens,
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
            // What clients keep to themselves between two requests is idle, too.
            self.wanted.notify_waiters();
        } else if percent > SHED_ABOVE {
            self.idle.shed();
        }
    }

    /// How its connections and its resolver fare.
    pub(crate) fn tell(&self, activity: &mut Activity) {
        let Activity { pool, names, .. } = activity;
        self.idle.tell(pool);
        let (exchanges, waiting) = self.turns.count();
        pool.in_use = exchanges + self.proxy.connections();
        pool.waiting = waiting;
        pool.made = self.made.load(Ordering::Relaxed);
        pool.places = self.places.into();
        let free = self.room.available_permits() as u64;
        pool.places_taken = pool.places.saturating_sub(free);
        *names = self.names.activity();
    }

    /// Memory is so scarce that no exchange should begin.
    pub(crate) fn is_starved(&self) -> bool {
        self.pressure.load(Ordering::Relaxed) > REFUSE_ABOVE
    }

    /// Keeps a connection for who comes next, where it may be kept and memory is not so
    /// scarce that it would be closed again ([`Idle::park_if`]).
    pub(crate) fn park_if(
        &self,
        key: Key,
        connection: Connection,
        may_be_kept: impl FnOnce() -> bool,
    ) -> bool {
        let may_be_kept = || !self.is_starved() && may_be_kept();
        self.idle.park_if(key, connection, may_be_kept)
    }

    /// Goes over what depends on versions: to be called when one of this module
    /// became current.
    pub(crate) fn follow_swap(&self, name: &str) {
        if name == "dns" {
            self.names.follow_swap();
        }
        self.idle.follow_swap();
    }

    /// Keeps the resolver at work; never returns.
    pub(crate) async fn serve_names(&self) {
        let (registry, dialer) = (&self.registry, &self.dialer);
        self.names.serve(registry, dialer, &self.ticker).await;
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
        let key = Key::of(exchange);
        let turn = self.turns.wait(&key).await;
        let idle = if exchange.fresh_connection {
            None
        } else {
            self.take_idle(&key)
        };
        if let Some((connection, refreshed)) = idle {
            let reused = JourneyEvent::Reused {
                peer: connection.peer,
            };
            self.outbox.journey(id, reused).await.map_err(not_sent)?;
            for instance in refreshed {
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
        self.idle.leave_room(&key, &turn);
        let (connection, reached) = self.open(id, exchange, began).await.map_err(not_sent)?;
        self.made.fetch_add(1, Ordering::Relaxed);
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
        let kept = reusable && self.park_if(Key::of(exchange), connection, || true);
        if let Ok(summary) = &mut result {
            summary.connection_kept = kept;
            summary.timings.total_us = micros(began.elapsed());
        }
        Attempt { result, source }
    }

    /// An idle connection, with guests of the current versions and those of them
    /// that were made for it. One that they cannot go on with is closed.
    fn take_idle(&self, key: &Key) -> Option<(Connection, Vec<Instance>)> {
        loop {
            let mut connection = self.idle.take(key)?;
            if let Ok(made) = connection.refresh() {
                return Some((connection, made));
            }
        }
    }

    /// Room for a connection with so many proxies on its way, in the instance
    /// pool and among all connections.
    pub(crate) async fn reserve(
        &self,
        hops: usize,
        milliseconds: u32,
    ) -> Result<OwnedSemaphorePermit, Cause> {
        let needed = 1 + u32::try_from(hops).unwrap_or(u32::MAX);
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(needed) {
            return Ok(permit);
        }
        // Idle connections hold what a request needs now; none is to become idle
        // while one waits.
        let _wanted = self.idle.want_room();
        let waiting = Arc::clone(&self.room).acquire_many_owned(needed);
        while self.room.available_permits() < needed as usize && self.idle.drop_oldest() {}
        for _ in 0..needed {
            self.wanted.notify_one();
        }
        match tokio::time::timeout(Duration::from_millis(milliseconds.into()), waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Cause::Busy),
        }
    }
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
        let safe = match failure.retry {
            RetrySafety::NotSent => true,
            RetrySafety::MaybeProcessed => is_idempotent(method),
            RetrySafety::Answered => false,
        };
        was_dead(&failure.cause) && safe && matches!(self.source, SourceState::Untouched)
    }
}

/// A connection that had been idle turned out to be dead.
pub(crate) fn was_dead(cause: &Cause) -> bool {
    match cause {
        Cause::Socket { .. } => true,
        // Many servers close an idle TLS connection without close_notify.
        Cause::Truncated { place } => matches!(&place[..], "before-head" | "tls-record"),
        _ => false,
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
