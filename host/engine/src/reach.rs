//! How a new connection comes about: dialled, led through proxies, secured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{
    Aftermath, Cause, DialFailure, Exchange, ExchangeId, JourneyEvent, ProxyFault, Timings,
    TlsOptions,
};
use fumehood_policy::{Host, Scheme};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::hub::{Hub, micros};
use crate::instance::Faults;
use crate::registry::Version;
use crate::resume::SteadyCodec;
use crate::tls::{self, Begun, HandshakeError, TlsModule};
use crate::transport::Transport;
use crate::upstream::{self, Trip};

/// A connection up to where HTTP begins.
struct Reached {
    transport: Transport,
    peer: SocketAddr,
    timings: Timings,
}

/// The version of the `tls` guest to shake hands with.
pub(crate) type TlsVersion = Arc<Version<TlsModule>>;

impl Hub {
    /// A new connection, through the exchange's proxies, with TLS where its
    /// target asks for it.
    pub(crate) async fn open(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
    ) -> Result<(Connection, Timings), Cause> {
        let since = Instant::now();
        let room = self
            .reserve(exchange.via.len(), exchange.deadlines.connect_ms)
            .await?;
        let Reached {
            transport,
            peer,
            timings,
        } = match exchange.target.scheme {
            // A driver has connections of its own, and never comes here.
            Scheme::Served(_) | Scheme::Udp => {
                let scheme = exchange.target.scheme.name();
                let why = format!("{scheme} is not spoken over a kept connection");
                return Err(Cause::BadRequest(why));
            }
            Scheme::Http if !Trip::of(id, exchange).speaks_tls() => {
                let led = self.led(id, exchange, began, None).await;
                led.map_err(HandshakeError::into_cause)?
            }
            Scheme::Http | Scheme::Https => self.secured(id, exchange, began).await?,
        };
        let codec = SteadyCodec::new(&self.registry)?;
        self.outbox
            .journey(id, JourneyEvent::Instantiated(codec.describe()))
            .await?;
        let connection = Connection {
            transport,
            codec,
            peer,
            since,
            room: Some(room),
        };
        Ok((connection, timings))
    }

    /// A connection as the broker makes it.
    async fn dial(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
    ) -> Result<Reached, Cause> {
        let deadline = Duration::from_millis(exchange.deadlines.connect_ms.into());
        let (looking, first) = (Instant::now(), first_host(exchange));
        let dialling = async {
            let found = self.names.found(first, deadline).await?;
            let looked = looking.elapsed();
            let here = found.is_some();
            let left = deadline.saturating_sub(looked);
            let mut dialled = self.dialer.dial(exchange.grant, left, found).await?;
            if here {
                dialled.resolve_us = micros(looked);
            }
            Ok(dialled)
        };
        let dialled = dialling
            .await
            .map_err(|cause| match (&cause, exchange.via.first()) {
                (Cause::Dial(DialFailure::NoGrant), _) | (_, None) => cause,
                (_, Some(hop)) => upstream::at(hop, ProxyFault::Cause(cause)),
            })?;
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
        Ok(Reached {
            transport: Transport::from(dialled.stream),
            peer,
            timings,
        })
    }

    /// A connection on which the target itself is next, or the proxy that the
    /// request goes to.
    async fn led(
        &self,
        id: ExchangeId,
        exchange: &Exchange,
        began: Instant,
        version: Option<&TlsVersion>,
    ) -> Result<Reached, HandshakeError> {
        let mut reached = self.dial(id, exchange, began).await?;
        if !exchange.via.is_empty() {
            reached.transport =
                upstream::lead(self, &Trip::of(id, exchange), version, reached.transport).await?;
            reached.timings.connected_us = Some(micros(began.elapsed()));
        }
        Ok(reached)
    }

    /// A connection with TLS, to the target or to a proxy before it. When the
    /// guest ends in a handshake, nothing of the request was sent: it is tried
    /// again on another connection, with the same version once, then with the
    /// good one before. (A handshake cannot be taken over: what it knew of keys
    /// is gone.)
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
        version: &TlsVersion,
    ) -> Result<Reached, HandshakeError> {
        let leading = self.led(id, exchange, began, Some(version));
        if exchange.target.scheme != Scheme::Https {
            return leading.await;
        }
        // The broker connects while the guest writes its ClientHello.
        let (led, begun) = tokio::join!(leading, async {
            self.begin_tls(version, exchange.tls, &exchange.target.host)
        });
        let (begun, mut reached) = (begun?, led?);
        let trip = Trip::of(id, exchange);
        reached.transport = self.secure(&trip, reached.transport, begun).await?;
        reached.timings.tls_us = Some(micros(began.elapsed()));
        Ok(reached)
    }

    /// Does all of a handshake that needs no connection.
    pub(crate) fn begin_tls(
        &self,
        version: &TlsVersion,
        options: TlsOptions,
        host: &Host,
    ) -> Result<Begun, HandshakeError> {
        tls::begin(tls::Peer {
            registry: &self.registry,
            version,
            options,
            host,
            alpn: tls::HTTP,
            key_log: self.key_log.clone(),
        })
    }

    /// Does the rest of it.
    pub(crate) async fn secure(
        &self,
        trip: &Trip<'_>,
        transport: Transport,
        begun: Begun,
    ) -> Result<Transport, HandshakeError> {
        let milliseconds = trip.deadlines.tls_ms;
        let handshake = tls::handshake(transport, begun);
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
            trip.note(self, JourneyEvent::Instantiated(instance))
                .await?;
        }
        trip.note(self, JourneyEvent::Tls(established.summary))
            .await?;
        Ok(Transport::Tls(Box::new(established.stream)))
    }
}

/// Whose name the connection begins with: the first proxy's, or the target's.
fn first_host(exchange: &Exchange) -> &Host {
    exchange
        .via
        .first()
        .map_or(&exchange.target.host, |hop| &hop.server.host)
}
